// bitmap_codec.hpp on a CUDA device: every pointer is device memory, `packed` aligned to 4 bytes. The same bits as the
// CPU.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/bitmap_codec.hpp"

namespace strata::cuda {
void pack_bitmap(const BitmapTiles& tiles, const std::uint16_t* values, std::byte* packed, std::uint32_t* bytes,
                 StreamView stream);
void unpack_bitmap(const BitmapTiles& tiles, const std::byte* packed, std::uint16_t* values, std::uint8_t* good,
                   StreamView stream);
}  // namespace strata::cuda
