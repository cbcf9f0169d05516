#include "storage/import/csr_arrays.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"

namespace strata {

std::pair<std::uint64_t, std::uint64_t> csr_shape(const ArraySet& arrays, const std::string& prefix) {
  NpyReader reader = arrays.open(prefix + "shape");
  std::int64_t shape[2] = {0, 0};
  if (reader.header().elements() != 2) arrays.fail(prefix + "shape", "", "expected two numbers");
  reader.read_as_int64(shape);
  if (shape[0] <= 0 || shape[1] <= 0) arrays.fail(prefix + "shape", "", "expected positive sizes");
  const std::uint64_t rows = arrays.open(prefix + "indptr").header().elements();
  if (rows != static_cast<std::uint64_t>(shape[0]) + 1) {
    arrays.fail(prefix + "indptr", "",
                "has " + std::to_string(rows) + " elements, expected " + std::to_string(shape[0] + 1));
  }
  return {static_cast<std::uint64_t>(shape[0]), static_cast<std::uint64_t>(shape[1])};
}

CsrWalker::CsrWalker(const ArraySet& arrays, std::string prefix, std::uint64_t columns, bool values)
    : arrays_(arrays),
      prefix_(std::move(prefix)),
      columns_(columns),
      offsets_(arrays.open(prefix_ + "indptr")),
      indices_(arrays.open(prefix_ + "indices")),
      entries_(indices_.header().elements()) {
  if (values) values_.emplace(arrays.open(prefix_ + "data"));
  if (values && values_->header().elements() != entries_) {
    arrays.fail(prefix_ + "data", "", "has another length than " + prefix_ + "indices");
  }
  if (next_offset() != 0) arrays.fail(prefix_ + "indptr", "element 0", "expected 0");
}

void CsrWalker::next_row() {
  STRATA_ASSERT(begin_ == end_);
  const std::int64_t end = next_offset();
  if (end < 0 || static_cast<std::uint64_t>(end) < begin_ || static_cast<std::uint64_t>(end) > entries_) {
    arrays_.fail(
        prefix_ + "indptr", "element " + std::to_string(taken_ - 1),
        "is " + std::to_string(end) + ", expected " + std::to_string(begin_) + " to " + std::to_string(entries_));
  }
  end_ = static_cast<std::uint64_t>(end);
}

bool CsrWalker::next_block() {
  if (begin_ == end_) return false;
  columns_of_block.resize(static_cast<std::size_t>(std::min(end_ - begin_, kBlock)));
  begin_ += columns_of_block.size();
  indices_.read_as_int64(columns_of_block);
  if (values_) {
    values_of_block.resize(columns_of_block.size());
    values_->read_as_float(values_of_block);
  }
  for (const std::int64_t column : columns_of_block) {
    if (column >= 0 && static_cast<std::uint64_t>(column) < columns_) continue;
    arrays_.fail(prefix_ + "indices", "row " + std::to_string(taken_ - 2),
                 "column " + std::to_string(column) + " is not in [0, " + std::to_string(columns_) + ")");
  }
  return true;
}

void CsrWalker::finish() const {
  if (begin_ != entries_) {
    arrays_.fail(prefix_ + "indptr", "last element",
                 "is " + std::to_string(begin_) + ", expected " + std::to_string(entries_));
  }
}

std::int64_t CsrWalker::next_offset() {
  if (at_ == block_.size()) {
    block_.resize(std::min<std::uint64_t>(offsets_.remaining(), 1 << 16));
    offsets_.read_as_int64(block_);
    at_ = 0;
  }
  ++taken_;
  return block_[at_++];
}

void read_csr_edges(const ArraySet& arrays, const std::string& prefix, std::uint64_t nodes, bool weighted,
                    MemoryBudget& budget, const GraphSource::EdgeSink& sink) {
  CsrWalker walker(arrays, prefix, nodes, weighted);
  const Reservation charge = budget.reserve(std::uint64_t{4} << 20, "a block of edges");
  std::vector<EdgePair> pairs;
  for (std::uint64_t row = 0; row < nodes; ++row) {
    walker.next_row();
    while (walker.next_block()) {
      pairs.clear();
      for (const std::int64_t column : walker.columns_of_block) {
        pairs.push_back({static_cast<NodeId>(row), static_cast<NodeId>(column)});
      }
      sink(pairs, walker.values_of_block);
    }
  }
  walker.finish();
}

}  // namespace strata
