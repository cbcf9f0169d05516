// One owner of all row-store blocks in memory: prefetch, pin, write behind, evict. A row store is an N x d matrix of
// tiles (chunk, panel); those that do not fit the budget live in --cache-dir (scratch stores) or in the file they were
// attached to.
//
//          prefetch or pin                unpin
//   on disk ------------> pinned (count>0) ------> in memory, clean or dirty ---evict---> (dirty: written) on disk
//                                 ^------------------------------'  pin: a hit
//
// A page is a pin: the bytes of a tile are reachable only through a Pin, which keeps the tile in memory and unpins it
// when it goes. Thread-safe. What a tile holds never depends on whether it was evicted in between.
//
// What stays in memory after its use is decided beforehand: whoever knows the schedule gives each store a Retention
// (engine/cache_plan.hpp computes it), and a tile that is not to stay is written behind and its memory used again.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "kernels/base/budget.hpp"
#include "storage/row_file.hpp"

namespace strata {

class BufferManager;

struct TierCounters {
  std::uint64_t hits = 0;           // pins served from memory
  std::uint64_t misses = 0;         // pins that read from disk
  std::uint64_t bytes_read = 0;     // from disk, as they lie there
  std::uint64_t bytes_written = 0;  // to disk
  double wait_seconds = 0;          // of all threads together, for reads, writes and memory that writes free
};

// What becomes of a tile when it is unpinned.
struct Retention {
  enum class Mode : std::uint8_t {
    automatic,  // stays until memory is needed; who goes is guessed from the past
    planned,    // stays if its chunk is among the fraction `keep`, else goes now
    passing     // stays only if it was to stay already: a use that the schedule does not know
  };
  Mode mode = Mode::automatic;
  double keep = 0;
  bool drop = false;   // planned: nobody reads it again before it is overwritten
  bool later = false;  // with drop: this very use may pin it again; RowStore::give_up() ends it

  // The chunks that stay are spread evenly, and those of a smaller fraction are among those of a larger one.
  [[nodiscard]] static bool keeps(double fraction, std::size_t chunk) {
    constexpr std::uint32_t kGolden = 2654435769u;  // 2^32 / golden ratio: a low-discrepancy sequence
    return static_cast<double>(static_cast<std::uint32_t>(chunk) * kGolden) < fraction * 4294967296.0;
  }
};

// How the tiles of a scratch store go to disk; what is in memory does not depend on it.
struct DiskForm {
  bool bitmap = false;  // packed (kernels/bitmap_codec.hpp) where that saves a page, else as in memory; 16-bit codecs
  double kept = 1;      // share of the values that packing keeps, as far as is known: for plans of what will move
  // Expected bytes of a store's tiles on disk, of those of their slots.
  [[nodiscard]] double share(const RowShape& shape) const;
};

// Keeps one tile in memory. Move-only. Its bytes stay valid until it is destroyed.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&& other) noexcept;
  ~Pin() { release(); }
  void release();
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }  // tile_bytes, 4 KiB aligned
  [[nodiscard]] explicit operator bool() const { return manager_ != nullptr; }

 private:
  friend class BufferManager;
  BufferManager* manager_ = nullptr;
  std::uint32_t store_ = 0, tile_ = 0;
  std::span<std::byte> bytes_;
};

// Keeps some neighbouring tiles of a chunk in memory, pinned and unpinned together.
class ChunkPins {
 public:
  static constexpr std::size_t kMost = 8;
  ChunkPins() = default;
  ChunkPins(const ChunkPins&) = delete;
  ChunkPins& operator=(const ChunkPins&) = delete;
  ~ChunkPins() { release(); }
  void release();
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::span<std::byte> bytes(std::size_t i) const { return bytes_[i]; }

 private:
  friend class RowStore;
  friend class BufferManager;
  BufferManager* manager_ = nullptr;
  std::uint32_t store_ = 0;
  std::size_t count_ = 0;
  std::array<std::uint32_t, kMost> tiles_{};
  std::array<std::span<std::byte>, kMost> bytes_{};
};

