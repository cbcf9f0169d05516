// A matrix on disk in tiles: the immutable form of a row store (features, derived aggregates). Bytes: FORMAT.md, "Row
// file". Tiles are (chunk, panel): up to kChunkRows panel rows in the codec, optionally zstd-compressed, each with a
// checksum and starting at a multiple of kBlockAlignment. Thread-safe for reading.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/row_codec.hpp"
#include "storage/file.hpp"

namespace strata {

struct RowShape {
  std::uint64_t rows = 0;
  std::uint64_t cols = 0;
  Codec codec = Codec::fp32;

  [[nodiscard]] std::size_t chunks() const { return divide_up(rows, kChunkRows); }
  [[nodiscard]] std::size_t panels() const { return panel_count(cols); }
  [[nodiscard]] std::size_t chunk_rows(std::size_t chunk) const {
    return chunk + 1 < chunks() ? kChunkRows : rows - chunk * kChunkRows;
  }
  // Bytes of a tile's content, and of its slot (aligned) in memory or on disk.
  [[nodiscard]] std::size_t tile_bytes(std::size_t chunk, std::size_t panel) const {
    return chunk_rows(chunk) * panel_row_bytes(codec, panel_width(cols, panel));
  }
  [[nodiscard]] std::size_t tile_slot(std::size_t chunk, std::size_t panel) const {
    return round_up(tile_bytes(chunk, panel), kBlockAlignment);
  }
  // Bytes of the whole matrix in slots.
  [[nodiscard]] std::uint64_t total_slot_bytes() const;
};

class RowFileReader {
 public:
  // Reads header and index (checked). The index (24 bytes a tile) is charged to the budget.
  RowFileReader(const std::filesystem::path& path, MemoryBudget& budget);
  [[nodiscard]] const RowShape& shape() const { return shape_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Reads, decompresses and checks one tile into `to` (at least tile_slot bytes, page-aligned). DamagedError names the
  // block.
  void read_tile(std::size_t chunk, std::size_t panel, std::span<std::byte> to) const;
  // For who reads tiles by himself: where a tile's slot lies when it is stored as it is in memory (not compressed), and
  // the check of what was read (the whole slot; DamagedError).
  [[nodiscard]] std::optional<std::uint64_t> plain_offset(std::size_t chunk, std::size_t panel) const;
  void check_tile(std::size_t chunk, std::size_t panel, std::span<const std::byte> slot) const;
  [[nodiscard]] const File& file() const;
  // Every tile; DamagedError for the first bad one. on_bytes (may be empty) hears of the bytes checked.
  void verify(const std::function<void(std::uint64_t)>& on_bytes = {}) const;
  [[nodiscard]] std::uint64_t bytes_read() const;  // from disk by read_tile, so far

 private:
  struct State;
  std::filesystem::path path_;
  RowShape shape_;
  std::shared_ptr<State> state_;  // shared so that readers can be handed to a row store and still move
};

class RowFileWriter {
 public:
  struct Options {
    int zstd_level = 0;  // 0: no compression
  };
  RowFileWriter(const std::filesystem::path& path, const RowShape& shape, Options options, MemoryBudget& budget);
  ~RowFileWriter();
  // Chunks in any order, each once: chunk_rows(chunk) x cols values. A file read in the order it was written reads
  // fastest.
  void write_chunk(std::size_t chunk, MatrixView<const float> values);
  // The same from tiles already encoded.
  void write_tile(std::size_t chunk, std::size_t panel, std::span<const std::byte> encoded);
  void commit();
  [[nodiscard]] std::uint64_t file_bytes() const;  // after commit

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
