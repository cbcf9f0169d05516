// The check of a conversion: by hash buckets of targets, the source's edges are gathered, sorted by comparison and
// cleaned, and compared with the store's rows read back and renamed to original ids. Nothing here is shared with the
// code that wrote the store, but for the readers.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/import/convert.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/verify_features.hpp"
#include "storage/store.hpp"

namespace strata {
namespace {

struct Edge {
  std::uint64_t key;  // target << 32 | source, original ids
  float weight;
};

std::uint64_t scrambled(std::uint64_t x) {  // MurmurHash3's 64-bit finaliser
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
  return x ^ (x >> 33);
}

std::uint64_t edge_hash(std::uint64_t key, float weight) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &weight, sizeof bits);
  return scrambled(key + scrambled(bits));
}

class Verifier {
 public:
  Verifier(GraphSource& source, const ImportOptions& options, ConvertListener* listener)
      : source_(source),
        facts_(source.facts()),
        options_(options),
        listener_(listener),
        budget_(options.memory),
        store_(options.output),
        original_(store_.original_ids(budget_)) {}

  std::string run() {
    check_edge_set(store_);
    check_external_ids();
    check_labels();
    check_splits();
    const std::string training = check_train_graph();
    const std::uint64_t rows = verify_features(source_, options_, store_, original_.span(), training_, budget_);
    return "verified " + std::to_string(store_.info().edges) + " edges, " + training + std::to_string(rows) +
           " feature rows, labels and splits of " + std::to_string(facts_.nodes) + " nodes against the source";
  }

 private:
  [[noreturn]] void differ(const std::string& what, const std::string& expected, const std::string& found) const {
    throw DamagedError(options_.output.string(), what, expected + " (from the source)", found);
  }
  // Sums of one bucket of targets: number of edges and hash of all of them.
  struct Sums {
    std::uint64_t edges = 0, hash = 0;
  };
  [[nodiscard]] std::size_t bucket_of(std::uint64_t node) const { return scrambled(node) % buckets_; }
  void check_edge_set(const Store& store);
  void check_edges(const Store& store, Direction direction);
  std::string check_train_graph();
  void read_edges(const GraphSource::EdgeSink& sink);
  Sums sum_source(Direction direction, std::size_t bucket, std::span<std::uint32_t> degrees);
  std::vector<Sums> sum_store(const Store& store, Direction direction, std::span<std::uint32_t> degrees);
  void check_external_ids();
  void check_labels();
  void check_splits();
  void begin(const char* stage, std::uint64_t total) {
    if (listener_ != nullptr) listener_->begin_stage(stage, total, ConvertListener::Unit::items);
  }
  void advance(std::uint64_t amount) {
    if (listener_ != nullptr) listener_->advance(amount);
  }
  void end() {
    if (listener_ != nullptr) listener_->end_stage();
  }

  GraphSource& source_;
  const SourceFacts& facts_;
  const ImportOptions& options_;
  ConvertListener* listener_;
  MemoryBudget budget_;
  Store store_;
  Array<NodeId> original_;
  std::size_t buckets_ = 1;
  std::vector<NodeId> training_;  // original ids, ascending
  bool own_train_graph_ = false;  // what read_edges() reads: the source's training graph;
  bool only_training_ = false;    // or, of its graph, the edges between training nodes
};

// Of the edge set that is being checked.
void Verifier::read_edges(const GraphSource::EdgeSink& sink) {
  if (own_train_graph_) {
    source_.read_train_edges(budget_, sink);
    return;
  }
  std::vector<EdgePair> kept;
  std::vector<float> kept_weights;
  const auto trains = [this](NodeId id) { return std::binary_search(training_.begin(), training_.end(), id); };
  source_.read_edges(budget_, [&](std::span<const EdgePair> pairs, std::span<const float> weights) {
    if (only_training_) {
      kept.clear();
      kept_weights.clear();
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (!trains(pairs[i].source) || !trains(pairs[i].target)) continue;
        kept.push_back(pairs[i]);
        if (!weights.empty()) kept_weights.push_back(weights[i]);
      }
      pairs = kept;
      weights = kept_weights;
    }
    sink(pairs, weights);
  });
}