// A handle to a row store owned by a BufferManager; the store's blocks and disk space go with the handle. Move-only.
class RowStore {
 public:
  RowStore() = default;
  RowStore(RowStore&& other) noexcept;
  RowStore& operator=(RowStore&& other) noexcept;
  ~RowStore() { release(); }
  void release();

  [[nodiscard]] const RowShape& shape() const { return shape_; }
  [[nodiscard]] const DiskForm& disk_form() const { return form_; }
  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] bool is_attached() const;
  [[nodiscard]] explicit operator bool() const { return manager_ != nullptr; }
  // read: contents as last written (zero if never). overwrite: contents undefined, the caller writes every byte, the
  // tile becomes dirty. Two pins of one tile at a time are allowed for read only. Throws ResourceError when every block
  // in memory is pinned and the budget is used up.
  [[nodiscard]] Pin pin_read(std::size_t chunk, std::size_t panel) const;
  [[nodiscard]] Pin pin_overwrite(std::size_t chunk, std::size_t panel);
  [[nodiscard]] Pin pin_update(std::size_t chunk, std::size_t panel);  // read, and becomes dirty

  // The same for panels [panel, panel + count) of a chunk, count <= ChunkPins::kMost, in one go: what is missing is
  // read in one request. pins must be empty.
  void pin_read(std::size_t chunk, std::size_t panel, std::size_t count, ChunkPins& pins) const;
  void pin_overwrite(std::size_t chunk, std::size_t panel, std::size_t count, ChunkPins& pins);
  void pin_update(std::size_t chunk, std::size_t panel, std::size_t count, ChunkPins& pins);

  // Starts reading what is missing of panels [panel, panel + count) of a chunk, any count; they stay in memory at
  // least until pinned, unless memory runs out. False when there is no memory for it now: try again later.
  [[nodiscard]] bool prefetch(std::size_t chunk, std::size_t panel, std::size_t count) const;

  // For panels [panel, panel + count), from the next unpin on.
  void set_retention(std::size_t panel, std::size_t count, const Retention& retention) const;

  // Nobody reads these panels again before they are overwritten. None of their tiles may be pinned.
  void give_up(std::size_t panel, std::size_t count) const;

 private:
  friend class BufferManager;
  friend class ChunkPins;
  BufferManager* manager_ = nullptr;
  std::uint32_t id_ = 0;
  RowShape shape_;
  DiskForm form_;
};

class BufferManager {
 public:
  // Packed tiles on their way to the disk, at most, and the memory for them: taken from the budget by the first store
  // whose tiles are packed.
  static constexpr std::size_t kPackedWrites = 32;
  static constexpr std::size_t kMostPacked = kChunkRows * kPanelColumns * 2 - kBlockAlignment;  // bytes of a tile
  static constexpr std::uint64_t kPackingBytes = kPackedWrites * kMostPacked;

  struct Options {
    std::filesystem::path
        cache_dir;  // created when something spills; scratch files there are removed by the destructor
    std::uint64_t disk_limit = UINT64_MAX;
    std::uint64_t read_ahead = std::uint64_t{32} << 20;  // bytes prefetched and not yet pinned, at most
    bool poison = false;  // debugging: fill evicted frames with 0xa5 before they are freed
  };
  // Registers itself as the budget's reclaimer. The budget must outlive it; row stores and pins must not.
  BufferManager(MemoryBudget& budget, Options options);
  ~BufferManager();
  BufferManager(const BufferManager&) = delete;
  BufferManager& operator=(const BufferManager&) = delete;

  // A scratch store, all zero. The slots on disk are taken when something spills; ResourceError when disk_limit or the
  // file system would not hold it.
  [[nodiscard]] RowStore create(const std::string& name, const RowShape& shape, const DiskForm& form = {});
  // Takes the memory for packing now, not with the first store that needs it.
  void reserve_packing();
  // A read-only store over a row file; pin_overwrite and pin_update are broken invariants.
  [[nodiscard]] RowStore attach(const std::string& name, RowFileReader reader);

  [[nodiscard]] TierCounters counters() const;
  // Of the budget, held by blocks at this moment, used or free to be used again.
  [[nodiscard]] std::uint64_t block_bytes() const;

 private:
  friend class RowStore;
  friend class Pin;
  friend class ChunkPins;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
