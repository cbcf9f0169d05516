// Sparse x dense: out_i = sum over j in N(i) (and i itself if self_loop) of w_ij * x_j.
//
//   w_ij = destination_scale[i] * source_scale[j] * edge_weight_ij, multiplied in this order, absent factors left out.
//
// Covers sum (no scales), mean (destination_scale = 1/deg), D^-1(A+I) and symmetric normalisation D^-1/2 (A+I) D^-1/2,
// and their transposes: run it over the reversed graph with the two scales exchanged (methods.md 1.1: the transpose
// uses the forward's values). Kipf & Welling 2017; Hamilton et al. 2017.
//
// Order of the sum: ascending source id, the implicit self-loop in its place (before explicit edges of the same id),
// one fused multiply-add per term in T, starting from zero. So every body, any split into row ranges or column groups,
// and any thread count give the same bits.
#pragma once

#include "kernels/base/types.hpp"
#include "kernels/row_codec.hpp"

namespace strata {

inline constexpr std::uint32_t kNoRow = 0xffffffff;  // of x: there is none

// A row of x and its scale, side by side: looked up at random, the two cost one cache line instead of two.
struct ScaledRow {
  std::uint32_t row = kNoRow;
  float scale = 0;
};

// A range of rows of the adjacency, destination-major. Owns nothing. Three numberings meet:
//   range rows   destinations; range row r is the node first_row + r;
//   columns      what edges name their sources by; ascending with the source's global id, and first_local + r is range
//                row r itself as a source (own rows are neighbours in the sorted union of own rows and halo);
//   rows of x    where a column's values lie; any order.
// Without to_row columns, global ids and rows of x are one and the same, and first_local is not looked at.
struct SparseRows {
  std::size_t rows = 0;                     // of the output
  NodeId first_row = 0;                     // global id of range row 0
  const EdgeId* offsets = nullptr;          // range row r has columns [offsets[r], offsets[r+1])
  const std::uint32_t* columns = nullptr;   // indexed by those offsets; ascending within a row
  const std::uint32_t* to_row = nullptr;    // column -> row of x; null if columns are rows of x already
  const ScaledRow* scaled = nullptr;        // column -> its to_row and that row's EdgeScale::source once more, or null
  const float* edge_weight = nullptr;       // indexed like columns; null = 1
  const std::uint32_t* row_list = nullptr;  // output row i is range row row_list[i], ascending; null: range row i
  std::uint32_t first_local = 0;            // column of range row 0
  bool may_skip = false;                    // to_row may say kNoRow for a column that occurs: that term is left out

  [[nodiscard]] std::size_t range_row(std::size_t i) const { return row_list != nullptr ? row_list[i] : i; }
  // The column, and the row of x (or kNoRow), of range row r as a source of itself.
  [[nodiscard]] std::uint32_t own_column(std::size_t r) const {
    return (to_row != nullptr ? first_local : first_row) + static_cast<std::uint32_t>(r);
  }
  [[nodiscard]] std::uint32_t row_of(std::uint32_t column) const { return to_row != nullptr ? to_row[column] : column; }
};

template <class T>
struct EdgeScale {
  const T* destination = nullptr;  // indexed by *global* destination id; null = 1
  const T* source = nullptr;       // indexed by row of x; null = 1
  bool self_loop = false;
};

// out: a.rows x x.cols, overwritten; must not overlap x. x.rows covers every row of x that occurs (that of the
// self-loops, too). The self-loop of a row that x does not hold is left out when may_skip. Serial: callers run row
// ranges side by side.
namespace ref {
template <class T>
void spmm(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, MatrixView<T> out);
}
namespace cpu {
inline constexpr std::size_t kWidestScaledRow = 128;  // bytes: two cache lines
// Whether rows of x so narrow are summed faster with SparseRows::scaled at hand. Nothing else reads it.
[[nodiscard]] bool spmm_wants_scaled(Codec codec, std::size_t cols);
template <class T>
void spmm(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, MatrixView<T> out);
}  // namespace cpu

}  // namespace strata
