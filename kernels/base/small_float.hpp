// fp16 (IEEE binary16) and bf16 values as bit patterns, converted one at a time with integer arithmetic: the meaning
// that the SIMD and CUDA bodies of row_codec must reproduce bit for bit.
#pragma once

#include <cstdint>

#include "kernels/base/rng.hpp"  // STRATA_HOST_DEVICE

namespace strata {

enum class Rounding { nearest_even, away_from_zero };

namespace detail {

template <class To, class From>
STRATA_HOST_DEVICE inline To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  __builtin_memcpy(&result, &value, sizeof result);
  return result;
}

// Rounds once. Overflow (infinities too) saturates to the largest finite value; a NaN keeps its sign and leading
// payload bits and becomes quiet, as the x86 instruction vcvtps2ph does.
template <int kExponentBits, int kMantissaBits, Rounding kRounding>
STRATA_HOST_DEVICE inline std::uint16_t narrow(double value) {
  constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  constexpr std::uint32_t kInfinity = ((1u << kExponentBits) - 1) << kMantissaBits;
  const std::uint64_t bits = bits_as<std::uint64_t>(value);
  const std::uint32_t sign = static_cast<std::uint32_t>(bits >> 63) << 15;
  const int exponent = static_cast<int>(bits >> 52 & 0x7FF);
  const std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
  if (exponent == 0x7FF) {
    if (mantissa == 0) return static_cast<std::uint16_t>(sign | (kInfinity - 1));
    const std::uint32_t payload = static_cast<std::uint32_t>(mantissa >> (52 - kMantissaBits));
    return static_cast<std::uint16_t>(sign | kInfinity | (1u << (kMantissaBits - 1)) | payload);
  }
  const int target = exponent - 1023 + kBias;  // <= 0: a subnormal of the target
  if (target > 2 * kBias) return static_cast<std::uint16_t>(sign | (kInfinity - 1));
  const int shift = 52 - kMantissaBits + (target <= 0 ? 1 - target : 0);
  const bool tiny = shift > 53 || exponent == 0;  // below half of the smallest subnormal
  const std::uint64_t significand = mantissa | std::uint64_t{1} << 52;
  std::uint32_t kept = tiny ? 0 : static_cast<std::uint32_t>(significand >> shift);
  if constexpr (kRounding == Rounding::away_from_zero) {
    const bool inexact = tiny ? (bits << 1) != 0 : (significand & ((std::uint64_t{1} << shift) - 1)) != 0;
    kept += inexact ? 1 : 0;
  } else if (!tiny) {
    const std::uint64_t rest = significand & ((std::uint64_t{1} << shift) - 1);
    const std::uint64_t half = std::uint64_t{1} << (shift - 1);
    kept += (rest > half || (rest == half && (kept & 1) != 0)) ? 1 : 0;
  }
  // `kept` holds the implicit bit of a normal number, and a carry out of it moves to the next exponent by itself.
  std::uint32_t result = kept + (target > 0 ? static_cast<std::uint32_t>(target - 1) << kMantissaBits : 0);
  if (result >= kInfinity) result = kInfinity - 1;
  return static_cast<std::uint16_t>(sign | result);
}

}  // namespace detail

STRATA_HOST_DEVICE inline std::uint16_t fp16_from(double value) {
  return detail::narrow<5, 10, Rounding::nearest_even>(value);
}
STRATA_HOST_DEVICE inline std::uint16_t fp16_rounded_up(double value) {
  return detail::narrow<5, 10, Rounding::away_from_zero>(value);
}
STRATA_HOST_DEVICE inline std::uint16_t bf16_from(double value) {
  return detail::narrow<8, 7, Rounding::nearest_even>(value);
}

STRATA_HOST_DEVICE inline float fp16_value(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = bits >> 10 & 0x1Fu;
  const std::uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) {
    const std::uint32_t quiet = mantissa != 0 ? 0x400000u : 0;
    return detail::bits_as<float>(sign | 0x7F800000u | quiet | mantissa << 13);
  }
  return detail::bits_as<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}
STRATA_HOST_DEVICE inline float bf16_value(std::uint16_t bits) {
  return detail::bits_as<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace strata
