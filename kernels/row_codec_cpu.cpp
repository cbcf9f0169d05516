#include "kernels/row_codec.hpp"

namespace strata::cpu {

template <class T>
void encode_panel(Codec codec, MatrixView<const T> values, std::byte* encoded, std::size_t stride) {
  return ref::encode_panel<T>(codec, values, encoded, stride);
}

template <class T>
void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<T> values) {
  return ref::decode_panel<T>(codec, encoded, stride, values);
}

template void encode_panel(Codec, MatrixView<const float>, std::byte*, std::size_t);
template void encode_panel(Codec, MatrixView<const double>, std::byte*, std::size_t);
template void decode_panel(Codec, const std::byte*, std::size_t, MatrixView<float>);
template void decode_panel(Codec, const std::byte*, std::size_t, MatrixView<double>);

}  // namespace strata::cpu
