// Inverted dropout with counter-based masks: y = x * m / (1 - p), the same map for the gradient.
//
// The mask of (row id, column c) is bit-exact everywhere: lane c % 8 of the eight 16-bit lanes of
//   philox(key.seed, {id, c / 8, key.step, key.layer << 8 | Stream::dropout})
// (lane l: the low half of word l/2 for even l, the high half for odd l); the entry is kept iff lane >= threshold, with
// threshold = round(p * 65536). The scale uses the rounded p, so the expectation is exact.
#pragma once

#include <cstdint>

#include "kernels/base/types.hpp"

namespace strata {

struct DropoutKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;   // optimiser step (or epoch) the mask belongs to
  std::uint32_t layer = 0;  // which dropout of the model
};

constexpr std::uint32_t dropout_threshold(double p) {
  return (static_cast<std::uint32_t>(p * 131072.0) + 1) / 2;  // half up
}
// 1 / (1 - rounded p), rounded once; 0 where the threshold drops everything.
template <class T>
constexpr T dropout_scale(std::uint32_t threshold) {
  return threshold >= 65536 ? T{0} : static_cast<T>(65536.0 / (65536.0 - threshold));
}

namespace ref {
// ids[i] names row i; x and y may be the same matrix. p in [0, 1): 0 copies.
template <class T>
void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const T> x, MatrixView<T> y);
}  // namespace ref
namespace cpu {
template <class T>
void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const T> x, MatrixView<T> y);
}
}  // namespace strata
