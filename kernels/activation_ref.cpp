#include <cmath>
#include <numbers>

#include "kernels/activation.hpp"
#include "kernels/base/error.hpp"

namespace strata::ref {
namespace {

template <class T>
T normal_cdf(T z) {
  return T{0.5} * (1 + std::erf(z * (std::numbers::sqrt2_v<T> / 2)));
}
template <class T>
T normal_density(T z) {
  return std::exp(-z * z / 2) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
}
template <class T>
T sigmoid(T z) {
  return 1 / (1 + std::exp(-z));
}

template <class T>
T value(Activation f, T z) {
  switch (f) {
    case Activation::none: return z;
    case Activation::relu: return z > 0 ? z : T{0};
    case Activation::leaky_relu: return z > 0 ? z : T(0.2) * z;
    case Activation::elu: return z > 0 ? z : std::expm1(z);
    case Activation::gelu: return z * normal_cdf(z);
    case Activation::tanh: return std::tanh(z);
    case Activation::sigmoid: return sigmoid(z);
  }
  return z;
}

template <class T>
T derivative(Activation f, T z) {
  switch (f) {
    case Activation::none: return 1;
    case Activation::relu: return z > 0 ? T{1} : T{0};
    case Activation::leaky_relu: return z > 0 ? T{1} : T(0.2);
    case Activation::elu: return z > 0 ? T{1} : std::exp(z);
    case Activation::gelu: return normal_cdf(z) + z * normal_density(z);
    case Activation::tanh: return 1 - std::tanh(z) * std::tanh(z);
    case Activation::sigmoid: return sigmoid(z) * (1 - sigmoid(z));
  }
  return 1;
}

}  // namespace

template <class T>
void activation_forward(Activation f, MatrixView<const T> z, MatrixView<T> y) {
  STRATA_ASSERT(z.rows == y.rows && z.cols == y.cols);
  for (std::size_t i = 0; i < z.rows; ++i) {
    for (std::size_t c = 0; c < z.cols; ++c) y(i, c) = value(f, z(i, c));
  }
}

template <class T>
void activation_backward(Activation f, MatrixView<const T> z, MatrixView<const T> dy, MatrixView<T> dz) {
  STRATA_ASSERT(z.rows == dy.rows && z.cols == dy.cols && z.rows == dz.rows && z.cols == dz.cols);
  for (std::size_t i = 0; i < z.rows; ++i) {
    for (std::size_t c = 0; c < z.cols; ++c) dz(i, c) = dy(i, c) * derivative(f, z(i, c));
  }
}

template void activation_forward(Activation, MatrixView<const float>, MatrixView<float>);
template void activation_forward(Activation, MatrixView<const double>, MatrixView<double>);
template void activation_backward(Activation, MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void activation_backward(Activation, MatrixView<const double>, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::ref
