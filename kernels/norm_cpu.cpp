// Float in groups of sixteen lanes, which are the sixteen partial sums that norm.hpp fixes. Double: the reference.
#include <cmath>
#include <type_traits>

#include "kernels/base/error.hpp"
#include "kernels/base/lanes.hpp"
#include "kernels/norm.hpp"

namespace strata::cpu {
namespace {

template <class T>
constexpr bool kIsDouble = std::is_same_v<T, double>;

// A full group of lanes adds all its terms. A partial one leaves the other lanes' sums as they are: term(c, n) must
// give zeros there, which change a sum at most in the sign of a zero.
template <class Term>
float lane_sum(std::size_t cols, Term term) {
  Lanes sum = Lanes::zero();
  for_lanes(cols, [&](std::size_t c, std::size_t n) { sum = sum + term(c, n); });
  return pairwise_sum(sum);
}

// target[c] += sum over the rows, ascending, of term(row, c, n), in registers for four groups of columns at a time.
template <class Term>
void add_column_sums(std::size_t rows, std::size_t cols, float* target, Term term) {
  std::size_t first = 0;
  for (; first + 4 * kLanes <= cols; first += 4 * kLanes) {
    Lanes sums[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
    for (std::size_t i = 0; i < rows; ++i) {
      sums[0] = sums[0] + term(i, first, kLanes);
      sums[1] = sums[1] + term(i, first + kLanes, kLanes);
      sums[2] = sums[2] + term(i, first + 2 * kLanes, kLanes);
      sums[3] = sums[3] + term(i, first + 3 * kLanes, kLanes);
    }
    for (std::size_t g = 0; g < 4; ++g) {
      float* to = target + first + g * kLanes;
      (Lanes::load(to) + sums[g]).store(to);
    }
  }
  for_lanes(cols - first, [&](std::size_t c, std::size_t n) {
    Lanes sum = Lanes::zero();
    for (std::size_t i = 0; i < rows; ++i) sum = sum + term(i, first + c, n);
    (Lanes::load(target + first + c, n) + sum).store(target + first + c, n);
  });
}

// The first n lanes of x, zeros elsewhere.
Lanes keep_first(const Lanes& x, std::size_t n) {
  if (n == kLanes) return x;
  float v[kLanes];
  x.store(v);
  return Lanes::load(v, n);
}

void layer_norm_row(const float* z, std::size_t cols, const float* gain, const float* offset, float eps, float* y,
                    float& mean, float& rstd) {
  const float n_cols = static_cast<float>(cols);
  mean = lane_sum(cols, [&](std::size_t c, std::size_t n) { return Lanes::load(z + c, n); }) / n_cols;
  const Lanes m = Lanes::all(mean);
  const float var = lane_sum(cols,
                             [&](std::size_t c, std::size_t n) {
                               const Lanes d = keep_first(Lanes::load(z + c, n) - m, n);
                               return d * d;
                             }) /
                    n_cols;
  rstd = 1 / std::sqrt(var + eps);
  const Lanes r = Lanes::all(rstd);
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const Lanes zhat = (Lanes::load(z + c, n) - m) * r;
    (Lanes::load(gain + c, n) * zhat + Lanes::load(offset + c, n)).store(y + c, n);
  });
}

void layer_norm_backward_row(const float* z, std::size_t cols, const float* gain, float mean, float rstd,
                             const float* dy, float* dz) {
  const Lanes m = Lanes::all(mean);
  const Lanes r = Lanes::all(rstd);
  const float n_cols = static_cast<float>(cols);
  const auto q = [&](std::size_t c, std::size_t n) { return Lanes::load(dy + c, n) * Lanes::load(gain + c, n); };
  const auto zhat = [&](std::size_t c, std::size_t n) { return (Lanes::load(z + c, n) - m) * r; };
  const Lanes mean_q = Lanes::all(lane_sum(cols, q) / n_cols);
  const Lanes mean_qz = Lanes::all(
      lane_sum(cols, [&](std::size_t c, std::size_t n) { return keep_first(q(c, n) * zhat(c, n), n); }) / n_cols);
  for_lanes(cols,
            [&](std::size_t c, std::size_t n) { (r * (q(c, n) - mean_q - zhat(c, n) * mean_qz)).store(dz + c, n); });
}

// zhat of a column group, with per-column statistics.
Lanes column_zhat(MatrixView<const float> z, const float* mean, const float* rstd, std::size_t i, std::size_t c,
                  std::size_t n) {
  return (Lanes::load(z.row(i) + c, n) - Lanes::load(mean + c, n)) * Lanes::load(rstd + c, n);
}

}  // namespace

template <class T>
void layer_norm_forward(MatrixView<const T> z, const T* gain, const T* offset, T eps, MatrixView<T> y, T* mean,
                        T* rstd) {
  STRATA_ASSERT(y.rows == z.rows && y.cols == z.cols);
  if constexpr (kIsDouble<T>) {
    ref::layer_norm_forward<T>(z, gain, offset, eps, y, mean, rstd);
  } else {
    for (std::size_t i = 0; i < z.rows; ++i) {
      layer_norm_row(z.row(i), z.cols, gain, offset, eps, y.row(i), mean[i], rstd[i]);
    }
  }
}

