#include "kernels/activation_cuda.hpp"
#include "kernels/base/cuda_launch.hpp"

namespace strata::cuda {
namespace {

__device__ float sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }
__device__ float normal_density(float z) { return 0.39894228040143268f * expf(-0.5f * z * z); }

__device__ float value(Activation f, float z) {
  switch (f) {
    case Activation::none: return z;
    case Activation::relu: return z > 0 ? z : 0.0f;
    case Activation::leaky_relu: return z > 0 ? z : 0.2f * z;
    case Activation::elu: return z > 0 ? z : expm1f(z);
    case Activation::gelu: return z * normcdff(z);
    case Activation::tanh: return tanhf(z);
    case Activation::sigmoid: return sigmoid(z);
  }
  return z;
}

__device__ float derivative(Activation f, float z) {
  switch (f) {
    case Activation::none: return 1.0f;
    case Activation::relu: return z > 0 ? 1.0f : 0.0f;
    case Activation::leaky_relu: return z > 0 ? 1.0f : 0.2f;
    case Activation::elu: return z > 0 ? 1.0f : expf(z);
    case Activation::gelu: return normcdff(z) + z * normal_density(z);
    case Activation::tanh: return 1.0f - tanhf(z) * tanhf(z);
    case Activation::sigmoid: return sigmoid(z) * (1.0f - sigmoid(z));
  }
  return 1.0f;
}

__global__ void forward_kernel(Activation f, MatrixView<const float> z, MatrixView<float> y) {
  const std::size_t t = thread_index();
  if (t >= z.rows * z.cols) return;
  const std::size_t i = t / z.cols;
  const std::size_t c = t % z.cols;
  y.data[i * y.stride + c] = value(f, z.data[i * z.stride + c]);
}

__global__ void backward_kernel(Activation f, MatrixView<const float> z, MatrixView<const float> dy,
                                MatrixView<float> dz) {
  const std::size_t t = thread_index();
  if (t >= z.rows * z.cols) return;
  const std::size_t i = t / z.cols;
  const std::size_t c = t % z.cols;
  dz.data[i * dz.stride + c] = dy.data[i * dy.stride + c] * derivative(f, z.data[i * z.stride + c]);
}

}  // namespace

void activation_forward(Activation f, MatrixView<const float> z, MatrixView<float> y, StreamView stream) {
  if (z.rows * z.cols == 0) return;
  forward_kernel<<<blocks_for(z.rows * z.cols), kThreads, 0, stream>>>(f, z, y);
  check_launch("launch activation_forward");
}

void activation_backward(Activation f, MatrixView<const float> z, MatrixView<const float> dy, MatrixView<float> dz,
                         StreamView stream) {
  if (z.rows * z.cols == 0) return;
  backward_kernel<<<blocks_for(z.rows * z.cols), kThreads, 0, stream>>>(f, z, dy, dz);
  check_launch("launch activation_backward");
}

}  // namespace strata::cuda