// Gathers one bucket's edges as the options say they should come out.
Verifier::Sums Verifier::sum_source(Direction direction, std::size_t bucket, std::span<std::uint32_t> degrees) {
  std::vector<Edge> edges;
  const bool both = facts_.each_once || options_.undirected;
  const auto take = [&](NodeId target, NodeId source, float weight) {
    if (bucket_of(target) == bucket) edges.push_back({std::uint64_t{target} << 32 | source, weight});
  };
  read_edges([&](std::span<const EdgePair> pairs, std::span<const float> weights) {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto [source, target] = pairs[i];
      if (source == target && !options_.keep_self_loops) continue;
      const float weight = weights.empty() ? 1.0f : weights[i];
      if (both || direction == Direction::in) take(target, source, weight);
      if (both || direction == Direction::out) take(source, target, weight);
    }
    advance(pairs.size());
  });
  std::stable_sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.key < b.key; });
  Sums sums;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (!options_.keep_duplicates && i != 0 && edges[i].key == edges[i - 1].key) continue;
    ++sums.edges;
    sums.hash += edge_hash(edges[i].key, edges[i].weight);
    ++degrees[edges[i].key >> 32];
  }
  return sums;
}

std::vector<Verifier::Sums> Verifier::sum_store(const Store& store, Direction direction,
                                                std::span<std::uint32_t> degrees) {
  std::vector<Sums> sums(buckets_);
  EdgeSpace space(budget_);
  for (std::size_t s = 0; s < store.shards(direction).size(); ++s) {
    const Shard shard = store.open_shard(direction, s, budget_);
    for_each_chunk(shard, space, [&](const SparseRows& rows) {
      for (std::size_t r = 0; r < rows.rows; ++r) {
        const std::uint64_t target = original_[rows.first_row + r];
        Sums& sum = sums[bucket_of(target)];
        for (EdgeId e = rows.offsets[r]; e < rows.offsets[r + 1]; ++e) {
          const std::uint64_t source = original_[rows.to_row[rows.columns[e]]];
          sum.hash += edge_hash(target << 32 | source, rows.edge_weight == nullptr ? 1.0f : rows.edge_weight[e]);
        }
        sum.edges += rows.offsets[r + 1] - rows.offsets[r];
        degrees[target] = static_cast<std::uint32_t>(rows.offsets[r + 1] - rows.offsets[r]);
      }
    });
  }
  return sums;
}

void Verifier::check_edge_set(const Store& store) {
  check_edges(store, Direction::in);
  if (!store.info().undirected && store.info().has_reverse) check_edges(store, Direction::out);
}

// Empty without one, else what goes into the report.
std::string Verifier::check_train_graph() {
  const TrainGraphInfo& graph = store_.info().train_graph;
  if (graph.present != options_.inductive) {
    differ("training graph", options_.inductive ? "one" : "none", graph.present ? "one" : "none");
  }
  if (!graph.present) return {};
  own_train_graph_ = !facts_.train_graph_place.empty();
  only_training_ = !own_train_graph_;
  check_edge_set(store_.train_graph());
  own_train_graph_ = only_training_ = false;
  return std::to_string(graph.edges) + " edges of the training graph, ";
}

