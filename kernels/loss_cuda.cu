// One warp for one row.
#include "kernels/base/cuda_launch.hpp"
#include "kernels/loss_cuda.hpp"

namespace strata::cuda {
namespace {

__device__ void clear_row(MatrixView<float> m, std::size_t i, unsigned lane) {
  if (m.data == nullptr) return;
  for (std::size_t c = lane; c < m.cols; c += kWarp) m.data[i * m.stride + c] = 0;
}

__global__ void softmax_kernel(MatrixView<const float> logits, const std::int32_t* labels, float scale,
                               MatrixView<float> dlogits, double* row_losses) {
  const std::size_t i = thread_index() / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  if (i >= logits.rows) return;
  const std::int32_t label = labels[i];
  if (label == kUnlabelled) {
    clear_row(dlogits, i, lane);
    if (lane == 0) row_losses[i] = 0;
    return;
  }
  const float* z = logits.data + i * logits.stride;
  const float at_label = z[label];  // read before an aliased gradient overwrites it
  float largest = z[0];
  for (std::size_t c = lane; c < logits.cols; c += kWarp) largest = fmaxf(largest, z[c]);
  largest = warp_max(largest);
  float sum = 0;
  for (std::size_t c = lane; c < logits.cols; c += kWarp) sum += expf(z[c] - largest);
  sum = warp_sum(sum);
  if (lane == 0) {
    row_losses[i] = static_cast<double>(logf(sum)) - (static_cast<double>(at_label) - static_cast<double>(largest));
  }
  if (dlogits.data == nullptr) return;
  for (std::size_t c = lane; c < logits.cols; c += kWarp) {
    const float probability = expf(z[c] - largest) / sum;
    const float target = c == static_cast<std::size_t>(label) ? 1.0f : 0.0f;
    dlogits.data[i * dlogits.stride + c] = scale * (probability - target);
  }
}

__global__ void sigmoid_kernel(MatrixView<const float> logits, const std::uint8_t* targets, std::size_t target_stride,
                               const std::uint8_t* labelled, float scale, MatrixView<float> dlogits,
                               double* row_losses) {
  const std::size_t i = thread_index() / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  if (i >= logits.rows) return;
  if (labelled[i] == 0) {
    clear_row(dlogits, i, lane);
    if (lane == 0) row_losses[i] = 0;
    return;
  }
  double loss = 0;
  for (std::size_t c = lane; c < logits.cols; c += kWarp) {
    const float z = logits.data[i * logits.stride + c];
    const auto target = static_cast<float>(targets[i * target_stride + c / 8] >> (c % 8) & 1);
    loss += static_cast<double>(fmaxf(z, 0.0f) - z * target + log1pf(expf(-fabsf(z))));
    if (dlogits.data != nullptr) dlogits.data[i * dlogits.stride + c] = scale * (1.0f / (1.0f + expf(-z)) - target);
  }
  loss = warp_sum(loss);
  if (lane == 0) row_losses[i] = loss;
}

// One warp: lane l adds rows l, l + 32, ..., then the lanes are added.
__global__ void total_kernel(std::size_t rows, const double* row_losses, double* total) {
  double sum = 0;
  for (std::size_t i = threadIdx.x; i < rows; i += kWarp) sum += row_losses[i];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) *total = sum;
}

void add_rows(std::size_t rows, const double* row_losses, double* total, StreamView stream) {
  total_kernel<<<1, kWarp, 0, stream>>>(rows, row_losses, total);
  check_launch("launch the sum of the losses");
}

}  // namespace

void softmax_cross_entropy(MatrixView<const float> logits, const std::int32_t* labels, float scale,
                           MatrixView<float> dlogits, double* row_losses, double* total, StreamView stream) {
  if (logits.rows > 0) {
    softmax_kernel<<<blocks_for(logits.rows * kWarp), kThreads, 0, stream>>>(logits, labels, scale, dlogits,
                                                                             row_losses);
    check_launch("launch softmax_cross_entropy");
  }
  add_rows(logits.rows, row_losses, total, stream);
}

void sigmoid_cross_entropy(MatrixView<const float> logits, const std::uint8_t* targets, std::size_t target_stride,
                           const std::uint8_t* labelled, float scale, MatrixView<float> dlogits, double* row_losses,
                           double* total, StreamView stream) {
  if (logits.rows > 0) {
    sigmoid_kernel<<<blocks_for(logits.rows * kWarp), kThreads, 0, stream>>>(logits, targets, target_stride, labelled,
                                                                             scale, dlogits, row_losses);
    check_launch("launch sigmoid_cross_entropy");
  }
  add_rows(logits.rows, row_losses, total, stream);
}

}  // namespace strata::cuda
