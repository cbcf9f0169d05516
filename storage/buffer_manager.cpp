#include "storage/buffer_manager.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/buffer_state.hpp"

namespace strata {

Pin::Pin(Pin&& other) noexcept
    : manager_(std::exchange(other.manager_, nullptr)),
      frame_(std::exchange(other.frame_, nullptr)),
      bytes_(std::exchange(other.bytes_, {})) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    release();
    manager_ = std::exchange(other.manager_, nullptr);
    frame_ = std::exchange(other.frame_, nullptr);
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

void Pin::release() {
  if (manager_ == nullptr) return;
  manager_->state_->unpin(*static_cast<Tile*>(frame_));
  manager_ = nullptr;
  frame_ = nullptr;
  bytes_ = {};
}

RowStore::RowStore(RowStore&& other) noexcept
    : manager_(std::exchange(other.manager_, nullptr)), id_(other.id_), shape_(other.shape_) {}

RowStore& RowStore::operator=(RowStore&& other) noexcept {
  if (this != &other) {
    release();
    manager_ = std::exchange(other.manager_, nullptr);
    id_ = other.id_;
    shape_ = other.shape_;
  }
  return *this;
}

void RowStore::release() {
  if (manager_ != nullptr) manager_->state_->remove_store(id_);
  manager_ = nullptr;
}

Pin RowStore::pin_read(std::size_t chunk, std::size_t panel) const {
  return manager_->state_->pin(manager_, id_, chunk, panel, BufferManager::State::Access::read);
}

Pin RowStore::pin_overwrite(std::size_t chunk, std::size_t panel) {
  return manager_->state_->pin(manager_, id_, chunk, panel, BufferManager::State::Access::overwrite);
}

Pin RowStore::pin_update(std::size_t chunk, std::size_t panel) {
  return manager_->state_->pin(manager_, id_, chunk, panel, BufferManager::State::Access::update);
}

BufferManager::BufferManager(MemoryBudget& budget, Options options)
    : state_(std::make_unique<State>(budget, std::move(options))) {
  budget.set_reclaimer([state = state_.get()](std::uint64_t missing) { return state->reclaim(missing); });
}

BufferManager::~BufferManager() {
  state_->budget.set_reclaimer({});
  for (const std::unique_ptr<BufferedStore>& store : state_->stores) STRATA_ASSERT(store == nullptr);
}

RowStore BufferManager::create(const std::string& name, const RowShape& shape) {
  RowStore store;
  store.id_ = state_->add_store(name, shape, std::nullopt);
  store.shape_ = shape;
  store.manager_ = this;
  return store;
}

RowStore BufferManager::attach(const std::string& name, RowFileReader reader) {
  RowStore store;
  store.shape_ = reader.shape();
  store.id_ = state_->add_store(name, store.shape_, std::move(reader));
  store.manager_ = this;
  return store;
}

TierCounters BufferManager::counters() const { return state_->all_counters(); }

BufferManager::State::State(MemoryBudget& budget_in, Options options_in)
    : budget(budget_in), options(std::move(options_in)), directory(options.cache_dir, options.disk_limit) {}

std::uint32_t BufferManager::State::add_store(const std::string& name, const RowShape& shape,
                                              std::optional<RowFileReader> reader) {
  auto store = std::make_unique<BufferedStore>();
  const std::size_t tiles = shape.chunks() * shape.panels();
  STRATA_ASSERT(tiles <= UINT32_MAX);
  store->name = name;
  store->shape = shape;
  store->tiles = Array<Tile>(budget, tiles, "tile table of " + name);
  store->places = budget.reserve(tiles * sizeof(TileKey), "tile table of " + name);
  std::uninitialized_value_construct_n(store->tiles.data(), tiles);
  store->reader = std::move(reader);
  if (store->reader) {
    store->bytes_read_before = store->reader->bytes_read();
    for (Tile& tile : store->tiles.span()) tile.on_disk = true;
  }

  const std::lock_guard lock(mutex);
  std::size_t total = tiles;
  for (const auto& other : stores) total += other == nullptr ? 0 : other->tiles.size();
  residents.reserve(total);
  auto slot = std::find(stores.begin(), stores.end(), nullptr);
  if (slot == stores.end()) slot = stores.insert(slot, nullptr);
  *slot = std::move(store);
  return static_cast<std::uint32_t>(slot - stores.begin());
}

// The owner of a store uses it no more, so none of its tiles is pinned or being read; but another thread may be
// evicting one.
void BufferManager::State::remove_store(std::uint32_t id) {
  std::unique_ptr<BufferedStore> store;
  {
    Lock lock(mutex);
    const auto is_written = [&](const TileKey& key) {
      return key.store == id && tile_at(key).state == TileState::writing;
    };
    while (std::any_of(residents.begin(), residents.end(), is_written)) wait(lock);
    for (std::size_t i = 0; i < residents.size();) {
      if (residents[i].store != id) {
        ++i;
        continue;
      }
      Tile& tile = tile_at(residents[i]);
      STRATA_ASSERT(tile.pins == 0 && tile.state == TileState::resident);
      keep_free(remove_resident(tile));  // puts another one at i
    }
    trim_free(budget.limit() / 8);
    store = std::move(stores[id]);
    if (store->reader) counters.bytes_read += store->reader->bytes_read() - store->bytes_read_before;
  }
}

Pin BufferManager::State::pin(BufferManager* manager, std::uint32_t id, std::size_t chunk, std::size_t panel,
                              Access access) {
  Lock lock(mutex);
  BufferedStore& store = *stores[id];
  STRATA_ASSERT(chunk < store.shape.chunks() && panel < store.shape.panels());
  STRATA_ASSERT(access == Access::read || !store.reader);
  const TileKey key{id, static_cast<std::uint32_t>(chunk * store.shape.panels() + panel)};
  Tile& tile = store.tiles[key.tile];
  while (tile.state == TileState::reading || tile.state == TileState::writing) {
    if (tile.state == TileState::writing) tile.wanted = true;
    wait(lock);
  }
  if (tile.state == TileState::resident) {
    ++counters.hits;
  } else {
    bring_in(lock, key, access);
  }
  // Two pins of one tile at a time are for reading only.
  STRATA_ASSERT(tile.pins == 0 || (access == Access::read && !tile.pinned_to_write));
  STRATA_ASSERT(tile.pins < UINT16_MAX);
  ++tile.pins;
  if (access != Access::read) tile.dirty = tile.pinned_to_write = true;
  touch(store, tile);
  Pin pin;
  pin.manager_ = manager;
  pin.frame_ = &tile;
  pin.bytes_ = tile.memory.bytes().first(store.shape.tile_bytes(chunk, panel));
  return pin;
}

void BufferManager::State::unpin(Tile& tile) {
  const std::lock_guard lock(mutex);
  STRATA_ASSERT(tile.pins > 0);
  if (--tile.pins == 0) tile.pinned_to_write = false;
}

// An absent tile becomes resident; when that fails it is absent again and the exception goes on.
void BufferManager::State::bring_in(Lock& lock, TileKey key, Access access) {
  BufferedStore& store = *stores[key.store];
  Tile& tile = store.tiles[key.tile];
  tile.state = TileState::reading;
  try {
    bool zeroed = false;
    tile.memory = acquire(lock, store.slot_bytes(key.tile), store.name, zeroed);
    if (access != Access::overwrite) load(lock, store, key.tile, zeroed);
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    if (!tile.memory.empty()) keep_free(std::move(tile.memory));
    tile.state = TileState::absent;
    announce();
    throw;
  }
  add_resident(key, tile);
  announce();
}

// Fills the memory of a tile that is being read. Releases and retakes the lock; an exception leaves it released.
void BufferManager::State::load(Lock& lock, BufferedStore& store, std::size_t tile_index, bool zeroed) {
  const Tile& tile = store.tiles[tile_index];
  const std::span<std::byte> slot = tile.memory.bytes();
  const bool on_disk = tile.on_disk;
  const std::uint64_t expected = tile.checksum;
  if (!on_disk && zeroed) return;
  lock.unlock();
  if (store.reader) {
    store.reader->read_tile(store.chunk_of(tile_index), store.panel_of(tile_index), slot);
  } else if (on_disk) {
    store.spill.read(store.shape, tile_index, expected, slot);
  } else {
    std::memset(slot.data(), 0, slot.size());
  }
  lock.lock();
  if (!on_disk) return;
  ++counters.misses;
  if (!store.reader) counters.bytes_read += slot.size();
}

TierCounters BufferManager::State::all_counters() const {
  const std::lock_guard lock(mutex);
  TierCounters sum = counters;
  for (const std::unique_ptr<BufferedStore>& store : stores) {
    if (store != nullptr && store->reader) sum.bytes_read += store->reader->bytes_read() - store->bytes_read_before;
  }
  return sum;
}

void BufferManager::State::add_resident(TileKey key, Tile& tile) {
  tile.state = TileState::resident;
  tile.place = static_cast<std::uint32_t>(residents.size());
  residents.push_back(key);
}

Buffer BufferManager::State::remove_resident(Tile& tile) {
  const TileKey last = residents.back();
  residents[tile.place] = last;
  tile_at(last).place = tile.place;
  residents.pop_back();
  tile.state = TileState::absent;
  return std::move(tile.memory);
}

void BufferManager::State::wait(Lock& lock) {
  ++waiting;
  changed.wait(lock);
  --waiting;
}

void BufferManager::State::announce() {
  if (waiting > 0) changed.notify_all();
}

}  // namespace strata
