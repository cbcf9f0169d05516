// Memory as a budget: every large allocation is reserved here before it is made, and a refusal is an error that names
// what was wanted, what is in use and what the limit is. The sum of reservations never exceeds the limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <utility>

namespace strata {

class MemoryBudget;

// Bytes taken from a budget; given back by the destructor. Move-only.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { release(); }
  void release();
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget* budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
  MemoryBudget* budget_ = nullptr;
  std::uint64_t bytes_ = 0;
};

// Thread-safe. Must outlive its reservations.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit_bytes) : limit_(limit_bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Throws ResourceError naming `what` when the bytes are not there even after the reclaimer gave back what it could.
  [[nodiscard]] Reservation reserve(std::uint64_t bytes, const std::string& what);
  // As reserve, without asking the reclaimer; an empty reservation (bytes() == 0) means no.
  [[nodiscard]] Reservation try_reserve(std::uint64_t bytes);

  // A cache registers how to give memory back: called with the bytes still missing, outside this object's lock, from
  // the thread that reserves; it returns false when it can free nothing more.
  using Reclaimer = std::function<bool(std::uint64_t missing)>;
  void set_reclaimer(Reclaimer reclaimer);

  [[nodiscard]] std::uint64_t limit() const { return limit_; }
  [[nodiscard]] std::uint64_t used() const;
  [[nodiscard]] std::uint64_t peak() const;

 private:
  friend class Reservation;
  void give_back(std::uint64_t bytes);

  const std::uint64_t limit_;
  mutable std::mutex mutex_;
  std::uint64_t used_ = 0;
  std::uint64_t peak_ = 0;
  Reclaimer reclaimer_;
};

// Page-aligned memory with its reservation, mapped from and returned to the operating system directly, so that what the
// budget frees the process really gives back. Zero-filled. Move-only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(MemoryBudget& budget, std::size_t bytes, const std::string& what, bool huge_pages = false);
  Buffer(Reservation reservation, std::size_t bytes);  // reservation.bytes() >= bytes rounded up to pages
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer() { release(); }
  void release();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
  template <class T>
  [[nodiscard]] std::span<T> as() const {
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }

 private:
  void map(bool huge_pages);
  Reservation reservation_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A fixed-size typed array charged to a budget, zero-filled. Large ones lie in huge pages: most are looked up at
// random.
template <class T>
class Array {
 public:
  Array() = default;
  Array(MemoryBudget& budget, std::size_t count, const std::string& what)
      : Array(Buffer(budget, count * sizeof(T), what, true), count) {}
  // In memory of at least count * sizeof(T) bytes.
  Array(Buffer buffer, std::size_t count) : buffer_(std::move(buffer)), count_(count) {}
  [[nodiscard]] T* data() const { return reinterpret_cast<T*>(buffer_.data()); }
  Array(Array&& other) noexcept : buffer_(std::move(other.buffer_)), count_(std::exchange(other.count_, 0)) {}
  Array& operator=(Array&& other) noexcept {
    buffer_ = std::move(other.buffer_);
    count_ = std::exchange(other.count_, 0);
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  T& operator[](std::size_t i) const { return data()[i]; }
  [[nodiscard]] T* begin() const { return data(); }
  [[nodiscard]] T* end() const { return data() + count_; }
  [[nodiscard]] std::span<T> span() const { return {data(), count_}; }

 protected:
  // Leaves an empty array.
  [[nodiscard]] Buffer take_buffer() {
    count_ = 0;
    return std::move(buffer_);
  }

 private:
  Buffer buffer_;
  std::size_t count_ = 0;
};

}  // namespace strata
