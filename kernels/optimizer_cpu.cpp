#include "kernels/optimizer.hpp"

namespace strata::cpu {

template <class T>
void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, T* w, const T* g, T* m, T* v) {
  return ref::adam_step<T>(o, t, n, w, g, m, v);
}

template <class T>
void sgd_step(double lr, double weight_decay, std::size_t n, T* w, const T* g) {
  return ref::sgd_step<T>(lr, weight_decay, n, w, g);
}

template void adam_step(const AdamOptions&, std::uint64_t, std::size_t, float*, const float*, float*, float*);
template void adam_step(const AdamOptions&, std::uint64_t, std::size_t, double*, const double*, double*, double*);
template void sgd_step(double, double, std::size_t, float*, const float*);
template void sgd_step(double, double, std::size_t, double*, const double*);

}  // namespace strata::cpu
