// LayerNorm (per row, Ba et al. 2016) and BatchNorm (per column, Ioffe & Szegedy 2015); methods.md 1.2.
// Sums run in a fixed order: sixteen interleaved partial sums, lane l taking elements l, l+16, ..., then added pairwise
// (8, 4, 2, 1). Sums down a column run over the rows of the call in ascending order, from zero, and are then added to
// what is there. All bodies follow it and fuse no multiply-adds, so they agree bit for bit in float.
#pragma once

#include "kernels/base/types.hpp"

namespace strata {
namespace ref {
// y = gain * (z - mean) * rstd + offset with biased variance, rstd = (var + eps)^-1/2. mean, rstd: one value per row,
// written.
template <class T>
void layer_norm_forward(MatrixView<const T> z, const T* gain, const T* offset, T eps, MatrixView<T> y, T* mean,
                        T* rstd);
// dz = rstd (q - mean(q) - zhat mean(q zhat)), q = dy gain; dgain += sum dy zhat, doffset += sum dy (rows ascending).
template <class T>
void layer_norm_backward(MatrixView<const T> z, const T* gain, const T* mean, const T* rstd, MatrixView<const T> dy,
                         MatrixView<T> dz, T* dgain, T* doffset);

// BatchNorm over a stream of tiles: the caller adds the column sums of all tiles (in tile order), then normalises.
// sum += column sums of z; sum_sq += column sums of (z - shift)^2 with a given per-column shift (null = 0).
template <class T>
void column_sums(MatrixView<const T> z, const T* shift, T* sum, T* sum_sq);
// y = gain * (z - mean) * rstd + offset, per column.
template <class T>
void batch_norm_apply(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* offset,
                      MatrixView<T> y);
// sum_dy += column sums of dy (= doffset); sum_dy_zhat += column sums of dy * zhat (= dgain).
template <class T>
void batch_norm_backward_sums(MatrixView<const T> z, const T* mean, const T* rstd, MatrixView<const T> dy, T* sum_dy,
                              T* sum_dy_zhat);
// dz = gain rstd (dy - sum_dy / n - zhat sum_dy_zhat / n), n rows in all tiles together.
template <class T>
void batch_norm_backward(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* sum_dy,
                         const T* sum_dy_zhat, std::size_t n, MatrixView<const T> dy, MatrixView<T> dz);
}  // namespace ref
namespace cpu {
template <class T>
void layer_norm_forward(MatrixView<const T> z, const T* gain, const T* offset, T eps, MatrixView<T> y, T* mean,
                        T* rstd);
template <class T>
void layer_norm_backward(MatrixView<const T> z, const T* gain, const T* mean, const T* rstd, MatrixView<const T> dy,
                         MatrixView<T> dz, T* dgain, T* doffset);
template <class T>
void column_sums(MatrixView<const T> z, const T* shift, T* sum, T* sum_sq);
template <class T>
void batch_norm_apply(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* offset,
                      MatrixView<T> y);
template <class T>
void batch_norm_backward_sums(MatrixView<const T> z, const T* mean, const T* rstd, MatrixView<const T> dy, T* sum_dy,
                              T* sum_dy_zhat);
template <class T>
void batch_norm_backward(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* sum_dy,
                         const T* sum_dy_zhat, std::size_t n, MatrixView<const T> dy, MatrixView<T> dz);
}  // namespace cpu
}  // namespace strata
