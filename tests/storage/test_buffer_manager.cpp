#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernels/base/error.hpp"
#include "storage/buffer_manager.hpp"
#include "tests/storage/buffer_fixtures.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

using namespace strata;
using namespace strata::test;

namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{64} << 20;

std::uint64_t largest_slot(const RowShape& shape) { return shape.tile_slot(0, 0); }

BufferManager::Options options_in(const TempDir& dir, bool poison = false) {
  BufferManager::Options options;
  options.cache_dir = dir.path() / "cache";
  options.poison = poison;
  return options;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::exists(directory)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path());
  return files;
}

template <class Visit>
void for_each_tile(const RowShape& shape, Visit&& visit) {
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) visit(chunk, panel);
  }
}

void write_all(RowStore& store, std::uint32_t version) {
  for_each_tile(store.shape(), [&](std::size_t chunk, std::size_t panel) {
    fill_tile(store.pin_overwrite(chunk, panel).bytes(), version, chunk, panel);
  });
}

void check_all(const RowStore& store, std::uint32_t version) {
  for_each_tile(store.shape(), [&](std::size_t chunk, std::size_t panel) {
    CAPTURE(chunk);
    CAPTURE(panel);
    const Pin pin = store.pin_read(chunk, panel);  // what it throws is for the caller
    CHECK(tile_is(pin, store.shape(), version, chunk, panel));
  });
}

// Random operations on two stores of different slot sizes, each checked against the twin; up to two pins are held.
void compare_with_twin(std::uint64_t budget_bytes, std::uint32_t seed, bool poison) {
  const TempDir dir;
  MemoryBudget budget(budget_bytes);
  BufferManager manager(budget, options_in(dir, poison));
  RowStore stores[] = {manager.create("wide", kOddShape), manager.create("narrow", kNarrowShape)};
  Twin twins[] = {Twin(kOddShape), Twin(kNarrowShape)};
  CounterRng rng(seed, Stream::synthetic);
  struct Held {
    Pin pin;
    std::size_t store = 0, chunk = 0, panel = 0;
    std::uint32_t version = 0;
    bool written = false;
  };
  std::optional<Held> held;
  for (std::uint32_t step = 1; step <= 600; ++step) {
    const std::size_t s = rng.below(2);
    const std::size_t chunk = rng.below(static_cast<std::uint32_t>(twins[s].shape.chunks()));
    const std::size_t panel = rng.below(static_cast<std::uint32_t>(twins[s].shape.panels()));
    const std::uint32_t action = rng.below(4);
    const bool same = held && held->store == s && held->chunk == chunk && held->panel == panel;
    if (same && (held->written || action >= 2)) continue;  // two pins of a tile: for reading only
    Held now{{}, s, chunk, panel, twins[s].version(chunk, panel), action >= 2};
    if (action < 2) now.pin = stores[s].pin_read(chunk, panel);
    if (action == 2) now.pin = stores[s].pin_update(chunk, panel);
    if (action == 3) now.pin = stores[s].pin_overwrite(chunk, panel);
    REQUIRE(now.pin.bytes().size() == twins[s].shape.tile_bytes(chunk, panel));
    REQUIRE(reinterpret_cast<std::uintptr_t>(now.pin.bytes().data()) % kBlockAlignment == 0);
    if (action != 3) REQUIRE(tile_is(now.pin, twins[s].shape, now.version, chunk, panel));
    if (action >= 2) {
      now.version = twins[s].versions[{chunk, panel}] = step;
      fill_tile(now.pin.bytes(), step, chunk, panel);
    }
    // What was pinned before has not moved or changed.
    if (held) REQUIRE(tile_is(held->pin, twins[held->store].shape, held->version, held->chunk, held->panel));
    if (rng.below(2) == 0) {
      held = std::move(now);
    } else if (rng.below(2) == 0) {
      held.reset();
    }
    REQUIRE(budget.used() <= budget.limit());
  }
  held.reset();
  for (std::size_t s = 0; s < 2; ++s) {
    for_each_tile(twins[s].shape, [&](std::size_t chunk, std::size_t panel) {
      CHECK(tile_is(stores[s].pin_read(chunk, panel), twins[s].shape, twins[s].version(chunk, panel), chunk, panel));
    });
  }
}

}  // namespace

TEST_CASE("buffer manager: a slow twin agrees at every budget") {
  const std::uint64_t tables = table_bytes(kOddShape) + table_bytes(kNarrowShape);
  const std::uint64_t smallest = tables + 2 * largest_slot(kOddShape);
  for (const std::uint64_t more : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{100'000},
                                   std::uint64_t{300'000}, std::uint64_t{700'000}, kPlenty}) {
    CAPTURE(more);
    compare_with_twin(smallest + more, static_cast<std::uint32_t>(more) + 1, more % 3 == 0);
  }
}

