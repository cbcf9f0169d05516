// What stays in memory between two uses of a row store, when a plan says so.
#include <doctest/doctest.h>

#include "storage/buffer_manager.hpp"
#include "tests/storage/buffer_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

constexpr Retention kDrop{Retention::Mode::planned, 0, true, false};
constexpr Retention kDropLater{Retention::Mode::planned, 0, true, true};

// Two stores of twelve blocks each, with memory for all of them or for some.
struct Stores {
  explicit Stores(std::size_t blocks)
      : budget(2 * table_bytes(shape) + blocks * shape.tile_slot(0, 0)),
        manager(budget, {dir / "cache", UINT64_MAX, 0, true}) {
    rows = manager.create("rows", shape);
    other = manager.create("other", shape);
    fill(rows, 1);
  }
  void fill(RowStore& store, std::uint32_t version) const {
    for (std::size_t c = 0; c < shape.chunks(); ++c) {
      for (std::size_t p = 0; p < shape.panels(); ++p) fill_tile(store.pin_overwrite(c, p).bytes(), version, c, p);
    }
  }
  [[nodiscard]] bool holds(const RowStore& store, std::uint32_t version) const {
    bool all = true;
    for (std::size_t c = 0; c < shape.chunks(); ++c) {
      for (std::size_t p = 0; p < shape.panels(); ++p) all = all && tile_is(store.pin_read(c, p), shape, version, c, p);
    }
    return all;
  }

  RowShape shape{6 * kChunkRows, 2 * kPanelColumns, Codec::fp32};
  TempDir dir;
  MemoryBudget budget;
  BufferManager manager;
  RowStore rows, other;
};

TEST_CASE("rows read for the last time go at their first unpin, unwritten") {
  Stores s(14);
  s.rows.set_retention(0, 2, kDrop);
  CHECK(s.holds(s.rows, 1));
  s.fill(s.other, 2);
  CHECK(s.holds(s.other, 2));
  CHECK(s.manager.counters().bytes_written == 0);
  s.rows.set_retention(0, 2, {});
  s.fill(s.rows, 3);  // overwritten they are rows like any
  CHECK(s.holds(s.rows, 3));
  CHECK(s.holds(s.other, 2));
}

TEST_CASE("rows that the same pass pins again last until it is over, however little memory there is") {
  for (const std::size_t blocks : {4u, 14u, 30u}) {
    CAPTURE(blocks);
    Stores s(blocks);
    s.rows.set_retention(0, 2, kDropLater);
    for (std::uint32_t time = 2; time < 5; ++time) {
      CHECK(s.holds(s.rows, 1));
      s.fill(s.other, time);
    }
    CHECK((s.manager.counters().bytes_written == 0) == (blocks == 30));
    CHECK(s.holds(s.rows, 1));
    s.rows.give_up(0, 2);
    s.rows.set_retention(0, 2, {});
    s.fill(s.rows, 6);
    CHECK(s.holds(s.rows, 6));
    CHECK(s.holds(s.other, 4));
  }
}

TEST_CASE("rows given up are not written for the sake of others") {
  Stores s(14);
  s.rows.set_retention(0, 2, kDropLater);
  CHECK(s.holds(s.rows, 1));
  s.rows.give_up(0, 2);
  s.fill(s.other, 2);
  CHECK(s.holds(s.other, 2));
  CHECK(s.manager.counters().bytes_written == 0);
  Stores half(30);
  half.rows.give_up(1, 1);  // the first panel stays
  for (std::size_t c = 0; c < half.shape.chunks(); ++c) CHECK(tile_is(half.rows.pin_read(c, 0), half.shape, 1, c, 0));
}

}  // namespace
}  // namespace strata::test
