#include "engine/workers.hpp"

#include "kernels/base/timeline.hpp"

#include <tbb/concurrent_queue.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_pipeline.h>

#include <thread>
#include <utility>

namespace strata {

namespace {
std::uint32_t resolve(std::uint32_t threads) {
  return threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency());
}
}  // namespace

Workers::Workers(std::uint32_t threads)
    : threads_(resolve(threads)),
      control_(tbb::global_control::max_allowed_parallelism, threads_),
      arena_(static_cast<int>(threads_)) {}

void Workers::for_each(std::size_t n, const std::function<void(std::size_t)>& body) {
  arena_.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::size_t>(0, n, 1),
        [&](const tbb::blocked_range<std::size_t>& range) {
          for (std::size_t i = range.begin(); i < range.end(); ++i) body(i);
        },
        tbb::simple_partitioner{});
  });
}

void Workers::ordered(std::size_t n, const Stages& stages) {
  in_turns(n, {stages.before, stages.work, 1, [&](std::size_t i, std::size_t slot, std::size_t) {
                 if (stages.reduce) stages.reduce(i, slot);
               }});
}

void Workers::in_turns(std::size_t n, const Turns& turns) {
  const auto before = [&](std::size_t i) {
    if (turns.before) turns.before(i);
  };
  const auto work = [&](std::size_t i, std::size_t slot) {
    const TimelineSpan span("compute", "chunk");
    turns.work(i, slot);
  };
  if (threads_ == 1 || n <= 1) {
    arena_.execute([&] {
      for (std::size_t i = 0; i < n; ++i) {
        before(i);
        work(i, 0);
        for (std::size_t t = 0; t < turns.count; ++t) turns.turn(i, 0, t);
      }
    });
    return;
  }
  using Item = std::pair<std::size_t, std::size_t>;  // (i, slot)
  using tbb::filter_mode;
  tbb::concurrent_queue<std::size_t> free_slots;  // never empty for the source: there are as many slots as tokens
  for (std::size_t s = 0; s < slots(); ++s) free_slots.push(s);
  std::size_t next = 0;
  tbb::filter<void, Item> stages = tbb::make_filter<void, Item>(filter_mode::serial_in_order,
                                                                [&](tbb::flow_control& control) -> Item {
                                                                  std::size_t slot = 0;
                                                                  if (next == n || !free_slots.try_pop(slot)) {
                                                                    control.stop();
                                                                    return {};
                                                                  }
                                                                  before(next);
                                                                  return {next++, slot};
                                                                }) &
                                   tbb::make_filter<Item, Item>(filter_mode::parallel, [&](Item item) {
                                     work(item.first, item.second);
                                     return item;
                                   });
  for (std::size_t t = 0; t + 1 < turns.count; ++t) {
    stages = stages & tbb::make_filter<Item, Item>(filter_mode::serial_in_order, [&turns, t](Item item) {
               turns.turn(item.first, item.second, t);
               return item;
             });
  }
  arena_.execute([&] {
    tbb::parallel_pipeline(slots(), stages & tbb::make_filter<Item, void>(filter_mode::serial_in_order, [&](Item item) {
                                      turns.turn(item.first, item.second, turns.count - 1);
                                      free_slots.push(item.second);
                                    }));
  });
}

}  // namespace strata
