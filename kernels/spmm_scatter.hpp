// The same sums as spmm.hpp, taken source by source: acc_i += w_ij * x_j for every edge j -> i from some sources j to
// destinations i that are held in memory. Design section 6, "2-D tiles": sources stream past in ascending global id.
//
//   w_ij = destination_scale[i] * source_scale[j] * edge_weight_ij, multiplied in this order, absent factors left out.
//
// Order of the sum: sources as `a` lists them, the implicit self-loop of j before its explicit edges, one fused
// multiply-add per term in T. Starting from zeros and taking all sources in ascending id therefore gives spmm's bits,
// in every body and for any cut of the sources, the destinations and the columns of x. (Parallel edges must come in the
// same order in both directions.)
#pragma once

#include "kernels/row_codec.hpp"
#include "kernels/spmm.hpp"

namespace strata {

// What is held: the columns [begin, end) of the sources' edges are looked at (nothing outside may be held; a whole
// shard's columns will do, a tighter range saves reading); of these the destinations whose row, to_row[column], or the
// column itself without to_row, is in [first_row, first_row + acc.rows), row first_row being row 0 of acc.
struct HeldRows {
  std::uint32_t begin = 0, end = 0;
  std::uint32_t first_row = 0;
};

// How spmm.hpp's words read here, where rows are sources (a is a piece of the reversed graph, source-major):
//   a.range_row(i)      source i of a.rows; x holds it as row i
//   a.to_row            column -> row of the destinations' numbering (kNoRow: not held, with or without may_skip); two
//                       columns never share a row
//   scale.source        indexed by global source id, a.first_row + range row
//   scale.destination   indexed by the destination's row (before first_row is taken off); only of held ones
// acc: x.cols columns, added to; must not overlap x. Serial: callers run groups of columns of x and acc side by side.
namespace ref {
template <class T>
void spmm_scatter(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, const HeldRows& held,
                  MatrixView<T> acc);
}
namespace cpu {
template <class T>
void spmm_scatter(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, const HeldRows& held,
                  MatrixView<T> acc);
}

}  // namespace strata
