// Small adjacency matrices with everything SpMM can meet: isolated nodes, a hub, duplicate edges, explicit self-loops,
// and columns numbered locally.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/spmm.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {

struct TestGraph {
  std::size_t sources = 0;  // rows of x
  NodeId first_row = 0;     // destination of row 0
  std::vector<EdgeId> offsets = {0};
  std::vector<std::uint32_t> columns;
  std::vector<NodeId> to_global;   // empty: columns are source rows
  std::vector<float> edge_weight;  // empty: 1

  [[nodiscard]] std::size_t rows() const { return offsets.size() - 1; }
  [[nodiscard]] NodeId source(EdgeId e) const { return to_global.empty() ? columns[e] : to_global[columns[e]]; }
  [[nodiscard]] SparseRows view() const {
    SparseRows a;
    a.rows = rows();
    a.first_row = first_row;
    a.offsets = offsets.data();
    a.columns = columns.data();
    a.to_global = to_global.empty() ? nullptr : to_global.data();
    a.edge_weight = edge_weight.empty() ? nullptr : edge_weight.data();
    return a;
  }
};

struct GraphOptions {
  std::size_t rows = 20;
  std::size_t sources = 50;  // >= first_row + rows
  NodeId first_row = 10;
  double mean_degree = 5;
  bool local_columns = false;
  bool weighted = false;
};

inline TestGraph random_graph(const GraphOptions& o, std::uint64_t seed) {
  Random random(seed);
  TestGraph g;
  g.sources = o.sources;
  g.first_row = o.first_row;
  if (o.local_columns) {
    for (NodeId id = 0; id < o.sources; ++id) {
      if (random.chance(0.6)) g.to_global.push_back(id);
    }
    if (g.to_global.empty()) g.to_global.push_back(0);
  }
  const std::size_t column_count = o.local_columns ? g.to_global.size() : o.sources;
  for (std::size_t r = 0; r < o.rows; ++r) {
    std::size_t degree = random.below(static_cast<std::uint32_t>(2 * o.mean_degree) + 1);
    if (random.chance(0.15)) degree = 0;
    if (r == o.rows / 2) degree = 40 * static_cast<std::size_t>(o.mean_degree) + 1;  // the hub
    std::vector<std::uint32_t> row = random.integers<std::uint32_t>(degree, static_cast<std::uint32_t>(column_count));
    if (degree > 1 && random.chance(0.3)) row[1] = row[0];  // a duplicate
    if (degree > 2 && !o.local_columns && random.chance(0.4)) row[2] = o.first_row + static_cast<NodeId>(r);
    std::sort(row.begin(), row.end());
    g.columns.insert(g.columns.end(), row.begin(), row.end());
    g.offsets.push_back(g.columns.size());
  }
  if (o.weighted) {
    for (std::size_t e = 0; e < g.columns.size(); ++e) g.edge_weight.push_back(static_cast<float>(random.uniform()));
  }
  return g;
}

// Encodes rows x cols values panel by panel, rows `stride` bytes apart, by the reference.
template <class T>
std::vector<std::byte> encode_rows(Codec codec, const std::vector<T>& values, std::size_t rows, std::size_t cols,
                                   std::size_t stride) {
  std::vector<std::byte> bytes(rows * stride, std::byte{0xFF});  // NaNs between the rows: reading them would show
  std::size_t offset = 0;
  for (std::size_t panel = 0; panel < panel_count(cols); ++panel) {
    const std::size_t width = panel_width(cols, panel);
    ref::encode_panel(codec, MatrixView<const T>(values.data() + panel * kPanelColumns, rows, width, cols),
                      bytes.data() + offset, stride);
    offset += panel_row_bytes(codec, width);
  }
  return bytes;
}

}  // namespace strata::testing
