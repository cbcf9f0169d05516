// The worker threads of a run: a oneTBB arena of a fixed size in which every pass runs.
#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstdint>
#include <functional>

namespace strata {

class Workers {
 public:
  explicit Workers(std::uint32_t threads);  // 0: all cores
  [[nodiscard]] std::uint32_t threads() const { return threads_; }

  // body(i) for i in [0, n), any order, in parallel. Exceptions reach the caller.
  void for_each(std::size_t n, const std::function<void(std::size_t)>& body);

  // For i in [0, n): first before(i), one at a time in ascending i; then work(i, slot) in parallel; then reduce(i,
  // slot), one at a time in ascending i. slot < slots() names a workspace that belongs to i from its work to the end of
  // its reduce. before and reduce may be empty.
  struct Stages {
    std::function<void(std::size_t)> before;
    std::function<void(std::size_t, std::size_t)> work;
    std::function<void(std::size_t, std::size_t)> reduce;
  };
  void ordered(std::size_t n, const Stages& stages);

  // The same with several stages after the work: turn(i, slot, t) for t in [0, count), in ascending t for each i, and
  // for each t one at a time in ascending i; turns of different t run side by side. So what belongs to t alone sees the
  // items in their order. The slot is i's until its last turn ends.
  struct Turns {
    std::function<void(std::size_t)> before;
    std::function<void(std::size_t, std::size_t)> work;
    std::size_t count = 1;  // at least 1
    std::function<void(std::size_t, std::size_t, std::size_t)> turn;
  };
  void in_turns(std::size_t n, const Turns& turns);
  [[nodiscard]] std::size_t slots() const { return threads_ + (threads_ > 1 ? 1 : 0); }

 private:
  std::uint32_t threads_;
  tbb::global_control control_;
  tbb::task_arena arena_;
};

}  // namespace strata
