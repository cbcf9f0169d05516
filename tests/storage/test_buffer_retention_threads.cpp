// Reads ahead, writes behind and planned retention under several threads; the thread sanitizer runs these.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "kernels/base/error.hpp"
#include "tests/storage/retention_fixtures.hpp"

using namespace strata;
using namespace strata::test;

namespace {

constexpr int kThreads = 4;
const RowShape kShape{6 * kChunkRows + 1, 70, Codec::int8};   // three panels
const RowShape kPacked{6 * kChunkRows + 1, 70, Codec::fp16};  // the same, to be packed

void run_threads(const std::function<void(std::uint32_t)>& work) {
  std::vector<std::jthread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) threads.emplace_back([&work, t] { work(t); });
}

void prefetch_some(const RowStore& store, CounterRng& rng) {
  for (std::uint32_t n = rng.below(3); n > 0; --n) {
    const std::uint32_t first = rng.below(3);
    static_cast<void>(store.prefetch(rng.below(7), first, 1 + rng.below(3 - first)));
  }
}

// A thread works through passes of its own over a store of its own, beside reading one that all share.
void own_passes(RowStore& own, const RowStore& shared, std::uint32_t thread, std::atomic<int>& wrong) {
  CounterRng rng(31, Stream::synthetic, thread);
  const RowShape& shape = own.shape();
  Twin twin(shape);
  const std::vector<TestPass> passes = random_passes({&shape, 1}, 16, true, true, rng);
  for (std::uint32_t i = 0; i < passes.size(); ++i) {
    set_retention(own, passes[i]);
    shared.set_retention(rng.below(3), 1, {Retention::Mode::planned, 0.5 * rng.below(3), false});
    for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
      prefetch_some(own, rng);
      prefetch_some(shared, rng);
      const std::size_t panel = rng.below(3);
      if (!tile_is(shared.pin_read(chunk, panel), shape, 76, chunk, panel)) ++wrong;
      wrong += use_chunk(own, twin, passes[i], chunk, i + 1, rng.below(2) == 0);
    }
    give_up(own, passes[i]);
  }
}

void stress(const RowShape& shape, std::uint64_t slots, std::uint64_t window, bool poison) {
  const TempDir dir;
  const DiskForm form{shape.codec == Codec::fp16, 1};
  const std::uint64_t slot = shape.tile_slot(0, 0);
  MemoryBudget budget((kThreads + 1) * table_bytes(shape) + slots * slot +
                      (form.bitmap ? BufferManager::kPackingBytes : 0));
  BufferManager manager(budget, retention_options(dir, poison, window * slot));
  RowStore shared = manager.create("shared", shape, form);
  shared.set_retention(0, 3, {Retention::Mode::planned, 0, false});
  Twin twin(shape);
  const TestPass write{0, Use::overwrite, 0, 3, false, 0, {}};
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    CHECK(use_chunk(shared, twin, write, chunk, 76, true) == 0);  // a version that packs
  }
  std::atomic<int> wrong{0};
  run_threads([&](std::uint32_t t) {
    RowStore own = manager.create("own", shape, form);
    own_passes(own, shared, t, wrong);
  });
  CHECK(wrong == 0);
  CHECK(budget.peak() <= budget.limit());
}

}  // namespace

TEST_CASE("retention threads: passes of their own beside a store that all read") {
  for (const RowShape& shape : {kShape, kPacked}) {
    stress(shape, 3 * kThreads, 4, false);  // the least that serves three pins a thread
    stress(shape, 3 * kThreads + 5, 100, true);
    stress(shape, 1000, 6, false);
  }
}

