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

// A range of rows of the adjacency, destination-major. Owns nothing.
struct SparseRows {
  std::size_t rows = 0;
  NodeId first_row = 0;                    // global id of row 0
  const EdgeId* offsets = nullptr;         // rows + 1; row r has columns [offsets[r], offsets[r+1])
  const std::uint32_t* columns = nullptr;  // indexed by those offsets; ascending within a row
  const NodeId* to_global = nullptr;       // column -> source row; null if columns are source rows already
  const float* edge_weight = nullptr;      // indexed like columns; null = 1
};

template <class T>
struct EdgeScale {
  const T* destination = nullptr;  // indexed by *global* destination id; null = 1
  const T* source = nullptr;       // indexed by source row; null = 1
  bool self_loop = false;
};

// out: a.rows x x.cols, overwritten; must not overlap x. x.rows covers every source id that occurs (and, with
// self_loop, first_row + rows). Serial: callers run row ranges side by side.
namespace ref {
template <class T>
void spmm(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, MatrixView<T> out);
}
namespace cpu {
template <class T>
void spmm(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, MatrixView<T> out);
}

}  // namespace strata
