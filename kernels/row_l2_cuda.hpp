// row_l2.hpp on a CUDA device: every pointer is device memory. The same bits as the CPU.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/row_l2.hpp"

namespace strata::cuda {
void row_l2_forward(MatrixView<const float> x, MatrixView<float> y, float* inverse, StreamView stream);
void row_l2_backward(MatrixView<const float> y, const float* inverse, MatrixView<const float> dy, MatrixView<float> dx,
                     StreamView stream);
}  // namespace strata::cuda
