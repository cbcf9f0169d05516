// The binary features of the MUSAE sets: {"node id": [indices of ones], ...}, nodes in any order. Held as rows of
// indices; handed out dense.
#pragma once

#include <cstdint>
#include <functional>

#include "storage/import/id_table.hpp"
#include "storage/import/input_files.hpp"
#include "storage/import/source.hpp"

namespace strata {

class SparseFeatures {
 public:
  SparseFeatures() = default;
  // `columns`: one more than the largest index, as visit_feature_ids found.
  SparseFeatures(const InputFile& file, const IdTable& ids, std::uint64_t columns, MemoryBudget& budget);
  [[nodiscard]] std::uint64_t columns() const { return columns_; }
  void read(MemoryBudget& budget, const GraphSource::RowSink& sink) const;

 private:
  std::uint64_t columns_ = 0;
  Array<std::uint64_t> offsets_;  // nodes + 1
  Array<std::uint32_t> indices_;
};

// Calls visit with every node id; returns the number of columns. InputError for what is no such file.
[[nodiscard]] std::uint64_t visit_feature_ids(const InputFile& file,
                                              const std::function<void(std::uint64_t id)>& visit);

}  // namespace strata
