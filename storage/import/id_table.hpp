// Node ids as a source writes them (any 64-bit numbers) and the dense numbers 0..N-1 that take their place, in
// ascending order of the ids.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"

namespace strata {

class IdTable {
 public:
  [[nodiscard]] std::uint64_t size() const { return low_count_ + high_.size(); }
  [[nodiscard]] std::optional<NodeId> find(std::uint64_t id) const;
  [[nodiscard]] bool is_identity() const { return high_.empty() && low_count_ == low_range_; }
  // The ids by number.
  [[nodiscard]] Array<std::uint64_t> ids(MemoryBudget& budget) const;

 private:
  friend class IdCollector;
  // Ids below 64 * bits_.size(): one bit each, and how many there are before every word. Dropped when they are 0..N-1.
  Array<std::uint64_t> bits_;
  Array<std::uint32_t> before_;
  std::uint64_t low_count_ = 0;
  std::uint64_t low_range_ = 0;  // one more than the largest of them
  Array<std::uint64_t> high_;    // the others, ascending
};

// Gathers ids that may repeat. Ids below a limit set by the budget take one bit of the range they span; the others 8
// bytes each, sorted and made unique whenever a buffer is full, so that repeats take no memory.
class IdCollector {
 public:
  explicit IdCollector(MemoryBudget& budget);
  void add(std::uint64_t id) {
    if (id < bit_limit_) {
      if (id / 64 >= bits_.size()) grow_bits(id);
      bits_[id / 64] |= std::uint64_t{1} << (id % 64);
    } else {
      add_high(id);
    }
  }
  [[nodiscard]] IdTable finish();  // InputError-free; ResourceError when the ids do not fit the budget

 private:
  void grow_bits(std::uint64_t id);
  void add_high(std::uint64_t id);
  void merge_pending();

  MemoryBudget* budget_;
  std::uint64_t bit_limit_;
  Array<std::uint64_t> bits_;
  Array<std::uint64_t> high_;     // ascending, no repeats
  Array<std::uint64_t> pending_;  // filled_ of them
  std::size_t filled_ = 0;
};

}  // namespace strata