template <class T>
void layer_norm_backward(MatrixView<const T> z, const T* gain, const T* mean, const T* rstd, MatrixView<const T> dy,
                         MatrixView<T> dz, T* dgain, T* doffset) {
  STRATA_ASSERT(dy.rows == z.rows && dy.cols == z.cols && dz.rows == z.rows && dz.cols == z.cols);
  if constexpr (kIsDouble<T>) {
    ref::layer_norm_backward<T>(z, gain, mean, rstd, dy, dz, dgain, doffset);
  } else {
    const auto gradient = [&](std::size_t i, std::size_t c, std::size_t n) { return Lanes::load(dy.row(i) + c, n); };
    add_column_sums(z.rows, z.cols, dgain, [&](std::size_t i, std::size_t c, std::size_t n) {
      return gradient(i, c, n) * ((Lanes::load(z.row(i) + c, n) - Lanes::all(mean[i])) * Lanes::all(rstd[i]));
    });
    add_column_sums(z.rows, z.cols, doffset, gradient);
    for (std::size_t i = 0; i < z.rows; ++i) {
      layer_norm_backward_row(z.row(i), z.cols, gain, mean[i], rstd[i], dy.row(i), dz.row(i));
    }
  }
}

template <class T>
void column_sums(MatrixView<const T> z, const T* shift, T* sum, T* sum_sq) {
  if constexpr (kIsDouble<T>) {
    ref::column_sums<T>(z, shift, sum, sum_sq);
  } else {
    const auto value = [&](std::size_t i, std::size_t c, std::size_t n) { return Lanes::load(z.row(i) + c, n); };
    add_column_sums(z.rows, z.cols, sum, value);
    add_column_sums(z.rows, z.cols, sum_sq, [&](std::size_t i, std::size_t c, std::size_t n) {
      const Lanes d = shift != nullptr ? value(i, c, n) - Lanes::load(shift + c, n) : value(i, c, n);
      return d * d;
    });
  }
}

template <class T>
void batch_norm_apply(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* offset,
                      MatrixView<T> y) {
  STRATA_ASSERT(y.rows == z.rows && y.cols == z.cols);
  if constexpr (kIsDouble<T>) {
    ref::batch_norm_apply<T>(z, mean, rstd, gain, offset, y);
  } else {
    for (std::size_t i = 0; i < z.rows; ++i) {
      for_lanes(z.cols, [&](std::size_t c, std::size_t n) {
        const Lanes zhat = column_zhat(z, mean, rstd, i, c, n);
        (Lanes::load(gain + c, n) * zhat + Lanes::load(offset + c, n)).store(y.row(i) + c, n);
      });
    }
  }
}

template <class T>
void batch_norm_backward_sums(MatrixView<const T> z, const T* mean, const T* rstd, MatrixView<const T> dy, T* sum_dy,
                              T* sum_dy_zhat) {
  STRATA_ASSERT(dy.rows == z.rows && dy.cols == z.cols);
  if constexpr (kIsDouble<T>) {
    ref::batch_norm_backward_sums<T>(z, mean, rstd, dy, sum_dy, sum_dy_zhat);
  } else {
    const auto gradient = [&](std::size_t i, std::size_t c, std::size_t n) { return Lanes::load(dy.row(i) + c, n); };
    add_column_sums(z.rows, z.cols, sum_dy, gradient);
    add_column_sums(z.rows, z.cols, sum_dy_zhat, [&](std::size_t i, std::size_t c, std::size_t n) {
      return gradient(i, c, n) * column_zhat(z, mean, rstd, i, c, n);
    });
  }
}

template <class T>
void batch_norm_backward(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* sum_dy,
                         const T* sum_dy_zhat, std::size_t n, MatrixView<const T> dy, MatrixView<T> dz) {
  STRATA_ASSERT(dy.rows == z.rows && dy.cols == z.cols && dz.rows == z.rows && dz.cols == z.cols);
  if constexpr (kIsDouble<T>) {
    ref::batch_norm_backward<T>(z, mean, rstd, gain, sum_dy, sum_dy_zhat, n, dy, dz);
  } else {
    const Lanes rows = Lanes::all(static_cast<float>(n));
    for (std::size_t i = 0; i < z.rows; ++i) {
      for_lanes(z.cols, [&](std::size_t c, std::size_t k) {
        const Lanes mean_dy = Lanes::load(sum_dy + c, k) / rows;
        const Lanes mean_dy_zhat = Lanes::load(sum_dy_zhat + c, k) / rows;
        const Lanes factor = Lanes::load(gain + c, k) * Lanes::load(rstd + c, k);
        const Lanes zhat = column_zhat(z, mean, rstd, i, c, k);
        (factor * (Lanes::load(dy.row(i) + c, k) - mean_dy - zhat * mean_dy_zhat)).store(dz.row(i) + c, k);
      });
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

}  // namespace strata::cpu
