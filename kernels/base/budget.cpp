#include "kernels/base/budget.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"

namespace strata {

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void Reservation::release() {
  if (budget_ != nullptr) budget_->give_back(bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

Reservation MemoryBudget::try_reserve(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > limit_ - used_) return {};
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  return {this, bytes};
}

Reservation MemoryBudget::reserve(std::uint64_t bytes, const std::string& what) {
  for (;;) {
    std::uint64_t missing = 0;
    Reclaimer reclaimer;
    {
      const std::lock_guard lock(mutex_);
      if (bytes <= limit_ - used_) {
        used_ += bytes;
        peak_ = std::max(peak_, used_);
        return {this, bytes};
      }
      missing = bytes - (limit_ - used_);
      reclaimer = reclaimer_;
    }
    if (bytes <= limit_ && reclaimer && reclaimer(missing)) continue;
    const std::uint64_t in_use = used();
    throw ResourceError("not enough memory for " + what + ": wanted " + format_bytes(bytes) + ", in use " +
                            format_bytes(in_use) + " of a budget of " + format_bytes(limit_) + "; at least " +
                            format_bytes(in_use + bytes) + " would be needed here",
                        in_use + bytes);
  }
}

void MemoryBudget::set_reclaimer(Reclaimer reclaimer) {
  const std::lock_guard lock(mutex_);
  reclaimer_ = std::move(reclaimer);
}

std::uint64_t MemoryBudget::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

std::uint64_t MemoryBudget::peak() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void MemoryBudget::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
}

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::byte* map_pages(std::size_t length) {
  void* memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// Beginning with a huge page: what is mapped too much goes back untouched.
std::byte* map_huge(std::size_t length) {
  std::byte* const memory = map_pages(length + kHugePage);
  if (memory == nullptr) return nullptr;
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(memory) % kHugePage) % kHugePage;
  if (before > 0) ::munmap(memory, before);
  ::munmap(memory + before + length, kHugePage - before);
  return memory + before;
}

}  // namespace

Buffer::Buffer(MemoryBudget& budget, std::size_t bytes, const std::string& what, bool huge_pages)
    : reservation_(budget.reserve(round_up(bytes, kBlockAlignment), what)), size_(bytes) {
  map(huge_pages);
}

Buffer::Buffer(Reservation reservation, std::size_t bytes) : reservation_(std::move(reservation)), size_(bytes) {
  STRATA_ASSERT(reservation_.bytes() >= round_up(bytes, kBlockAlignment));
  map(false);
}

void Buffer::map(bool huge_pages) {
  if (size_ == 0) return;
  const std::size_t length = round_up(size_, kBlockAlignment);
  std::byte* const memory = huge_pages && length >= kHugePage ? map_huge(length) : map_pages(length);
  if (memory == nullptr) {
    size_ = 0;
    throw_system_error(ENOMEM, "memory", "map " + format_bytes(length));
  }
  // Whole huge pages only inside the mapping, so the resident set cannot exceed the reservation.
  ::madvise(memory, length, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  data_ = memory;
}

Buffer::Buffer(Buffer&& other) noexcept
    : reservation_(std::move(other.reservation_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    reservation_ = std::move(other.reservation_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Buffer::release() {
  if (data_ != nullptr) ::munmap(data_, round_up(size_, kBlockAlignment));
  data_ = nullptr;
  size_ = 0;
  reservation_.release();
}

}  // namespace strata
