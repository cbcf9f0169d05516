#include "storage/row_file.hpp"

#include <fcntl.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/row_file_layout.hpp"

namespace strata {

using namespace row_layout;

namespace {

// What a thread needs to read one tile into: a page-aligned slot and a decompressor. At most one tile large.
struct Scratch {
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::free(memory);
    ZSTD_freeDCtx(context);
  }
  std::span<std::byte> slot(std::size_t bytes) {
    if (bytes > capacity) {
      std::free(memory);
      capacity = 0;
      memory = static_cast<std::byte*>(std::aligned_alloc(kBlockAlignment, bytes));
      if (memory == nullptr) throw std::bad_alloc();
      capacity = bytes;
    }
    return {memory, bytes};
  }
  ZSTD_DCtx* decompressor() {
    if (context == nullptr) context = ZSTD_createDCtx();
    if (context == nullptr) throw std::bad_alloc();
    return context;
  }
  std::byte* memory = nullptr;
  std::size_t capacity = 0;
  ZSTD_DCtx* context = nullptr;
};

Scratch& scratch() {
  thread_local Scratch of_thread;
  return of_thread;
}

bool is_page_aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % kBlockAlignment == 0; }

RowShape parse_shape(const FileHeader& header, const fs::path& path) {
  RowShape shape;
  shape.rows = header.get<std::uint64_t>(kRowsAt);
  shape.cols = header.get<std::uint64_t>(kColsAt);
  const auto codec = header.get<std::uint32_t>(kCodecAt);
  if (codec > static_cast<std::uint32_t>(Codec::fp64)) {
    throw DamagedError(path.string(), "header: codec", "0 to 4", std::to_string(codec));
  }
  shape.codec = static_cast<Codec>(codec);
  require_field(path, "header: rows of a chunk", kChunkRows, header.get<std::uint32_t>(kChunkRowsAt));
  require_field(path, "header: columns of a panel", kPanelColumns, header.get<std::uint32_t>(kPanelColumnsAt));
  // Bounds under which no size below overflows.
  if (shape.rows > (std::uint64_t{1} << 40) || shape.cols > (std::uint64_t{1} << 20)) {
    throw DamagedError(path.string(), "header: shape", "at most 2^40 x 2^20",
                       std::to_string(shape.rows) + " x " + std::to_string(shape.cols));
  }
  require_field(path, "header: tiles", tile_count(shape), header.get<std::uint64_t>(kTilesAt));
  require_field(path, "header: index offset", kHeaderBytes, header.get<std::uint64_t>(kIndexOffsetAt));
  require_field(path, "header: index bytes", index_bytes(shape), header.get<std::uint64_t>(kIndexBytesAt));
  return shape;
}

}  // namespace

std::uint64_t RowShape::total_slot_bytes() const {
  if (rows == 0) return 0;
  std::uint64_t total = 0;
  for (std::size_t panel = 0; panel < panels(); ++panel) {
    total += (chunks() - 1) * (chunks() > 1 ? tile_slot(0, panel) : 0) + tile_slot(chunks() - 1, panel);
  }
  return total;
}

struct RowFileReader::State {
  explicit State(const fs::path& path) : file(path, File::Mode::read, true) {}
  void check_index(const RowShape& shape) const;
  [[nodiscard]] const Entry* entries() const { return reinterpret_cast<const Entry*>(index.data()); }

  File file;  // direct where the file system allows it
  std::uint64_t file_bytes = 0;
  Array<std::uint64_t> index;  // Entry per tile
  std::atomic<std::uint64_t> bytes_read{0};
};

RowFileReader::RowFileReader(const fs::path& path, MemoryBudget& budget)
    : path_(path), state_(std::make_shared<State>(path)) {
  const FileHeader header = FileHeader::read(state_->file, kRowsMagic, kVersion);
  state_->file_bytes = header.get<std::uint64_t>(kFileBytesAt);
  require_file_size(path, state_->file_bytes, state_->file.size());
  shape_ = parse_shape(header, path);
  if (state_->file_bytes < kHeaderBytes + index_bytes(shape_)) {
    throw DamagedError(path.string(), "header: index", "inside the file", "beyond its end");
  }
  state_->index =
      Array<std::uint64_t>(budget, index_bytes(shape_) / sizeof(std::uint64_t), "index of " + path.filename().string());
  const std::span<std::byte> index = std::as_writable_bytes(state_->index.span());
  state_->file.read_at(kHeaderBytes, index);
  require_checksum(path, "index", header.get<std::uint64_t>(kIndexChecksumAt), checksum(index));
  state_->check_index(shape_);
}

