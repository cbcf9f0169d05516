#include "engine/scratch.hpp"

namespace strata {

void ScratchMemory::keep(std::size_t bytes_per_slot) {
  for (Buffer& arena : arenas_) arena = Buffer(*budget_, bytes_per_slot, "working memory of the passes", true);
}

std::byte* ScratchMemory::Use::take_bytes(std::size_t slot, std::size_t bytes) {
  const Buffer& arena = memory_->arenas_[slot];
  const std::size_t rounded = round_up(bytes, kBlockAlignment);
  if (taken_[slot] + rounded <= arena.size()) {
    std::byte* memory = arena.data() + taken_[slot];
    taken_[slot] += rounded;
    return memory;
  }
  own_.emplace_back(*memory_->budget_, bytes, "working memory of a pass");
  return own_.back().data();
}

}  // namespace strata
