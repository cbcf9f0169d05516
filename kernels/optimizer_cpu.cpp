// The reference's expressions over distinct arrays, which the compiler turns into vector code; elementwise, so the same
// bits.
#include <cmath>

#include "kernels/optimizer.hpp"

namespace strata::cpu {

template <class T>
void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, T* w, const T* g, T* m, T* v) {
  const AdamFactors<T> f(o, t);
  T* __restrict weights = w;
  T* __restrict first = m;
  T* __restrict second = v;
  const T* __restrict gradients = g;
  for (std::size_t i = 0; i < n; ++i) {
    const T gradient = gradients[i] + f.weight_decay * weights[i];
    first[i] += f.one_minus_beta1 * (gradient - first[i]);
    second[i] = f.beta2 * second[i] + f.one_minus_beta2 * gradient * gradient;
    weights[i] -= f.step_size * first[i] / (std::sqrt(second[i]) / f.root_divisor + f.eps);
  }
}

template <class T>
void sgd_step(double lr, double weight_decay, std::size_t n, T* w, const T* g) {
  T* __restrict weights = w;
  const T* __restrict gradients = g;
  const T rate = static_cast<T>(lr);
  const T decay = static_cast<T>(weight_decay);
  for (std::size_t i = 0; i < n; ++i) weights[i] -= rate * (gradients[i] + decay * weights[i]);
}

template void adam_step(const AdamOptions&, std::uint64_t, std::size_t, float*, const float*, float*, float*);
template void adam_step(const AdamOptions&, std::uint64_t, std::size_t, double*, const double*, double*, double*);
template void sgd_step(double, double, std::size_t, float*, const float*);
template void sgd_step(double, double, std::size_t, double*, const double*);

}  // namespace strata::cpu