void RowFileReader::State::check_index(const RowShape& shape) const {
  const std::uint64_t data_begin = kHeaderBytes + index_bytes(shape);
  std::uint64_t total = 0;
  for (std::size_t chunk = 0, i = 0; chunk < shape.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape.panels(); ++panel, ++i) {
      const Entry& entry = entries()[i];
      const bool inside = entry.offset >= data_begin && entry.offset <= file_bytes &&
                          entry.bytes <= file_bytes - entry.offset && entry.slot() <= file_bytes - entry.offset;
      if (!inside || entry.offset % kBlockAlignment != 0 || entry.bytes > shape.tile_bytes(chunk, panel) ||
          entry.bytes == 0) {
        throw DamagedError(file.path().string(), "index: " + tile_name(chunk, panel), "a place inside the file",
                           std::to_string(entry.bytes) + " bytes at " + std::to_string(entry.offset));
      }
      total += entry.slot();
    }
  }
  require_field(file.path(), "index: bytes of all tiles", file_bytes - data_begin, total);
}

void RowFileReader::read_tile(std::size_t chunk, std::size_t panel, std::span<std::byte> to) const {
  STRATA_ASSERT(chunk < shape_.chunks() && panel < shape_.panels() && to.size() >= shape_.tile_slot(chunk, panel));
  const Entry& entry = state_->entries()[chunk * shape_.panels() + panel];
  const std::size_t content = shape_.tile_bytes(chunk, panel);
  const bool raw = entry.bytes == content;
  const bool in_place = raw && (!state_->file.is_direct() || is_page_aligned(to.data()));
  const std::span<std::byte> slot = in_place ? to.first(entry.slot()) : scratch().slot(entry.slot());
  state_->file.read_at(entry.offset, slot);
  state_->bytes_read += slot.size();
  if (!state_->file.is_direct()) {
    ::posix_fadvise(state_->file.descriptor(), static_cast<off_t>(entry.offset), static_cast<off_t>(slot.size()),
                    POSIX_FADV_DONTNEED);
  }
  const std::uint64_t found = checksum(slot);
  if (found != entry.checksum) require_checksum(path_, tile_name(chunk, panel), entry.checksum, found);
  if (in_place) return;
  const std::span<std::byte> target = to.first(shape_.tile_slot(chunk, panel));
  if (raw) {
    std::memcpy(target.data(), slot.data(), slot.size());
    return;
  }
  const std::size_t got =
      ZSTD_decompressDCtx(scratch().decompressor(), target.data(), content, slot.data(), entry.bytes);
  if (ZSTD_isError(got) != 0 || got != content) {
    throw DamagedError(path_.string(), tile_name(chunk, panel), "a zstd frame of " + std::to_string(content) + " bytes",
                       ZSTD_isError(got) != 0 ? ZSTD_getErrorName(got) : std::to_string(got) + " bytes");
  }
  std::memset(target.data() + content, 0, target.size() - content);
}

std::optional<std::uint64_t> RowFileReader::plain_offset(std::size_t chunk, std::size_t panel) const {
  const Entry& entry = state_->entries()[chunk * shape_.panels() + panel];
  if (entry.bytes != shape_.tile_bytes(chunk, panel)) return std::nullopt;
  return entry.offset;
}

void RowFileReader::check_tile(std::size_t chunk, std::size_t panel, std::span<const std::byte> slot) const {
  const Entry& entry = state_->entries()[chunk * shape_.panels() + panel];
  if (!state_->file.is_direct()) {
    ::posix_fadvise(state_->file.descriptor(), static_cast<off_t>(entry.offset), static_cast<off_t>(slot.size()),
                    POSIX_FADV_DONTNEED);
  }
  const std::uint64_t found = checksum(slot.first(entry.slot()));
  if (found != entry.checksum) require_checksum(path_, tile_name(chunk, panel), entry.checksum, found);
}

const File& RowFileReader::file() const { return state_->file; }

void RowFileReader::verify(const std::function<void(std::uint64_t)>& on_bytes) const {
  MemoryBudget own(kChunkRows * panel_row_bytes(Codec::fp64, kPanelColumns));
  const Buffer tile(own, own.limit(), "tile being verified");
  for (std::size_t chunk = 0; chunk < shape_.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape_.panels(); ++panel) {
      read_tile(chunk, panel, tile.bytes());
      if (on_bytes) on_bytes(state_->entries()[chunk * shape_.panels() + panel].slot());
    }
  }
}

std::uint64_t RowFileReader::bytes_read() const { return state_->bytes_read; }

}  // namespace strata
