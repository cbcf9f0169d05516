// Row stores whose tiles stay, go or are given up by plan, with reads ahead and writes behind: contents, memory and
// traffic against slow twins.
#include <doctest/doctest.h>

#include <cmath>
#include <csignal>
#include <functional>
#include <stdexcept>

#include "kernels/base/error.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/storage/retention_fixtures.hpp"

using namespace strata;
using namespace strata::test;

namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{64} << 20;

// Of ten panels (more than ChunkPins takes), of three, of one.
const RowShape kShapes[] = {{2 * kChunkRows + 9, 10 * kPanelColumns - 3, Codec::int8},
                            {4 * kChunkRows, 71, Codec::bf16},
                            {5 * kChunkRows + 1, 20, Codec::int8}};

// Of the shapes, packed where their codec can be.
DiskForm form_of(const RowShape& shape, bool packed) { return {packed && shape.codec == Codec::bf16, 1}; }

std::uint64_t all_tables() {
  std::uint64_t bytes = 0;
  for (const RowShape& shape : kShapes) bytes += table_bytes(shape);
  return bytes;
}

// Enough for one ChunkPins of the largest tiles.
std::uint64_t least_memory() {
  return all_tables() + std::max(8 * kShapes[0].tile_slot(0, 0), 3 * kShapes[1].tile_slot(0, 0));
}

struct Stores {
  Stores(BufferManager& manager, bool packed) {
    for (const RowShape& shape : kShapes) {
      stores.push_back(manager.create("x", shape, form_of(shape, packed)));
      twins.emplace_back(shape);
    }
  }
  std::vector<RowStore> stores;
  std::vector<Twin> twins;
};

// Reads ahead of things that may never be used, be in memory already, or have been given up.
void prefetch_anything(Stores& s, CounterRng& rng) {
  for (std::uint32_t n = rng.below(4); n > 0; --n) {
    const RowStore& store = s.stores[rng.below(3)];
    const auto panels = static_cast<std::uint32_t>(store.shape().panels());
    const std::uint32_t first = rng.below(panels);
    static_cast<void>(store.prefetch(rng.below(static_cast<std::uint32_t>(store.shape().chunks())), first,
                                     1 + rng.below(panels - first)));
  }
}

// A second pin in the same pass, of panels that are not given up at the first unpin.
void come_back(const RowStore& store, const Twin& twin, const TestPass& pass, std::size_t chunk) {
  for (std::size_t i = 0; i < pass.count; ++i) {
    if (pass.retention[i].drop && !pass.retention[i].later) continue;
    const std::size_t panel = pass.first + i;
    REQUIRE(tile_is(store.pin_read(chunk, panel), twin.shape, twin.version(chunk, panel), chunk, panel));
  }
}

void random_schedule(std::uint64_t memory, std::uint64_t window, std::uint32_t seed, bool poison, bool packed) {
  const TempDir dir;
  MemoryBudget budget(memory + (packed ? BufferManager::kPackingBytes : 0));
  BufferManager manager(budget, retention_options(dir, poison, window));
  Stores s(manager, packed);
  CounterRng rng(seed, Stream::synthetic);
  const std::vector<TestPass> passes = random_passes(kShapes, 30, true, true, rng);
  for (std::uint32_t i = 0; i < passes.size(); ++i) {
    const TestPass& pass = passes[i];
    CAPTURE(i);
    RowStore& store = s.stores[pass.store];
    set_retention(store, pass);
    const std::size_t chunks = store.shape().chunks();
    const std::size_t rotate = rng.below(static_cast<std::uint32_t>(chunks));
    for (std::size_t c = 0; c < chunks; ++c) {
      prefetch_anything(s, rng);
      const bool several = rng.below(2) == 0;
      REQUIRE(use_chunk(store, s.twins[pass.store], pass, (c + rotate) % chunks, i + 1, several) == 0);
      REQUIRE(budget.used() <= budget.limit());
      if (rng.below(3) == 0) come_back(store, s.twins[pass.store], pass, (c + rotate) % chunks);
    }
    give_up(store, pass);
  }
  CHECK(budget.peak() <= budget.limit());
}

}  // namespace

