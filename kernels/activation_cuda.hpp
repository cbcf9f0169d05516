// activation.hpp on a CUDA device: every pointer is device memory. Within a few units in the last place of the CPU.
#pragma once

#include "kernels/activation.hpp"
#include "kernels/base/device.hpp"

namespace strata::cuda {
void activation_forward(Activation f, MatrixView<const float> z, MatrixView<float> y, StreamView stream);
void activation_backward(Activation f, MatrixView<const float> z, MatrixView<const float> dy, MatrixView<float> dz,
                         StreamView stream);
}  // namespace strata::cuda
