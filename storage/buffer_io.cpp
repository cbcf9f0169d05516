// The buffer manager's traffic with the disk: requests that read ahead and write behind, and reads that a thread waits
// for.
#include <array>
#include <cstring>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/buffer_state.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

constexpr std::size_t kMostPieces = 64;  // tiles of a request

using Pieces = std::array<std::span<std::byte>, kMostPieces>;

// Where tiles that are read go.
std::span<const std::span<std::byte>> pieces_of(const BufferedStore& store, TileRun run, Pieces& pieces) {
  for (std::size_t i = 0; i < run.count; ++i) {
    pieces[i] = store.tiles[run.first + i].memory.bytes().first(store.disk_bytes(run.first + i));
  }
  return std::span(pieces).first(run.count);
}

}  // namespace

std::size_t BufferedStore::disk_bytes(std::size_t tile) const {
  const std::size_t pages = tiles[tile].packed_pages;
  return pages > 0 ? pages * kBlockAlignment : slot_bytes(tile);
}

std::optional<std::uint64_t> BufferedStore::disk_offset(std::size_t tile) const {
  if (reader) return reader->plain_offset(chunk_of(tile), panel_of(tile));
  return packed_offset(tile, tiles[tile].packed_pages);
}

void BufferedStore::accept(std::size_t tile, std::span<std::byte> slot) const {
  if (reader) {
    reader->check_tile(chunk_of(tile), panel_of(tile), slot);
    return;
  }
  const Tile& t = tiles[tile];
  const std::size_t moved = disk_bytes(tile);
  const std::size_t content = t.packed_pages > 0 ? moved : content_bytes(tile);
  spill.check(shape, tile, t.checksum, slot.first(content), *disk_offset(tile), moved);
  if (t.packed_pages > 0) unpack(tile, slot);
}

AsyncIo& BufferManager::State::io() {
  if (requests == nullptr) requests = std::make_unique<AsyncIo>();
  return *requests;
}

// Takes memory for what is missing and starts to read it, in requests of neighbours on disk.
bool BufferManager::State::prefetch(Lock& lock, std::uint32_t id, std::size_t chunk, std::size_t panel,
                                    std::size_t count, bool within_window) {
  BufferedStore& store = *stores[id];
  const std::size_t first = chunk * store.shape.panels() + panel;
  const auto is_missing = [&](std::size_t tile) {
    const Tile& t = store.tiles[tile];
    return t.state == TileState::absent && t.on_disk && store.disk_offset(tile).has_value();
  };
  TileRun run;
  const auto start = [&] {
    if (run.count > 0) start_read(lock, id, std::exchange(run, {}));
  };
  bool complete = true;
  for (std::size_t tile = first; tile < first + count && complete; ++tile) {
    if (!is_missing(tile)) continue;
    const bool neighbour = run.count > 0 && run.count < kMostPieces && run.first + run.count == tile &&
                           *store.disk_offset(tile - 1) + store.disk_bytes(tile - 1) == *store.disk_offset(tile);
    if (!neighbour) start();
    if (!is_missing(tile)) continue;  // start() lets others in
    const std::size_t bytes = store.slot_bytes(tile);
    Tile& t = store.tiles[tile];
    bool zeroed = false;
    if (!within_window || ahead_bytes + bytes <= options.read_ahead) t.memory = acquire_now(bytes, zeroed);
    if (t.memory.empty()) {
      complete = false;
      break;
    }
    if (run.count == 0) run.first = tile;
    ++run.count;
    t.state = TileState::reading;
    t.ahead = true;
    ahead_bytes += bytes;
    ++arriving;
    ++store.in_flight;
  }
  start();
  return complete;
}

// `submit` never waits for the device, but it may take long enough to be kept out of the lock. The tiles are in state
// reading: nobody else touches them.
void BufferManager::State::start_read(Lock& lock, std::uint32_t id, TileRun run) {
  const BufferedStore& store = *stores[id];
  AsyncIo& requests_now = io();
  lock.unlock();
  Pieces pieces;
  bool ok = true;
  try {
    requests_now.submit(AsyncIo::Kind::read, store.file(), *store.disk_offset(run.first), pieces_of(store, run, pieces),
                        [this, id, run](const std::exception_ptr& error) { finish_read(id, run, error == nullptr); });
  } catch (...) {
    ok = false;
  }
  if (!ok) finish_read(id, run, false);
  lock.lock();
}

// A read ahead that failed is forgotten: who needs the tile reads it again and gets the error.
void BufferManager::State::finish_read(std::uint32_t id, TileRun run, bool ok) {
  const std::lock_guard lock(mutex);
  BufferedStore& store = *stores[id];
  for (std::size_t tile = run.first; tile < run.first + run.count; ++tile) {
    Tile& t = store.tiles[tile];
    --arriving;
    --store.in_flight;
    if (ok) {
      t.unchecked = true;
      add_resident({id, static_cast<std::uint32_t>(tile)}, t);
      ++counters.misses;
      counters.bytes_read += store.disk_bytes(tile);
    } else {
      t.ahead = false;
      t.state = TileState::absent;
      ahead_bytes -= t.memory.size();
      keep_free(std::move(t.memory));
    }
  }
  announce();
}

