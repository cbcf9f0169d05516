// norm.hpp on a CUDA device: every pointer is device memory. The same order of sums and the same bits as the CPU.
// Column sums give each column to one thread, which walks the rows in order.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/norm.hpp"

namespace strata::cuda {
void layer_norm_forward(MatrixView<const float> z, const float* gain, const float* offset, float eps,
                        MatrixView<float> y, float* mean, float* rstd, StreamView stream);
void layer_norm_backward(MatrixView<const float> z, const float* gain, const float* mean, const float* rstd,
                         MatrixView<const float> dy, MatrixView<float> dz, float* dgain, float* doffset,
                         StreamView stream);
void column_sums(MatrixView<const float> z, const float* shift, float* sum, float* sum_sq, StreamView stream);
void batch_norm_apply(MatrixView<const float> z, const float* mean, const float* rstd, const float* gain,
                      const float* offset, MatrixView<float> y, StreamView stream);
void batch_norm_backward_sums(MatrixView<const float> z, const float* mean, const float* rstd,
                              MatrixView<const float> dy, float* sum_dy, float* sum_dy_zhat, StreamView stream);
void batch_norm_backward(MatrixView<const float> z, const float* mean, const float* rstd, const float* gain,
                         const float* sum_dy, const float* sum_dy_zhat, std::size_t n, MatrixView<const float> dy,
                         MatrixView<float> dz, StreamView stream);
}  // namespace strata::cuda
