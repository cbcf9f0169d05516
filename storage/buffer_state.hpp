// The inside of the buffer manager: tiles, stores, and the operations on them. Only buffer_*.cpp include this.
//
// One mutex guards every field below unless a comment says otherwise; it is never held during I/O, checksums, memset or
// a call that may ask the budget's reclaimer. A tile that some thread or request works on outside the lock is in state
// `reading` or `writing`: others who want it wait on `changed`, so the I/O of several threads overlaps.
//
// - absent --pin, prefetch--> reading --> resident
// - resident, clean --evict--> absent
// - resident, dirty --evict, write behind--> writing --> absent, or resident again if somebody wants it
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/async_io.hpp"
#include "storage/buffer_manager.hpp"
#include "storage/file.hpp"

namespace strata {

enum class TileState : std::uint8_t { absent, reading, resident, writing };

// 56 bytes; with its place in the list of residents, a tile costs 64 bytes of budget.
struct Tile {
  Buffer memory;               // of tile_slot bytes while resident, reading or writing
  std::uint64_t checksum = 0;  // of the content on disk (packed: of its pages), when on_disk
  std::uint32_t last_pin = 0;  // clock of the last pin
  std::uint32_t place = 0;     // index in State::residents while resident or writing
  std::uint16_t pins = 0;
  TileState state = TileState::absent;
  std::uint8_t packed_pages = 0;  // of kBlockAlignment on disk; 0: there as in memory
  bool dirty : 1 = false;         // memory is newer than the disk
  bool on_disk : 1 = false;       // the disk holds what was last evicted (or, attached, everything)
  bool wanted : 1 = false;        // somebody waits for it while it is written: keep it
  bool pinned_to_write : 1 = false;
  bool kept : 1 = false;       // by plan
  bool released : 1 = false;   // in State::released
  bool unchecked : 1 = false;  // was read, its checksum not yet compared
  bool ahead : 1 = false;      // was prefetched and not yet pinned
  bool dropped : 1 = false;    // its content was given up as never to be read again
};
static_assert(sizeof(Tile) <= 56);

struct TileKey {
  std::uint32_t store = 0;
  std::uint32_t tile = 0;
};

class SpillDirectory;

// The scratch file of one store. Slots lie in the order of the tiles, chunk after chunk, so that the panels of a chunk
// are neighbours. Created by the first write.
class SpillFile {
 public:
  SpillFile() = default;
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;
  ~SpillFile();  // removes it

  // Thread-safe. Makes the file and takes its disk space unless that is done; ResourceError when it does not fit.
  void ensure(const std::string& name, const RowShape& shape, SpillDirectory& directory);
  // Valid once ensure() returned.
  [[nodiscard]] const File& file() const { return file_; }
  [[nodiscard]] static std::uint64_t offset(const RowShape& shape, std::size_t tile);  // of its slot
  // DamagedError unless the content has this checksum. `moved`: bytes that were read, from `offset` on.
  void check(const RowShape& shape, std::size_t tile, std::uint64_t checksum, std::span<const std::byte> content,
             std::uint64_t offset, std::size_t moved) const;

 private:
  std::mutex mutex_;  // of ensure()
  SpillDirectory* directory_ = nullptr;
  std::uint64_t bytes_ = 0;
  File file_;
};

// --cache-dir with its limit. Thread-safe.
class SpillDirectory {
 public:
  SpillDirectory(std::filesystem::path path, std::uint64_t limit) : path_(std::move(path)), limit_(limit) {}
  ~SpillDirectory();  // removes the directory if this made it and it is empty

  // Counts `bytes` as used, or ResourceError naming `name`; creates the directory.
  void take(std::uint64_t bytes, const std::string& name);
  void give_back(std::uint64_t bytes);
  [[nodiscard]] std::filesystem::path new_file_path(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::uint64_t limit_;
  std::mutex mutex_;
  std::uint64_t used_ = 0;
  bool created_ = false;
};

// What is written of a tile.
struct DiskImage {
  std::span<std::byte> bytes;  // the tile's slot, or the packed pages
  std::uint64_t checksum = 0;
  std::uint8_t packed_pages = 0;  // as in Tile
};

struct BufferedStore {
  std::string name;
  RowShape shape;
  DiskForm form;
  std::optional<RowFileReader> reader;  // attached
  Array<Tile> tiles;                    // [chunk * panels + panel]
  Reservation places;                   // for State::residents: 8 bytes a tile
  SpillFile spill;
  std::uint64_t bytes_read_before = 0;  // by the reader before it was attached
  double mean_gap = 0;                  // between pins of a tile, in clock ticks; 0: none seen yet
  std::vector<Retention> retention;     // by panel
  std::size_t in_flight = 0;            // tiles reading or writing

