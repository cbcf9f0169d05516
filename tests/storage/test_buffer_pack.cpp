// Row stores whose tiles go to disk packed: what moves, where it lies, and what happens when that is damaged. Contents
// and traffic on random schedules: test_buffer_retention*.cpp.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "kernels/base/error.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/storage/retention_fixtures.hpp"
#include "tests/support/damage.hpp"

using namespace strata;
using namespace strata::test;

namespace {

const DiskForm kBitmap{true, 0.5};
const RowShape kShape{5 * kChunkRows + 3, 4 * kPanelColumns + 7, Codec::fp16};  // five panels, the last one narrow
constexpr std::uint32_t kHalf = 1, kDense = 2, kSparse = 3;                     // versions (fill_tile)

std::uint64_t bytes_of(const RowShape& shape, const DiskForm& form, std::uint32_t version) {
  std::uint64_t bytes = 0;
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
      bytes += bytes_on_disk(shape, form, version, chunk, panel);
    }
  }
  return bytes;
}

// One store; what is not pinned goes to disk behind its use.
struct Fixture {
  explicit Fixture(std::uint64_t slots, const RowShape& shape_in = kShape)
      : shape(shape_in),
        fixed(table_bytes(shape) + BufferManager::kPackingBytes),
        budget(fixed + slots * shape.tile_slot(0, 0)),
        manager(budget, retention_options(dir, true, std::uint64_t{1} << 20)),
        store(manager.create("rows", shape, kBitmap)),
        twin(shape) {
    store.set_retention(0, shape.panels(), {Retention::Mode::planned, 0, false});
  }
  int pass(Use use, std::uint32_t version, bool ahead = false) {
    const TestPass all{0, use, 0, shape.panels(), false, 0, {}};
    int wrong = 0;
    for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
      if (ahead) static_cast<void>(store.prefetch(chunk, 0, shape.panels()));
      wrong += use_chunk(store, twin, all, chunk, version, true);
    }
    return wrong;
  }
  void flush() { const Reservation all = budget.reserve(budget.limit() - fixed, "everything"); }
  [[nodiscard]] std::filesystem::path scratch_file() const {
    return std::filesystem::directory_iterator(dir.path() / "cache")->path();
  }
  // Where the slot of a tile begins.
  [[nodiscard]] std::uint64_t slot_at(std::size_t chunk, std::size_t panel) const {
    std::uint64_t at = 0;
    for (std::size_t c = 0; c <= chunk; ++c) {
      for (std::size_t p = 0; p < (c == chunk ? panel : shape.panels()); ++p) at += shape.tile_slot(c, p);
    }
    return at;
  }
  void damage(std::uint64_t at) const { flip_bits(scratch_file(), at); }
  TempDir dir;
  RowShape shape;
  std::uint64_t fixed;
  MemoryBudget budget;
  BufferManager manager;
  RowStore store;
  Twin twin;
};

}  // namespace

TEST_CASE("packed rows: what moves is what lies on disk, and never more than without packing") {
  for (const RowShape& shape : {kShape, RowShape{1, 1, Codec::fp16}, RowShape{kChunkRows + 1, 33, Codec::bf16},
                                RowShape{900, 64, Codec::fp16}, RowShape{2 * kChunkRows, 20, Codec::fp16}}) {
    CAPTURE(shape.rows);
    for (const std::uint32_t version : {kHalf, kDense, kSparse}) {
      CAPTURE(version);
      for (const bool ahead : {false, true}) {
        Fixture f(12, shape);
        CHECK(f.pass(Use::overwrite, version) == 0);
        f.flush();
        const std::uint64_t expected = bytes_of(shape, kBitmap, version);
        CHECK(f.manager.counters().bytes_written == expected);
        CHECK(expected <= shape.total_slot_bytes());
        CHECK(f.pass(Use::read, 0, ahead) == 0);
        CHECK(f.manager.counters().bytes_read == expected);
        CHECK(f.manager.counters().misses == shape.chunks() * shape.panels());
        CHECK(std::filesystem::file_size(f.scratch_file()) == shape.total_slot_bytes());
      }
    }
  }
  CHECK(bytes_of(kShape, kBitmap, kDense) == kShape.total_slot_bytes());
  CHECK(bytes_of(kShape, kBitmap, kHalf) < kShape.total_slot_bytes() * 2 / 3);
  CHECK(bytes_of(kShape, kBitmap, kSparse) < kShape.total_slot_bytes() / 4);
}

