// Sparse x dense over row stores: out = A x (or A^T x), [+ add]. Design section 6, "column panels": as many columns of
// *all* nodes as the budget holds are gathered into memory, the edges stream past once for each group of columns, and
// every column's sum is the same whatever the grouping. With the whole matrix in memory it is the resident way.
#pragma once

#include "engine/graph.hpp"
#include "engine/scratch.hpp"
#include "engine/workers.hpp"
#include "kernels/base/budget.hpp"
#include "storage/buffer_manager.hpp"

namespace strata {

// The memory SpMM may take for the gathered columns, and whether to keep it between calls.
struct SpmmMemory {
  std::uint64_t gather_limit = 0;  // bytes for gathered columns
  bool keep = false;               // everything fits: keep the buffer for the next call
  Buffer buffer;
};

// out has x's rows and columns. add: null, or a store of out's shape (out itself is allowed) whose rows are added in T
// after the sum. Throws ResourceError with the least that would do when not even the narrowest slice of columns fits.
template <class T>
void external_spmm(const Graph<T>& graph, bool transposed, const RowStore& x, const RowStore* add, RowStore& out,
                   Workers& workers, SpmmMemory& memory, ScratchMemory& scratch, MemoryBudget& budget);

// Bytes of the narrowest gather that works for N rows of this codec.
[[nodiscard]] std::uint64_t least_gather_bytes(std::uint64_t rows, std::uint64_t cols, Codec codec, Codec out_codec);

}  // namespace strata
