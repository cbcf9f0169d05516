// Dense linear map with PyG's weight layout W (out, in): Y = X W^T + b, and its gradients.
//
// `accumulate` adds to the output instead of overwriting it. All matrices row-major; strides may exceed cols; no
// aliasing. Determinism: the same shapes, strides and values give the same bits on the same device and library,
// whatever the thread count: each call runs on the calling thread alone. The CPU body calls oneDNN's sgemm; the callers
// cut work into tiles of kChunkRows rows (the last padded with zero rows) so that shapes never depend on budget or
// threads.
#pragma once

#include "kernels/base/types.hpp"

namespace strata {
namespace ref {
// y: m x out.  x: m x in.  w: out x in.  bias: out values or null.
template <class T>
void linear_forward(MatrixView<const T> x, MatrixView<const T> w, const T* bias, MatrixView<T> y, bool accumulate);
// dx (m x in) = dy (m x out) * w (out x in)
template <class T>
void linear_backward_input(MatrixView<const T> dy, MatrixView<const T> w, MatrixView<T> dx, bool accumulate);
// dw (out x in) = dy^T * x
template <class T>
void linear_backward_weight(MatrixView<const T> dy, MatrixView<const T> x, MatrixView<T> dw, bool accumulate);
// db (out) = column sums of dy, rows in ascending order in double, rounded once; accumulate adds the finished sum
template <class T>
void linear_backward_bias(MatrixView<const T> dy, T* db, bool accumulate);
}  // namespace ref
namespace cpu {
template <class T>
void linear_forward(MatrixView<const T> x, MatrixView<const T> w, const T* bias, MatrixView<T> y, bool accumulate);
template <class T>
void linear_backward_input(MatrixView<const T> dy, MatrixView<const T> w, MatrixView<T> dx, bool accumulate);
template <class T>
void linear_backward_weight(MatrixView<const T> dy, MatrixView<const T> x, MatrixView<T> dw, bool accumulate);
template <class T>
void linear_backward_bias(MatrixView<const T> dy, T* db, bool accumulate);
}  // namespace cpu
}  // namespace strata
