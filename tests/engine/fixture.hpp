// A tiny store, and sessions of the engine over it.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "engine/methods/method.hpp"
#include "engine/row_access.hpp"
#include "engine/row_source.hpp"
#include "engine/session.hpp"
#include "tests/support/dense_model.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {

// One run of the engine in precision T.
template <class T>
struct Engine {
  Engine(const Store& store, TrainOptions o)
      : options(std::move(o)), budget(options.host_memory), session(options, store, budget) {}
  TrainOptions options;
  MemoryBudget budget;
  Session<T> session;
};

inline TrainOptions base_options(const std::filesystem::path& directory, bool exact) {
  TrainOptions o;
  o.cache_dir = directory / "cache";
  o.host_memory = std::uint64_t{1} << 30;
  o.threads = 1;
  o.model.hidden = 6;
  o.model.layers = 3;
  o.model.activation = Activation::tanh;
  o.optimizer.kind = OptimizerKind::sgd;
  o.optimizer.lr = 1e-2;
  o.seed = 7;
  if (exact) o.codec = o.alpha_codec = Codec::fp64;
  return o;
}

template <class T>
std::vector<T> all_rows(const RowStore& store) {
  std::vector<T> values(store.shape().rows * store.shape().cols);
  for (std::size_t c = 0; c < store.shape().chunks(); ++c) {
    read_chunk<T>(
        store, c,
        {values.data() + c * kChunkRows * store.shape().cols, store.shape().chunk_rows(c), store.shape().cols});
  }
  return values;
}

// The rows of ascending nodes, one after the other.
template <class T>
std::vector<T> rows_of_nodes(const RowSource& source, std::span<const NodeId> nodes) {
  const std::size_t cols = source.store->shape().cols;
  std::vector<T> values(nodes.size() * cols);
  for (std::size_t first = 0; first < nodes.size(); first += kChunkRows) {
    const std::span<const NodeId> part = nodes.subspan(first, std::min(kChunkRows, nodes.size() - first));
    read_nodes<T>(source, part, {values.data() + first * cols, part.size(), cols});
  }
  return values;
}

// What a pass over the rows reads of a source.
template <class T>
std::vector<T> rows_read(const RowSource& source, const PassRows& rows) {
  const std::size_t cols = source.store->shape().cols;
  std::vector<T> values(rows.count() * cols);
  std::vector<NodeId> storage;
  for (std::size_t t = 0; t < rows.tiles(); ++t) {
    const std::span<const NodeId> nodes = rows.nodes(t, storage);
    read_tile<T>(source, rows, t, nodes, {values.data() + t * kChunkRows * cols, nodes.size(), cols});
  }
  return values;
}

inline std::vector<NodeId> every_node(std::size_t count) {
  std::vector<NodeId> nodes(count);
  std::iota(nodes.begin(), nodes.end(), NodeId{0});
  return nodes;
}

inline std::vector<NodeId> members(const RowMap& map, RowPart part) {
  std::vector<NodeId> nodes(map.part(part).size());
  map.part(part).members(0, nodes);
  return nodes;
}

// Those that training does not know, or that neither training nor evaluation knows.
inline std::vector<NodeId> nodes_outside(const RowMap& map, bool of_train) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < map.nodes(); ++id) {
    if (of_train ? !map.part(RowPart::train).contains(id) : map.row_of(id) == kNoRow) nodes.push_back(id);
  }
  return nodes;
}

// Ascending nodes of the splits.
inline std::vector<NodeId> nodes_of_splits(const TinyGraph& graph) {
  std::vector<NodeId> nodes = graph.train;
  nodes.insert(nodes.end(), graph.valid.begin(), graph.valid.end());
  nodes.insert(nodes.end(), graph.test.begin(), graph.test.end());
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

inline std::vector<double> rows_of(const Dense& values, const std::vector<NodeId>& nodes) {
  std::vector<double> rows;
  for (const NodeId id : nodes) {
    for (std::size_t c = 0; c < values.cols; ++c) rows.push_back(values(id, c));
  }
  return rows;
}

// Rows of a map's train part, the others zero.
inline Dense scattered(const RowStore& rows, const RowMap& map) {
  Dense all(map.nodes(), rows.shape().cols);
  const std::vector<double> values = all_rows<double>(rows);
  const std::vector<NodeId> nodes = members(map, RowPart::train);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t c = 0; c < all.cols; ++c) all(nodes[i], c) = values[i * all.cols + c];
  }
  return all;
}

inline bool all_zero(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
}

template <class A, class B>
double relative_difference(const A& a, const B& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    size = std::max(size, std::abs(static_cast<double>(b[i])));
  }
  return size > 0 ? difference / size : difference;
}

}  // namespace strata::test