TEST_CASE("buffer manager: in memory nothing touches the disk") {
  const TempDir dir;
  MemoryBudget budget(kPlenty);
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", kOddShape);
  check_all(store, 0);
  write_all(store, 5);
  check_all(store, 5);
  const TierCounters counters = manager.counters();
  CHECK(counters.hits == 18);  // the first nine pins found nothing
  CHECK(counters.misses == 0);
  CHECK(counters.bytes_read == 0);
  CHECK(counters.bytes_written == 0);
  CHECK_FALSE(std::filesystem::exists(dir.path() / "cache"));
  store.release();
  CHECK_FALSE(store);
}

TEST_CASE("buffer manager: stores of no rows, one row, one column") {
  const TempDir dir;
  MemoryBudget budget(kPlenty);
  BufferManager manager(budget, options_in(dir));
  for (const RowShape& shape :
       {RowShape{0, 5, Codec::fp32}, RowShape{5, 0, Codec::fp32}, RowShape{1, 1, Codec::int8},
        RowShape{kChunkRows, kPanelColumns, Codec::fp64}, RowShape{kChunkRows + 1, 33, Codec::bf16}}) {
    RowStore store = manager.create("x", shape);
    write_all(store, 1);
    check_all(store, 1);
  }
}

TEST_CASE("buffer manager: memory and disk go with the handles") {
  const TempDir dir;
  const std::uint64_t limit = table_bytes(kOddShape) + 2 * largest_slot(kOddShape);
  MemoryBudget budget(limit);
  {
    BufferManager manager(budget, options_in(dir));
    RowStore store = manager.create("x y/z", kOddShape);
    write_all(store, 1);
    const auto files = files_in(dir.path() / "cache");
    REQUIRE(files.size() == 1);
    CHECK(std::filesystem::file_size(files[0]) == kOddShape.total_slot_bytes());
    CHECK(manager.counters().bytes_written > 0);
    RowStore moved = std::move(store);
    CHECK_FALSE(store);
    check_all(moved, 1);
    moved = RowStore();
    CHECK(files_in(dir.path() / "cache").empty());
    RowStore again = manager.create("again", kOddShape);  // takes the released place
    check_all(again, 0);
  }
  CHECK(budget.used() == 0);
  CHECK_FALSE(std::filesystem::exists(dir.path() / "cache"));
  std::filesystem::create_directory(dir.path() / "cache");
  {
    BufferManager manager(budget, options_in(dir));
    RowStore store = manager.create("x", kOddShape);
    write_all(store, 1);
  }
  CHECK(std::filesystem::exists(dir.path() / "cache"));  // not ours
  CHECK(files_in(dir.path() / "cache").empty());
}

TEST_CASE("buffer manager: when everything is pinned the error says what would do") {
  const TempDir dir;
  const std::uint64_t slot = largest_slot(kOddShape);
  MemoryBudget budget(table_bytes(kOddShape) + 2 * slot);
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", kOddShape);
  const Pin a = store.pin_read(0, 0);
  Pin b = store.pin_overwrite(0, 1);
  fill_tile(b.bytes(), 3, 0, 1);
  try {
    static_cast<void>(store.pin_read(1, 0));
    FAIL("a third block fitted");
  } catch (const ResourceError& error) {
    CHECK(error.least() == budget.limit() + slot);
    CHECK(std::string(error.what()).find("block of x") != std::string::npos);
  }
  const Pin twice = store.pin_read(0, 0);  // what is pinned can be pinned again
  CHECK(twice.bytes().data() == a.bytes().data());
  b.release();
  CHECK(tile_is(store.pin_read(1, 0), kOddShape, 0, 1, 0));
  CHECK(tile_is(store.pin_read(0, 1), kOddShape, 3, 0, 1));
}

