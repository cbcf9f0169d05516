#include <cmath>

#include "kernels/optimizer.hpp"

namespace strata::ref {

template <class T>
void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, T* w, const T* g, T* m, T* v) {
  const AdamFactors<T> f(o, t);
  for (std::size_t i = 0; i < n; ++i) {
    const T gradient = g[i] + f.weight_decay * w[i];
    m[i] += f.one_minus_beta1 * (gradient - m[i]);
    v[i] = f.beta2 * v[i] + f.one_minus_beta2 * gradient * gradient;
    w[i] -= f.step_size * m[i] / (std::sqrt(v[i]) / f.root_divisor + f.eps);
  }
}

template <class T>
void sgd_step(double lr, double weight_decay, std::size_t n, T* w, const T* g) {
  for (std::size_t i = 0; i < n; ++i) w[i] -= static_cast<T>(lr) * (g[i] + static_cast<T>(weight_decay) * w[i]);
}

template void adam_step(const AdamOptions&, std::uint64_t, std::size_t, float*, const float*, float*, float*);
template void adam_step(const AdamOptions&, std::uint64_t, std::size_t, double*, const double*, double*, double*);
template void sgd_step(double, double, std::size_t, float*, const float*);
template void sgd_step(double, double, std::size_t, double*, const double*);

}  // namespace strata::ref
