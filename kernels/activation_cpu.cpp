#include "kernels/activation.hpp"

namespace strata::cpu {

template <class T>
void activation_forward(Activation f, MatrixView<const T> z, MatrixView<T> y) {
  return ref::activation_forward<T>(f, z, y);
}

template <class T>
void activation_backward(Activation f, MatrixView<const T> z, MatrixView<const T> dy, MatrixView<T> dz) {
  return ref::activation_backward<T>(f, z, dy, dz);
}

template void activation_forward(Activation, MatrixView<const float>, MatrixView<float>);
template void activation_forward(Activation, MatrixView<const double>, MatrixView<double>);
template void activation_backward(Activation, MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void activation_backward(Activation, MatrixView<const double>, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::cpu
