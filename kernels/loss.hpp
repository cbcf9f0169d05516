// Losses over a tile of logits; methods.md 1.3. Rows that are not labelled are skipped: their gradient row is zero.
// The gradient is that of scale * sum of the rows' losses; the returned value is the *unscaled* sum, accumulated in
// double in row order. dlogits and logits may be the same matrix; dlogits may have data == null (loss only).
#pragma once

#include <cstdint>

#include "kernels/base/types.hpp"

namespace strata {
inline constexpr std::int32_t kUnlabelled = -1;

namespace ref {
// Softmax cross entropy. labels[i] in [0, cols) or kUnlabelled.
template <class T>
double softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, T scale, MatrixView<T> dlogits);
// Sigmoid binary cross entropy, summed over the columns. Row i's targets are bits: target of column c is bit c % 8 of
// targets[i * target_stride + c / 8]; row i counts only if labelled[i] is non-zero.
template <class T>
double sigmoid_cross_entropy(MatrixView<const T> logits, const std::uint8_t* targets, std::size_t target_stride,
                             const std::uint8_t* labelled, T scale, MatrixView<T> dlogits);
}  // namespace ref
namespace cpu {
template <class T>
double softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, T scale, MatrixView<T> dlogits);
template <class T>
double sigmoid_cross_entropy(MatrixView<const T> logits, const std::uint8_t* targets, std::size_t target_stride,
                             const std::uint8_t* labelled, T scale, MatrixView<T> dlogits);
}  // namespace cpu
}  // namespace strata
