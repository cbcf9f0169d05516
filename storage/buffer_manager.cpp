#include "storage/buffer_manager.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/buffer_state.hpp"

namespace strata {

Pin::Pin(Pin&& other) noexcept
    : manager_(std::exchange(other.manager_, nullptr)),
      store_(other.store_),
      tile_(other.tile_),
      bytes_(std::exchange(other.bytes_, {})) {}

Pin& Pin::operator=(Pin&& other) noexcept {
  if (this != &other) {
    release();
    manager_ = std::exchange(other.manager_, nullptr);
    store_ = other.store_;
    tile_ = other.tile_;
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

void Pin::release() {
  if (manager_ == nullptr) return;
  manager_->state_->unpin(store_, {&tile_, 1});
  manager_ = nullptr;
  bytes_ = {};
}

void ChunkPins::release() {
  if (manager_ == nullptr) return;
  manager_->state_->unpin(store_, {tiles_.data(), count_});
  manager_ = nullptr;
  count_ = 0;
}

RowStore::RowStore(RowStore&& other) noexcept
    : manager_(std::exchange(other.manager_, nullptr)), id_(other.id_), shape_(other.shape_), form_(other.form_) {}

RowStore& RowStore::operator=(RowStore&& other) noexcept {
  if (this != &other) {
    release();
    manager_ = std::exchange(other.manager_, nullptr);
    id_ = other.id_;
    shape_ = other.shape_;
    form_ = other.form_;
  }
  return *this;
}

void RowStore::release() {
  if (manager_ != nullptr) manager_->state_->remove_store(id_);
  manager_ = nullptr;
}

const std::string& RowStore::name() const {
  const std::lock_guard lock(manager_->state_->mutex);
  return manager_->state_->stores[id_]->name;  // fixed while the store lives
}

bool RowStore::is_attached() const {
  const std::lock_guard lock(manager_->state_->mutex);
  return manager_->state_->stores[id_]->reader.has_value();
}

Pin RowStore::pin_read(std::size_t chunk, std::size_t panel) const {
  return manager_->state_->pin_one(manager_, id_, chunk, panel, BufferManager::State::Access::read);
}

Pin RowStore::pin_overwrite(std::size_t chunk, std::size_t panel) {
  return manager_->state_->pin_one(manager_, id_, chunk, panel, BufferManager::State::Access::overwrite);
}

Pin RowStore::pin_update(std::size_t chunk, std::size_t panel) {
  return manager_->state_->pin_one(manager_, id_, chunk, panel, BufferManager::State::Access::update);
}

void RowStore::pin_read(std::size_t chunk, std::size_t panel, std::size_t count, ChunkPins& pins) const {
  manager_->state_->pin_chunk(manager_, id_, chunk, panel, count, BufferManager::State::Access::read, pins);
}

void RowStore::pin_overwrite(std::size_t chunk, std::size_t panel, std::size_t count, ChunkPins& pins) {
  manager_->state_->pin_chunk(manager_, id_, chunk, panel, count, BufferManager::State::Access::overwrite, pins);
}

void RowStore::pin_update(std::size_t chunk, std::size_t panel, std::size_t count, ChunkPins& pins) {
  manager_->state_->pin_chunk(manager_, id_, chunk, panel, count, BufferManager::State::Access::update, pins);
}

bool RowStore::prefetch(std::size_t chunk, std::size_t panel, std::size_t count) const {
  STRATA_ASSERT(chunk < shape_.chunks() && panel + count <= shape_.panels());
  BufferManager::State::Lock lock(manager_->state_->mutex);
  return manager_->state_->prefetch(lock, id_, chunk, panel, count, true);
}

void RowStore::set_retention(std::size_t panel, std::size_t count, const Retention& retention) const {
  const std::lock_guard lock(manager_->state_->mutex);
  std::vector<Retention>& all = manager_->state_->stores[id_]->retention;
  STRATA_ASSERT(panel + count <= all.size());
  std::fill_n(all.begin() + static_cast<std::ptrdiff_t>(panel), count, retention);
}

void RowStore::give_up(std::size_t panel, std::size_t count) const { manager_->state_->give_up(id_, panel, count); }

BufferManager::BufferManager(MemoryBudget& budget, Options options)
    : state_(std::make_unique<State>(budget, std::move(options))) {
  budget.set_reclaimer([state = state_.get()](std::uint64_t missing) { return state->reclaim(missing); });
}

BufferManager::~BufferManager() {
  state_->budget.set_reclaimer({});
  state_->requests.reset();
  for (const std::unique_ptr<BufferedStore>& store : state_->stores) STRATA_ASSERT(store == nullptr);
}

RowStore BufferManager::create(const std::string& name, const RowShape& shape, const DiskForm& form) {
  STRATA_ASSERT(!form.bitmap || value_bytes(shape.codec) == sizeof(std::uint16_t));
  if (form.bitmap) state_->make_staging();
  RowStore store;
  store.id_ = state_->add_store(name, shape, form, std::nullopt);
  store.shape_ = shape;
  store.form_ = form;
  store.manager_ = this;
  return store;
}

void BufferManager::reserve_packing() { state_->make_staging(); }

RowStore BufferManager::attach(const std::string& name, RowFileReader reader) {
  RowStore store;
  store.shape_ = reader.shape();
  store.id_ = state_->add_store(name, store.shape_, {}, std::move(reader));
  store.manager_ = this;
  return store;
}

TierCounters BufferManager::counters() const { return state_->all_counters(); }

std::uint64_t BufferManager::block_bytes() const {
  const std::lock_guard lock(state_->mutex);
  std::uint64_t bytes = state_->free_bytes;
  for (const TileKey& key : state_->residents) bytes += state_->tile_at(key).memory.size();
  return bytes;
}

BufferManager::State::State(MemoryBudget& budget_in, Options options_in)
    : budget(budget_in), options(std::move(options_in)), directory(options.cache_dir, options.disk_limit) {}

std::uint32_t BufferManager::State::add_store(const std::string& name, const RowShape& shape, const DiskForm& form,
                                              std::optional<RowFileReader> reader) {
  auto store = std::make_unique<BufferedStore>();
  const std::size_t tiles = shape.chunks() * shape.panels();
  STRATA_ASSERT(tiles <= UINT32_MAX);
  store->name = name;
  store->shape = shape;
  store->form = form;
  store->tiles = Array<Tile>(budget, tiles, "tile table of " + name);
  store->places = budget.reserve(tiles * sizeof(TileKey), "tile table of " + name);
  std::uninitialized_value_construct_n(store->tiles.data(), tiles);
  store->retention.resize(shape.panels());
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

// The owner of a store uses it no more, so none of its tiles is pinned; but some may be on their way to or from the
// disk.
void BufferManager::State::remove_store(std::uint32_t id) {
  std::unique_ptr<BufferedStore> store;
  {
    Lock lock(mutex);
    while (stores[id]->in_flight > 0) wait(lock);
    for (Tile& tile : stores[id]->tiles.span()) {
      STRATA_ASSERT(tile.pins == 0);
      if (tile.state == TileState::absent) continue;
      if (tile.ahead) ahead_bytes -= tile.memory.size();
      keep_free(remove_resident(tile));
    }
    trim_free(budget.limit() / 8);
    store = std::move(stores[id]);
    if (store->reader) counters.bytes_read += store->reader->bytes_read() - store->bytes_read_before;
    announce();
  }
}

std::span<std::byte> BufferManager::State::pin(Lock& lock, TileKey key, Access access) {
  BufferedStore& store = *stores[key.store];
  STRATA_ASSERT(access == Access::read || !store.reader);
  report_failed_write();
  Tile& tile = store.tiles[key.tile];
  bool hit = true;
  for (;;) {
    if (tile.state == TileState::writing) tile.wanted = true;
    const bool busy = tile.state == TileState::reading || (tile.state == TileState::writing && access != Access::read);
    if (busy) {
      wait(lock);
    } else if (tile.state == TileState::absent) {
      STRATA_ASSERT(!tile.dropped || access == Access::overwrite);
      hit = false;
      bring_in(lock, key, access);
      break;
    } else if (tile.unchecked && access != Access::overwrite) {
      check_arrived(lock, key);
    } else {
      break;
    }
  }
  if (tile.ahead) {
    hit = tile.ahead = false;
    ahead_bytes -= tile.memory.size();
  }
  if (hit) ++counters.hits;
  // Two pins of one tile at a time are for reading only.
  STRATA_ASSERT(tile.pins == 0 || (access == Access::read && !tile.pinned_to_write));
  STRATA_ASSERT(tile.pins < UINT16_MAX);
  ++tile.pins;
  tile.released = false;
  if (access != Access::read) {
    tile.dirty = tile.pinned_to_write = true;
    tile.dropped = false;
    tile.unchecked = false;  // what was read ahead does not matter to who overwrites it
  }
  touch(store, tile);
  return tile.memory.bytes().first(store.content_bytes(key.tile));
}

Pin BufferManager::State::pin_one(BufferManager* manager, std::uint32_t id, std::size_t chunk, std::size_t panel,
                                  Access access) {
  Lock lock(mutex);
  const RowShape& shape = stores[id]->shape;
  STRATA_ASSERT(chunk < shape.chunks() && panel < shape.panels());
  Pin result;
  result.store_ = id;
  result.tile_ = static_cast<std::uint32_t>(chunk * shape.panels() + panel);
  result.bytes_ = pin(lock, {id, result.tile_}, access);
  result.manager_ = manager;
  return result;
}

void BufferManager::State::pin_chunk(BufferManager* manager, std::uint32_t id, std::size_t chunk, std::size_t panel,
                                     std::size_t count, Access access, ChunkPins& pins) {
  STRATA_ASSERT(pins.manager_ == nullptr && count <= ChunkPins::kMost);
  Lock lock(mutex);
  const RowShape& shape = stores[id]->shape;
  STRATA_ASSERT(chunk < shape.chunks() && panel + count <= shape.panels());
  if (access != Access::overwrite) static_cast<void>(prefetch(lock, id, chunk, panel, count, false));
  pins.store_ = id;
  for (std::size_t i = 0; i < count; ++i) {
    const auto tile = static_cast<std::uint32_t>(chunk * shape.panels() + panel + i);
    pins.bytes_[i] = pin(lock, {id, tile}, access);
    pins.tiles_[i] = tile;
    pins.count_ = i + 1;
    pins.manager_ = manager;  // from here on they are released, also when the next one fails
  }
}

void BufferManager::State::unpin(std::uint32_t id, std::span<const std::uint32_t> tiles) {
  std::array<std::uint32_t, ChunkPins::kMost> behind;
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex);
    for (const std::uint32_t index : tiles) {
      Tile& tile = stores[id]->tiles[index];
      STRATA_ASSERT(tile.pins > 0);
      if (--tile.pins > 0) continue;
      tile.pinned_to_write = false;
      if (settle({id, index})) behind[count++] = index;
    }
    if (count == 0) announce();  // somebody may wait for memory
  }
  if (count > 0) write_behind(id, std::span(behind).first(count));
}

bool BufferManager::State::settle(TileKey key) {
  BufferedStore& store = *stores[key.store];
  Tile& tile = store.tiles[key.tile];
  const Retention& retention = store.retention[store.panel_of(key.tile)];
  if (retention.mode == Retention::Mode::automatic) return false;
  if (retention.mode == Retention::Mode::planned) {
    if (retention.drop && !retention.later) {
      drop(tile);
      return false;
    }
    if (retention.drop && tile.dirty && tile.state == TileState::resident) {
      tile.kept = false;
      return false;  // until RowStore::give_up(); only if memory is needed before, it goes to the disk
    }
    tile.kept = Retention::keeps(retention.keep, store.chunk_of(key.tile));
  }
  if (tile.kept || tile.state == TileState::writing) return false;
  if (!tile.dirty) {
    release(key, tile);
    return false;
  }
  tile.state = TileState::writing;
  ++writing;
  ++store.in_flight;
  return true;
}

void BufferManager::State::release(TileKey key, Tile& tile) {
  tile.released = true;
  released.push_back(key);
  if (released.size() < 4 * residents.size() + 1024) return;
  released.clear();  // most keys are out of date
  for (const TileKey& resident : residents) {
    if (tile_at(resident).released) released.push_back(resident);
  }
}

// A tile that is being written goes when that is done.
void BufferManager::State::drop(Tile& tile) {
  tile.dirty = tile.on_disk = tile.kept = false;
  tile.dropped = true;
  if (tile.state == TileState::resident) put_out(tile);
}

void BufferManager::State::give_up(std::uint32_t id, std::size_t panel, std::size_t count) {
  const std::lock_guard lock(mutex);
  BufferedStore& store = *stores[id];
  STRATA_ASSERT(!store.reader && panel + count <= store.shape.panels());
  for (std::size_t chunk = 0; chunk < store.shape.chunks(); ++chunk) {
    for (std::size_t p = panel; p < panel + count; ++p) {
      Tile& tile = store.tiles[chunk * store.shape.panels() + p];
      STRATA_ASSERT(tile.pins == 0);
      if (tile.state != TileState::reading) drop(tile);
    }
  }
  announce();
}

void BufferManager::State::put_out(Tile& tile) {
  if (tile.ahead) ahead_bytes -= tile.memory.size();
  tile.kept = tile.released = tile.unchecked = tile.ahead = false;
  Buffer memory = remove_resident(tile);
  if (options.poison) std::memset(memory.data(), 0xa5, memory.size());
  keep_free(std::move(memory));
}

// An absent tile becomes resident; when that fails it is absent again and the exception goes on.
void BufferManager::State::bring_in(Lock& lock, TileKey key, Access access) {
  BufferedStore& store = *stores[key.store];
  Tile& tile = store.tiles[key.tile];
  tile.state = TileState::reading;
  ++store.in_flight;
  try {
    bool zeroed = false;
    tile.memory = acquire(lock, store.slot_bytes(key.tile), store.name, zeroed);
    if (access != Access::overwrite) load(lock, store, key.tile, zeroed);
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    if (!tile.memory.empty()) keep_free(std::move(tile.memory));
    tile.state = TileState::absent;
    --store.in_flight;
    announce();
    throw;
  }
  --store.in_flight;
  add_resident(key, tile);
  announce();
}

// Fills the memory of a tile that is being read. Releases and retakes the lock; an exception leaves it released.
void BufferManager::State::load(Lock& lock, BufferedStore& store, std::size_t tile_index, bool zeroed) {
  const Tile& tile = store.tiles[tile_index];
  const std::span<std::byte> slot = tile.memory.bytes();
  const bool on_disk = tile.on_disk;
  if (!on_disk && zeroed) return;
  lock.unlock();
  if (on_disk) {
    read_now(store, tile_index);
  } else {
    std::memset(slot.data(), 0, slot.size());
  }
  lock.lock();
  if (!on_disk) return;
  ++counters.misses;
  if (!store.reader) counters.bytes_read += store.disk_bytes(tile_index);
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
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  ++waiting;
  changed.wait(lock);
  --waiting;
  counters.wait_seconds += std::chrono::duration<double>(Clock::now() - begin).count();
}

void BufferManager::State::announce() {
  if (waiting > 0) changed.notify_all();
}

void BufferManager::State::report_failed_write() {
  if (failed_write) std::rethrow_exception(std::exchange(failed_write, nullptr));
}

}  // namespace strata
