#include <cmath>

#include "kernels/row_l2.hpp"

namespace strata::ref {
namespace {

// Sum of term(0..n-1) in the order that norm.hpp fixes.
template <class T, class Term>
T lane_sum(std::size_t n, Term term) {
  T lanes[16] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i % 16] += term(i);
  for (std::size_t half = 8; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

}  // namespace

template <class T>
void row_l2_forward(MatrixView<const T> x, MatrixView<T> y, T* inverse) {
  for (std::size_t i = 0; i < x.rows; ++i) {
    const T square = lane_sum<T>(x.cols, [&](std::size_t c) { return x(i, c) * x(i, c); });
    inverse[i] = square > static_cast<T>(kRowL2Least) ? 1 / std::sqrt(square) : static_cast<T>(kRowL2Most);
    for (std::size_t c = 0; c < x.cols; ++c) y(i, c) = x(i, c) * inverse[i];
  }
}

template <class T>
void row_l2_backward(MatrixView<const T> y, const T* inverse, MatrixView<const T> dy, MatrixView<T> dx) {
  for (std::size_t i = 0; i < y.rows; ++i) {
    const bool constant = inverse[i] == static_cast<T>(kRowL2Most);
    const T along = constant ? T{0} : lane_sum<T>(y.cols, [&](std::size_t c) { return y(i, c) * dy(i, c); });
    for (std::size_t c = 0; c < y.cols; ++c) dx(i, c) = inverse[i] * (dy(i, c) - y(i, c) * along);
  }
}

#define STRATA_INSTANTIATE(T)                                           \
  template void row_l2_forward(MatrixView<const T>, MatrixView<T>, T*); \
  template void row_l2_backward(MatrixView<const T>, const T*, MatrixView<const T>, MatrixView<T>);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata::ref
