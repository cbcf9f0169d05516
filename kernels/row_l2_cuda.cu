// Per row: a half-warp, whose sixteen lanes are the sixteen partial sums of norm.hpp.
#include "kernels/base/cuda_launch.hpp"
#include "kernels/row_l2_cuda.hpp"

namespace strata::cuda {
namespace {

constexpr unsigned kHalfWarp = 16;

// Every thread of a warp takes part in the shuffles; those past the last row work on it and write nothing.
__global__ void row_l2_forward_kernel(MatrixView<const float> x, MatrixView<float> y, float* inverse) {
  const std::size_t index = thread_index() / kHalfWarp;
  const unsigned lane = threadIdx.x % kHalfWarp;
  const bool inside = index < x.rows;
  const std::size_t i = inside ? index : x.rows - 1;
  const float* row = x.data + i * x.stride;
  float sum = 0;
  for (std::size_t c = lane; inside && c < x.cols; c += kHalfWarp) sum += row[c] * row[c];
  const float square = half_warp_sum(sum);
  if (!inside) return;
  const float factor = square > static_cast<float>(kRowL2Least) ? 1.0f / sqrtf(square) : static_cast<float>(kRowL2Most);
  if (lane == 0) inverse[i] = factor;
  for (std::size_t c = lane; c < x.cols; c += kHalfWarp) y.data[i * y.stride + c] = row[c] * factor;
}

__global__ void row_l2_backward_kernel(MatrixView<const float> y, const float* inverse, MatrixView<const float> dy,
                                       MatrixView<float> dx) {
  const std::size_t index = thread_index() / kHalfWarp;
  const unsigned lane = threadIdx.x % kHalfWarp;
  const bool inside = index < y.rows;
  const std::size_t i = inside ? index : y.rows - 1;
  const float* row = y.data + i * y.stride;
  const float* gradient = dy.data + i * dy.stride;
  float sum = 0;
  for (std::size_t c = lane; inside && c < y.cols; c += kHalfWarp) sum += row[c] * gradient[c];
  const float product = half_warp_sum(sum);
  if (!inside) return;
  const float factor = inverse[i];
  const float along = factor == static_cast<float>(kRowL2Most) ? 0.0f : product;
  for (std::size_t c = lane; c < y.cols; c += kHalfWarp) {
    dx.data[i * dx.stride + c] = factor * (gradient[c] - row[c] * along);
  }
}

}  // namespace

void row_l2_forward(MatrixView<const float> x, MatrixView<float> y, float* inverse, StreamView stream) {
  if (x.rows == 0) return;
  row_l2_forward_kernel<<<blocks_for(x.rows * kHalfWarp), kThreads, 0, stream>>>(x, y, inverse);
  check_launch("launch row_l2_forward");
}

void row_l2_backward(MatrixView<const float> y, const float* inverse, MatrixView<const float> dy, MatrixView<float> dx,
                     StreamView stream) {
  if (y.rows == 0) return;
  row_l2_backward_kernel<<<blocks_for(y.rows * kHalfWarp), kThreads, 0, stream>>>(y, inverse, dy, dx);
  check_launch("launch row_l2_backward");
}

}  // namespace strata::cuda
