#include "storage/import/compression_sample.hpp"

#include <zstd.h>

#include <algorithm>

#include "storage/row_file.hpp"

namespace strata {
namespace {

constexpr std::size_t kTiles = 16;
constexpr int kLevel = 1;

}  // namespace

double sampled_compression(const std::filesystem::path& row_file, MemoryBudget& budget) {
  const RowFileReader reader(row_file, budget);
  const RowShape& shape = reader.shape();
  const std::size_t tiles = shape.chunks() * shape.panels();
  if (tiles == 0) return 1.0;
  const std::size_t largest = round_up(kChunkRows * panel_row_bytes(shape.codec, kPanelColumns), kBlockAlignment);
  const Buffer tile(budget, largest, "a sampled tile");
  const Buffer compressed(budget, round_up(ZSTD_compressBound(largest), kBlockAlignment), "a compressed tile");
  std::uint64_t plain = 0, packed = 0;
  const std::size_t samples = std::min(tiles, kTiles);
  for (std::size_t i = 0; i < samples; ++i) {
    const std::size_t index = i * tiles / samples;
    const std::size_t chunk = index / shape.panels(), panel = index % shape.panels();
    reader.read_tile(chunk, panel, tile.bytes());
    const std::size_t slot = shape.tile_slot(chunk, panel);
    const std::size_t size =
        ZSTD_compress(compressed.data(), compressed.size(), tile.data(), shape.tile_bytes(chunk, panel), kLevel);
    plain += slot;
    packed += ZSTD_isError(size) != 0 ? slot : std::min(slot, round_up(size, kBlockAlignment));
  }
  return static_cast<double>(packed) / static_cast<double>(plain);
}

}  // namespace strata
