// linear.hpp on a CUDA device: every pointer is device memory. cuBLAS in plain fp32 (no TF32), so results differ from
// the CPU's by rounding; the same call on the same device and library gives the same bits. Each host thread keeps a
// handle of its own.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/linear.hpp"

namespace strata::cuda {
void linear_forward(MatrixView<const float> x, MatrixView<const float> w, const float* bias, MatrixView<float> y,
                    bool accumulate, StreamView stream);
void linear_backward_input(MatrixView<const float> dy, MatrixView<const float> w, MatrixView<float> dx, bool accumulate,
                           StreamView stream);
void linear_backward_weight(MatrixView<const float> dy, MatrixView<const float> x, MatrixView<float> dw,
                            bool accumulate, StreamView stream);
void linear_backward_bias(MatrixView<const float> dy, float* db, bool accumulate, StreamView stream);
}  // namespace strata::cuda
