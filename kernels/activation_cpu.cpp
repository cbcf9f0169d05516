#include <algorithm>
#include <type_traits>

#include "kernels/activation.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/vector_math.hpp"

namespace strata::cpu {
namespace {

constexpr float kSqrtHalf = 0.70710678118654752f;
constexpr float kInvSqrtTwoPi = 0.39894228040143268f;

inline float normal_cdf(float z) { return 0.5f * (1.0f + erf_lane(z * kSqrtHalf)); }

struct Relu {
  static float value(float z) { return z > 0 ? z : 0.0f; }
  static float derivative(float z) { return z > 0 ? 1.0f : 0.0f; }
};
struct LeakyRelu {
  static float value(float z) { return z > 0 ? z : 0.2f * z; }
  static float derivative(float z) { return z > 0 ? 1.0f : 0.2f; }
};
struct Elu {
  static float value(float z) {
    const float e = expm1_lane(z > 0 ? 0.0f : z);
    return z > 0 ? z : e;
  }
  static float derivative(float z) {
    const float e = exp_lane(z > 0 ? 0.0f : z);
    return z > 0 ? 1.0f : e;
  }
};
struct Gelu {
  static float value(float z) { return z * normal_cdf(z); }
  static float derivative(float z) { return normal_cdf(z) + z * (exp_lane(-z * z * 0.5f) * kInvSqrtTwoPi); }
};
struct Tanh {
  static float value(float z) { return tanh_lane(z); }
  static float derivative(float z) { return 1.0f - tanh_lane(z) * tanh_lane(z); }
};
struct Sigmoid {
  static float value(float z) { return sigmoid_lane(z); }
  static float derivative(float z) { return sigmoid_lane(z) * (1.0f - sigmoid_lane(z)); }
};

template <class F>
void forward(MatrixView<const float> z, MatrixView<float> y) {
  for (std::size_t i = 0; i < z.rows; ++i) {
    const float* in = z.row(i);
    float* out = y.row(i);
    for_lanes(z.cols, [&](std::size_t c, std::size_t n) {
      map_lanes(Lanes::load(in + c, n), [](float x) { return F::value(x); }).store(out + c, n);
    });
  }
}

template <class F>
void backward(MatrixView<const float> z, MatrixView<const float> dy, MatrixView<float> dz) {
  for (std::size_t i = 0; i < z.rows; ++i) {
    const float* in = z.row(i);
    const float* gradient = dy.row(i);
    float* out = dz.row(i);
    for_lanes(z.cols, [&](std::size_t c, std::size_t n) {
      const Lanes d = map_lanes(Lanes::load(in + c, n), [](float x) { return F::derivative(x); });
      (Lanes::load(gradient + c, n) * d).store(out + c, n);
    });
  }
}

void copy(MatrixView<const float> from, MatrixView<float> to) {
  if (from.data == to.data && from.stride == to.stride) return;
  for (std::size_t i = 0; i < from.rows; ++i) std::copy_n(from.row(i), from.cols, to.row(i));
}

void forward_float(Activation f, MatrixView<const float> z, MatrixView<float> y) {
  switch (f) {
    case Activation::none: return copy(z, y);
    case Activation::relu: return forward<Relu>(z, y);
    case Activation::leaky_relu: return forward<LeakyRelu>(z, y);
    case Activation::elu: return forward<Elu>(z, y);
    case Activation::gelu: return forward<Gelu>(z, y);
    case Activation::tanh: return forward<Tanh>(z, y);
    case Activation::sigmoid: return forward<Sigmoid>(z, y);
  }
}

void backward_float(Activation f, MatrixView<const float> z, MatrixView<const float> dy, MatrixView<float> dz) {
  switch (f) {
    case Activation::none: return copy(dy, dz);
    case Activation::relu: return backward<Relu>(z, dy, dz);
    case Activation::leaky_relu: return backward<LeakyRelu>(z, dy, dz);
    case Activation::elu: return backward<Elu>(z, dy, dz);
    case Activation::gelu: return backward<Gelu>(z, dy, dz);
    case Activation::tanh: return backward<Tanh>(z, dy, dz);
    case Activation::sigmoid: return backward<Sigmoid>(z, dy, dz);
  }
}

}  // namespace

template <class T>
void activation_forward(Activation f, MatrixView<const T> z, MatrixView<T> y) {
  STRATA_ASSERT(z.rows == y.rows && z.cols == y.cols);
  if constexpr (std::is_same_v<T, double>) {
    ref::activation_forward<T>(f, z, y);
  } else {
    forward_float(f, z, y);
  }
}

template <class T>
void activation_backward(Activation f, MatrixView<const T> z, MatrixView<const T> dy, MatrixView<T> dz) {
  STRATA_ASSERT(z.rows == dy.rows && z.cols == dy.cols && z.rows == dz.rows && z.cols == dz.cols);
  if constexpr (std::is_same_v<T, double>) {
    ref::activation_backward<T>(f, z, dy, dz);
  } else {
    backward_float(f, z, dy, dz);
  }
}

template void activation_forward(Activation, MatrixView<const float>, MatrixView<float>);
template void activation_forward(Activation, MatrixView<const double>, MatrixView<double>);
template void activation_backward(Activation, MatrixView<const float>, MatrixView<const float>, MatrixView<float>);
template void activation_backward(Activation, MatrixView<const double>, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::cpu
