// Bitmap codec: tiles of 16-bit values, many of them zero (fp16 rows behind a ReLU), as they go to disk.
//
// A packed tile is `rows` masks of 32 bits, little-endian, bit c of mask r for column c of row r; then the values whose
// bit is set, row by row, 16 bits each. A value is kept when any of its bits is set: -0 and NaNs come back as they
// were. Bits from `width` on are zero. So a tile takes bitmap_bytes(rows, values kept), between an eighth and nine
// eighths of rows of kPanelColumns fp16 values. Its length is not stored: the masks tell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/base/cpu_info.hpp"
#include "kernels/base/types.hpp"

namespace strata {

constexpr std::size_t bitmap_bytes(std::size_t rows, std::size_t kept) {
  return rows * sizeof(std::uint32_t) + kept * sizeof(std::uint16_t);
}

// Tiles of one shape. Their values lie one after the other, rows * width each; packed ones `room` bytes apart.
struct BitmapTiles {
  std::size_t count = 0;
  std::size_t rows = 0;
  std::size_t width = 0;  // 1 ... kPanelColumns
  std::size_t room = 0;   // multiple of 4
};

// pack: bytes[i] becomes the length of packed tile i. One that is longer than `room` is not written; of the others
// nothing behind their length is.
// unpack: good[i] becomes 1, or 0 where the masks have bits beyond the width or ask for more than `room` holds: then
// the values of that tile stay as they are. Whatever the bytes, nothing outside of a tile is read or written.
// No aliasing. All bodies give the same bits.
namespace ref {
void pack_bitmap(const BitmapTiles& tiles, const std::uint16_t* values, std::byte* packed, std::uint32_t* bytes);
void unpack_bitmap(const BitmapTiles& tiles, const std::byte* packed, std::uint16_t* values, std::uint8_t* good);
}  // namespace ref
namespace cpu {
void pack_bitmap(const BitmapTiles& tiles, const std::uint16_t* values, std::byte* packed, std::uint32_t* bytes);
void unpack_bitmap(const BitmapTiles& tiles, const std::byte* packed, std::uint16_t* values, std::uint8_t* good);
// One tile, by the instructions of `level`, which this processor must have. values.size() is rows * width.
[[nodiscard]] std::size_t pack_bitmap(std::span<const std::uint16_t> values, std::size_t width,
                                      std::span<std::byte> packed, VectorLevel level = vector_level());
[[nodiscard]] bool unpack_bitmap(std::span<const std::byte> packed, std::size_t width, std::span<std::uint16_t> values,
                                 VectorLevel level = vector_level());
}  // namespace cpu

}  // namespace strata
