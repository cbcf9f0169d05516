// Inflating a ByteSource piece by piece (ISA-L): raw deflate data, or gzip members with their headers and CRCs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "storage/byte_source.hpp"

namespace strata {

class Inflater {
 public:
  enum class Format { raw, gzip };
  // `compressed` must outlive this; it is read buffer_bytes at a time.
  Inflater(ByteSource& compressed, Format format, std::size_t buffer_bytes);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Inflated bytes; fewer than asked only when the deflate stream (or gzip member) is finished. InputError of the
  // compressed source with the byte when the data are damaged or end before the stream does.
  [[nodiscard]] std::size_t read(std::span<std::byte> to);
  [[nodiscard]] bool finished() const;
  // Behind a finished gzip member: whether another one starts. Zero bytes to the end are padding, anything else an
  // error.
  [[nodiscard]] bool start_next_member();
  [[nodiscard]] std::uint64_t consumed() const;  // compressed bytes used so far

 private:
  struct State;
  [[nodiscard]] bool refill();  // only when all input is used; false at the end of the source
  void start();
  void read_header();
  [[noreturn]] void fail_truncated() const;
  ByteSource& compressed_;
  Format format_;
  std::vector<std::byte> buffer_;
  std::uint64_t fetched_ = 0;  // bytes read from the source
  bool at_end_ = false;
  std::unique_ptr<State> state_;
};

// CRC-32 as gzip and zip use it, continued from `crc` (0 to start).
[[nodiscard]] std::uint32_t crc32_update(std::uint32_t crc, std::span<const std::byte> bytes);

}  // namespace strata