  [[nodiscard]] std::size_t chunk_of(std::size_t tile) const { return tile / shape.panels(); }
  [[nodiscard]] std::size_t panel_of(std::size_t tile) const { return tile % shape.panels(); }
  [[nodiscard]] std::size_t content_bytes(std::size_t tile) const {
    return shape.tile_bytes(chunk_of(tile), panel_of(tile));
  }
  [[nodiscard]] std::size_t slot_bytes(std::size_t tile) const {
    return shape.tile_slot(chunk_of(tile), panel_of(tile));
  }
  // Bytes of a tile on disk, and where they lie; no place when what lies there is not what accept() takes (attached,
  // zstd).
  [[nodiscard]] std::size_t disk_bytes(std::size_t tile) const;
  [[nodiscard]] std::optional<std::uint64_t> disk_offset(std::size_t tile) const;
  [[nodiscard]] const File& file() const { return reader ? reader->file() : spill.file(); }
  // Checks what disk_offset() had, at the beginning of the tile's slot, and turns it into the content. DamagedError.
  void accept(std::size_t tile, std::span<std::byte> slot) const;

  // Packing (buffer_pack.cpp).
  [[nodiscard]] bool packing_saves(std::size_t tile) const;  // a page at least
  // staging: of kMostPacked bytes, or empty: as in memory.
  [[nodiscard]] DiskImage disk_image(std::size_t tile, std::span<std::byte> staging) const;
  [[nodiscard]] std::uint64_t packed_offset(std::size_t tile, std::size_t pages) const;
  void unpack(std::size_t tile, std::span<std::byte> slot) const;
};

// Places in State::staging, for packed tiles until they are on disk.
struct StagingPlaces {
  std::array<std::uint8_t, ChunkPins::kMost> places{};
  std::size_t count = 0;
  void add(std::uint8_t place) { places.at(count++) = place; }
};
static_assert(ChunkPins::kMost <= BufferManager::kPackedWrites && BufferManager::kPackedWrites <= UINT8_MAX);

// Tiles of one store that one request reads or writes: neighbours on disk.
struct TileRun {
  std::size_t first = 0;
  std::size_t count = 0;
};

struct BufferManager::State {
  enum class Access { read, overwrite, update };
  using Lock = std::unique_lock<std::mutex>;

  State(MemoryBudget& budget_in, Options options_in);

  // Handles (buffer_manager.cpp).
  [[nodiscard]] std::uint32_t add_store(const std::string& name, const RowShape& shape, const DiskForm& form,
                                        std::optional<RowFileReader> reader);
  void remove_store(std::uint32_t id);
  // Pins a tile and returns its content.
  [[nodiscard]] std::span<std::byte> pin(Lock& lock, TileKey key, Access access);
  [[nodiscard]] Pin pin_one(BufferManager* manager, std::uint32_t id, std::size_t chunk, std::size_t panel,
                            Access access);
  void pin_chunk(BufferManager* manager, std::uint32_t id, std::size_t chunk, std::size_t panel, std::size_t count,
                 Access access, ChunkPins& pins);
  void unpin(std::uint32_t store, std::span<const std::uint32_t> tiles);
  [[nodiscard]] TierCounters all_counters() const;

  // Disk (buffer_io.cpp).
  [[nodiscard]] bool prefetch(Lock& lock, std::uint32_t id, std::size_t chunk, std::size_t panel, std::size_t count,
                              bool within_window);
  void start_read(Lock& lock, std::uint32_t id, TileRun run);
  void finish_read(std::uint32_t id, TileRun run, bool ok);
  void write_behind(std::uint32_t id, std::span<const std::uint32_t> tiles);
  void start_write(std::uint32_t id, TileRun run);
  [[nodiscard]] StagingPlaces make_images(BufferedStore& store, TileRun run, std::span<std::span<std::byte>> pieces);
  void submit_write(const BufferedStore& store, std::uint32_t id, TileRun run,
                    std::span<const std::span<std::byte>> pieces, const StagingPlaces& staged);
  void finish_write(std::uint32_t id, TileRun run, const StagingPlaces& staged, std::exception_ptr error);
  void check_arrived(Lock& lock, TileKey key);  // of an unchecked tile
  void read_now(BufferedStore& store, std::size_t tile) const;
  [[nodiscard]] AsyncIo& io();

