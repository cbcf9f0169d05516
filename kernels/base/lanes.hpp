// Sixteen floats side by side, the unit of the CPU bodies. Two implementations with the same bits: AVX-512 intrinsics,
// and plain loops that the compiler vectorises as far as the instruction set allows. `count` is in [1, 16]: a partial
// load fills the other lanes with zero, a partial store leaves the memory behind them untouched.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define STRATA_AVX512 1
#else
#define STRATA_AVX512 0
#endif
#if defined(__F16C__) || STRATA_AVX512
// GCC 12's own definition of _mm512_undefined_ps trips its -Wmaybe-uninitialized (GCC bug 105593). This works only
// where <immintrin.h> comes in here first: include this header before others that include it.
#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "kernels/base/small_float.hpp"
#include "kernels/base/types.hpp"

namespace strata::cpu {

inline constexpr std::size_t kLanes = 16;

#if STRATA_AVX512

struct Lanes {
  __m512 v;

  static Lanes zero() { return {_mm512_setzero_ps()}; }
  static Lanes all(float x) { return {_mm512_set1_ps(x)}; }
  static __mmask16 mask(std::size_t count) { return static_cast<__mmask16>(0xFFFFu >> (kLanes - count)); }
  static Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Lanes load(const float* p, std::size_t count) { return {_mm512_maskz_loadu_ps(mask(count), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, std::size_t count) const { _mm512_mask_storeu_ps(p, mask(count), v); }

  friend Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend Lanes operator/(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
  friend Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
};

// Lanes [column, column + count) of an encoded row; the bytes of other lanes are not touched.
template <Codec kCodec>
inline Lanes load_encoded(const std::byte* row, std::size_t column, std::size_t count) {
  const __mmask16 mask = Lanes::mask(count);
  if constexpr (kCodec == Codec::fp32) {
    return {_mm512_maskz_loadu_ps(mask, row + column * 4)};
  } else if constexpr (kCodec == Codec::fp16) {
    return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + column * 2))};
  } else if constexpr (kCodec == Codec::bf16) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + column * 2));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  } else {
    static_assert(kCodec == Codec::int8);
    const std::byte* panel = row + column / kPanelColumns * (kPanelColumns + 2);
    std::uint16_t bits;
    std::memcpy(&bits, panel, sizeof bits);
    const __m512 scale = _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(bits)));
    const __m128i q = _mm_maskz_loadu_epi8(mask, panel + 2 + column % kPanelColumns);
    return {_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), scale)};
  }
}

#else

struct Lanes {
  float v[kLanes];

  static Lanes zero() { return all(0); }
  static Lanes all(float x) {
    Lanes r;
    for (float& lane : r.v) lane = x;
    return r;
  }
  static Lanes load(const float* p) {
    Lanes r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  static Lanes load(const float* p, std::size_t count) {
    if (count == kLanes) return load(p);
    Lanes r = zero();
    for (std::size_t i = 0; i < count; ++i) r.v[i] = p[i];
    return r;
  }
  void store(float* p) const { std::memcpy(p, v, sizeof v); }
  void store(float* p, std::size_t count) const {
    if (count == kLanes) return store(p);
    for (std::size_t i = 0; i < count; ++i) p[i] = v[i];
  }

  template <class F>
  static Lanes map(F f) {
    Lanes r;
    for (std::size_t i = 0; i < kLanes; ++i) r.v[i] = f(i);
    return r;
  }
  friend Lanes operator+(const Lanes& a, const Lanes& b) {
    return map([&](std::size_t i) { return a.v[i] + b.v[i]; });
  }
  friend Lanes operator-(const Lanes& a, const Lanes& b) {
    return map([&](std::size_t i) { return a.v[i] - b.v[i]; });
  }
  friend Lanes operator*(const Lanes& a, const Lanes& b) {
    return map([&](std::size_t i) { return a.v[i] * b.v[i]; });
  }
  friend Lanes operator/(const Lanes& a, const Lanes& b) {
    return map([&](std::size_t i) { return a.v[i] / b.v[i]; });
  }
  friend Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
    return map([&](std::size_t i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
  }
};

template <Codec kCodec>
inline Lanes load_encoded(const std::byte* row, std::size_t column, std::size_t count) {
  const auto load = [count](auto& values, const std::byte* from) {
    if (count == kLanes) {
      std::memcpy(values, from, sizeof values);
    } else {
      std::memset(values, 0, sizeof values);
      std::memcpy(values, from, count * sizeof values[0]);
    }
  };
  if constexpr (kCodec == Codec::fp32) {
    Lanes r;
    load(r.v, row + column * 4);
    return r;
  } else if constexpr (kCodec == Codec::int8) {
    const std::byte* panel = row + column / kPanelColumns * (kPanelColumns + 2);
    std::uint16_t bits;
    std::memcpy(&bits, panel, sizeof bits);
    std::int8_t q[kLanes];
    load(q, panel + 2 + column % kPanelColumns);
    return Lanes::map([&, scale = fp16_value(bits)](std::size_t i) { return static_cast<float>(q[i]) * scale; });
  } else {
    std::uint16_t bits[kLanes];
    load(bits, row + column * 2);
    if constexpr (kCodec == Codec::bf16) return Lanes::map([&](std::size_t i) { return bf16_value(bits[i]); });
#if defined(__F16C__)
    Lanes r;
    for (std::size_t i = 0; i < kLanes; i += 8) {
      __m128i half;
      std::memcpy(&half, bits + i, sizeof half);
      _mm256_storeu_ps(r.v + i, _mm256_cvtph_ps(half));
    }
    return r;
#else
    return Lanes::map([&](std::size_t i) { return fp16_value(bits[i]); });
#endif
  }
}

#endif

// Lane l + lane l + 8, then 4, 2, 1: the fixed order of norm.hpp.
inline float pairwise_sum(const Lanes& lanes) {
  float v[kLanes];
  lanes.store(v);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) v[l] += v[l + half];
  }
  return v[0];
}

// Calls body(first column, count) for each group of sixteen columns; the last may be narrower.
template <class Body>
inline void for_lanes(std::size_t cols, Body body) {
  std::size_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) body(c, kLanes);
  if (c < cols) body(c, cols - c);
}

}  // namespace strata::cpu
