// Where the buffer manager gets memory from: the free list, the budget, and at last other tiles.
//
// Which tile goes: passes read stores from end to end, again and again, and there "least recently used" evicts exactly
// what comes next (no hits at all on a store just larger than memory). So each store keeps the mean number of pins
// between two pins of one of its tiles, which predicts when a tile is due; of a random sample, the one that is due last
// goes. In a cyclic scan that is the tile just left behind, so most of the budget keeps serving hits. A dirty tile
// costs a write as well as a read and counts as due in half the time; one long overdue is taken for abandoned.
//
// That is the guess for stores without a plan. With one (Retention), tiles that are not to stay are released by their
// last user and go first, in that order; what is kept by plan or read ahead goes only when nothing else is left.
#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/buffer_state.hpp"

namespace strata {

namespace {

constexpr int kSample = 16;
constexpr double kUnknownGap = 0x1p31;   // nothing was pinned twice yet: the newest goes first
constexpr double kGapWeight = 1.0 / 32;  // of the newest gap in the mean
constexpr double kKept = 1e-6;           // what to be kept by plan makes of a tile's worth
constexpr double kAhead = 1e-12;         // ... and to be read ahead

}  // namespace

void BufferManager::State::touch(BufferedStore& store, Tile& tile) {
  if (++clock == 0) clock = 1;  // 0 means never
  const std::uint32_t gap = clock - tile.last_pin;
  // Pins in quick succession are one use.
  if (tile.last_pin != 0 && gap > residents.size() / 8) {
    for (double* const mean : {&store.mean_gap, &mean_gap}) {
      *mean = *mean == 0 ? gap : *mean + (gap - *mean) * kGapWeight;
    }
  }
  tile.last_pin = clock;
}

bool BufferManager::State::can_evict(const TileKey& key) const {
  const Tile& tile = tile_at(key);
  return tile.pins == 0 && tile.state == TileState::resident;
}

double BufferManager::State::eviction_worth(const TileKey& key) const {
  const BufferedStore& store = *stores[key.store];
  const Tile& tile = store.tiles[key.tile];
  const double known = store.mean_gap != 0 ? store.mean_gap : mean_gap;
  const double gap = known != 0 ? known : kUnknownGap;
  const double age = clock - tile.last_pin;
  double worth = age < gap ? gap - age : 2 * (age - gap);
  if (tile.dirty) worth /= 2;
  if (tile.kept) worth *= kKept;
  if (tile.ahead) worth *= kAhead;
  return worth;
}

std::optional<TileKey> BufferManager::State::choose_victim() {
  if (residents.empty()) return std::nullopt;
  std::optional<TileKey> best;
  double best_worth = -1;
  for (int i = 0; i < kSample; ++i) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    const TileKey key = residents[random % residents.size()];
    if (!can_evict(key)) continue;
    const double worth = eviction_worth(key);
    if (worth > best_worth) {
      best = key;
      best_worth = worth;
    }
  }
  if (best) return best;
  const auto found =
      std::find_if(residents.begin(), residents.end(), [&](const TileKey& key) { return can_evict(key); });
  if (found != residents.end()) best = *found;
  return best;
}

bool BufferManager::State::write_back(Lock& lock, BufferedStore& store, std::size_t tile_index) {
  Tile& tile = store.tiles[tile_index];
  std::span<std::byte> image;
  StagingPlaces staged;
  tile.state = TileState::writing;
  ++writing;
  ++store.in_flight;
  bool kept = false;
  const auto finish = [&] {
    lock.lock();
    give_back_staging(staged);
    --writing;
    --store.in_flight;
    tile.state = TileState::resident;
    kept = tile.wanted;
    tile.wanted = false;
    announce();
  };
  lock.unlock();
  try {
    store.spill.ensure(store.name, store.shape, directory);
    staged = make_images(store, {tile_index, 1}, {&image, 1});
    store.file().write_at(*store.disk_offset(tile_index), image);
  } catch (...) {
    finish();
    throw;
  }
  finish();
  counters.bytes_written += image.size();
  if (tile.dropped) {
    if (tile.pins == 0) put_out(tile);
    return false;
  }
  tile.on_disk = true;
  tile.dirty = false;
  return !kept;
}