TEST_CASE("buffer manager: others who reserve get the unpinned blocks, and no content is lost") {
  const TempDir dir;
  const std::uint64_t slots = kOddShape.total_slot_bytes();
  MemoryBudget budget(table_bytes(kOddShape) + slots + (std::uint64_t{1} << 16));
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", kOddShape);
  write_all(store, 4);
  const std::uint64_t filled = budget.used();
  {
    const Buffer other(budget, budget.limit() - filled + 1, "another");
    CHECK(manager.counters().bytes_written > 0);
    CHECK(budget.used() <= budget.limit());
  }
  check_all(store, 4);
  {
    const Pin pin = store.pin_read(2, 2);
    const std::uint64_t rest = budget.limit() - table_bytes(kOddShape) - kOddShape.tile_slot(2, 2);
    const Reservation all = budget.reserve(rest, "everything");
    CHECK(budget.used() == budget.limit());
    CHECK_THROWS_AS(static_cast<void>(budget.reserve(1, "one more")), ResourceError);
    CHECK_THROWS_AS(static_cast<void>(store.pin_read(0, 0)), ResourceError);
    CHECK(tile_is(store.pin_read(2, 2), kOddShape, 4, 2, 2));
  }
  check_all(store, 4);
}

TEST_CASE("buffer manager: released blocks are used again, and given up first") {
  const TempDir dir;
  MemoryBudget budget(table_bytes(kOddShape) + kOddShape.total_slot_bytes());
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", kOddShape);
  write_all(store, 1);
  store.release();
  CHECK(budget.used() <= budget.limit() / 8);
  RowStore next = manager.create("y", kOddShape);
  check_all(next, 0);  // a block used again reads as zero, too
  next.release();
  const Reservation all = budget.reserve(budget.limit(), "everything");
  CHECK(all.bytes() == budget.limit());
}

TEST_CASE("buffer manager: disk_limit and a full disk") {
  const TempDir dir;
  MemoryBudget budget(2 * table_bytes(kOddShape) + 2 * largest_slot(kOddShape));
  BufferManager::Options options = options_in(dir);
  options.disk_limit = kOddShape.total_slot_bytes();
  BufferManager manager(budget, options);
  RowStore store = manager.create("first", kOddShape);
  write_all(store, 1);
  {
    RowStore second = manager.create("second", kOddShape);
    try {
      write_all(second, 2);
      FAIL("the second store fitted the disk limit");
    } catch (const ResourceError& error) {
      CHECK(error.least() == 2 * kOddShape.total_slot_bytes());
    }
  }
  check_all(store, 1);  // the first lost nothing
  store.release();
  RowStore third = manager.create("third", kOddShape);
  write_all(third, 3);
  check_all(third, 3);
}

TEST_CASE("buffer manager: failing writes lose nothing in memory") {
  const TempDir dir;
  for (const std::string point : {"write:1:enospc", "write:2:enospc", "allocate:1:enospc", "write:1:eio"}) {
    CAPTURE(point);
    MemoryBudget budget(table_bytes(kOddShape) + 3 * largest_slot(kOddShape));
    BufferManager manager(budget, options_in(dir));
    RowStore store = manager.create("x", kOddShape);
    for (std::size_t panel = 0; panel < 3; ++panel) {
      fill_tile(store.pin_overwrite(0, panel).bytes(), 9, 0, panel);
    }
    set_failpoint(point);
    int failures = 0;
    for (std::size_t panel = 0; panel < 3; ++panel) {
      try {
        fill_tile(store.pin_overwrite(1, panel).bytes(), 8, 1, panel);
      } catch (const Error&) {
        ++failures;
      }
    }
    set_failpoint("");
    CHECK(failures == 1);
    for (std::size_t panel = 0; panel < 3; ++panel) CHECK(tile_is(store.pin_read(0, panel), kOddShape, 9, 0, panel));
  }
  MemoryBudget budget(table_bytes(kOddShape) + 2 * largest_slot(kOddShape));
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", kOddShape);
  set_failpoint("write:1:short");
  write_all(store, 1);
  set_failpoint("read:2:eintr");
  check_all(store, 1);
  set_failpoint("read:1:eio");
  CHECK_THROWS_AS(check_all(store, 1), Error);
  set_failpoint("");
  check_all(store, 1);
}

TEST_CASE("buffer manager: a damaged scratch file is found, with file and block") {
  const TempDir dir;
  MemoryBudget budget(table_bytes(kOddShape) + largest_slot(kOddShape));
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", kOddShape);
  write_all(store, 1);
  check_all(store, 1);  // everything is on disk now
  const auto file = files_in(dir.path() / "cache").at(0);
  const std::uint64_t offset = kOddShape.tile_slot(0, 0) + 1000;  // in chunk 0, panel 1
  {
    const File damaged(file, File::Mode::read_write);
    std::byte value{};
    damaged.read_at(offset, {&value, 1});
    value ^= std::byte{4};
    damaged.write_at(offset, {&value, 1});
    damaged.sync();
  }
  try {
    static_cast<void>(store.pin_read(0, 1));
    FAIL("the flipped bit went unnoticed");
  } catch (const DamagedError& error) {
    CHECK(error.path() == file.string());
    CHECK(error.block() == "chunk 0, panel 1");
  }
  CHECK(tile_is(store.pin_read(0, 0), kOddShape, 1, 0, 0));
  fill_tile(store.pin_overwrite(0, 1).bytes(), 1, 0, 1);
  check_all(store, 1);
  std::filesystem::resize_file(file, 4096);
  CHECK_THROWS_AS(check_all(store, 1), DamagedError);
}

