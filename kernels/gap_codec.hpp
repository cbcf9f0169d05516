// Gap codec: a list of u32 as byte-coded differences, which is how a shard holds its columns and row ends.
//
// Value i is coded as the difference d = value[i] - value[i-1] modulo 2^32, value[-1] being 0. A two-bit code says how
// d is written, in code + 1 bytes, little-endian, of
//   code 0: d             0 ... 255                 code 1: d + kGapBias[1]   -16384 ... 49151
//   code 2: d + kGapBias[2]   -2^23 ... 2^23 - 1    code 3: d                 everything
// The biases let a list fall now and then (from the last column of a row to the first of the next) without four bytes.
// An encoded list is divide_up(count, 4) control bytes (value i has bits 2 (i % 4) of byte i / 4; unused bits are
// zero), then the bytes of the values. Encoders choose the smallest code. The number of values is not stored.
//
// Two-bit codes apart from the bytes: Lemire, Kurz, Rupp, "Stream VByte", 2018.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/base/cpu_info.hpp"
#include "kernels/base/types.hpp"

namespace strata {

inline constexpr std::array<std::uint32_t, 4> kGapBias = {0, std::uint32_t{1} << 14, std::uint32_t{1} << 23, 0};

constexpr std::size_t gap_control_bytes(std::size_t count) { return divide_up(count, 4); }
constexpr std::size_t gap_code(std::uint32_t difference) {
  if (difference < 0x100) return 0;
  if (difference + kGapBias[1] < 0x10000) return 1;
  return difference + kGapBias[2] < 0x1000000 ? 2 : 3;
}
// Bytes of the encoded list; encode_gaps writes that many. Encoding happens once, in conversion, and has one body.
[[nodiscard]] std::size_t gap_bytes(std::span<const std::uint32_t> values);
void encode_gaps(std::span<const std::uint32_t> values, std::byte* encoded);

// `count` lists in one run of bytes: list i is bytes [byte_begin[i], byte_begin[i+1]) and values [value_begin[i],
// value_begin[i+1]). Owns nothing.
struct GapLists {
  const std::byte* bytes = nullptr;
  const std::uint64_t* byte_begin = nullptr;   // count + 1, ascending
  const std::uint64_t* value_begin = nullptr;  // count + 1, ascending
  std::size_t count = 0;
};

// Decodes list i to values + value_begin[i] - value_begin[0]; good[i] becomes 1, or 0 where the bytes are not an
// encoded list of so many values (then those values are unspecified). Whatever the bytes, nothing is read or written
// outside of the list's. All bodies give the same values.
namespace ref {
void decode_gaps(const GapLists& lists, std::uint32_t* values, std::uint8_t* good);
}
namespace cpu {
void decode_gaps(const GapLists& lists, std::uint32_t* values, std::uint8_t* good);
// One list, by the instructions of `level`, which this processor must have.
[[nodiscard]] bool decode_gaps(std::span<const std::byte> encoded, std::span<std::uint32_t> values,
                               VectorLevel level = vector_level());
}  // namespace cpu

}  // namespace strata
