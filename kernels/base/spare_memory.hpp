// Memory of tables that come and go many times: what one gives back the next takes as it is. Fresh pages from the
// system cost a fault and clearing each, which for the tables of a shard is more than filling them.
#pragma once

#include <cstddef>
#include <mutex>
#include <span>
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
    return {budget, bytes, what};
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

// A fixed-size array of undefined content. spares: where its memory comes from and goes back to; null: the system.
template <class T>
class SpareArray {
 public:
  SpareArray() = default;
  SpareArray(MemoryBudget& budget, std::size_t count, const std::string& what, SpareMemory* spares)
      : spares_(spares),
        buffer_(spares != nullptr ? spares->take(budget, count * sizeof(T), what)
                                  : Buffer(budget, count * sizeof(T), what)),
        count_(count) {}
  SpareArray(SpareArray&& other) noexcept
      : spares_(other.spares_), buffer_(std::move(other.buffer_)), count_(std::exchange(other.count_, 0)) {}
  SpareArray& operator=(SpareArray&& other) noexcept {
    if (this == &other) return *this;
    give_back();
    spares_ = other.spares_;
    buffer_ = std::move(other.buffer_);
    count_ = std::exchange(other.count_, 0);
    return *this;
  }
  ~SpareArray() { give_back(); }

  [[nodiscard]] T* data() const { return reinterpret_cast<T*>(buffer_.data()); }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  T& operator[](std::size_t i) const { return data()[i]; }
  [[nodiscard]] T* begin() const { return data(); }
  [[nodiscard]] T* end() const { return data() + count_; }
  [[nodiscard]] std::span<T> span() const { return {data(), count_}; }

 private:
  void give_back() {
    if (spares_ != nullptr) spares_->give(std::move(buffer_));
  }
  SpareMemory* spares_ = nullptr;
  Buffer buffer_;
  std::size_t count_ = 0;
};

}  // namespace strata
