#include <cmath>

#include "kernels/base/error.hpp"
#include "kernels/norm.hpp"

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

// target[c] += sum over the rows, ascending, of term(row, c), summed from zero first.
template <class T, class Term>
void add_column_sums(std::size_t rows, std::size_t cols, T* target, Term term) {
  for (std::size_t c = 0; c < cols; ++c) {
    T sum = 0;
    for (std::size_t i = 0; i < rows; ++i) sum += term(i, c);
    target[c] += sum;
  }
}

}  // namespace

template <class T>
void layer_norm_forward(MatrixView<const T> z, const T* gain, const T* offset, T eps, MatrixView<T> y, T* mean,
                        T* rstd) {
  const T n = static_cast<T>(z.cols);
  for (std::size_t i = 0; i < z.rows; ++i) {
    const T m = lane_sum<T>(z.cols, [&](std::size_t c) { return z(i, c); }) / n;
    const T var = lane_sum<T>(z.cols, [&](std::size_t c) { return (z(i, c) - m) * (z(i, c) - m); }) / n;
    const T r = 1 / std::sqrt(var + eps);
    mean[i] = m;
    rstd[i] = r;
    for (std::size_t c = 0; c < z.cols; ++c) y(i, c) = gain[c] * ((z(i, c) - m) * r) + offset[c];
  }
}

template <class T>
void layer_norm_backward(MatrixView<const T> z, const T* gain, const T* mean, const T* rstd, MatrixView<const T> dy,
                         MatrixView<T> dz, T* dgain, T* doffset) {
  const auto zhat = [&](std::size_t i, std::size_t c) { return (z(i, c) - mean[i]) * rstd[i]; };
  add_column_sums(z.rows, z.cols, dgain, [&](std::size_t i, std::size_t c) { return dy(i, c) * zhat(i, c); });
  add_column_sums(z.rows, z.cols, doffset, [&](std::size_t i, std::size_t c) { return dy(i, c); });
  const T n = static_cast<T>(z.cols);
  for (std::size_t i = 0; i < z.rows; ++i) {
    const auto q = [&](std::size_t c) { return dy(i, c) * gain[c]; };
    const T mean_q = lane_sum<T>(z.cols, q) / n;
    const T mean_qz = lane_sum<T>(z.cols, [&](std::size_t c) { return q(c) * zhat(i, c); }) / n;
    for (std::size_t c = 0; c < z.cols; ++c) dz(i, c) = rstd[i] * (q(c) - mean_q - zhat(i, c) * mean_qz);
  }
}

template <class T>
void column_sums(MatrixView<const T> z, const T* shift, T* sum, T* sum_sq) {
  const auto centred = [&](std::size_t i, std::size_t c) { return shift != nullptr ? z(i, c) - shift[c] : z(i, c); };
  add_column_sums(z.rows, z.cols, sum, [&](std::size_t i, std::size_t c) { return z(i, c); });
  add_column_sums(z.rows, z.cols, sum_sq, [&](std::size_t i, std::size_t c) { return centred(i, c) * centred(i, c); });
}

template <class T>
void batch_norm_apply(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* offset,
                      MatrixView<T> y) {
  for (std::size_t i = 0; i < z.rows; ++i) {
    for (std::size_t c = 0; c < z.cols; ++c) y(i, c) = gain[c] * ((z(i, c) - mean[c]) * rstd[c]) + offset[c];
  }
}

template <class T>
void batch_norm_backward_sums(MatrixView<const T> z, const T* mean, const T* rstd, MatrixView<const T> dy, T* sum_dy,
                              T* sum_dy_zhat) {
  add_column_sums(z.rows, z.cols, sum_dy, [&](std::size_t i, std::size_t c) { return dy(i, c); });
  add_column_sums(z.rows, z.cols, sum_dy_zhat,
                  [&](std::size_t i, std::size_t c) { return dy(i, c) * ((z(i, c) - mean[c]) * rstd[c]); });
}

template <class T>
void batch_norm_backward(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* sum_dy,
                         const T* sum_dy_zhat, std::size_t n, MatrixView<const T> dy, MatrixView<T> dz) {
  const T count = static_cast<T>(n);
  for (std::size_t i = 0; i < z.rows; ++i) {
    for (std::size_t c = 0; c < z.cols; ++c) {
      const T zhat = (z(i, c) - mean[c]) * rstd[c];
      dz(i, c) = gain[c] * rstd[c] * (dy(i, c) - sum_dy[c] / count - zhat * (sum_dy_zhat[c] / count));
    }
  }
}

#define STRATA_INSTANTIATE(T)                                                                                   \
  template void layer_norm_forward(MatrixView<const T>, const T*, const T*, T, MatrixView<T>, T*, T*);          \
  template void layer_norm_backward(MatrixView<const T>, const T*, const T*, const T*, MatrixView<const T>,     \
                                    MatrixView<T>, T*, T*);                                                     \
  template void column_sums(MatrixView<const T>, const T*, T*, T*);                                             \
  template void batch_norm_apply(MatrixView<const T>, const T*, const T*, const T*, const T*, MatrixView<T>);   \
  template void batch_norm_backward_sums(MatrixView<const T>, const T*, const T*, MatrixView<const T>, T*, T*); \
  template void batch_norm_backward(MatrixView<const T>, const T*, const T*, const T*, const T*, const T*,      \
                                    std::size_t, MatrixView<const T>, MatrixView<T>);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata::ref
