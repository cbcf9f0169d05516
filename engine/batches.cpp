#include "engine/batches.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"

namespace strata {

namespace {

// Fisher & Yates; Durstenfeld 1964.
void shuffle(std::vector<std::uint32_t>& values, CounterRng rng) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[rng.below(static_cast<std::uint32_t>(i))]);
  }
}

std::vector<std::uint32_t> numbers(std::size_t count) {
  std::vector<std::uint32_t> result(count);
  std::iota(result.begin(), result.end(), 0u);
  return result;
}

}  // namespace

BatchPlan::BatchPlan(std::span<const NodeId> ids, std::size_t n, std::size_t batch_size, std::uint64_t seed,
                     std::uint32_t group)
    : ids_(ids), n_(ids.empty() ? n : ids.size()), seed_(seed), group_(group) {
  STRATA_ASSERT(batch_size > 0);
  STRATA_ASSERT(ids.empty() || ids.size() == n);
  STRATA_ASSERT(n_ <= UINT32_MAX);
  if (n_ == 0) return;
  unit_ = std::min(kChunkRows, batch_size);
  units_ = numbers(divide_up(n_, unit_));
  shuffle(units_, CounterRng(seed, Stream::batches, group));
  // ceil(n / batch size) batches of (nearly) the same number of units each.
  const std::size_t batches = divide_up(n_, batch_size);
  starts_.reserve(batches + 1);
  for (std::size_t b = 0; b <= batches; ++b) starts_.push_back(b * units_.size() / batches);
}

std::vector<std::uint32_t> BatchPlan::order(std::uint32_t epoch) const {
  std::vector<std::uint32_t> result = numbers(count());
  shuffle(result, CounterRng(seed_, Stream::visit_order, epoch, group_));
  return result;
}

std::vector<NodeId> BatchPlan::nodes(std::size_t batch) const {
  STRATA_ASSERT(batch < count());
  std::vector<std::uint32_t> units(units_.begin() + static_cast<std::ptrdiff_t>(starts_[batch]),
                                   units_.begin() + static_cast<std::ptrdiff_t>(starts_[batch + 1]));
  std::sort(units.begin(), units.end());
  std::vector<NodeId> result;
  result.reserve(units.size() * unit_);
  for (const std::size_t unit : units) {
    const std::size_t last = std::min(n_, (unit + 1) * unit_);
    for (std::size_t i = unit * unit_; i < last; ++i) result.push_back(ids_.empty() ? static_cast<NodeId>(i) : ids_[i]);
  }
  return result;
}

}  // namespace strata