TEST_CASE("packed rows: tiles change between packed and plain") {
  Fixture f(12);
  for (const std::uint32_t version : {kHalf, kDense, kSparse, kHalf, kSparse, kDense, kHalf}) {
    CHECK(f.pass(version % 2 == 0 ? Use::update : Use::overwrite, version) == 0);
    f.flush();
    CHECK(f.pass(Use::read, 0, version != kSparse) == 0);
  }
}

TEST_CASE("packed rows: memory that is pushed out is packed as well") {
  const TempDir dir;
  MemoryBudget budget(table_bytes(kShape) + BufferManager::kPackingBytes + 3 * kShape.tile_slot(0, 0));
  BufferManager manager(budget, retention_options(dir, true, 0));
  RowStore store = manager.create("rows", kShape, kBitmap);  // no plan: a tile is written when its memory is wanted
  Twin twin(kShape);
  const TestPass write{0, Use::overwrite, 0, 5, false, 0, {}}, look{0, Use::read, 0, 5, false, 0, {}};
  for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) {
    TestPass one = write;
    for (one.count = 1, one.first = 0; one.first < 5; ++one.first) {
      CHECK(use_chunk(store, twin, one, chunk, kHalf, false) == 0);
    }
  }
  CHECK(manager.counters().bytes_written < kShape.total_slot_bytes() * 2 / 3);
  CHECK(manager.counters().bytes_written > kShape.total_slot_bytes() / 3);
  for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) {
    TestPass one = look;
    for (one.count = 1, one.first = 0; one.first < 5; ++one.first) {
      CHECK(use_chunk(store, twin, one, chunk, 0, false) == 0);
    }
  }
}

TEST_CASE("packed rows: two packed neighbours touch on disk") {
  Fixture f(12);
  CHECK(f.pass(Use::overwrite, kHalf) == 0);
  f.flush();
  const std::uint64_t bytes = bytes_on_disk(kShape, kBitmap, kHalf, 2, 2);
  const std::uint64_t end = f.slot_at(2, 3);

  // What lies around the two is nobody's.
  for (const std::uint64_t at : {f.slot_at(2, 2), end - bytes - 1, end + bytes, f.slot_at(2, 4) - 1}) f.damage(at);
  CHECK(f.pass(Use::read, 0, true) == 0);
  f.flush();
  f.damage(end - bytes);
  CHECK_THROWS_AS(static_cast<void>(f.store.pin_read(2, 2)), DamagedError);
  CHECK(tile_is(f.store.pin_read(2, 3), kShape, kHalf, 2, 3));
  f.flush();
  f.damage(end + bytes - 1);  // of the zeros behind the values
  CHECK_THROWS_AS(static_cast<void>(f.store.pin_read(2, 3)), DamagedError);
}

TEST_CASE("packed rows: a damaged tile is named, read ahead or not") {
  for (const bool ahead : {false, true}) {
    Fixture f(40);
    CHECK(f.pass(Use::overwrite, kSparse) == 0);
    f.flush();
    f.damage(f.slot_at(3, 1) + 100);  // a mask
    if (ahead) CHECK(f.store.prefetch(3, 0, 5));
    for (int attempt = 0; attempt < 2; ++attempt) {
      try {
        static_cast<void>(f.store.pin_read(3, 1));
        FAIL("the flipped bit went unnoticed");
      } catch (const DamagedError& error) {
        CHECK(error.path() == f.scratch_file().string());
        CHECK(error.block() == "chunk 3, panel 1");
      }
    }
    fill_tile(f.store.pin_overwrite(3, 1).bytes(), kHalf, 3, 1);
    f.twin.versions[{3, 1}] = kHalf;
    CHECK(f.pass(Use::read, 0, ahead) == 0);
    f.flush();
    std::filesystem::resize_file(f.scratch_file(), f.slot_at(3, 0));
    CHECK_THROWS_AS(static_cast<void>(f.store.pin_read(3, 0)), DamagedError);
    CHECK(tile_is(f.store.pin_read(2, 4), kShape, kSparse, 2, 4));
  }
}

