#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/base/error.hpp"
#include "kernels/base/small_float.hpp"
#include "kernels/row_codec.hpp"

namespace strata::ref {
namespace {

template <class Stored>
void put(std::byte* to, std::size_t index, Stored value) {
  std::memcpy(to + index * sizeof(Stored), &value, sizeof value);
}
template <class Stored>
Stored get(const std::byte* from, std::size_t index) {
  Stored value;
  std::memcpy(&value, from + index * sizeof(Stored), sizeof value);
  return value;
}

// Largest magnitude of a row; the plain quiet NaN if it holds one, so that the whole panel row decodes to NaN.
template <class T>
T largest_magnitude(const T* values, std::size_t count) {
  T largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const T magnitude = std::abs(values[i]);
    if (std::isnan(magnitude)) return std::numeric_limits<T>::quiet_NaN();
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}

template <class T>
std::int8_t quantize(T value, T scale) {
  if (!(scale > 0)) return 0;
  const T q = std::nearbyint(value / scale);
  return static_cast<std::int8_t>(q > 127 ? T{127} : q < -127 ? T{-127} : q);
}

template <class T>
void encode_int8(const T* values, std::size_t count, std::byte* row) {
  const std::uint16_t scale = fp16_rounded_up(static_cast<double>(largest_magnitude(values, count)) / 127.0);
  put(row, 0, scale);
  for (std::size_t i = 0; i < count; ++i) {
    put(row + 2, i, quantize(values[i], static_cast<T>(fp16_value(scale))));
  }
}

template <class T>
void encode_row(Codec codec, const T* values, std::size_t count, std::byte* row) {
  if (codec == Codec::int8) {
    encode_int8(values, count, row);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    switch (codec) {
      case Codec::fp64: put(row, i, static_cast<double>(values[i])); break;
      case Codec::fp32: put(row, i, static_cast<float>(values[i])); break;
      case Codec::fp16: put(row, i, fp16_from(values[i])); break;
      case Codec::bf16: put(row, i, bf16_from(values[i])); break;
      case Codec::int8: break;
    }
  }
}

template <class T>
T decode_value(Codec codec, const std::byte* row, std::size_t i) {
  switch (codec) {
    case Codec::fp64: return static_cast<T>(get<double>(row, i));
    case Codec::fp32: return get<float>(row, i);
    case Codec::fp16: return fp16_value(get<std::uint16_t>(row, i));
    case Codec::bf16: return bf16_value(get<std::uint16_t>(row, i));
    case Codec::int8: return static_cast<T>(get<std::int8_t>(row + 2, i)) * fp16_value(get<std::uint16_t>(row, 0));
  }
  return 0;
}

}  // namespace

template <class T>
void encode_panel(Codec codec, MatrixView<const T> values, std::byte* encoded, std::size_t stride) {
  STRATA_ASSERT(values.cols <= kPanelColumns);
  for (std::size_t i = 0; i < values.rows; ++i) encode_row(codec, values.row(i), values.cols, encoded + i * stride);
}

template <class T>
void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<T> values) {
  STRATA_ASSERT(values.cols <= kPanelColumns);
  for (std::size_t i = 0; i < values.rows; ++i) {
    for (std::size_t c = 0; c < values.cols; ++c) values(i, c) = decode_value<T>(codec, encoded + i * stride, c);
  }
}

template void encode_panel(Codec, MatrixView<const float>, std::byte*, std::size_t);
template void encode_panel(Codec, MatrixView<const double>, std::byte*, std::size_t);
template void decode_panel(Codec, const std::byte*, std::size_t, MatrixView<float>);
template void decode_panel(Codec, const std::byte*, std::size_t, MatrixView<double>);

}  // namespace strata::ref
