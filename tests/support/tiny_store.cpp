#include "tests/support/tiny_store.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "kernels/base/budget.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/loss.hpp"
#include "storage/row_file.hpp"
#include "storage/shard.hpp"
#include "storage/store_writer.hpp"

namespace strata::test {

namespace {

double normal(CounterRng& rng) {
  return std::sqrt(-2.0 * std::log(rng.uniform())) * std::cos(6.283185307179586 * rng.uniform());
}

void add_edges(const TinyStoreOptions& o, TinyGraph& graph) {
  std::vector<std::set<NodeId>> in(o.nodes);
  CounterRng rng(o.seed, Stream::synthetic, 1);
  const std::uint32_t connected = o.nodes > 3 ? o.nodes - 2 : o.nodes;  // the last two nodes are isolated
  for (std::uint32_t e = 0; e < o.edges && connected > 1; ++e) {
    const NodeId u = e % 7 == 0 ? 0 : rng.below(connected);  // node 0 is a hub
    const NodeId v = rng.below(connected);
    if (u == v) continue;
    in[v].insert(u);
    if (o.undirected) in[u].insert(v);
  }
  for (const auto& sources : in) graph.in.emplace_back(sources.begin(), sources.end());
}

void add_labels(const TinyStoreOptions& o, TinyGraph& graph) {
  CounterRng rng(o.seed, Stream::split, 2);
  for (NodeId i = 0; i < o.nodes; ++i) {
    const bool labelled = rng.uniform() < o.labelled;
    graph.labels.push_back(labelled ? static_cast<std::int32_t>(rng.below(o.classes)) : kUnlabelled);
    std::vector<int> row;
    for (std::uint32_t c = 0; c < o.classes; ++c) row.push_back(rng.below(2) != 0 ? 1 : 0);
    graph.targets.push_back(row);
    if (!labelled) continue;
    const std::uint32_t part = rng.below(5);
    (part < 3 || o.all_train ? graph.train : part == 3 ? graph.valid : graph.test).push_back(i);
  }
}

std::vector<std::vector<NodeId>> reversed(const std::vector<std::vector<NodeId>>& in) {
  std::vector<std::vector<NodeId>> out(in.size());
  for (NodeId v = 0; v < in.size(); ++v) {
    for (const NodeId u : in[v]) out[u].push_back(v);
  }
  return out;
}

void write_direction(StoreWriter& writer, const TinyStoreOptions& o, Direction direction,
                     const std::vector<std::vector<NodeId>>& adjacency, EdgeSet edges = EdgeSet::all) {
  const NodeId step = o.shard_rows != 0 ? o.shard_rows : std::max<NodeId>(1, o.nodes);
  std::vector<std::uint32_t> degrees;
  for (const auto& row : adjacency) degrees.push_back(static_cast<std::uint32_t>(row.size()));
  writer.write_degrees(direction, degrees, edges);
  int number = 0;
  for (NodeId first = 0; first < o.nodes; first += step) {
    std::vector<EdgeId> offsets{0};
    std::vector<NodeId> sources;
    for (NodeId i = first; i < std::min(o.nodes, first + step); ++i) {
      sources.insert(sources.end(), adjacency[i].begin(), adjacency[i].end());
      offsets.push_back(sources.size());
    }
    const std::string name = std::string(edges == EdgeSet::train ? "train-" : "") +
                             (direction == Direction::in ? "in-" : "out-") + std::to_string(number++) + ".shard";
    writer.add_shard(direction, write_shard(writer.path(), name, first, offsets, sources, {}), edges);
  }
}

void write_labels(StoreWriter& writer, const TinyStoreOptions& o, const TinyGraph& graph) {
  if (!o.multilabel) {
    writer.write_labels(graph.labels);
    return;
  }
  const std::size_t stride = divide_up(o.classes, 8);
  std::vector<std::uint8_t> bits(o.nodes * stride);
  std::vector<std::uint8_t> labelled(o.nodes);
  for (NodeId i = 0; i < o.nodes; ++i) {
    labelled[i] = graph.labels[i] != kUnlabelled;
    for (std::uint32_t c = 0; c < o.classes && labelled[i] != 0; ++c) {
      bits[i * stride + c / 8] |= static_cast<std::uint8_t>(graph.targets[i][c] << (c % 8));
    }
  }
  writer.write_labels(bits, stride, labelled);
}

void write_features(StoreWriter& writer, const TinyStoreOptions& o, const TinyGraph& graph, MemoryBudget& budget) {
  const RowShape shape{o.nodes, o.features, Codec::fp32};
  RowFileWriter file(writer.path() / StoreWriter::kFeatures, shape, {}, budget);
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    file.write_chunk(chunk,
                     {graph.features.data() + chunk * kChunkRows * o.features, shape.chunk_rows(chunk), o.features});
  }
  file.commit();
  writer.add_features(o.features, Codec::fp32, "none");
}

}  // namespace

TinyGraph make_tiny_graph(const TinyStoreOptions& o) {
  TinyGraph graph;
  add_edges(o, graph);
  add_labels(o, graph);
  CounterRng rng(o.seed, Stream::synthetic, 3);
  for (std::size_t i = 0; i < std::size_t{o.nodes} * o.features; ++i) {
    graph.features.push_back(static_cast<float>(normal(rng)));
  }
  return graph;
}

std::vector<std::vector<NodeId>> training_edges(const TinyGraph& graph) {
  std::vector<std::vector<NodeId>> in(graph.in.size());
  std::vector<bool> trains(graph.in.size());
  for (const NodeId id : graph.train) trains[id] = true;
  for (const NodeId id : graph.train) {
    std::copy_if(graph.in[id].begin(), graph.in[id].end(), std::back_inserter(in[id]),
                 [&](NodeId source) { return trains[source]; });
  }
  return in;
}

void write_tiny_store(const std::filesystem::path& directory, const TinyStoreOptions& o, const TinyGraph& graph) {
  MemoryBudget budget(std::uint64_t{1} << 30);
  StoreWriter writer(directory, false, budget);
  write_direction(writer, o, Direction::in, graph.in);
  if (!o.undirected) write_direction(writer, o, Direction::out, reversed(graph.in));
  if (o.inductive) {
    const std::vector<std::vector<NodeId>> in = training_edges(graph);
    write_direction(writer, o, Direction::in, in, EdgeSet::train);
    if (!o.undirected) write_direction(writer, o, Direction::out, reversed(in), EdgeSet::train);
    writer.set_train_graph("split", o.undirected);
  }
  write_labels(writer, o, graph);
  std::vector<NodeId> identity(o.nodes);
  for (NodeId i = 0; i < o.nodes; ++i) identity[i] = i;
  writer.write_permutation(identity);
  writer.write_split("train", graph.train);
  writer.write_split("valid", graph.valid);
  writer.write_split("test", graph.test);
  write_features(writer, o, graph, budget);
  StoreInfo info;
  info.name = "tiny";
  info.source = "test";
  info.nodes = o.nodes;
  info.undirected = o.undirected;
  info.has_reverse = true;
  info.classes = o.classes;
  info.metric = o.multilabel ? "micro-f1" : "accuracy";
  info.partitioner = "none";
  writer.finish(info, "{}\n");
}

TinyGraph make_tiny_store(const std::filesystem::path& directory, const TinyStoreOptions& options) {
  TinyGraph graph = make_tiny_graph(options);
  write_tiny_store(directory, options, graph);
  return graph;
}

}  // namespace strata::test
