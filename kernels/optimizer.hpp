// One optimiser step over a flat array; methods.md 1.3. Weight decay is coupled L2: the gradient is g + weight_decay *
// w.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace strata {

struct AdamOptions {
  double lr = 1e-2;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  // false: w -= lr * mhat / (sqrt(vhat) + eps), Kingma & Ba 2015 as PyTorch has it.
  // true:  w -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps), TensorFlow 1's reading.
  bool tensorflow_epsilon = false;
};

// What all elements share in step t, computed in double and rounded once, as PyTorch does:
//   m += (1 - beta1)(g - m); v = beta2 v + (1 - beta2) g g; w -= step_size m / (sqrt(v) / root_divisor + eps).
template <class T>
struct AdamFactors {
  AdamFactors(const AdamOptions& o, std::uint64_t t) {
    const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(t));
    const double root2 = std::sqrt(1 - std::pow(o.beta2, static_cast<double>(t)));
    one_minus_beta1 = static_cast<T>(1 - o.beta1);
    beta2 = static_cast<T>(o.beta2);
    one_minus_beta2 = static_cast<T>(1 - o.beta2);
    step_size = static_cast<T>(o.lr / correction1 * (o.tensorflow_epsilon ? root2 : 1));
    root_divisor = static_cast<T>(o.tensorflow_epsilon ? 1 : root2);
    eps = static_cast<T>(o.eps);
    weight_decay = static_cast<T>(o.weight_decay);
  }
  T one_minus_beta1, beta2, one_minus_beta2, step_size, root_divisor, eps, weight_decay;
};

namespace ref {
// t counts steps from 1. m and v are the moments, updated in place.
template <class T>
void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, T* w, const T* g, T* m, T* v);
template <class T>
void sgd_step(double lr, double weight_decay, std::size_t n, T* w, const T* g);
}  // namespace ref
namespace cpu {
template <class T>
void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, T* w, const T* g, T* m, T* v);
template <class T>
void sgd_step(double lr, double weight_decay, std::size_t n, T* w, const T* g);
}  // namespace cpu
}  // namespace strata
