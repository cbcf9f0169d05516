#include "kernels/base/error.hpp"
#include "kernels/linear.hpp"

namespace strata::ref {

template <class T>
void linear_forward(MatrixView<const T> x, MatrixView<const T> w, const T* bias, MatrixView<T> y, bool accumulate) {
  STRATA_ASSERT(y.rows == x.rows && y.cols == w.rows && w.cols == x.cols);
  for (std::size_t i = 0; i < y.rows; ++i) {
    for (std::size_t o = 0; o < y.cols; ++o) {
      T sum = 0;
      for (std::size_t k = 0; k < x.cols; ++k) sum += x(i, k) * w(o, k);
      if (bias != nullptr) sum += bias[o];
      y(i, o) = accumulate ? y(i, o) + sum : sum;
    }
  }
}

template <class T>
void linear_backward_input(MatrixView<const T> dy, MatrixView<const T> w, MatrixView<T> dx, bool accumulate) {
  STRATA_ASSERT(dx.rows == dy.rows && dx.cols == w.cols && w.rows == dy.cols);
  for (std::size_t i = 0; i < dx.rows; ++i) {
    for (std::size_t k = 0; k < dx.cols; ++k) {
      T sum = 0;
      for (std::size_t o = 0; o < dy.cols; ++o) sum += dy(i, o) * w(o, k);
      dx(i, k) = accumulate ? dx(i, k) + sum : sum;
    }
  }
}

template <class T>
void linear_backward_weight(MatrixView<const T> dy, MatrixView<const T> x, MatrixView<T> dw, bool accumulate) {
  STRATA_ASSERT(dy.rows == x.rows && dw.rows == dy.cols && dw.cols == x.cols);
  for (std::size_t o = 0; o < dw.rows; ++o) {
    for (std::size_t k = 0; k < dw.cols; ++k) {
      T sum = 0;
      for (std::size_t i = 0; i < x.rows; ++i) sum += dy(i, o) * x(i, k);
      dw(o, k) = accumulate ? dw(o, k) + sum : sum;
    }
  }
}

template <class T>
void linear_backward_bias(MatrixView<const T> dy, T* db, bool accumulate) {
  for (std::size_t o = 0; o < dy.cols; ++o) {
    double sum = 0;
    for (std::size_t i = 0; i < dy.rows; ++i) sum += static_cast<double>(dy(i, o));
    const T rounded = static_cast<T>(sum);
    db[o] = accumulate ? db[o] + rounded : rounded;
  }
}

#define STRATA_INSTANTIATE(T)                                                                            \
  template void linear_forward(MatrixView<const T>, MatrixView<const T>, const T*, MatrixView<T>, bool); \
  template void linear_backward_input(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, bool);    \
  template void linear_backward_weight(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, bool);   \
  template void linear_backward_bias(MatrixView<const T>, T*, bool);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata::ref
