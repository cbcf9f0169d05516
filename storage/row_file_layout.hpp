// The fields of a row file (FORMAT.md, "Row file"), shared by its reader and its writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/base/types.hpp"
#include "storage/file_header.hpp"
#include "storage/row_file.hpp"

namespace strata::row_layout {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kRowsAt = 16, kColsAt = 24, kCodecAt = 32, kTilesAt = 40, kFileBytesAt = 48,
                             kIndexOffsetAt = 56, kIndexBytesAt = 64, kIndexChecksumAt = 72, kChunkRowsAt = 80,
                             kPanelColumnsAt = 84;

// One tile: `bytes` stored at `offset`, then zeros up to a multiple of kBlockAlignment; the checksum covers both.
// Stored as it is when bytes is the tile's size, else one zstd frame.
struct Entry {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
  [[nodiscard]] std::uint64_t slot() const { return round_up(bytes, kBlockAlignment); }
};
static_assert(sizeof(Entry) == 24);

inline std::size_t tile_count(const RowShape& shape) { return shape.chunks() * shape.panels(); }
inline std::size_t index_bytes(const RowShape& shape) {
  return round_up(tile_count(shape) * sizeof(Entry), kBlockAlignment);
}
inline std::string tile_name(std::size_t chunk, std::size_t panel) {
  return "tile (chunk " + std::to_string(chunk) + ", panel " + std::to_string(panel) + ")";
}

}  // namespace strata::row_layout
