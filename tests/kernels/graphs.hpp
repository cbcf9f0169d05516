// Small adjacency matrices with everything SpMM can meet: isolated nodes, a hub, duplicate edges, explicit self-loops,
// columns numbered locally, rows of x in an order of their own, some absent, and lists of rows.
#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "kernels/spmm.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {

struct TestGraph {
  std::size_t sources = 0;  // rows of x
  NodeId first_row = 0;     // destination of row 0
  std::vector<EdgeId> offsets = {0};
  std::vector<std::uint32_t> columns;
  std::vector<NodeId> to_global;        // column -> node; empty: columns are nodes
  std::vector<std::uint32_t> to_row;    // column -> row of x; empty: to_global
  std::vector<std::uint32_t> row_list;  // empty: all
  std::vector<float> edge_weight;       // empty: 1

  [[nodiscard]] std::size_t rows() const { return offsets.size() - 1; }
  [[nodiscard]] std::size_t out_rows() const { return row_list.empty() ? rows() : row_list.size(); }
  [[nodiscard]] std::uint32_t first_local() const {
    const auto first = std::lower_bound(to_global.begin(), to_global.end(), first_row);
    return static_cast<std::uint32_t>(first - to_global.begin());
  }
  [[nodiscard]] const std::vector<std::uint32_t>& table() const { return to_row.empty() ? to_global : to_row; }
  [[nodiscard]] NodeId source(EdgeId e) const { return to_global.empty() ? columns[e] : to_global[columns[e]]; }
  [[nodiscard]] SparseRows view() const {
    SparseRows a;
    a.rows = out_rows();
    a.first_row = first_row;
    a.offsets = offsets.data();
    a.columns = columns.data();
    a.to_row = table().empty() ? nullptr : table().data();
    a.edge_weight = edge_weight.empty() ? nullptr : edge_weight.data();
    a.row_list = row_list.empty() ? nullptr : row_list.data();
    a.first_local = first_local();
    a.may_skip = !to_row.empty();
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
  bool partial = false;  // with local columns: rows of x shuffled, some absent; two thirds of the rows are listed
};

inline void make_partial(TestGraph& g, Random& random) {
  std::vector<std::uint32_t> rows(g.sources);
  for (std::uint32_t i = 0; i < rows.size(); ++i) rows[i] = i;
  for (std::size_t i = rows.size(); i > 1; --i) {
    std::swap(rows[i - 1], rows[random.below(static_cast<std::uint32_t>(i))]);
  }
  for (const NodeId id : g.to_global) g.to_row.push_back(random.chance(0.25) ? kNoRow : rows[id]);
  for (std::uint32_t r = 0; r < g.rows(); ++r) {
    if (random.chance(0.66)) g.row_list.push_back(r);
  }
}

inline TestGraph random_graph(const GraphOptions& o, std::uint64_t seed) {
  Random random(seed);
  TestGraph g;
  g.sources = o.sources;
  g.first_row = o.first_row;
  if (o.local_columns) {
    for (NodeId id = 0; id < o.sources; ++id) {
      const bool own = id >= o.first_row && id - o.first_row < o.rows;
      if (own || random.chance(0.6)) g.to_global.push_back(id);
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
    const std::uint32_t own = (o.local_columns ? g.first_local() : o.first_row) + static_cast<std::uint32_t>(r);
    if (degree > 2 && random.chance(0.4)) row[2] = own;
    std::sort(row.begin(), row.end());
    g.columns.insert(g.columns.end(), row.begin(), row.end());
    g.offsets.push_back(g.columns.size());
  }
  if (o.weighted) {
    for (std::size_t e = 0; e < g.columns.size(); ++e) g.edge_weight.push_back(static_cast<float>(random.uniform()));
  }
  if (o.partial && o.local_columns) make_partial(g, random);
  return g;
}

// The reversed graph over the same ids, rows being the sources of `g`.
inline TestGraph reversed(const TestGraph& g) {
  std::map<NodeId, std::vector<std::pair<NodeId, float>>> in;
  for (std::size_t r = 0; r < g.rows(); ++r) {
    for (EdgeId e = g.offsets[r]; e < g.offsets[r + 1]; ++e) {
      in[g.source(e)].emplace_back(g.first_row + static_cast<NodeId>(r), g.edge_weight.empty() ? 1 : g.edge_weight[e]);
    }
  }
  TestGraph t;
  t.sources = g.sources;
  for (NodeId j = 0; j < g.sources; ++j) {
    for (const auto& [i, w] : in[j]) {
      t.columns.push_back(i);
      if (!g.edge_weight.empty()) t.edge_weight.push_back(w);
    }
    t.offsets.push_back(t.columns.size());
  }
  return t;
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
