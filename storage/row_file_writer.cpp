#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/row_file.hpp"
#include "storage/row_file_layout.hpp"

namespace strata {

using namespace row_layout;

struct RowFileWriter::State {
  State(const fs::path& path, const RowShape& row_shape, Options row_options, MemoryBudget& budget)
      : shape(row_shape),
        options(row_options),
        file(path),
        index(budget, index_bytes(shape) / sizeof(std::uint64_t), "index of " + path.filename().string()),
        tile(budget, kChunkRows * panel_row_bytes(shape.codec, kPanelColumns), "tile being written") {
    if (options.zstd_level != 0) {
      compressed = Buffer(budget, round_up(ZSTD_compressBound(tile.size()), kBlockAlignment), "tile being compressed");
      context = ZSTD_createCCtx();
      if (context == nullptr) throw std::bad_alloc();
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ZSTD_freeCCtx(context); }

  [[nodiscard]] Entry* entries() const { return reinterpret_cast<Entry*>(index.data()); }

  RowShape shape;
  Options options;
  AtomicFile file;
  Array<std::uint64_t> index;  // Entry per tile, zero-padded to whole pages
  Buffer tile, compressed;
  ZSTD_CCtx* context = nullptr;
  std::size_t written = 0;
  bool committed = false;
};

RowFileWriter::RowFileWriter(const fs::path& path, const RowShape& shape, Options options, MemoryBudget& budget)
    : state_(std::make_unique<State>(path, shape, options, budget)) {
  const std::array<std::byte, kHeaderBytes> empty{};
  state_->file.append(empty);
  state_->file.append(std::as_bytes(state_->index.span()));
}

RowFileWriter::~RowFileWriter() = default;

void RowFileWriter::write_chunk(std::size_t chunk, MatrixView<const float> values) {
  State& s = *state_;
  STRATA_ASSERT(chunk < s.shape.chunks() && values.rows == s.shape.chunk_rows(chunk) && values.cols == s.shape.cols);
  for (std::size_t panel = 0; panel < s.shape.panels(); ++panel) {
    const std::size_t width = panel_width(s.shape.cols, panel);
    const MatrixView<const float> part(values.data + panel * kPanelColumns, values.rows, width, values.stride);
    cpu::encode_panel<float>(s.shape.codec, part, s.tile.data(), panel_row_bytes(s.shape.codec, width));
    write_tile(chunk, panel, s.tile.bytes().first(s.shape.tile_bytes(chunk, panel)));
  }
}

void RowFileWriter::write_tile(std::size_t chunk, std::size_t panel, std::span<const std::byte> encoded) {
  State& s = *state_;
  STRATA_ASSERT(chunk < s.shape.chunks() && panel < s.shape.panels());
  STRATA_ASSERT(encoded.size() == s.shape.tile_bytes(chunk, panel));
  Entry& entry = s.entries()[chunk * s.shape.panels() + panel];
  STRATA_ASSERT(entry.offset == 0);
  std::span<const std::byte> stored = encoded;
  if (s.context != nullptr) {
    const std::size_t size = ZSTD_compressCCtx(s.context, s.compressed.data(), s.compressed.size(), encoded.data(),
                                               encoded.size(), s.options.zstd_level);
    // Kept only where it saves a page.
    if (ZSTD_isError(size) == 0 && round_up(size, kBlockAlignment) < round_up(encoded.size(), kBlockAlignment)) {
      stored = s.compressed.bytes().first(size);
    }
  }
  entry.offset = s.file.position();
  entry.bytes = stored.size();
  const std::array<std::byte, kBlockAlignment> zeros{};
  const auto padding = std::span(zeros).first(entry.slot() - entry.bytes);
  ChecksumStream sum;
  sum.update(stored);
  sum.update(padding);
  entry.checksum = sum.value();
  s.file.append(stored);
  s.file.append(padding);
  ++s.written;
}

void RowFileWriter::commit() {
  State& s = *state_;
  STRATA_ASSERT(!s.committed && s.written == tile_count(s.shape));
  const std::span<const std::byte> index = std::as_bytes(s.index.span());
  FileHeader header(kRowsMagic, kVersion);
  header.put<std::uint64_t>(kRowsAt, s.shape.rows);
  header.put<std::uint64_t>(kColsAt, s.shape.cols);
  header.put<std::uint32_t>(kCodecAt, static_cast<std::uint32_t>(s.shape.codec));
  header.put<std::uint64_t>(kTilesAt, tile_count(s.shape));
  header.put<std::uint64_t>(kFileBytesAt, s.file.position());
  header.put<std::uint64_t>(kIndexOffsetAt, kHeaderBytes);
  header.put<std::uint64_t>(kIndexBytesAt, index.size());
  header.put<std::uint64_t>(kIndexChecksumAt, checksum(index));
  header.put<std::uint32_t>(kChunkRowsAt, kChunkRows);
  header.put<std::uint32_t>(kPanelColumnsAt, kPanelColumns);
  header.seal();
  s.file.patch(0, header.bytes());
  s.file.patch(kHeaderBytes, index);
  s.file.commit();
  s.committed = true;
}

std::uint64_t RowFileWriter::file_bytes() const {
  STRATA_ASSERT(state_->committed);
  return state_->file.position();
}

}  // namespace strata
