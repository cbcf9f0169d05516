#include "storage/import/id_table.hpp"

#include <oneapi/tbb/parallel_sort.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

constexpr const char* kWhat = "the source's node ids";
constexpr std::size_t kLeastPending = std::size_t{1} << 14;

}  // namespace

std::optional<NodeId> IdTable::find(std::uint64_t id) const {
  if (id < low_range_) {
    if (bits_.empty()) return static_cast<NodeId>(id);
    const std::uint64_t word = bits_[id / 64], bit = std::uint64_t{1} << (id % 64);
    if ((word & bit) == 0) return std::nullopt;
    return before_[id / 64] + static_cast<NodeId>(std::popcount(word & (bit - 1)));
  }
  const auto found = std::lower_bound(high_.begin(), high_.end(), id);
  if (found == high_.end() || *found != id) return std::nullopt;
  return static_cast<NodeId>(low_count_ + static_cast<std::uint64_t>(found - high_.begin()));
}

Array<std::uint64_t> IdTable::ids(MemoryBudget& budget) const {
  Array<std::uint64_t> ids(budget, size(), kWhat);
  std::size_t n = 0;
  for (std::uint64_t id = 0; id < low_range_; ++id) {
    if (bits_.empty() || (bits_[id / 64] >> (id % 64) & 1) != 0) ids[n++] = id;
  }
  std::copy(high_.begin(), high_.end(), ids.begin() + n);
  return ids;
}

IdCollector::IdCollector(MemoryBudget& budget) : budget_(&budget), bit_limit_(budget.limit() / 8 * 8 / 64 * 64) {}

void IdCollector::grow_bits(std::uint64_t id) {
  const std::uint64_t words = std::min(bit_limit_ / 64, std::bit_ceil(std::max<std::uint64_t>(id / 64 + 1, 512)));
  Array<std::uint64_t> grown(*budget_, words, kWhat);
  std::copy(bits_.begin(), bits_.end(), grown.begin());
  bits_ = std::move(grown);
}

void IdCollector::add_high(std::uint64_t id) {
  if (filled_ == pending_.size()) {
    merge_pending();
    // As large as what is there already, so that the work of merging stays in proportion.
    const std::size_t most = std::max<std::size_t>(kLeastPending, budget_->limit() / 64);
    const std::size_t capacity = std::clamp(high_.size(), kLeastPending, most);
    if (pending_.size() < capacity) {
      pending_ = Array<std::uint64_t>();
      pending_ = Array<std::uint64_t>(*budget_, capacity, kWhat);
    }
  }
  pending_[filled_++] = id;
}

void IdCollector::merge_pending() {
  if (filled_ == 0) return;
  tbb::parallel_sort(pending_.begin(), pending_.begin() + filled_);
  const std::uint64_t* const last = std::unique(pending_.begin(), pending_.begin() + filled_);
  filled_ = 0;
  std::uint64_t fresh = 0;
  const std::uint64_t* at = high_.begin();
  for (const std::uint64_t* id = pending_.begin(); id != last; ++id) {
    while (at != high_.end() && *at < *id) ++at;
    fresh += at == high_.end() || *at != *id ? 1 : 0;
  }
  if (fresh == 0) return;
  Array<std::uint64_t> merged(*budget_, high_.size() + fresh, kWhat);
  std::set_union(high_.begin(), high_.end(), static_cast<const std::uint64_t*>(pending_.begin()), last, merged.begin());
  high_ = std::move(merged);
}

IdTable IdCollector::finish() {
  merge_pending();
  pending_ = Array<std::uint64_t>();
  IdTable table;
  table.high_ = std::move(high_);
  for (std::size_t w = 0; w < bits_.size(); ++w) {
    if (bits_[w] == 0) continue;
    table.low_count_ += static_cast<std::uint64_t>(std::popcount(bits_[w]));
    table.low_range_ = 64 * (w + 1) - static_cast<std::uint64_t>(std::countl_zero(bits_[w]));
  }
  if (table.size() >= std::numeric_limits<NodeId>::max()) {
    throw ResourceError("the graph has " + std::to_string(table.size()) + " nodes: at most 2^32 - 2 fit");
  }
  if (table.low_count_ != table.low_range_) {
    const std::uint64_t words = (table.low_range_ + 63) / 64;
    table.bits_ = Array<std::uint64_t>(*budget_, words, kWhat);
    table.before_ = Array<std::uint32_t>(*budget_, words, kWhat);
    std::uint32_t count = 0;
    for (std::size_t w = 0; w < words; ++w) {
      table.bits_[w] = bits_[w];
      table.before_[w] = count;
      count += static_cast<std::uint32_t>(std::popcount(bits_[w]));
    }
  }
  bits_ = Array<std::uint64_t>();
  return table;
}

}  // namespace strata