  // Memory of packed tiles (buffer_pack.cpp). Who waits for places holds none and waits for nothing else, and writes
  // give theirs back without waiting, so it ends.
  void make_staging();
  [[nodiscard]] StagingPlaces take_staging(Lock& lock, std::size_t count);
  void give_back_staging(const StagingPlaces& staged);
  [[nodiscard]] std::span<std::byte> staging_at(std::uint8_t place) const {
    return staging.bytes().subspan(place * kMostPacked, kMostPacked);
  }

  // Memory (buffer_evict.cpp).
  // A slot of `bytes`, by evicting if need be; the flag tells that it is all zero. May release and retake the lock.
  [[nodiscard]] Buffer acquire(Lock& lock, std::size_t bytes, const std::string& for_store, bool& zeroed);
  [[nodiscard]] Buffer acquire_now(std::size_t bytes, bool& zeroed);  // or empty: nothing is waited for or written
  [[noreturn]] void refuse(std::size_t bytes, const std::string& for_store) const;
  // Puts out the tile that was released first; false when there is none.
  [[nodiscard]] bool evict_released();
  // Puts out the unpinned tile that is wanted least; false when there is none. May release and retake the lock. The
  // memory goes to the free list.
  [[nodiscard]] bool evict_one(Lock& lock);
  // Writes a dirty tile; false when somebody came to want it meanwhile. Releases and retakes the lock.
  [[nodiscard]] bool write_back(Lock& lock, BufferedStore& store, std::size_t tile_index);
  [[nodiscard]] std::optional<TileKey> choose_victim();
  [[nodiscard]] bool can_evict(const TileKey& key) const;
  [[nodiscard]] double eviction_worth(const TileKey& key) const;
  void keep_free(Buffer memory);
  [[nodiscard]] Buffer take_free(std::size_t bytes);           // of exactly that many; empty: none
  [[nodiscard]] std::uint64_t drop_free(std::uint64_t bytes);  // unmaps until that many are gone; returns how many
  void trim_free(std::uint64_t limit) {
    if (free_bytes > limit) static_cast<void>(drop_free(free_bytes - limit));
  }
  [[nodiscard]] bool reclaim(std::uint64_t missing);

  void bring_in(Lock& lock, TileKey key, Access access);
  void load(Lock& lock, BufferedStore& store, std::size_t tile_index, bool zeroed);
  // What becomes of a tile that nobody pins; true when it is to be written behind.
  [[nodiscard]] bool settle(TileKey key);
  void release(TileKey key, Tile& tile);
  void drop(Tile& tile);
  void give_up(std::uint32_t id, std::size_t panel, std::size_t count);
  void touch(BufferedStore& store, Tile& tile);
  void add_resident(TileKey key, Tile& tile);
  [[nodiscard]] Buffer remove_resident(Tile& tile);  // its memory
  void put_out(Tile& tile);                          // a clean or dropped one: its memory goes to the free list
  [[nodiscard]] Tile& tile_at(const TileKey& key) const { return stores[key.store]->tiles[key.tile]; }
  void wait(Lock& lock);
  void announce();  // that a tile changed its state
  void report_failed_write();

  MemoryBudget& budget;
  const Options options;
  SpillDirectory directory;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::size_t waiting = 0;                             // threads on `changed`
  std::size_t writing = 0;                             // tiles in that state
  std::size_t arriving = 0;                            // tiles being read by a request
  std::vector<std::unique_ptr<BufferedStore>> stores;  // [id]; null: released, to be used again
  std::vector<TileKey> residents;                      // resident or writing, in no order
  std::deque<TileKey> released;                        // clean, not to be kept, oldest first; some keys are out of date
  std::map<std::size_t, std::vector<Buffer>> free_slots;
  std::uint64_t free_bytes = 0;
  std::uint64_t ahead_bytes = 0;  // prefetched and not yet pinned
  std::uint32_t clock = 0;        // counts pins; wraps
  double mean_gap = 0;            // of all stores, for those without one
  std::uint64_t random = 1;
  std::exception_ptr failed_write;  // of a write behind; the next pin throws it
  Buffer staging;                   // kPackedWrites places; empty until a store needs them
  std::vector<std::uint8_t> staging_free;
  TierCounters counters;              // bytes_read without those of the readers still attached
  std::unique_ptr<AsyncIo> requests;  // made at the first request; last, so that it ends before what it works on
};

}  // namespace strata
