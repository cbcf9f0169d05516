// Rows scaled to Euclidean length 1 (methods.md 1.2, row L2): y = x inverse, inverse = 1 / max(|x|, 1e-6), as
// TensorFlow's l2_normalize, which keeps |x|^2 from falling below 1e-12. Sums run in the order of norm.hpp; all bodies
// give the same bits in float.
#pragma once

#include "kernels/base/types.hpp"

namespace strata {

// |x|^2 at which rows stop being scaled to length 1; they get the factor kRowL2Most, a constant.
inline constexpr double kRowL2Least = 1e-12, kRowL2Most = 1e6;

namespace ref {
// inverse: one value per row, written. x and y may be the same matrix.
template <class T>
void row_l2_forward(MatrixView<const T> x, MatrixView<T> y, T* inverse);
// dx = inverse (dy - y <y, dy>); dx = inverse dy where inverse is the constant. y: what the forward gave. dy and dx may
// be the same matrix.
template <class T>
void row_l2_backward(MatrixView<const T> y, const T* inverse, MatrixView<const T> dy, MatrixView<T> dx);
}  // namespace ref
namespace cpu {
template <class T>
void row_l2_forward(MatrixView<const T> x, MatrixView<T> y, T* inverse);
template <class T>
void row_l2_backward(MatrixView<const T> y, const T* inverse, MatrixView<const T> dy, MatrixView<T> dx);
}  // namespace cpu
}  // namespace strata