TEST_CASE("buffer manager: attached row files, plain and compressed") {
  const TempDir dir;
  for (const int level : {0, 3}) {
    CAPTURE(level);
    const auto path = dir.path() / ("rows" + std::to_string(level));
    MemoryBudget writing(kPlenty);
    RowFileWriter writer(path, kOddShape, {.zstd_level = level}, writing);
    for_each_tile(kOddShape, [&](std::size_t chunk, std::size_t panel) {
      std::vector<std::byte> bytes = tile_content(kOddShape, 6, chunk, panel);
      for (std::size_t i = 0; i < bytes.size(); i += 2) bytes[i] = std::byte{0};  // compressible
      writer.write_tile(chunk, panel, bytes);
    });
    writer.commit();
    for (const std::uint64_t slots : {1, 3, 100}) {
      MemoryBudget budget(table_bytes(kOddShape) + 8192 + slots * largest_slot(kOddShape));
      BufferManager manager(budget, options_in(dir, true));
      const RowStore store = manager.attach("features", RowFileReader(path, budget));
      for (int round = 0; round < 2; ++round) {
        for_each_tile(kOddShape, [&](std::size_t chunk, std::size_t panel) {
          std::vector<std::byte> expected = tile_content(kOddShape, 6, chunk, panel);
          for (std::size_t i = 0; i < expected.size(); i += 2) expected[i] = std::byte{0};
          CHECK(equal(store.pin_read(chunk, panel).bytes(), expected));
        });
      }
      const TierCounters counters = manager.counters();
      CHECK(counters.hits + counters.misses == 18);
      CHECK(counters.bytes_written == 0);
      CHECK(counters.bytes_read > 0);
      if (slots == 100) CHECK(counters.hits == 9);
      if (slots == 100 && level == 0) CHECK(counters.bytes_read == kOddShape.total_slot_bytes());
    }
  }
  MemoryBudget budget(kPlenty);
  Bytes bytes = read_bytes(dir.path() / "rows0");
  bytes[bytes.size() - 5000] ^= std::byte{1};
  write_bytes(dir.path() / "rows0", bytes);
  BufferManager manager(budget, options_in(dir));
  const RowStore store = manager.attach("features", RowFileReader(dir.path() / "rows0", budget));
  CHECK_THROWS_AS(
      for_each_tile(kOddShape, [&](std::size_t c, std::size_t p) { static_cast<void>(store.pin_read(c, p)); }),
      DamagedError);
}

TEST_CASE("buffer manager: a scan over more than the memory still hits") {
  const TempDir dir;
  const RowShape shape{40 * kChunkRows, 32, Codec::fp32};
  MemoryBudget budget(table_bytes(shape) + 20 * shape.tile_slot(0, 0));
  BufferManager manager(budget, options_in(dir));
  RowStore store = manager.create("x", shape);
  write_all(store, 1);
  for (int warm = 0; warm < 3; ++warm) check_all(store, 1);
  const TierCounters before = manager.counters();
  for (int round = 0; round < 5; ++round) check_all(store, 1);
  const TierCounters after = manager.counters();
  const std::uint64_t hits = after.hits - before.hits;
  CHECK(hits + after.misses - before.misses == 200);
  CHECK(hits >= 70);  // the optimum keeps 19 of 40 blocks: 95; least recently used gives none
  CHECK(after.bytes_written - before.bytes_written <=
        20 * shape.tile_slot(0, 0));  // clean blocks are not written again
}

TEST_CASE("buffer manager: poisoned blocks show who reads what is not his") {
  const TempDir dir;
  MemoryBudget budget(table_bytes(kOddShape) + largest_slot(kOddShape));
  BufferManager manager(budget, options_in(dir, true));
  RowStore store = manager.create("x", kOddShape);
  fill_tile(store.pin_overwrite(0, 0).bytes(), 1, 0, 0);
  const Pin other = store.pin_overwrite(0, 1);  // in the evicted block
  CHECK(std::all_of(other.bytes().begin(), other.bytes().end(), [](std::byte b) { return b == std::byte{0xa5}; }));
}