TEST_CASE("retention: the chunks that stay are nested and spread evenly") {
  const double fractions[] = {0, 0.01, 0.1, 0.3, 0.5, 0.618, 0.9, 0.999, 1};
  constexpr std::size_t kMost = 3000;
  double worst = 0;
  for (std::size_t f = 0; f < std::size(fractions); ++f) {
    CAPTURE(fractions[f]);
    std::vector<int> before(kMost + 1);  // that stay, of the chunks before
    for (std::size_t chunk = 0; chunk < kMost; ++chunk) {
      const bool stays = Retention::keeps(fractions[f], chunk);
      before[chunk + 1] = before[chunk] + (stays ? 1 : 0);
      if (f + 1 < std::size(fractions) && stays) REQUIRE(Retention::keeps(fractions[f + 1], chunk));
    }
    if (fractions[f] == 0) CHECK(before[kMost] == 0);
    if (fractions[f] == 1) CHECK(before[kMost] == kMost);
    for (std::size_t first = 0; first < kMost; first += 7) {
      for (std::size_t count = 1; first + count <= kMost; count += 1 + count / 8) {
        const double off = before[first + count] - before[first] - fractions[f] * static_cast<double>(count);
        worst = std::max(worst, std::abs(off) - 0.3 * std::log(static_cast<double>(count)));
      }
    }
  }
  // The discrepancy of the golden ratio's sequence grows with the logarithm of the window, and slowly.
  CHECK(worst <= 1.5);
}

