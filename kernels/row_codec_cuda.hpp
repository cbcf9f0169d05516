// row_codec.hpp on a CUDA device: every pointer is device memory. The same bits as the CPU.
// Rows of fp32, fp16, bf16 and fp64 must be aligned to their values.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/row_codec.hpp"

namespace strata::cuda {
void encode_panel(Codec codec, MatrixView<const float> values, std::byte* encoded, std::size_t stride,
                  StreamView stream);
void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<float> values,
                  StreamView stream);
}  // namespace strata::cuda