TEST_CASE("retention threads: stores that go while their tiles are on the way to and from the disk") {
  const TempDir dir;
  const std::uint64_t slot = kShape.tile_slot(0, 0);
  MemoryBudget budget(kThreads * (table_bytes(kShape) + 4096) + 40 * slot);
  BufferManager manager(budget, retention_options(dir, false, 8 * slot));
  std::atomic<int> wrong{0};
  run_threads([&](std::uint32_t t) {
    CounterRng rng(8, Stream::synthetic, t);
    for (std::uint32_t round = 1; round <= 25; ++round) {
      RowStore store = manager.create("comes and goes", kShape);
      store.set_retention(0, 3, {Retention::Mode::planned, 0.2 * rng.below(3), false});
      Twin twin(kShape);
      const TestPass write{0, Use::overwrite, 0, 3, false, 0, {}};
      for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) use_chunk(store, twin, write, chunk, round, true);
      if (round % 3 == 0) continue;  // writes are under way
      const std::uint32_t looked_at = rng.below(7);
      prefetch_some(store, rng);
      const TestPass look{0, Use::read, 0, 3, false, 0, {}};
      wrong += use_chunk(store, twin, look, looked_at, 0, round % 2 == 0);
      prefetch_some(store, rng);  // reads are under way
    }
  });
  CHECK(wrong == 0);
  CHECK(budget.peak() <= budget.limit());
}

TEST_CASE("retention threads: all read one store in step, nothing stays") {
  const TempDir dir;
  const std::uint64_t slot = kShape.tile_slot(0, 0);
  MemoryBudget budget(table_bytes(kShape) + (3 * kThreads + 2) * slot);
  BufferManager manager(budget, retention_options(dir, true, 6 * slot));
  RowStore store = manager.create("x", kShape);
  Twin twin(kShape);
  store.set_retention(0, 3, {Retention::Mode::planned, 0, false});
  const TestPass write{0, Use::overwrite, 0, 3, false, 0, {}};
  for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) use_chunk(store, twin, write, chunk, 5, true);
  std::atomic<int> wrong{0};
  run_threads([&](std::uint32_t) {
    Twin mine = twin;
    const TestPass look{0, Use::read, 0, 3, false, 0, {}};
    for (std::size_t step = 0; step < 120; ++step) {
      const std::size_t chunk = step % kShape.chunks();
      static_cast<void>(store.prefetch((chunk + 1) % kShape.chunks(), 0, 3));
      wrong += use_chunk(store, mine, look, chunk, 0, true);
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("retention threads: failing reads and writes reach somebody, and nothing is lost") {
  for (const std::string point : {"read:15+:eio", "write:20+:enospc", "write:7:eio"}) {
    CAPTURE(point);
    const TempDir dir;
    const std::uint64_t slot = kShape.tile_slot(0, 0);
    MemoryBudget budget(kThreads * table_bytes(kShape) + (kThreads * 10) * slot);
    BufferManager manager(budget, retention_options(dir, false, 6 * slot));
    std::vector<RowStore> stores;
    std::vector<Twin> twins(kThreads, Twin(kShape));
    for (int t = 0; t < kThreads; ++t) {
      stores.push_back(manager.create("x", kShape));
      stores.back().set_retention(0, 3, {Retention::Mode::planned, 0, false});
    }
    std::atomic<int> wrong{0}, failures{0};
    set_failpoint(point);
    run_threads([&](std::uint32_t t) {
      for (std::uint32_t round = 1; round <= 6; ++round) {
        for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) {
          static_cast<void>(stores[t].prefetch((chunk + 1) % kShape.chunks(), 0, 3));
          TestPass pass{0, round % 2 == 0 ? Use::read : Use::update, 0, 3, false, 0, {}};
          for (pass.count = 1, pass.first = 0; pass.first < 3; ++pass.first) {
            try {
              wrong += use_chunk(stores[t], twins[t], pass, chunk, round, false);
            } catch (const Error&) {
              ++failures;  // before anything was written
            }
          }
        }
      }
    });
    set_failpoint("");
    CHECK(wrong == 0);
    CHECK(failures > 0);
    const TestPass look{0, Use::read, 0, 1, false, 0, {}};
    const auto all_right = [&](int t, std::size_t panel) {
      TestPass pass = look;
      pass.first = panel;
      for (std::size_t chunk = 0; chunk < kShape.chunks(); ++chunk) {
        for (int attempt = 0;; ++attempt) {  // an error of before may still be waiting for a pin to tell
          try {
            const int wrong_tiles = use_chunk(stores[t], twins[t], pass, chunk, 0, false);
            CHECK(wrong_tiles == 0);
            break;
          } catch (const Error&) {
            REQUIRE(attempt < 100);
          }
        }
      }
    };
    for (int t = 0; t < kThreads; ++t) {
      for (std::size_t panel = 0; panel < 3; ++panel) all_right(t, panel);
    }
  }
}
