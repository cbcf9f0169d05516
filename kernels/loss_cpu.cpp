#include "kernels/loss.hpp"

namespace strata::cpu {

template <class T>
double softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, T scale, MatrixView<T> dlogits) {
  return ref::softmax_cross_entropy<T>(logits, labels, scale, dlogits);
}

template <class T>
double sigmoid_cross_entropy(MatrixView<const T> logits, const std::uint8_t* targets, std::size_t target_stride,
                             const std::uint8_t* labelled, T scale, MatrixView<T> dlogits) {
  return ref::sigmoid_cross_entropy<T>(logits, targets, target_stride, labelled, scale, dlogits);
}

template double softmax_cross_entropy(MatrixView<const float>, const std::int32_t*, float, MatrixView<float>);
template double softmax_cross_entropy(MatrixView<const double>, const std::int32_t*, double, MatrixView<double>);
template double sigmoid_cross_entropy(MatrixView<const float>, const std::uint8_t*, std::size_t, const std::uint8_t*,
                                      float, MatrixView<float>);
template double sigmoid_cross_entropy(MatrixView<const double>, const std::uint8_t*, std::size_t, const std::uint8_t*,
                                      double, MatrixView<double>);

}  // namespace strata::cpu
