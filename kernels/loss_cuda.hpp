// loss.hpp on a CUDA device: every pointer is device memory. *total is overwritten with the unscaled sum of the rows'
// losses, which are left in row_losses (one double a row) and added in a fixed order.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/loss.hpp"

namespace strata::cuda {
void softmax_cross_entropy(MatrixView<const float> logits, const std::int32_t* labels, float scale,
                           MatrixView<float> dlogits, double* row_losses, double* total, StreamView stream);
void sigmoid_cross_entropy(MatrixView<const float> logits, const std::uint8_t* targets, std::size_t target_stride,
                           const std::uint8_t* labelled, float scale, MatrixView<float> dlogits, double* row_losses,
                           double* total, StreamView stream);
}  // namespace strata::cuda
