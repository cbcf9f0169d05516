// Per row: a half-warp, whose sixteen lanes are the sixteen partial sums of norm.hpp. Per column: one thread.
#include "kernels/base/cuda_launch.hpp"
#include "kernels/norm_cuda.hpp"

namespace strata::cuda {
namespace {

constexpr unsigned kHalfWarp = 16;

// Every thread of a warp takes part in the shuffles; those past the last row work on it and write nothing.
__global__ void layer_norm_forward_kernel(MatrixView<const float> z, const float* gain, const float* offset, float eps,
                                          MatrixView<float> y, float* mean, float* rstd) {
  const std::size_t index = thread_index() / kHalfWarp;
  const unsigned lane = threadIdx.x % kHalfWarp;
  const bool inside = index < z.rows;
  const std::size_t i = inside ? index : z.rows - 1;
  const float* row = z.data + i * z.stride;
  const float n = static_cast<float>(z.cols);
  float sum = 0;
  for (std::size_t c = lane; c < z.cols; c += kHalfWarp) sum += row[c];
  const float m = half_warp_sum(sum) / n;
  float squares = 0;
  for (std::size_t c = lane; c < z.cols; c += kHalfWarp) squares += (row[c] - m) * (row[c] - m);
  const float r = 1.0f / sqrtf(half_warp_sum(squares) / n + eps);
  if (!inside) return;
  if (lane == 0) {
    mean[i] = m;
    rstd[i] = r;
  }
  for (std::size_t c = lane; c < z.cols; c += kHalfWarp) {
    y.data[i * y.stride + c] = gain[c] * ((row[c] - m) * r) + offset[c];
  }
}

__global__ void layer_norm_backward_kernel(MatrixView<const float> z, const float* gain, const float* mean,
                                           const float* rstd, MatrixView<const float> dy, MatrixView<float> dz) {
  const std::size_t index = thread_index() / kHalfWarp;
  const unsigned lane = threadIdx.x % kHalfWarp;
  const bool inside = index < z.rows;
  const std::size_t i = inside ? index : z.rows - 1;
  const float* row = z.data + i * z.stride;
  const float* gradient = dy.data + i * dy.stride;
  const float m = mean[i];
  const float r = rstd[i];
  const float n = static_cast<float>(z.cols);
  float sum_q = 0;
  float sum_qz = 0;
  for (std::size_t c = lane; c < z.cols; c += kHalfWarp) {
    const float q = gradient[c] * gain[c];
    sum_q += q;
    sum_qz += q * ((row[c] - m) * r);
  }
  const float mean_q = half_warp_sum(sum_q) / n;
  const float mean_qz = half_warp_sum(sum_qz) / n;
  if (!inside) return;
  for (std::size_t c = lane; c < z.cols; c += kHalfWarp) {
    const float zhat = (row[c] - m) * r;
    dz.data[i * dz.stride + c] = r * (gradient[c] * gain[c] - mean_q - zhat * mean_qz);
  }
}

// dgain += sums of dy zhat, doffset += sums of dy, with one mean and rstd a row.
__global__ void layer_norm_sums_kernel(MatrixView<const float> z, const float* mean, const float* rstd,
                                       MatrixView<const float> dy, float* dgain, float* doffset) {
  const std::size_t c = thread_index();
  if (c >= z.cols) return;
  float gain_sum = 0;
  float offset_sum = 0;
  for (std::size_t i = 0; i < z.rows; ++i) {
    const float gradient = dy.data[i * dy.stride + c];
    gain_sum += gradient * ((z.data[i * z.stride + c] - mean[i]) * rstd[i]);
    offset_sum += gradient;
  }
  dgain[c] += gain_sum;
  doffset[c] += offset_sum;
}

__global__ void column_sums_kernel(MatrixView<const float> z, const float* shift, float* sum, float* sum_sq) {
  const std::size_t c = thread_index();
  if (c >= z.cols) return;
  float total = 0;
  float squares = 0;
  for (std::size_t i = 0; i < z.rows; ++i) {
    const float value = z.data[i * z.stride + c];
    const float centred = shift != nullptr ? value - shift[c] : value;
    total += value;
    squares += centred * centred;
  }
  sum[c] += total;
  sum_sq[c] += squares;
}

__global__ void batch_norm_apply_kernel(MatrixView<const float> z, const float* mean, const float* rstd,
                                        const float* gain, const float* offset, MatrixView<float> y) {
  const std::size_t t = thread_index();
  if (t >= z.rows * z.cols) return;
  const std::size_t i = t / z.cols;
  const std::size_t c = t % z.cols;
  y.data[i * y.stride + c] = gain[c] * ((z.data[i * z.stride + c] - mean[c]) * rstd[c]) + offset[c];
}

__global__ void batch_norm_sums_kernel(MatrixView<const float> z, const float* mean, const float* rstd,
                                       MatrixView<const float> dy, float* sum_dy, float* sum_dy_zhat) {
  const std::size_t c = thread_index();
  if (c >= z.cols) return;
  float gradients = 0;
  float products = 0;
  for (std::size_t i = 0; i < z.rows; ++i) {
    const float gradient = dy.data[i * dy.stride + c];
    gradients += gradient;
    products += gradient * ((z.data[i * z.stride + c] - mean[c]) * rstd[c]);
  }
  sum_dy[c] += gradients;
  sum_dy_zhat[c] += products;
}

__global__ void batch_norm_backward_kernel(MatrixView<const float> z, const float* mean, const float* rstd,
                                           const float* gain, const float* sum_dy, const float* sum_dy_zhat, float n,
                                           MatrixView<const float> dy, MatrixView<float> dz) {
  const std::size_t t = thread_index();
  if (t >= z.rows * z.cols) return;
  const std::size_t i = t / z.cols;
  const std::size_t c = t % z.cols;
  const float zhat = (z.data[i * z.stride + c] - mean[c]) * rstd[c];
  const float centred = dy.data[i * dy.stride + c] - sum_dy[c] / n;
  dz.data[i * dz.stride + c] = gain[c] * rstd[c] * (centred - zhat * (sum_dy_zhat[c] / n));
}

}  // namespace

void layer_norm_forward(MatrixView<const float> z, const float* gain, const float* offset, float eps,
                        MatrixView<float> y, float* mean, float* rstd, StreamView stream) {
  if (z.rows == 0) return;
  layer_norm_forward_kernel<<<blocks_for(z.rows * kHalfWarp), kThreads, 0, stream>>>(z, gain, offset, eps, y, mean,
                                                                                     rstd);
  check_launch("launch layer_norm_forward");
}

void layer_norm_backward(MatrixView<const float> z, const float* gain, const float* mean, const float* rstd,
                         MatrixView<const float> dy, MatrixView<float> dz, float* dgain, float* doffset,
                         StreamView stream) {
  if (z.rows == 0 || z.cols == 0) return;
  layer_norm_sums_kernel<<<blocks_for(z.cols), kThreads, 0, stream>>>(z, mean, rstd, dy, dgain, doffset);
  check_launch("launch the sums of layer_norm_backward");
  layer_norm_backward_kernel<<<blocks_for(z.rows * kHalfWarp), kThreads, 0, stream>>>(z, gain, mean, rstd, dy, dz);
  check_launch("launch layer_norm_backward");
}

void column_sums(MatrixView<const float> z, const float* shift, float* sum, float* sum_sq, StreamView stream) {
  if (z.cols == 0) return;
  column_sums_kernel<<<blocks_for(z.cols), kThreads, 0, stream>>>(z, shift, sum, sum_sq);
  check_launch("launch column_sums");
}

void batch_norm_apply(MatrixView<const float> z, const float* mean, const float* rstd, const float* gain,
                      const float* offset, MatrixView<float> y, StreamView stream) {
  if (z.rows * z.cols == 0) return;
  batch_norm_apply_kernel<<<blocks_for(z.rows * z.cols), kThreads, 0, stream>>>(z, mean, rstd, gain, offset, y);
  check_launch("launch batch_norm_apply");
}

void batch_norm_backward_sums(MatrixView<const float> z, const float* mean, const float* rstd,
                              MatrixView<const float> dy, float* sum_dy, float* sum_dy_zhat, StreamView stream) {
  if (z.cols == 0) return;
  batch_norm_sums_kernel<<<blocks_for(z.cols), kThreads, 0, stream>>>(z, mean, rstd, dy, sum_dy, sum_dy_zhat);
  check_launch("launch batch_norm_backward_sums");
}

void batch_norm_backward(MatrixView<const float> z, const float* mean, const float* rstd, const float* gain,
                         const float* sum_dy, const float* sum_dy_zhat, std::size_t n, MatrixView<const float> dy,
                         MatrixView<float> dz, StreamView stream) {
  if (z.rows * z.cols == 0) return;
  batch_norm_backward_kernel<<<blocks_for(z.rows * z.cols), kThreads, 0, stream>>>(
      z, mean, rstd, gain, sum_dy, sum_dy_zhat, static_cast<float>(n), dy, dz);
  check_launch("launch batch_norm_backward");
}

}  // namespace strata::cuda