void BufferManager::State::check_arrived(Lock& lock, TileKey key) {
  const BufferedStore& store = *stores[key.store];
  Tile& tile = store.tiles[key.tile];
  tile.unchecked = false;
  tile.state = TileState::reading;  // others wait; its place among the residents stays
  ++tile.pins;
  const std::span<std::byte> slot = tile.memory.bytes();
  lock.unlock();
  std::exception_ptr error;
  try {
    store.accept(key.tile, slot);
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  --tile.pins;
  tile.state = TileState::resident;
  if (error) put_out(tile);
  announce();
  if (error) std::rethrow_exception(error);
}

void BufferManager::State::read_now(BufferedStore& store, std::size_t tile) const {
  const Tile& t = store.tiles[tile];
  const std::span<std::byte> slot = t.memory.bytes();
  if (store.reader) {
    store.reader->read_tile(store.chunk_of(tile), store.panel_of(tile), slot);
    return;
  }
  store.file().read_at(*store.disk_offset(tile), slot.first(store.disk_bytes(tile)));
  store.accept(tile, slot);
}

// The tiles are in state writing and ascend.
void BufferManager::State::write_behind(std::uint32_t id, std::span<const std::uint32_t> tiles) {
  for (std::size_t begin = 0; begin < tiles.size();) {
    std::size_t end = begin + 1;
    while (end < tiles.size() && tiles[end] == tiles[end - 1] + 1) ++end;
    start_write(id, {tiles[begin], end - begin});
    begin = end;
  }
}

// One request for all tiles, but where packing leaves a gap between two.
void BufferManager::State::start_write(std::uint32_t id, TileRun run) {
  BufferedStore* store = nullptr;
  {
    const std::lock_guard lock(mutex);
    store = stores[id].get();
    static_cast<void>(io());
  }
  try {
    store->spill.ensure(store->name, store->shape, directory);
  } catch (...) {
    finish_write(id, run, {}, std::current_exception());
    return;
  }
  Pieces pieces;
  const StagingPlaces staged = make_images(*store, run, pieces);
  std::size_t place = 0;
  for (std::size_t begin = 0; begin < run.count;) {
    StagingPlaces own;
    std::size_t end = begin;
    bool neighbour = true;
    while (neighbour) {
      const std::size_t tile = run.first + end;
      if (store->tiles[tile].packed_pages > 0) own.add(staged.places.at(place++));
      ++end;
      neighbour =
          end < run.count && *store->disk_offset(tile) + store->disk_bytes(tile) == *store->disk_offset(tile + 1);
    }
    submit_write(*store, id, {run.first + begin, end - begin}, std::span(pieces).subspan(begin, end - begin), own);
    begin = end;
  }
}

// Checksums and packs tiles in state writing. Returns the staging of those that were packed, in their order.
StagingPlaces BufferManager::State::make_images(BufferedStore& store, TileRun run,
                                                std::span<std::span<std::byte>> pieces) {
  STRATA_ASSERT(run.count <= ChunkPins::kMost);
  std::array<bool, ChunkPins::kMost> packs{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < run.count && store.form.bitmap; ++i) {
    packs.at(i) = store.packing_saves(run.first + i);
    count += packs.at(i) ? 1 : 0;
  }
  StagingPlaces staged;
  if (count > 0) {
    Lock lock(mutex);
    staged = take_staging(lock, count);
  }
  std::size_t place = 0;
  for (std::size_t i = 0; i < run.count; ++i) {
    std::span<std::byte> to;
    if (packs.at(i)) to = staging_at(staged.places.at(place++));
    const DiskImage image = store.disk_image(run.first + i, to);
    Tile& tile = store.tiles[run.first + i];
    tile.checksum = image.checksum;
    tile.packed_pages = image.packed_pages;
    pieces[i] = image.bytes;
  }
  return staged;
}

void BufferManager::State::submit_write(const BufferedStore& store, std::uint32_t id, TileRun run,
                                        std::span<const std::span<std::byte>> pieces, const StagingPlaces& staged) {
  try {
    requests->submit(
        AsyncIo::Kind::write, store.file(), *store.disk_offset(run.first), pieces,
        [this, id, run, staged](std::exception_ptr error) { finish_write(id, run, staged, std::move(error)); });
  } catch (...) {
    finish_write(id, run, staged, std::current_exception());
  }
}

// A tile that could not be written stays in memory, and the next pin tells why.
void BufferManager::State::finish_write(std::uint32_t id, TileRun run, const StagingPlaces& staged,
                                        std::exception_ptr error) {
  const std::lock_guard lock(mutex);
  give_back_staging(staged);
  BufferedStore& store = *stores[id];
  for (std::size_t tile = run.first; tile < run.first + run.count; ++tile) {
    Tile& t = store.tiles[tile];
    --writing;
    --store.in_flight;
    t.state = TileState::resident;
    t.wanted = false;
    if (t.dropped) {
      if (t.pins == 0) put_out(t);
      continue;
    }
    if (error) {
      t.kept = true;
      continue;
    }
    t.on_disk = true;
    t.dirty = false;
    counters.bytes_written += store.disk_bytes(tile);
    if (t.pins == 0 && !t.kept) release({id, static_cast<std::uint32_t>(tile)}, t);
  }
  if (error) failed_write = std::move(error);
  announce();
}

}  // namespace strata
