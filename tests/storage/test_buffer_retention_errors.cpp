// Reads ahead and writes behind that fail: who hears of it, and what is left.
#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "kernels/base/error.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/storage/retention_fixtures.hpp"
#include "tests/support/damage.hpp"

using namespace strata;
using namespace strata::test;

namespace {

const RowShape kShape{6 * kChunkRows, 96, Codec::int8};  // three panels
const TestPass kWrite{0, Use::overwrite, 0, 3, false, 0, {}};
const TestPass kLook{0, Use::read, 0, 3, false, 0, {}};

// One store; what is not pinned goes to disk.
struct Fixture {
  explicit Fixture(std::uint64_t slots)
      : budget(table_bytes(kShape) + slots * kShape.tile_slot(0, 0)),
        manager(budget, retention_options(dir, true, std::uint64_t{1} << 20)),
        store(manager.create("rows", kShape)) {
    store.set_retention(0, 3, {Retention::Mode::planned, 0, false});
  }
  int pass(const TestPass& p, std::uint32_t version) {
    int wrong = 0;
    for (std::size_t chunk = 0; chunk < 6; ++chunk) wrong += use_chunk(store, twin, p, chunk, version, true);
    return wrong;
  }
  void flush() { const Reservation all = budget.reserve(budget.limit() - table_bytes(kShape), "everything"); }
  [[nodiscard]] std::filesystem::path scratch_file() const {
    return std::filesystem::directory_iterator(dir.path() / "cache")->path();
  }
  void damage(std::size_t chunk, std::size_t panel) const {
    flip_bits(scratch_file(), (chunk * 3 + panel) * kShape.tile_slot(0, 0) + 100);
  }
  TempDir dir;
  MemoryBudget budget;
  BufferManager manager;
  RowStore store;
  Twin twin{kShape};
};

}  // namespace

TEST_CASE("retention errors: a read ahead that fails is made again by who needs the tile") {
  Fixture f(20);
  REQUIRE(f.pass(kWrite, 1) == 0);
  f.flush();
  {
    const Failpoint once("read:1:eio");
    CHECK(f.store.prefetch(0, 0, 3));
    CHECK(f.pass(kLook, 0) == 0);
  }
  f.flush();
  {
    const Failpoint always("read:1+:eio");
    CHECK(f.store.prefetch(0, 0, 3));
    CHECK(f.store.prefetch(1, 0, 3));
    for (int i = 0; i < 2; ++i) CHECK_THROWS_AS(static_cast<void>(f.store.pin_read(0, 1)), InputError);
    CHECK_THROWS_AS(use_chunk(f.store, f.twin, kLook, 1, 0, true), InputError);
    fill_tile(f.store.pin_overwrite(0, 1).bytes(), 2, 0, 1);  // needs no read
    f.twin.versions[{0, 1}] = 2;
  }
  CHECK(f.pass(kLook, 0) == 0);
  CHECK(f.budget.peak() <= f.budget.limit());
  f.flush();  // nothing stays pinned or under way
}

TEST_CASE("retention errors: a full disk under writes behind") {
  for (const std::string point : {"write:1:enospc", "write:1+:enospc", "write:3:enospc", "allocate:1:enospc"}) {
    CAPTURE(point);
    Fixture f(20);  // of 18: memory holds them all
    int failures = 0;
    {
      const Failpoint full(point);
      for (std::size_t chunk = 0; chunk < 6; ++chunk) {
        for (int attempt = 0; attempt < 30; ++attempt) {
          try {
            use_chunk(f.store, f.twin, kWrite, chunk, 1, attempt % 2 == 0);
            break;
          } catch (const ResourceError& error) {
            ++failures;
            CHECK(std::string(error.what()).find("rows") != std::string::npos);  // the file, which bears the name
          }
        }
      }
      // The write fails when it fails; the next pin hears of it.
      for (int wait = 0; wait < 2000 && failures == 0; ++wait) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        try {
          static_cast<void>(f.store.pin_read(0, 0));
        } catch (const ResourceError&) {
          ++failures;
        }
      }
    }
    CHECK(failures > 0);
    // What was under way when there was space again is done, and what failed before that has been told.
    for (int told = 0; told < 100; ++told) {
      try {
        static_cast<void>(f.store.pin_read(0, 0));
        f.flush();
        static_cast<void>(f.store.pin_read(0, 0));
        break;
      } catch (const ResourceError&) {
      }
    }
    CHECK(f.pass(kLook, 0) == 0);
    f.flush();  // writes what could not be written
    CHECK(f.pass(kLook, 0) == 0);
    CHECK(f.pass(kWrite, 2) == 0);
    f.flush();
    CHECK(f.pass(kLook, 0) == 0);
  }
}

TEST_CASE("retention errors: damage under a tile that was read ahead") {
  Fixture f(20);
  REQUIRE(f.pass(kWrite, 1) == 0);
  f.flush();
  f.damage(2, 1);
  f.damage(4, 0);
  for (std::size_t chunk = 0; chunk < 6; ++chunk) CHECK(f.store.prefetch(chunk, 0, 3));
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      static_cast<void>(f.store.pin_read(2, 1));
      FAIL("the flipped bit went unnoticed");
    } catch (const DamagedError& error) {
      CHECK(error.path() == f.scratch_file().string());
      CHECK(error.block() == "chunk 2, panel 1");
    }
  }
  CHECK_THROWS_AS(use_chunk(f.store, f.twin, kLook, 2, 0, true), DamagedError);
  // Who overwrites does not care.
  fill_tile(f.store.pin_overwrite(4, 0).bytes(), 3, 4, 0);
  fill_tile(f.store.pin_overwrite(2, 1).bytes(), 3, 2, 1);
  f.twin.versions[{4, 0}] = f.twin.versions[{2, 1}] = 3;
  CHECK(f.pass(kLook, 0) == 0);
  f.flush();
  CHECK(f.pass(kLook, 0) == 0);
}

TEST_CASE("retention errors: a scratch file that was cut under reads ahead") {
  Fixture f(20);
  REQUIRE(f.pass(kWrite, 1) == 0);
  f.flush();
  std::filesystem::resize_file(f.scratch_file(), kShape.tile_slot(0, 0));
  CHECK(f.store.prefetch(0, 0, 3));
  CHECK(tile_is(f.store.pin_read(0, 0), kShape, 1, 0, 0));
  CHECK_THROWS_AS(static_cast<void>(f.store.pin_read(0, 1)), DamagedError);
  CHECK_THROWS_AS(static_cast<void>(f.store.pin_read(5, 2)), DamagedError);
}

TEST_CASE("retention errors: interrupted and short requests go unnoticed") {
  for (const std::string point : {"read:1:short", "read:2:eintr", "write:1:short", "write:3:eintr"}) {
    CAPTURE(point);
    Fixture f(4);
    const Failpoint odd(point);
    CHECK(f.pass(kWrite, 1) == 0);
    for (std::size_t chunk = 0; chunk < 6; ++chunk) {
      static_cast<void>(f.store.prefetch(chunk, 0, 3));
      CHECK(use_chunk(f.store, f.twin, kLook, chunk, 0, true) == 0);
    }
  }
}
