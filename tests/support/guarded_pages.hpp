// Memory for tests of what is read or written beyond an end.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <cstddef>

#include "kernels/base/types.hpp"

namespace strata::testing {

// Memory that ends at a page nobody may touch.
class GuardedPages {
 public:
  explicit GuardedPages(std::size_t bytes) : size_(round_up(bytes, kBlockAlignment)) {
    void* const memory =
        ::mmap(nullptr, size_ + kBlockAlignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    begin_ = static_cast<std::byte*>(memory);
    REQUIRE(::mprotect(begin_ + size_, kBlockAlignment, PROT_NONE) == 0);
  }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;
  ~GuardedPages() { ::munmap(begin_, size_ + kBlockAlignment); }
  [[nodiscard]] std::byte* last(std::size_t bytes) const { return begin_ + size_ - bytes; }

 private:
  std::size_t size_;
  std::byte* begin_ = nullptr;
};

}  // namespace strata::testing
