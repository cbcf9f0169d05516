#include "engine/active_sets.hpp"

#include <algorithm>
#include <cstdio>

#include "engine/closure.hpp"
#include "engine/model.hpp"
#include "kernels/base/error.hpp"
#include "storage/array_file.hpp"
#include "storage/checksum.hpp"
#include "storage/derived.hpp"

namespace strata {

namespace {

constexpr const char* kSizesFile = "sizes.array";
constexpr std::uint64_t kLeastForRounding = 64 * kChunkRows;

std::string bits_file(RowPart part, std::size_t map) {
  return (part == RowPart::train ? "train-" : "eval-") + std::to_string(map) + ".array";
}

NodeBits bits_of(std::uint64_t nodes, std::span<const NodeId> ids, MemoryBudget& budget) {
  NodeBits bits(nodes, budget, "a set of nodes");
  bits.insert(ids);
  return bits;
}

NodeBits copy_of(const NodeBits& bits, MemoryBudget& budget) {
  NodeBits copy(bits.nodes(), budget, "a set of nodes");
  copy.unite(bits);
  return copy;
}

// Rows in the graph's own order, a few of them without a gradient, are cheaper than an order of their own without them.
bool nearly_all(const NodeBits& bits, std::uint64_t nodes) {
  return nodes >= kLeastForRounding && bits.count() >= nodes - nodes / 16;
}

RowMap rows_of(const NestedSets& sets, MemoryBudget& budget) {
  NodeBits rest = copy_of(sets.outer, budget);
  rest.subtract(sets.inner);
  NodeSet eval(std::move(rest), budget);
  return {NodeSet(copy_of(sets.inner, budget), budget), std::move(eval)};
}

NodeSet load_set(const fs::path& path, std::uint64_t nodes, std::uint64_t size, MemoryBudget& budget) {
  if (size == 0) return NodeSet::none(nodes);
  if (size == nodes) return NodeSet::all(nodes);
  NodeSet set(NodeBits(nodes, read_array<std::uint64_t>(path, NodeBits::word_count(nodes), 1, budget)), budget);
  if (set.size() == size && set.rank(static_cast<NodeId>(nodes)) == size) return set;
  throw DamagedError(path.string(), "values", std::to_string(size) + " nodes", std::to_string(set.size()));
}

}  // namespace

ActiveSets::ActiveSets(const Store& store, const std::vector<bool>& aggregates)
    : features_(RowMap::identity(store.info().nodes)) {
  STRATA_ASSERT(!aggregates.empty());
  // From the last layer down: a new map wherever the layer above aggregates.
  map_of_layer_.resize(aggregates.size());
  for (std::size_t k = aggregates.size() - 1; k > 0; --k) {
    map_of_layer_[k - 1] = map_of_layer_[k] + (aggregates[k] ? 1 : 0);
  }
}

ActiveSets::ActiveSets(const Store& store, const std::vector<bool>& aggregates, const LabelledNodes& labelled,
                       Workers& workers, MemoryBudget& budget)
    : ActiveSets(store, aggregates) {
  const std::string key = active_sets_key(aggregates, labelled, store.edge_set());
  if (has_derived(store, key)) {
    load(store, key, budget);
    return;
  }
  NodeBits train = bits_of(nodes(), labelled.train, budget);
  NodeBits all = copy_of(train, budget);
  all.insert(labelled.valid);
  all.insert(labelled.test);
  compute(store, std::move(train), std::move(all), workers, budget);
  if (shards_read_ == 0) return;  // as quickly computed as read
  try {
    keep(store, key);
  } catch (const Error& error) {
    // A store that cannot be written (read-only, full, being written by another run) serves as well, without the copy.
    if (error.status() == ExitStatus::internal || error.status() == ExitStatus::damaged) throw;
  }
}

ActiveSets::ActiveSets(const Store& store, const std::vector<bool>& aggregates, std::span<const NodeId> wanted,
                       Workers& workers, MemoryBudget& budget)
    : ActiveSets(store, aggregates) {
  NodeBits train = bits_of(nodes(), wanted, budget);
  NodeBits all = copy_of(train, budget);
  compute(store, std::move(train), std::move(all), workers, budget);
}

void ActiveSets::compute(const Store& store, NodeBits train, NodeBits all, Workers& workers, MemoryBudget& budget) {
  NestedSets sets{std::move(train), std::move(all)};
  maps_.push_back(rows_of(sets, budget));
  while (maps_.size() <= map_of_layer_.front()) {
    if (maps_.back().is_identity()) {
      maps_.push_back(RowMap::identity(nodes()));
      continue;
    }
    NestedSets next{copy_of(sets.inner, budget), copy_of(sets.outer, budget)};
    shards_read_ += add_in_neighbours(store, sets, next, workers, budget);
    sets = std::move(next);
    const bool trains = store.edge_set() == EdgeSet::train;
    const bool rounds = nearly_all(sets.inner, trains ? store.info().train_graph.nodes : nodes());
    if (rounds && trains) {
      const Array<NodeId> training = store.split("train", budget);
      sets = {bits_of(nodes(), training.span(), budget), bits_of(nodes(), training.span(), budget)};
    }
    maps_.push_back(rounds && !trains ? RowMap::identity(nodes()) : rows_of(sets, budget));
  }
}

void ActiveSets::load(const Store& store, const std::string& key, MemoryBudget& budget) {
  const fs::path directory = store.derived_path(key);
  const std::size_t count = map_of_layer_.front() + 1;
  const Array<std::uint64_t> sizes = read_array<std::uint64_t>(directory / kSizesFile, count, 2, budget);
  for (std::size_t m = 0; m < count; ++m) {
    NodeSet train = load_set(directory / bits_file(RowPart::train, m), nodes(), sizes[2 * m], budget);
    maps_.emplace_back(std::move(train),
                       load_set(directory / bits_file(RowPart::eval, m), nodes(), sizes[2 * m + 1], budget));
  }
  loaded_ = true;
}

void ActiveSets::keep(const Store& store, const std::string& key) const {
  DerivedWriter writer(store, key);
  std::vector<std::uint64_t> sizes;
  for (std::size_t m = 0; m < maps_.size(); ++m) {
    for (const RowPart part : {RowPart::train, RowPart::eval}) {
      const NodeSet& set = maps_[m].part(part);
      sizes.push_back(set.size());
      if (!set.words().empty()) write_array(writer.path() / bits_file(part, m), set.words());
    }
  }
  write_array(writer.path() / kSizesFile, std::span<const std::uint64_t>(sizes), 2);
  std::string training, evaluation;
  for (std::size_t k = 1; k <= layers(); ++k) {
    const char* separator = k > 1 ? ", " : "";
    training += separator + std::to_string(layer(k).train_rows());
    evaluation += separator + std::to_string(layer(k).eval_rows());
  }
  writer.finish(R"({"what": "active sets of the layers", "training_rows": [)" + training +
                R"(], "evaluation_adds": [)" + evaluation + "]}");
}

std::string describe(const ActiveSets& sets) {
  std::string text = "layer   training rows   of nodes   evaluation adds   of nodes\n";
  const double nodes = static_cast<double>(std::max<std::uint64_t>(1, sets.nodes()));
  for (std::size_t k = 1; k <= sets.layers(); ++k) {
    const RowMap& rows = sets.layer(k);
    char line[128];
    std::snprintf(line, sizeof line, "%5zu %15u %9.2f%% %17u %9.2f%%\n", k, rows.train_rows(),
                  100.0 * rows.train_rows() / nodes, rows.eval_rows(), 100.0 * rows.eval_rows() / nodes);
    text += line;
  }
  return text;
}

std::vector<bool> aggregation_flags(const Model& model) {
  std::vector<bool> flags;
  for (const LayerSpec& layer : model.layers) flags.push_back(layer.aggregates());
  return flags;
}

std::string active_sets_key(const std::vector<bool>& aggregates, const LabelledNodes& labelled, EdgeSet edges) {
  ChecksumStream sum;
  for (const std::span<const NodeId> ids : {labelled.train, labelled.valid, labelled.test}) {
    const std::uint64_t count = ids.size();
    sum.update(std::as_bytes(std::span(&count, 1)));
    sum.update(std::as_bytes(ids));
  }
  std::string flags;
  for (const bool aggregating : aggregates) flags += aggregating ? 'a' : 'n';
  return std::string("active-rows-") + (edges == EdgeSet::train ? "train-" : "") + flags + "-" +
         checksum_text(sum.value());
}

}  // namespace strata
