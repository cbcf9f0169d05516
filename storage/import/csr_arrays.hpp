// Matrices in CSR form among .npy arrays: PREFIXindptr, PREFIXindices, PREFIXdata, PREFIXshape.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/import/npy_arrays.hpp"

namespace strata {

// (rows, columns), agreeing with the length of indptr.
[[nodiscard]] std::pair<std::uint64_t, std::uint64_t> csr_shape(const ArraySet& arrays, const std::string& prefix);

// Walks over the rows, each in blocks; everything is checked on the way.
class CsrWalker {
 public:
  // `values`: whether the data are read too; else they count as ones and may be absent.
  CsrWalker(const ArraySet& arrays, std::string prefix, std::uint64_t columns, bool values);
  void next_row();
  // The next entries of the row, at most kBlock of them; false behind the last ones.
  [[nodiscard]] bool next_block();
  void finish() const;  // after the last row

  std::vector<std::int64_t> columns_of_block;
  std::vector<float> values_of_block;
  static constexpr std::uint64_t kBlock = std::uint64_t{1} << 16;

 private:
  std::int64_t next_offset();

  const ArraySet& arrays_;
  std::string prefix_;
  std::uint64_t columns_;
  NpyReader offsets_, indices_;
  std::optional<NpyReader> values_;
  std::uint64_t entries_;
  std::vector<std::int64_t> block_;
  std::size_t at_ = 0;
  std::uint64_t taken_ = 0;            // offsets
  std::uint64_t begin_ = 0, end_ = 0;  // entries of the row not taken yet
};

// An adjacency matrix as edges from row to column.
void read_csr_edges(const ArraySet& arrays, const std::string& prefix, std::uint64_t nodes, bool weighted,
                    MemoryBudget& budget, const GraphSource::EdgeSink& sink);

}  // namespace strata