bool BufferManager::State::evict_released() {
  while (!released.empty()) {
    const TileKey key = released.front();
    released.pop_front();
    if (key.store >= stores.size() || stores[key.store] == nullptr) continue;
    if (key.tile >= stores[key.store]->tiles.size()) continue;
    Tile& tile = tile_at(key);
    if (!tile.released || tile.dirty || !can_evict(key)) continue;
    put_out(tile);
    return true;
  }
  return false;
}

bool BufferManager::State::evict_one(Lock& lock) {
  for (;;) {
    const std::optional<TileKey> victim = choose_victim();
    if (!victim) return false;
    Tile& tile = tile_at(*victim);
    if (tile.dirty && !write_back(lock, *stores[victim->store], victim->tile)) continue;
    put_out(tile);
    return true;
  }
}

Buffer BufferManager::State::acquire_now(std::size_t bytes, bool& zeroed) {
  for (;;) {
    Buffer slot = take_free(bytes);
    if (!slot.empty()) return slot;
    Reservation reservation = budget.try_reserve(bytes);
    if (reservation.bytes() == bytes) {
      zeroed = true;
      return Buffer(std::move(reservation), bytes);
    }
    if (drop_free(bytes) == 0 && !evict_released()) return {};
  }
}

Buffer BufferManager::State::acquire(Lock& lock, std::size_t bytes, const std::string& for_store, bool& zeroed) {
  for (;;) {
    Buffer slot = acquire_now(bytes, zeroed);
    if (!slot.empty()) return slot;
    report_failed_write();
    // What is being written behind is free soon, and need not push out what is wanted.
    if (writing == 0 && evict_one(lock)) continue;
    if (writing == 0 && arriving == 0) refuse(bytes, for_store);
    wait(lock);
  }
}

void BufferManager::State::refuse(std::size_t bytes, const std::string& for_store) const {
  const std::uint64_t in_use = budget.used();
  throw ResourceError("not enough memory for a block of " + for_store + ": wanted " + format_bytes(bytes) +
                          ", in use " + format_bytes(in_use) + " of a budget of " + format_bytes(budget.limit()) +
                          ", and all " + std::to_string(residents.size()) + " blocks in memory are pinned; at least " +
                          format_bytes(in_use + bytes) + " would be needed here",
                      in_use + bytes);
}

bool BufferManager::State::reclaim(std::uint64_t missing) {
  Lock lock(mutex);
  std::uint64_t freed = drop_free(missing);
  while (freed < missing) {
    if (evict_released() || (writing == 0 && evict_one(lock))) {
      freed += drop_free(missing - freed);
    } else if (writing > 0 || arriving > 0) {
      wait(lock);  // another thread is giving memory back, perhaps more than it needs: worth another try
      return true;
    } else {
      break;
    }
  }
  return freed > 0;
}

void BufferManager::State::keep_free(Buffer memory) {
  free_bytes += memory.size();
  free_slots[memory.size()].push_back(std::move(memory));
}

Buffer BufferManager::State::take_free(std::size_t bytes) {
  const auto found = free_slots.find(bytes);
  if (found == free_slots.end()) return {};
  Buffer memory = std::move(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) free_slots.erase(found);
  free_bytes -= bytes;
  return memory;
}

std::uint64_t BufferManager::State::drop_free(std::uint64_t bytes) {
  std::uint64_t dropped = 0;
  while (dropped < bytes && !free_slots.empty()) {
    const std::size_t size = free_slots.rbegin()->first;
    static_cast<void>(take_free(size));
    dropped += size;
  }
  return dropped;
}

}  // namespace strata
