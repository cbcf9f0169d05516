#include <bit>
#include <cstring>

#include "kernels/bitmap_codec.hpp"

namespace strata::ref {
namespace {

std::uint32_t mask_of(const std::uint16_t* row, std::size_t width) {
  std::uint32_t mask = 0;
  for (std::size_t c = 0; c < width; ++c) mask |= row[c] != 0 ? std::uint32_t{1} << c : 0;
  return mask;
}

std::uint32_t mask_at(const std::byte* packed, std::size_t row) {
  std::uint32_t mask = 0;
  for (std::size_t b = 0; b < 4; ++b) mask |= std::to_integer<std::uint32_t>(packed[4 * row + b]) << (8 * b);
  return mask;
}

// Of a packed tile, or more than there can be when a mask is too wide.
std::size_t length_of(const BitmapTiles& tiles, const std::byte* packed) {
  std::size_t kept = 0;
  for (std::size_t r = 0; r < tiles.rows; ++r) {
    const std::uint32_t mask = mask_at(packed, r);
    if (tiles.width < 32 && mask >> tiles.width != 0) return tiles.room + 1;
    kept += static_cast<std::size_t>(std::popcount(mask));
  }
  return bitmap_bytes(tiles.rows, kept);
}

}  // namespace

void pack_bitmap(const BitmapTiles& tiles, const std::uint16_t* values, std::byte* packed, std::uint32_t* bytes) {
  for (std::size_t i = 0; i < tiles.count; ++i) {
    const std::uint16_t* const from = values + i * tiles.rows * tiles.width;
    std::byte* const to = packed + i * tiles.room;
    std::size_t kept = 0;
    for (std::size_t v = 0; v < tiles.rows * tiles.width; ++v) kept += from[v] != 0 ? 1 : 0;
    bytes[i] = static_cast<std::uint32_t>(bitmap_bytes(tiles.rows, kept));
    if (bytes[i] > tiles.room) continue;
    std::size_t at = bitmap_bytes(tiles.rows, 0);
    for (std::size_t r = 0; r < tiles.rows; ++r) {
      const std::uint16_t* const row = from + r * tiles.width;
      const std::uint32_t mask = mask_of(row, tiles.width);
      for (std::size_t b = 0; b < 4; ++b) to[4 * r + b] = static_cast<std::byte>(mask >> (8 * b));
      for (std::size_t c = 0; c < tiles.width; ++c) {
        if (row[c] == 0) continue;
        std::memcpy(to + at, row + c, sizeof row[c]);
        at += sizeof row[c];
      }
    }
  }
}

void unpack_bitmap(const BitmapTiles& tiles, const std::byte* packed, std::uint16_t* values, std::uint8_t* good) {
  for (std::size_t i = 0; i < tiles.count; ++i) {
    const std::byte* const from = packed + i * tiles.room;
    std::uint16_t* const to = values + i * tiles.rows * tiles.width;
    good[i] = bitmap_bytes(tiles.rows, 0) <= tiles.room && length_of(tiles, from) <= tiles.room ? 1 : 0;
    if (good[i] == 0) continue;
    std::size_t at = bitmap_bytes(tiles.rows, 0);
    for (std::size_t r = 0; r < tiles.rows; ++r) {
      const std::uint32_t mask = mask_at(from, r);
      for (std::size_t c = 0; c < tiles.width; ++c) {
        std::uint16_t value = 0;
        if ((mask >> c & 1) != 0) {
          std::memcpy(&value, from + at, sizeof value);
          at += sizeof value;
        }
        to[r * tiles.width + c] = value;
      }
    }
  }
}

}  // namespace strata::ref
