// Float to and from fp32, fp16, bf16 and int8 sixteen values at a time; everything else is the reference. Without
// AVX-512 the narrowing conversions of the reference are used, which are the definition of the bits.
#include <cstring>
#include <type_traits>

#include "kernels/base/error.hpp"
#include "kernels/base/lanes.hpp"
#include "kernels/row_codec.hpp"

namespace strata::cpu {
namespace {

template <Codec kCodec>
void decode_rows(const std::byte* encoded, std::size_t stride, MatrixView<float> values) {
  for (std::size_t i = 0; i < values.rows; ++i) {
    const std::byte* row = encoded + i * stride;
    float* out = values.row(i);
    for_lanes(values.cols, [&](std::size_t c, std::size_t n) { load_encoded<kCodec>(row, c, n).store(out + c, n); });
  }
}

void copy_rows(MatrixView<const float> values, std::byte* encoded, std::size_t stride) {
  for (std::size_t i = 0; i < values.rows && values.cols > 0; ++i) {
    std::memcpy(encoded + i * stride, values.row(i), values.cols * sizeof(float));
  }
}

#if STRATA_AVX512

// min and max return their second operand if either is a NaN: a NaN stays one.
__m512 clamp(__m512 x, float limit) {
  return _mm512_max_ps(_mm512_set1_ps(-limit), _mm512_min_ps(_mm512_set1_ps(limit), x));
}

void encode_fp16(const float* values, std::size_t cols, std::byte* row) {
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const __m512 x = clamp(Lanes::load(values + c, n).v, 65504.0f);
    const __m256i bits = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(row + c * 2, Lanes::mask(n), bits);
  });
}

// Round to nearest even on the bit patterns: add half of the last kept place, less one if that place is even.
void encode_bf16(const float* values, std::size_t cols, std::byte* row) {
  const __m512i one = _mm512_set1_epi32(1);
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const __m512 x = clamp(Lanes::load(values + c, n).v, 0x1.FEp127f);
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_mask_storeu_epi16(row + c * 2, Lanes::mask(n), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  });
}

std::uint16_t panel_scale(const float* values, std::size_t cols) {
  __m512 largest = _mm512_setzero_ps();
  __mmask16 nan = 0;
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const __m512 magnitude = _mm512_abs_ps(Lanes::load(values + c, n).v);
    nan = static_cast<__mmask16>(nan | _mm512_cmp_ps_mask(magnitude, magnitude, _CMP_UNORD_Q));
    largest = _mm512_max_ps(largest, magnitude);
  });
  if (nan != 0) return 0x7E00;
  return fp16_rounded_up(static_cast<double>(_mm512_reduce_max_ps(largest)) / 127.0);
}

void encode_int8(const float* values, std::size_t cols, std::byte* row) {
  const std::uint16_t bits = panel_scale(values, cols);
  std::memcpy(row, &bits, sizeof bits);
  const float scale = fp16_value(bits);
  if (!(scale > 0)) {
    std::memset(row + 2, 0, cols);
    return;
  }
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const __m512 q = clamp((Lanes::load(values + c, n) / Lanes::all(scale)).v, 127.0f);
    _mm_mask_storeu_epi8(row + 2 + c, Lanes::mask(n), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(q)));
  });
}

template <class EncodeRow>
void encode_rows(MatrixView<const float> values, std::byte* encoded, std::size_t stride, EncodeRow encode_row) {
  for (std::size_t i = 0; i < values.rows; ++i) encode_row(values.row(i), values.cols, encoded + i * stride);
}

void encode_float(Codec codec, MatrixView<const float> values, std::byte* encoded, std::size_t stride) {
  switch (codec) {
    case Codec::fp32: return copy_rows(values, encoded, stride);
    case Codec::fp16: return encode_rows(values, encoded, stride, encode_fp16);
    case Codec::bf16: return encode_rows(values, encoded, stride, encode_bf16);
    case Codec::int8: return encode_rows(values, encoded, stride, encode_int8);
    case Codec::fp64: return ref::encode_panel<float>(codec, values, encoded, stride);
  }
}

#else

void encode_float(Codec codec, MatrixView<const float> values, std::byte* encoded, std::size_t stride) {
  if (codec == Codec::fp32) return copy_rows(values, encoded, stride);
  ref::encode_panel<float>(codec, values, encoded, stride);
}

#endif

void decode_float(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<float> values) {
  switch (codec) {
    case Codec::fp32: return decode_rows<Codec::fp32>(encoded, stride, values);
    case Codec::fp16: return decode_rows<Codec::fp16>(encoded, stride, values);
    case Codec::bf16: return decode_rows<Codec::bf16>(encoded, stride, values);
    case Codec::int8: return decode_rows<Codec::int8>(encoded, stride, values);
    case Codec::fp64: return ref::decode_panel<float>(codec, encoded, stride, values);
  }
}

}  // namespace

template <class T>
void encode_panel(Codec codec, MatrixView<const T> values, std::byte* encoded, std::size_t stride) {
  STRATA_ASSERT(values.cols <= kPanelColumns);
  if constexpr (std::is_same_v<T, double>) {
    ref::encode_panel<T>(codec, values, encoded, stride);
  } else {
    encode_float(codec, values, encoded, stride);
  }
}

template <class T>
void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<T> values) {
  STRATA_ASSERT(values.cols <= kPanelColumns);
  if constexpr (std::is_same_v<T, double>) {
    ref::decode_panel<T>(codec, encoded, stride, values);
  } else {
    decode_float(codec, encoded, stride, values);
  }
}

template void encode_panel(Codec, MatrixView<const float>, std::byte*, std::size_t);
template void encode_panel(Codec, MatrixView<const double>, std::byte*, std::size_t);
template void decode_panel(Codec, const std::byte*, std::size_t, MatrixView<float>);
template void decode_panel(Codec, const std::byte*, std::size_t, MatrixView<double>);

}  // namespace strata::cpu
