#include <cmath>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"

namespace strata::ref {
namespace {

template <class T>
void clear_row(MatrixView<T> m, std::size_t i) {
  if (m.data == nullptr) return;
  for (std::size_t c = 0; c < m.cols; ++c) m(i, c) = 0;
}

}  // namespace

template <class T>
double softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, T scale, MatrixView<T> dlogits) {
  double total = 0;
  for (std::size_t i = 0; i < logits.rows; ++i) {
    if (labels[i] == kUnlabelled) {
      clear_row(dlogits, i);
      continue;
    }
    const std::size_t label = static_cast<std::size_t>(labels[i]);
    STRATA_ASSERT(label < logits.cols);
    T largest = logits(i, 0);
    for (std::size_t c = 1; c < logits.cols; ++c) largest = logits(i, c) > largest ? logits(i, c) : largest;
    T sum = 0;
    for (std::size_t c = 0; c < logits.cols; ++c) sum += std::exp(logits(i, c) - largest);
    total += static_cast<double>(std::log(sum)) - (static_cast<double>(logits(i, label)) - largest);
    if (dlogits.data == nullptr) continue;
    for (std::size_t c = 0; c < logits.cols; ++c) {
      const T probability = std::exp(logits(i, c) - largest) / sum;
      dlogits(i, c) = scale * (probability - (c == label ? T{1} : T{0}));
    }
  }
  return total;
}

template <class T>
double sigmoid_cross_entropy(MatrixView<const T> logits, const std::uint8_t* targets, std::size_t target_stride,
                             const std::uint8_t* labelled, T scale, MatrixView<T> dlogits) {
  double total = 0;
  for (std::size_t i = 0; i < logits.rows; ++i) {
    if (labelled[i] == 0) {
      clear_row(dlogits, i);
      continue;
    }
    double row = 0;
    for (std::size_t c = 0; c < logits.cols; ++c) {
      const T z = logits(i, c);
      const T target = static_cast<T>(targets[i * target_stride + c / 8] >> (c % 8) & 1);
      row += static_cast<double>((z > 0 ? z : T{0}) - z * target + std::log1p(std::exp(-std::abs(z))));
      if (dlogits.data != nullptr) dlogits(i, c) = scale * (1 / (1 + std::exp(-z)) - target);
    }
    total += row;
  }
  return total;
}

template double softmax_cross_entropy(MatrixView<const float>, const std::int32_t*, float, MatrixView<float>);
template double softmax_cross_entropy(MatrixView<const double>, const std::int32_t*, double, MatrixView<double>);
template double sigmoid_cross_entropy(MatrixView<const float>, const std::uint8_t*, std::size_t, const std::uint8_t*,
                                      float, MatrixView<float>);
template double sigmoid_cross_entropy(MatrixView<const double>, const std::uint8_t*, std::size_t, const std::uint8_t*,
                                      double, MatrixView<double>);

}  // namespace strata::ref
