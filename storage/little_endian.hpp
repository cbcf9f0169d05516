// Fixed-width values inside byte strings, little-endian, at any address; and half-precision values as numpy and PyTorch
// store them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace strata {

static_assert(std::endian::native == std::endian::little, "Strata's formats are read and written in place");

template <class T>
[[nodiscard]] inline T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// IEEE binary16 to float, exact. Subnormals are made from integers, so that a flush-to-zero mode cannot change them.
[[nodiscard]] inline float half_to_float(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffu;
  const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
  const std::uint32_t rebias = magnitude >= 0x7c00u ? 224u << 23 : 112u << 23;  // infinity and NaN keep exponent 255
  const float normal = std::bit_cast<float>((magnitude << 13) + rebias);
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(magnitude < 0x0400u ? subnormal : normal);
  return std::bit_cast<float>(bits | (half & 0x8000u) << 16);
}

[[nodiscard]] inline float bfloat16_to_float(std::uint16_t value) {
  return std::bit_cast<float>(std::uint32_t{value} << 16);
}

}  // namespace strata