void Verifier::check_edges(const Store& store, Direction direction) {
  const std::string name = std::string(store.edge_set() == EdgeSet::train ? "training " : "") +
                           (direction == Direction::in ? "in-edges" : "out-edges");
  const std::uint64_t entries = facts_.edges * (facts_.each_once || options_.undirected ? 2 : 1);
  const std::uint64_t room = std::max<std::uint64_t>(budget_.limit() / 4, 1 << 20);
  // Twice the edges: a growing vector holds its old self while it moves, and so does the stable sort.
  buckets_ = entries * sizeof(Edge) * 2 / room + 1;
  const Reservation charge = budget_.reserve(std::min(room, entries * sizeof(Edge) * 2), "edges being verified");
  Array<std::uint32_t> expected(budget_, facts_.nodes, "degrees"), found(budget_, facts_.nodes, "degrees");
  const std::vector<Sums> written = sum_store(store, direction, found.span());
  begin(direction == Direction::in ? "verify in-edges" : "verify out-edges", buckets_ * facts_.edges);
  for (std::size_t bucket = 0; bucket < buckets_; ++bucket) {
    const Sums sums = sum_source(direction, bucket, expected.span());
    if (sums.edges != written[bucket].edges) {
      differ(name, std::to_string(sums.edges) + " edges", std::to_string(written[bucket].edges));
    }
    if (sums.hash != written[bucket].hash) differ(name, "edge checksum", "another one");
  }
  const Array<std::uint32_t> stored = store.degrees(direction, budget_);
  for (std::size_t n = 0; n < found.size(); ++n) {
    const NodeId node = original_[n];
    if (expected[node] != found[node] || stored[n] != expected[node]) {
      differ(name + " of node " + std::to_string(node), std::to_string(expected[node]),
             std::to_string(found[node]) + ", degree " + std::to_string(stored[n]));
    }
  }
  end();
}

void Verifier::check_external_ids() {
  const Array<std::uint64_t> expected = source_.external_ids(budget_), found = store_.external_ids(budget_);
  if (expected.size() != found.size()) {
    differ("external ids", std::to_string(expected.size()), std::to_string(found.size()));
  }
  const auto other = std::mismatch(expected.begin(), expected.end(), found.begin());
  if (other.first == expected.end()) return;
  differ("external id " + std::to_string(other.first - expected.begin()), std::to_string(*other.first),
         std::to_string(*other.second));
}

void Verifier::check_labels() {
  const ImportedLabels expected = source_.read_labels(budget_);
  if (expected.task != store_.info().task) differ("labels", "another kind of task", "");
  if (expected.task == Task::none) return;
  const Labels found = store_.labels(budget_);
  for (std::size_t n = 0; n < facts_.nodes; ++n) {
    const NodeId node = original_[n];
    bool same = true;
    if (expected.task == Task::multiclass) {
      same = expected.classes_of[node] == found.classes[n];
    } else {
      const std::size_t stride = expected.target_stride;
      same = (expected.labelled[node] != 0) == (found.labelled[n] != 0) && stride == found.target_stride &&
             std::equal(expected.targets.data() + node * stride, expected.targets.data() + (node + 1) * stride,
                        found.targets.data() + n * stride);
    }
    if (!same) differ("label of node " + std::to_string(node), "another label", "the stored one");
  }
}

void Verifier::check_splits() {
  std::vector<ImportedSplit> splits = source_.read_splits();
  if (facts_.random_split) {
    splits = random_splits(source_.read_labels(budget_), facts_.nodes, options_.split_fractions, options_.seed);
  }
  if (splits.size() != store_.info().splits.size()) differ("splits", std::to_string(splits.size()), "another number");
  for (const ImportedSplit& split : splits) {
    const Array<NodeId> stored = store_.split(split.name, budget_);
    std::vector<NodeId> found;
    for (const NodeId node : stored) found.push_back(original_[node]);
    std::sort(found.begin(), found.end());
    if (split.name == "train") training_ = split.nodes;
    if (found != split.nodes)
      differ("split " + split.name, std::to_string(split.nodes.size()) + " nodes", "other nodes");
  }
}

}  // namespace

std::string verify_conversion(GraphSource& source, const ImportOptions& options, ConvertListener* listener) {
  return Verifier(source, options, listener).run();
}

}  // namespace strata
