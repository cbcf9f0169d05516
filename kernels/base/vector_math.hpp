// Elementary functions of floats without branches or calls, so that a loop over sixteen lanes vectorises, and with the
// same bits on every instruction set: plain additions, multiplications and divisions only. Errors stay within a few
// units in the last place; tests/kernels/test_vector_math.cpp measures them against the C library.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/base/lanes.hpp"
#include "kernels/base/small_float.hpp"

namespace strata::cpu {

// Left rolled, the loops over lanes become one vector instruction an operation; unrolled early, as GCC does with short
// bodies, they become sixteen scalar ones.
#if defined(__clang__)
#define STRATA_KEEP_LOOP
#else
#define STRATA_KEEP_LOOP _Pragma("GCC unroll 1")
#endif

// f of each lane. `f` takes and returns a float and is inlined.
template <class F>
inline Lanes map_lanes(const Lanes& x, F f) {
  float v[kLanes];
  x.store(v);
  STRATA_KEEP_LOOP
  for (std::size_t l = 0; l < kLanes; ++l) v[l] = f(v[l]);
  return Lanes::load(v);
}
template <class F>
inline Lanes map_lanes(const Lanes& x, const Lanes& y, F f) {
  float v[kLanes];
  float w[kLanes];
  x.store(v);
  y.store(w);
  STRATA_KEEP_LOOP
  for (std::size_t l = 0; l < kLanes; ++l) v[l] = f(v[l], w[l]);
  return Lanes::load(v);
}

namespace detail {

// e^x = 2^n (1 + fraction) with |x - n ln 2| <= ln 2 / 2; 2^n is the product of two normal powers, so that it may leave
// the range of normal floats at either end.
struct ExpParts {
  float power1, power2;
  float fraction;
};

inline ExpParts exp_parts(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
  x = x < -105.0f ? -105.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * 1.44269504f + kMagic;
  const float n = shifted - kMagic;
  const std::int32_t integer =
      strata::detail::bits_as<std::int32_t>(shifted) - strata::detail::bits_as<std::int32_t>(kMagic);
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln 2 in two parts, the first with few bits
  // Minimax polynomial of (e^r - 1 - r) / r^2 (Cephes, expf.c).
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const std::int32_t half = integer >> 1;
  return {strata::detail::bits_as<float>((half + 127) << 23),
          strata::detail::bits_as<float>((integer - half + 127) << 23), p * (r * r) + r};
}

}  // namespace detail

inline float exp_lane(float x) {
  const detail::ExpParts e = detail::exp_parts(x);
  return (1.0f + e.fraction) * e.power1 * e.power2;
}

// Accurate near zero. x <= 80.
inline float expm1_lane(float x) {
  const detail::ExpParts e = detail::exp_parts(x);
  const float power = e.power1 * e.power2;
  return power * e.fraction + (power - 1.0f);
}

// ln(1 + x) for x in [0, 1]: 2 artanh(x / (2 + x)), whose argument is at most 1/3, by its Taylor series.
inline float log1p_lane(float x) {
  const float s = x / (2.0f + x);
  const float square = s * s;
  float p = 1.0f / 15;
  p = p * square + 1.0f / 13;
  p = p * square + 1.0f / 11;
  p = p * square + 1.0f / 9;
  p = p * square + 1.0f / 7;
  p = p * square + 1.0f / 5;
  p = p * square + 1.0f / 3;
  p = p * square;
  return 2.0f * (s + s * p);
}

inline float sigmoid_lane(float x) { return 1.0f / (1.0f + exp_lane(-x)); }

inline float tanh_lane(float x) {
  const float magnitude = x < 0 ? -x : x;
  const float e = expm1_lane(magnitude > 20.0f ? 40.0f : 2.0f * magnitude);
  const float t = e / (e + 2.0f);
  return x < 0 ? -t : t;
}

// Polynomials by N. Juffa ("erff() with maximum error below 1 ulp", StackOverflow 35148198), here without fused
// operations.
inline float erf_lane(float x) {
  const float magnitude = x < 0 ? -x : x;
  const float t = magnitude > 4.0f ? 4.0f : magnitude;  // erf(4) is 1 in float
  const float s = t * t;
  const float u = -3.88396438e-3f * t + 2.42546219e-2f;
  float large = (-1.72853470e-5f * t + 3.83197126e-4f) * s + u;
  large = large * t - 1.06777877e-1f;
  large = large * t - 6.34846687e-1f;
  large = large * t - 1.28717512e-1f;
  large = large * t - t;
  large = 1.0f - exp_lane(large);
  float small = -5.96761703e-4f;
  small = small * s + 4.99119423e-3f;
  small = small * s - 2.67681349e-2f;
  small = small * s + 1.12819925e-1f;
  small = small * s - 3.76125336e-1f;
  small = small * s + 1.28379166e-1f;
  small = small * t + t;
  const float result = t > 0.927734375f ? large : small;
  return x < 0 ? -result : result;
}

}  // namespace strata::cpu
