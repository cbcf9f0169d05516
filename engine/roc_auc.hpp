// Area under the ROC curve from sortable keys: a score and whether the node is positive in one 64-bit number.
#pragma once

#include <cstdint>
#include <span>

namespace strata {

inline constexpr std::uint64_t kAucSkipped = UINT64_MAX;  // a node without a label; no score gives this key

// Keys order as their scores do; equal scores (0 and -0 too) differ in the lowest bit alone. NaN ranks below
// everything.
[[nodiscard]] std::uint64_t auc_key(float score, bool positive);

// (R - n1 (n1 + 1) / 2) / (n1 n0), R the sum of the mid-ranks of the n1 positives among all n1 + n0; NaN when n1 or n0
// is zero. Sorts the keys.
[[nodiscard]] double auc_of_keys(std::span<std::uint64_t> keys);

}  // namespace strata
