// Working memory of the passes, by worker slot. When everything fits the budget it is mapped once and used again by
// every pass (fresh pages cost more than a small pass itself); otherwise each pass maps what it needs and gives it
// back.
#pragma once

#include <span>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"

namespace strata {

class ScratchMemory {
 public:
  ScratchMemory(MemoryBudget& budget, std::size_t slots) : budget_(&budget), arenas_(slots) {}
  // Maps bytes_per_slot for every slot, kept until the end.
  void keep(std::size_t bytes_per_slot);

  // The memory of one pass; one Use at a time. What it hands out is page-aligned, not cleared, and valid while it
  // lives.
  class Use {
   public:
    explicit Use(ScratchMemory& memory) : memory_(&memory), taken_(memory.arenas_.size(), 0) {}
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    template <class T>
    [[nodiscard]] std::span<T> take(std::size_t slot, std::size_t count) {
      return {reinterpret_cast<T*>(take_bytes(slot, count * sizeof(T))), count};
    }

   private:
    [[nodiscard]] std::byte* take_bytes(std::size_t slot, std::size_t bytes);
    ScratchMemory* memory_;
    std::vector<std::size_t> taken_;  // of the arenas, in bytes
    std::vector<Buffer> own_;         // what the arenas did not hold
  };

 private:
  MemoryBudget* budget_;
  std::vector<Buffer> arenas_;  // empty buffers: nothing is kept
};

}  // namespace strata
