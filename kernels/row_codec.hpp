// Row codecs: how rows of real numbers are written in a row store, and read back.
//
// A matrix of `cols` columns is cut into panels of kPanelColumns (the last may be narrower). One *panel row* is
//   fp64, fp32, fp16, bf16: `width` little-endian values (fp16/bf16 rounded to nearest even; overflow saturates to the
//                           largest finite value; NaN stays NaN);
//   int8:                   one fp16 scale s, then `width` signed bytes q in [-127, 127]; the value is q * s.
//                           s is max|x| / 127 rounded up to fp16, q = round-to-nearest-even(x / s); a row of zeros has
//                           s = 0.
// An *encoded row* is the concatenation of its panel rows; a *tile* (one block of a row store) is the panel rows of up
// to kChunkRows consecutive rows of one panel, packed without gaps.
#pragma once

#include <cstddef>

#include "kernels/base/types.hpp"

namespace strata {

constexpr std::size_t panel_count(std::size_t cols) { return divide_up(cols, kPanelColumns); }
constexpr std::size_t panel_width(std::size_t cols, std::size_t panel) {
  return panel + 1 < panel_count(cols) ? kPanelColumns : cols - panel * kPanelColumns;
}
constexpr std::size_t value_bytes(Codec codec) {
  switch (codec) {
    case Codec::fp64: return 8;
    case Codec::fp32: return 4;
    case Codec::fp16:
    case Codec::bf16: return 2;
    case Codec::int8: return 1;
  }
  return 0;
}
// Bytes of one panel row of `width` columns.
constexpr std::size_t panel_row_bytes(Codec codec, std::size_t width) {
  return width * value_bytes(codec) + (codec == Codec::int8 ? 2 : 0);
}
// Bytes of one encoded row: all its panel rows.
constexpr std::size_t encoded_row_bytes(Codec codec, std::size_t cols) {
  return cols * value_bytes(codec) + (codec == Codec::int8 ? 2 * panel_count(cols) : 0);
}
const char* codec_name(Codec codec);  // "fp32", ...
[[nodiscard]] bool parse_codec(const char* name, Codec& codec);

// Encoded rows in memory, `stride` bytes apart: what SpMM gathers from. Owns nothing.
struct EncodedRows {
  Codec codec = Codec::fp32;
  const std::byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  // bytes, >= encoded_row_bytes(codec, cols)
};

// Each encodes/decodes `values.rows` panel rows of width values.cols (<= kPanelColumns), `stride` bytes apart in the
// encoded form. No aliasing. Deterministic; every body (ref, cpu, cuda) gives the same bits.
// T is float or double; decode to double of fp32 rows is exact, encode of doubles to narrower codecs rounds once.
namespace ref {
template <class T>
void encode_panel(Codec codec, MatrixView<const T> values, std::byte* encoded, std::size_t stride);
template <class T>
void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<T> values);
}  // namespace ref
namespace cpu {
template <class T>
void encode_panel(Codec codec, MatrixView<const T> values, std::byte* encoded, std::size_t stride);
template <class T>
void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<T> values);
}  // namespace cpu

}  // namespace strata
