// Memory of tables that come and go many times: what one gives back the next takes as it is. Fresh pages from the
// system cost a fault and clearing each, which for the tables of a shard is more than filling them.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/budget.hpp"

namespace strata {

// Thread-safe. Holds, beside what is in use, no more than was in use at the same time: where no spare is large enough,
// one goes back to the system before a new one is made. Outlives what was taken from it.
class SpareMemory {
 public:
  [[nodiscard]] Buffer take(MemoryBudget& budget, std::size_t bytes, const std::string& what) {
    Buffer small;
    {
      const std::lock_guard lock(mutex_);
      for (Buffer& spare : spares_) {
        std::swap(spare, spares_.back());
        if (spares_.back().size() < bytes) continue;
        Buffer found = std::move(spares_.back());
        spares_.pop_back();
        return found;
      }
      if (!spares_.empty()) {
        small = std::move(spares_.back());
        spares_.pop_back();
      }
    }
    small.release();
    return {budget, bytes, what, true};
  }
  void give(Buffer memory) {
    if (memory.empty()) return;
    const std::lock_guard lock(mutex_);
    spares_.push_back(std::move(memory));
  }

 private:
  std::mutex mutex_;
  std::vector<Buffer> spares_;
};

// An array whose memory comes from `spares` and goes back there; null: as any other's.
template <class T>
class SpareArray : public Array<T> {
 public:
  SpareArray() = default;
  SpareArray(MemoryBudget& budget, std::size_t count, const std::string& what, SpareMemory* spares)
      : Array<T>(spares != nullptr ? spares->take(budget, count * sizeof(T), what)
                                   : Buffer(budget, count * sizeof(T), what, true),
                 count),
        spares_(spares) {}
  SpareArray(SpareArray&& other) noexcept = default;
  SpareArray& operator=(SpareArray&& other) noexcept {
    if (this == &other) return *this;
    give_back();
    spares_ = other.spares_;
    Array<T>::operator=(std::move(other));
    return *this;
  }
  ~SpareArray() { give_back(); }

 private:
  void give_back() {
    if (spares_ != nullptr) spares_->give(this->take_buffer());
  }
  SpareMemory* spares_ = nullptr;
};

}  // namespace strata