TEST_CASE("retention: a slow twin agrees on random schedules at every budget") {
  std::uint32_t seed = 0;
  for (const std::uint64_t more : {std::uint64_t{0}, std::uint64_t{100'000}, std::uint64_t{500'000}, kPlenty}) {
    for (const std::uint64_t window : {std::uint64_t{0}, std::uint64_t{150'000}, kPlenty}) {
      CAPTURE(more);
      CAPTURE(window);
      for (const bool packed : {false, true}) {
        ++seed;
        random_schedule(least_memory() + more, window, seed, seed % 4 < 2, packed);
      }
    }
  }
}

TEST_CASE("retention: planned passes move exactly what the plan says") {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    const bool packed = seed % 5 < 2;
    const std::uint64_t staging = packed ? BufferManager::kPackingBytes : 0;
    const TempDir dir;
    const std::uint64_t window = seed % 3 == 0 ? 0 : 8 * kShapes[1].tile_slot(0, 0);
    std::uint64_t all = 0;
    for (const RowShape& shape : kShapes) all += shape.total_slot_bytes();
    MemoryBudget budget(least_memory() + all + window + staging);
    BufferManager manager(budget, retention_options(dir, seed % 2 == 0, window));
    Stores s(manager, packed);
    std::vector<TrafficTwin> traffic;
    for (const RowShape& shape : kShapes) traffic.emplace_back(shape, form_of(shape, packed));
    CounterRng rng(seed, Stream::synthetic);
    const std::vector<TestPass> passes = random_passes(kShapes, 25, false, seed % 4 != 0, rng);
    std::uint64_t read = 0, written = 0;
    for (std::uint32_t i = 0; i < passes.size(); ++i) {
      CAPTURE(i);
      const TestPass& pass = passes[i];
      RowStore& store = s.stores[pass.store];
      set_retention(store, pass);
      for (std::size_t chunk = 0; chunk < store.shape().chunks(); ++chunk) {
        if (pass.use != Use::overwrite) {
          static_cast<void>(store.prefetch(chunk, pass.first, pass.count));
          if (chunk + 1 < store.shape().chunks()) static_cast<void>(store.prefetch(chunk + 1, pass.first, pass.count));
        }
        REQUIRE(use_chunk(store, s.twins[pass.store], pass, chunk, i + 1, rng.below(2) == 0) == 0);
      }
      give_up(store, pass);
      traffic[pass.store].play(pass, i + 1);
      read = written = 0;
      std::uint64_t kept = all_tables() + staging;
      for (const TrafficTwin& t : traffic) {
        read += t.read;
        written += t.written;
        kept += t.kept_bytes();
      }
      {
        // Pushes out all that is not kept by plan, and waits for the writes.
        const Reservation rest = budget.reserve(budget.limit() - kept, "all but what is kept");
        REQUIRE(budget.used() == budget.limit());
      }
      const TierCounters counters = manager.counters();
      REQUIRE(counters.bytes_read == read);
      REQUIRE(counters.bytes_written == written);
    }
    CHECK(read > 0);
    CHECK(written > 0);
  }
}

TEST_CASE("retention: a pass that the plan does not know leaves what was to stay, and only that") {
  const TempDir dir;
  const RowShape shape{16 * kChunkRows, 32, Codec::int8};
  const std::uint64_t slot = shape.tile_slot(0, 0);
  MemoryBudget budget(table_bytes(shape) + 20 * slot);
  BufferManager manager(budget, retention_options(dir, false, 0));
  RowStore store = manager.create("x", shape);
  Twin twin(shape);
  TestPass write{0, Use::overwrite, 0, 1, false, 0.5, {{Retention::Mode::planned, 0.5, false}}};
  TestPass look{0, Use::read, 0, 1, true, 0, {{Retention::Mode::passing, 0, false}}};
  std::uint64_t kept = 0;
  for (std::size_t chunk = 0; chunk < 16; ++chunk) kept += Retention::keeps(0.5, chunk) ? 1 : 0;
  for (const TestPass* pass : {&write, &look, &look}) {
    const std::uint64_t before = manager.counters().bytes_read;
    set_retention(store, *pass);
    for (std::size_t chunk = 0; chunk < 16; ++chunk) CHECK(use_chunk(store, twin, *pass, chunk, 1, false) == 0);
    if (pass == &look) CHECK(manager.counters().bytes_read - before == (16 - kept) * slot);
    const Reservation rest = budget.reserve(budget.limit() - table_bytes(shape) - kept * slot, "the rest");
  }
  CHECK(manager.counters().bytes_written == (16 - kept) * slot);
}

TEST_CASE("retention: what was given up reads as a broken invariant, and can be overwritten") {
  const TempDir dir;
  const auto dropped = [&](const std::function<void(RowStore&)>& then) {
    return in_child([&] {
      std::signal(SIGABRT, SIG_DFL);  // not the test framework's, which would report a crash
      MemoryBudget budget(kPlenty);
      BufferManager manager(budget, retention_options(dir, false, 1 << 20));
      RowStore store = manager.create("x", kOddShape);
      store.set_retention(0, 3, {Retention::Mode::planned, 1, true});
      fill_tile(store.pin_overwrite(0, 1).bytes(), 1, 0, 1);
      then(store);
    });
  };
  const auto overwrite = [](RowStore& store) {
    store.set_retention(0, 3, {Retention::Mode::planned, 1, false});
    fill_tile(store.pin_overwrite(0, 1).bytes(), 2, 0, 1);
    if (!tile_is(store.pin_read(0, 1), kOddShape, 2, 0, 1)) throw std::runtime_error("wrong content");
  };
  CHECK(dropped([](RowStore& store) { static_cast<void>(store.pin_read(0, 1)); }) == ChildEnd::killed);
  CHECK(dropped([](RowStore& store) { static_cast<void>(store.pin_update(0, 1)); }) == ChildEnd::killed);
  CHECK(dropped([](RowStore& store) { static_cast<void>(store.pin_read(0, 0)); }) == ChildEnd::done);
  CHECK(dropped(overwrite) == ChildEnd::done);
}

TEST_CASE("retention: what is given up never touches the disk, and its memory is free at once") {
  const TempDir dir;
  MemoryBudget budget(table_bytes(kOddShape) + 2 * kOddShape.tile_slot(0, 0));
  BufferManager manager(budget, retention_options(dir, true, 0));
  RowStore store = manager.create("x", kOddShape);
  store.set_retention(0, 3, {Retention::Mode::planned, 1, true});
  Twin twin(kOddShape);
  const TestPass pass{0, Use::overwrite, 0, 3, false, 1, {}};
  for (std::size_t chunk = 0; chunk < 3; ++chunk) CHECK(use_chunk(store, twin, pass, chunk, 1, false) == 0);
  CHECK(manager.counters().bytes_written == 0);
  CHECK_FALSE(std::filesystem::exists(dir.path() / "cache"));
}

TEST_CASE("retention: reads ahead keep to their window, and none needs to be used") {
  const TempDir dir;
  const RowShape shape{40 * kChunkRows, 64, Codec::int8};
  const std::uint64_t slot = shape.tile_slot(0, 0);
  MemoryBudget budget(kPlenty);
  BufferManager manager(budget, retention_options(dir, false, 5 * slot));
  RowStore store = manager.create("x", shape);
  Twin twin(shape);
  store.set_retention(0, 2, {Retention::Mode::planned, 0, false});
  const TestPass write{0, Use::overwrite, 0, 2, false, 0, {}};
  for (std::size_t chunk = 0; chunk < 40; ++chunk) CHECK(use_chunk(store, twin, write, chunk, 1, true) == 0);
  const auto flush = [&] {
    const Reservation rest = budget.reserve(budget.limit() - table_bytes(shape), "everything");
  };
  flush();
  const auto arrived = [&] {  // a pin of the last one waits for it, and the others came before or at once
    return manager.counters().bytes_read / slot;
  };
  CHECK(store.prefetch(0, 0, 2));
  CHECK(store.prefetch(1, 0, 2));
  CHECK_FALSE(store.prefetch(2, 0, 2));  // one of the two
  CHECK_FALSE(store.prefetch(3, 0, 1));
  CHECK(tile_is(store.pin_read(2, 0), shape, 1, 2, 0));  // leaves the window
  CHECK(store.prefetch(2, 0, 2));
  CHECK_FALSE(store.prefetch(3, 0, 1));
  flush();  // nothing of it was used, all of it can go
  CHECK(arrived() == 6);
  // The window is free again.
  CHECK(store.prefetch(7, 0, 2));
  for (const std::size_t chunk : {7, 0, 1, 2}) {
    for (const std::size_t panel : {0, 1}) CHECK(tile_is(store.pin_read(chunk, panel), shape, 1, chunk, panel));
  }
  CHECK(manager.counters().bytes_read == 14 * slot);
}
