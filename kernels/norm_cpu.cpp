#include "kernels/norm.hpp"

namespace strata::cpu {

template <class T>
void layer_norm_forward(MatrixView<const T> z, const T* gain, const T* offset, T eps, MatrixView<T> y, T* mean,
                        T* rstd) {
  return ref::layer_norm_forward<T>(z, gain, offset, eps, y, mean, rstd);
}

template <class T>
void layer_norm_backward(MatrixView<const T> z, const T* gain, const T* mean, const T* rstd, MatrixView<const T> dy,
                         MatrixView<T> dz, T* dgain, T* doffset) {
  return ref::layer_norm_backward<T>(z, gain, mean, rstd, dy, dz, dgain, doffset);
}

template <class T>
void column_sums(MatrixView<const T> z, const T* shift, T* sum, T* sum_sq) {
  return ref::column_sums<T>(z, shift, sum, sum_sq);
}

template <class T>
void batch_norm_apply(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* offset,
                      MatrixView<T> y) {
  return ref::batch_norm_apply<T>(z, mean, rstd, gain, offset, y);
}

template <class T>
void batch_norm_backward_sums(MatrixView<const T> z, const T* mean, const T* rstd, MatrixView<const T> dy, T* sum_dy,
                              T* sum_dy_zhat) {
  return ref::batch_norm_backward_sums<T>(z, mean, rstd, dy, sum_dy, sum_dy_zhat);
}

template <class T>
void batch_norm_backward(MatrixView<const T> z, const T* mean, const T* rstd, const T* gain, const T* sum_dy,
                         const T* sum_dy_zhat, std::size_t n, MatrixView<const T> dy, MatrixView<T> dz) {
  return ref::batch_norm_backward<T>(z, mean, rstd, gain, sum_dy, sum_dy_zhat, n, dy, dz);
}

template void layer_norm_forward(MatrixView<const float>, const float*, const float*, float, MatrixView<float>, float*,
                                 float*);
template void layer_norm_forward(MatrixView<const double>, const double*, const double*, double, MatrixView<double>,
                                 double*, double*);
template void layer_norm_backward(MatrixView<const float>, const float*, const float*, const float*,
                                  MatrixView<const float>, MatrixView<float>, float*, float*);
template void layer_norm_backward(MatrixView<const double>, const double*, const double*, const double*,
                                  MatrixView<const double>, MatrixView<double>, double*, double*);
template void column_sums(MatrixView<const float>, const float*, float*, float*);
template void column_sums(MatrixView<const double>, const double*, double*, double*);
template void batch_norm_apply(MatrixView<const float>, const float*, const float*, const float*, const float*,
                               MatrixView<float>);
template void batch_norm_apply(MatrixView<const double>, const double*, const double*, const double*, const double*,
                               MatrixView<double>);
template void batch_norm_backward_sums(MatrixView<const float>, const float*, const float*, MatrixView<const float>,
                                       float*, float*);
template void batch_norm_backward_sums(MatrixView<const double>, const double*, const double*, MatrixView<const double>,
                                       double*, double*);
template void batch_norm_backward(MatrixView<const float>, const float*, const float*, const float*, const float*,
                                  const float*, std::size_t, MatrixView<const float>, MatrixView<float>);
template void batch_norm_backward(MatrixView<const double>, const double*, const double*, const double*, const double*,
                                  const double*, std::size_t, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::cpu
