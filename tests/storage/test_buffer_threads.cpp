// The buffer manager under several threads; the thread sanitizer runs these.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "kernels/base/error.hpp"
#include "storage/buffer_manager.hpp"
#include "tests/storage/buffer_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

using namespace strata;
using namespace strata::test;

namespace {

constexpr int kThreads = 4;

BufferManager::Options options_in(const TempDir& dir, bool poison) {
  BufferManager::Options options;
  options.cache_dir = dir.path() / "cache";
  options.poison = poison;
  return options;
}

void run_threads(const std::function<void(std::uint32_t)>& work) {
  std::vector<std::jthread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) threads.emplace_back([&work, t] { work(t); });
}

// Tile (chunk, panel) belongs to the thread that writes it; everyone reads the tiles of the shared store.
struct Worker {
  RowStore& own;
  const RowStore& shared;
  std::uint32_t thread;
  std::uint64_t steps;
  std::atomic<std::uint64_t>& wrong;

  void operator()() {
    CounterRng rng(99, Stream::synthetic, thread);
    Twin twin(own.shape());
    for (std::uint32_t step = 1; step <= steps; ++step) {
      const auto chunk = rng.below(static_cast<std::uint32_t>(own.shape().chunks()));
      const auto panel = rng.below(static_cast<std::uint32_t>(own.shape().panels()));
      const bool is_own = (chunk * own.shape().panels() + panel) % kThreads == thread;
      const Pin other = shared.pin_read(chunk, panel);
      if (is_own) own_tile(twin, chunk, panel, step, rng.below(3));
      if (!tile_is(other, shared.shape(), 77, chunk, panel)) ++wrong;
    }
    for (const auto& [place, version] : twin.versions) {
      if (!tile_is(own.pin_read(place.first, place.second), own.shape(), version, place.first, place.second)) ++wrong;
    }
  }

  void own_tile(Twin& twin, std::size_t chunk, std::size_t panel, std::uint32_t step, std::uint32_t action) {
    const std::uint32_t version = twin.version(chunk, panel);
    Pin pin = action == 0   ? own.pin_read(chunk, panel)
              : action == 1 ? own.pin_update(chunk, panel)
                            : own.pin_overwrite(chunk, panel);
    if (action != 2 && !tile_is(pin, own.shape(), version, chunk, panel)) ++wrong;
    if (action == 0) return;
    fill_tile(pin.bytes(), step, chunk, panel);
    twin.versions[{chunk, panel}] = step;
  }
};

void stress(std::uint64_t slots, bool poison, std::uint64_t steps) {
  const RowShape shape{6 * kChunkRows + 1, 40, Codec::int8};
  const TempDir dir;
  MemoryBudget budget(2 * table_bytes(shape) + slots * shape.tile_slot(0, 0));
  BufferManager manager(budget, options_in(dir, poison));
  RowStore own = manager.create("own", shape);
  RowStore shared = manager.create("shared", shape);
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
      fill_tile(shared.pin_overwrite(chunk, panel).bytes(), 77, chunk, panel);
    }
  }
  std::atomic<std::uint64_t> wrong{0};
  run_threads([&](std::uint32_t t) { Worker{own, shared, t, steps, wrong}(); });
  CHECK(wrong == 0);
  CHECK(budget.used() <= budget.limit());
}

}  // namespace

TEST_CASE("buffer manager threads: each has its tiles and all read the others'") {
  stress(2 * kThreads, false, 1500);  // the smallest budget that serves two pins a thread
  stress(2 * kThreads, true, 500);
  stress(2 * kThreads + 3, false, 1500);
  stress(1000, false, 400);
}

TEST_CASE("buffer manager threads: memory reserved from outside, and stores that come and go") {
  const RowShape shape{4 * kChunkRows, 32, Codec::int8};
  const std::uint64_t slot = shape.tile_slot(0, 0);
  const TempDir dir;
  MemoryBudget budget(64 * table_bytes(shape) + (2 * kThreads + 4) * slot);
  BufferManager manager(budget, options_in(dir, false));
  std::atomic<std::uint64_t> wrong{0};
  run_threads([&](std::uint32_t t) {
    CounterRng rng(5, Stream::synthetic, t);
    for (std::uint32_t round = 1; round <= 12; ++round) {
      RowStore store = manager.create("of thread " + std::to_string(t), shape);
      for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
        fill_tile(store.pin_overwrite(chunk, 0).bytes(), round, chunk, t);
      }
      const Buffer outside(budget, slot / (1 + rng.below(3)), "outside");
      for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
        const Pin pin = store.pin_read(chunk, 0);
        std::vector<std::byte> expected(pin.bytes().size());
        fill_tile(expected, round, chunk, t);
        if (!equal(pin.bytes(), expected)) ++wrong;
      }
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("buffer manager threads: many want one tile at once") {
  const RowShape shape{8 * kChunkRows, 32, Codec::int8};
  const TempDir dir;
  MemoryBudget budget(table_bytes(shape) + kThreads * shape.tile_slot(0, 0));
  BufferManager manager(budget, options_in(dir, true));
  RowStore store = manager.create("x", shape);
  for (std::size_t chunk = 0; chunk < 8; ++chunk) fill_tile(store.pin_overwrite(chunk, 0).bytes(), 1, chunk, 0);
  std::atomic<std::uint64_t> wrong{0};
  run_threads([&](std::uint32_t) {
    for (std::size_t step = 0; step < 400; ++step) {
      const std::size_t chunk = step % 8;  // all in the same order
      if (!tile_is(store.pin_read(chunk, 0), shape, 1, chunk, 0)) ++wrong;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("buffer manager threads: errors reach the thread that asked, and the others go on") {
  const RowShape shape{8 * kChunkRows, 32, Codec::int8};
  const TempDir dir;
  MemoryBudget budget(table_bytes(shape) + kThreads * shape.tile_slot(0, 0));
  BufferManager manager(budget, options_in(dir, false));
  RowStore store = manager.create("x", shape);
  for (std::size_t chunk = 0; chunk < 8; ++chunk) fill_tile(store.pin_overwrite(chunk, 0).bytes(), 1, chunk, 0);
  set_failpoint("read:40+:eio");
  std::atomic<std::uint64_t> wrong{0}, failures{0};
  run_threads([&](std::uint32_t t) {
    for (std::size_t step = 0; step < 200; ++step) {
      const std::size_t chunk = (step * (t + 1)) % 8;
      try {
        if (!tile_is(store.pin_read(chunk, 0), shape, 1, chunk, 0)) ++wrong;
      } catch (const InputError&) {
        ++failures;
      }
    }
  });
  set_failpoint("");
  CHECK(wrong == 0);
  CHECK(failures > 0);
  for (std::size_t chunk = 0; chunk < 8; ++chunk) CHECK(tile_is(store.pin_read(chunk, 0), shape, 1, chunk, 0));
}
