// One value of an encoded row (row_codec.hpp) in device code; lanes.hpp has its counterpart of sixteen. For .cu files.
#pragma once

#include <cuda_fp16.h>

#include "kernels/base/types.hpp"

namespace strata::cuda {

template <Codec kCodec>
__device__ float load_value(const std::byte* row, std::size_t column) {
  if constexpr (kCodec == Codec::fp64) {
    return static_cast<float>(reinterpret_cast<const double*>(row)[column]);
  } else if constexpr (kCodec == Codec::fp32) {
    return reinterpret_cast<const float*>(row)[column];
  } else if constexpr (kCodec == Codec::fp16) {
    return __half2float(reinterpret_cast<const __half*>(row)[column]);
  } else if constexpr (kCodec == Codec::bf16) {
    return __uint_as_float(static_cast<unsigned>(reinterpret_cast<const unsigned short*>(row)[column]) << 16);
  } else {
    // A panel is as wide as a warp. Rows of odd widths start at odd addresses: the scale is read byte by byte.
    const std::byte* panel = row + column / kPanelColumns * (kPanelColumns + 2);
    const auto low = static_cast<unsigned short>(panel[0]);
    const auto high = static_cast<unsigned short>(panel[1]);
    const float scale = __half2float(__ushort_as_half(static_cast<unsigned short>(high << 8 | low)));
    const auto q = static_cast<signed char>(panel[2 + column % kPanelColumns]);
    return static_cast<float>(q) * scale;
  }
}

}  // namespace strata::cuda
