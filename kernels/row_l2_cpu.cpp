// Float in groups of sixteen lanes, which are the sixteen partial sums that norm.hpp fixes. Double: the reference.
#include <cmath>
#include <type_traits>

#include "kernels/base/error.hpp"
#include "kernels/base/lanes.hpp"
#include "kernels/row_l2.hpp"

namespace strata::cpu {
namespace {

// A partial load gives zeros in the other lanes, and their products are zeros.
float inner_product(const float* a, const float* b, std::size_t cols) {
  Lanes sum = Lanes::zero();
  for_lanes(cols, [&](std::size_t c, std::size_t n) { sum = sum + Lanes::load(a + c, n) * Lanes::load(b + c, n); });
  return pairwise_sum(sum);
}

}  // namespace

template <class T>
void row_l2_forward(MatrixView<const T> x, MatrixView<T> y, T* inverse) {
  STRATA_ASSERT(y.rows == x.rows && y.cols == x.cols);
  if constexpr (std::is_same_v<T, double>) {
    ref::row_l2_forward<T>(x, y, inverse);
  } else {
    for (std::size_t i = 0; i < x.rows; ++i) {
      const float square = inner_product(x.row(i), x.row(i), x.cols);
      inverse[i] = square > static_cast<float>(kRowL2Least) ? 1 / std::sqrt(square) : static_cast<float>(kRowL2Most);
      const Lanes factor = Lanes::all(inverse[i]);
      for_lanes(x.cols,
                [&](std::size_t c, std::size_t n) { (Lanes::load(x.row(i) + c, n) * factor).store(y.row(i) + c, n); });
    }
  }
}

template <class T>
void row_l2_backward(MatrixView<const T> y, const T* inverse, MatrixView<const T> dy, MatrixView<T> dx) {
  STRATA_ASSERT(dy.rows == y.rows && dy.cols == y.cols && dx.rows == y.rows && dx.cols == y.cols);
  if constexpr (std::is_same_v<T, double>) {
    ref::row_l2_backward<T>(y, inverse, dy, dx);
  } else {
    for (std::size_t i = 0; i < y.rows; ++i) {
      const bool constant = inverse[i] == static_cast<float>(kRowL2Most);
      const Lanes along = Lanes::all(constant ? 0.0f : inner_product(y.row(i), dy.row(i), y.cols));
      const Lanes factor = Lanes::all(inverse[i]);
      for_lanes(y.cols, [&](std::size_t c, std::size_t n) {
        const Lanes across = Lanes::load(dy.row(i) + c, n) - Lanes::load(y.row(i) + c, n) * along;
        (factor * across).store(dx.row(i) + c, n);
      });
    }
  }
}

#define STRATA_INSTANTIATE(T)                                           \
  template void row_l2_forward(MatrixView<const T>, MatrixView<T>, T*); \
  template void row_l2_backward(MatrixView<const T>, const T*, MatrixView<const T>, MatrixView<T>);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata::cpu
