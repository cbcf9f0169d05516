// One owner of all row-store blocks in memory: pin, write back, evict. A row store is an N x d matrix of tiles (chunk,
// panel); those that do not fit the budget live in --cache-dir (scratch stores) or in the file they were attached to.
//
//             read_tile                    unpin
//   on disk ------------> pinned (count>0) ------> in memory, clean or dirty ---evict---> (dirty: written) on disk
//                                 ^------------------------------'  pin: a hit
//
// A page is a pin: the bytes of a tile are reachable only through a Pin, which keeps the tile in memory and unpins it
// when it goes. Thread-safe. What a tile holds never depends on whether it was evicted in between.
#pragma once

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
  std::uint64_t bytes_read = 0;     // from disk
  std::uint64_t bytes_written = 0;  // to disk
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
  void* frame_ = nullptr;
  std::span<std::byte> bytes_;
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
  [[nodiscard]] explicit operator bool() const { return manager_ != nullptr; }
  // read: contents as last written (zero if never). overwrite: contents undefined, the caller writes every byte, the
  // tile becomes dirty. Two pins of one tile at a time are allowed for read only. Throws ResourceError when every block
  // in memory is pinned and the budget is used up.
  [[nodiscard]] Pin pin_read(std::size_t chunk, std::size_t panel) const;
  [[nodiscard]] Pin pin_overwrite(std::size_t chunk, std::size_t panel);
  [[nodiscard]] Pin pin_update(std::size_t chunk, std::size_t panel);  // read, and becomes dirty

 private:
  friend class BufferManager;
  BufferManager* manager_ = nullptr;
  std::uint32_t id_ = 0;
  RowShape shape_;
};

class BufferManager {
 public:
  struct Options {
    std::filesystem::path
        cache_dir;  // created when something spills; scratch files there are removed by the destructor
    std::uint64_t disk_limit = UINT64_MAX;
    bool poison = false;  // debugging: fill evicted frames with 0xa5 before they are freed
  };
  // Registers itself as the budget's reclaimer. The budget must outlive it; row stores and pins must not.
  BufferManager(MemoryBudget& budget, Options options);
  ~BufferManager();
  BufferManager(const BufferManager&) = delete;
  BufferManager& operator=(const BufferManager&) = delete;

  // A scratch store, all zero. The slots on disk are taken when something spills; ResourceError when disk_limit or the
  // file system would not hold it.
  [[nodiscard]] RowStore create(const std::string& name, const RowShape& shape);
  // A read-only store over a row file; pin_overwrite and pin_update are broken invariants.
  [[nodiscard]] RowStore attach(const std::string& name, RowFileReader reader);

  [[nodiscard]] TierCounters counters() const;

 private:
  friend class RowStore;
  friend class Pin;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
