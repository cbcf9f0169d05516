// XXH3, 64 bits, seed 0 (xxHash library): the checksum of every section and block Strata writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace strata {
[[nodiscard]] std::uint64_t checksum(std::span<const std::byte> bytes);
[[nodiscard]] std::string checksum_text(std::uint64_t value);  // 16 hex digits

// The same value over data that comes in pieces.
class ChecksumStream {
 public:
  ChecksumStream();
  ~ChecksumStream();
  ChecksumStream(const ChecksumStream&) = delete;
  ChecksumStream& operator=(const ChecksumStream&) = delete;
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] std::uint64_t value() const;

 private:
  void* state_;
};
}  // namespace strata
