#include "engine/roc_auc.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/evaluation.hpp"
#include "kernels/base/error.hpp"

namespace strata {

std::uint64_t auc_key(float score, bool positive) {
  if (std::isnan(score)) score = -std::numeric_limits<float>::infinity();
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 + 0 is 0
  const std::uint32_t ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{ordered} << 1 | (positive ? 1u : 0u);
}

double auc_of_keys(std::span<std::uint64_t> keys) {
  std::sort(keys.begin(), keys.end());
  const std::size_t n =
      static_cast<std::size_t>(std::lower_bound(keys.begin(), keys.end(), kAucSkipped) - keys.begin());
  std::uint64_t positives = 0;
  std::uint64_t twice_ranks = 0;  // a mid-rank is a whole number of halves
  for (std::size_t first = 0; first < n;) {
    std::size_t last = first;
    std::uint64_t among_equals = 0;
    for (; last < n && keys[last] >> 1 == keys[first] >> 1; ++last) among_equals += keys[last] & 1;
    twice_ranks += among_equals * (first + 1 + last);
    positives += among_equals;
    first = last;
  }
  const std::uint64_t negatives = n - positives;
  if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
  const std::uint64_t twice_wins = twice_ranks - positives * (positives + 1);
  return static_cast<double>(twice_wins) / 2 / (static_cast<double>(positives) * static_cast<double>(negatives));
}

double roc_auc(std::span<const float> scores, std::span<const std::uint8_t> positive) {
  STRATA_ASSERT(scores.size() == positive.size());
  std::vector<std::uint64_t> keys(scores.size());
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = auc_key(scores[i], positive[i] != 0);
  return auc_of_keys(keys);
}

}  // namespace strata