TEST_CASE("packed rows: failing writes lose nothing and give their memory back") {
  for (const std::string point : {"write:1:enospc", "write:3+:enospc", "write:2:eio", "allocate:1:enospc"}) {
    CAPTURE(point);
    Fixture f(64);  // memory holds all
    {
      const Failpoint full(point);
      for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) {
        const TestPass write{0, Use::overwrite, 0, 5, false, 0, {}};
        for (int attempt = 0; attempt < 100; ++attempt) {
          try {
            use_chunk(f.store, f.twin, write, chunk, kHalf, true);
            break;
          } catch (const Error&) {
          }
        }
      }
    }
    int told = 0;
    for (int attempt = 0; attempt < 100; ++attempt) {
      try {
        f.flush();
        const int wrong = f.pass(Use::read, 0);
        CHECK(wrong == 0);
        break;
      } catch (const Error&) {
        ++told;
      }
    }
    CHECK(told < 100);
    // Far more writes than there are places for packed tiles.
    for (std::uint32_t version = 4; version < 10; ++version) {
      CHECK(f.pass(Use::overwrite, version) == 0);
      f.flush();
      CHECK(f.pass(Use::read, 0, true) == 0);
    }
  }
}

TEST_CASE("packed rows: many threads share the places of packed tiles") {
  const TempDir dir;
  constexpr std::uint32_t kThreads = 6;
  const RowShape shape{8 * kChunkRows, 8 * kPanelColumns, Codec::fp16};
  MemoryBudget budget(std::uint64_t{64} << 20);
  BufferManager manager(budget, retention_options(dir, false, std::uint64_t{8} << 20));
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        RowStore store = manager.create("rows " + std::to_string(t), shape, kBitmap);
        store.set_retention(0, 8, {Retention::Mode::planned, 0, false});
        Twin twin(shape);
        for (std::uint32_t round = 0; round < 4; ++round) {
          const TestPass pass{0, round % 2 == 0 ? Use::overwrite : Use::update, 0, 8, false, 0, {}};
          for (std::size_t chunk = 0; chunk < 8; ++chunk) {
            if (round % 2 == 1) static_cast<void>(store.prefetch(chunk, 0, 8));
            wrong += use_chunk(store, twin, pass, chunk, 1 + 2 * round + t, true);
          }
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(budget.peak() <= budget.limit());
}

TEST_CASE("packed rows: the memory for packing is the budget's, and is taken once") {
  const TempDir dir;
  MemoryBudget budget(2 * table_bytes(kShape) + BufferManager::kPackingBytes);
  {
    BufferManager manager(budget, retention_options(dir, false, 0));
    const RowStore first = manager.create("first", kShape, kBitmap);
    const RowStore second = manager.create("second", kShape, kBitmap);
    CHECK(budget.used() == budget.limit());
  }
  CHECK(budget.used() == 0);
  MemoryBudget less(BufferManager::kPackingBytes - 1);
  BufferManager manager(less, retention_options(dir, false, 0));
  CHECK_THROWS_AS(static_cast<void>(manager.create("none", kShape, kBitmap)), ResourceError);
}

TEST_CASE("packed rows: the expected share is what random values come to") {
  for (const RowShape& shape : {RowShape{6 * kChunkRows, 128, Codec::fp16}, kShape}) {
    const auto all = static_cast<double>(shape.total_slot_bytes());
    const double half = DiskForm{true, 0.5}.share(shape), sparse = DiskForm{true, 1.0 / 16}.share(shape);
    CHECK(half == doctest::Approx(static_cast<double>(bytes_of(shape, kBitmap, kHalf)) / all).epsilon(0.1));
    CHECK(sparse == doctest::Approx(static_cast<double>(bytes_of(shape, kBitmap, kSparse)) / all).epsilon(0.25));
    CHECK(DiskForm{true, 1}.share(shape) == 1);
    CHECK(DiskForm{}.share(shape) == 1);
  }
  CHECK(DiskForm{true, 0}.share({0, 5, Codec::fp16}) == 1);
}
