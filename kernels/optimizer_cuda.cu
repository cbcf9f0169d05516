#include "kernels/base/cuda_launch.hpp"
#include "kernels/optimizer_cuda.hpp"

namespace strata::cuda {
namespace {

__global__ void adam_kernel(AdamFactors<float> f, std::size_t n, float* w, const float* g, float* m, float* v) {
  const std::size_t i = thread_index();
  if (i >= n) return;
  const float gradient = g[i] + f.weight_decay * w[i];
  m[i] += f.one_minus_beta1 * (gradient - m[i]);
  v[i] = f.beta2 * v[i] + f.one_minus_beta2 * gradient * gradient;
  w[i] -= f.step_size * m[i] / (sqrtf(v[i]) / f.root_divisor + f.eps);
}

__global__ void sgd_kernel(float rate, float decay, std::size_t n, float* w, const float* g) {
  const std::size_t i = thread_index();
  if (i < n) w[i] -= rate * (g[i] + decay * w[i]);
}

}  // namespace

void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, float* w, const float* g, float* m, float* v,
               StreamView stream) {
  if (n == 0) return;
  adam_kernel<<<blocks_for(n), kThreads, 0, stream>>>(AdamFactors<float>(o, t), n, w, g, m, v);
  check_launch("launch adam_step");
}

void sgd_step(double lr, double weight_decay, std::size_t n, float* w, const float* g, StreamView stream) {
  if (n == 0) return;
  sgd_kernel<<<blocks_for(n), kThreads, 0, stream>>>(static_cast<float>(lr), static_cast<float>(weight_decay), n, w, g);
  check_launch("launch sgd_step");
}

}  // namespace strata::cuda
