#include "kernels/base/cuda_launch.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/dropout_cuda.hpp"

namespace strata::cuda {
namespace {

// One thread for the eight columns of one Philox call.
__global__ void dropout_kernel(DropoutKey key, std::uint32_t threshold, float scale, const NodeId* ids,
                               MatrixView<const float> x, MatrixView<float> y, std::size_t groups) {
  const std::size_t t = thread_index();
  const std::size_t i = t / groups;
  if (i >= x.rows) return;
  const std::size_t group = t % groups;
  const std::uint32_t stream = key.layer << 8 | static_cast<std::uint32_t>(strata::Stream::dropout);
  const Philox draw = philox(key.seed, ids[i], static_cast<std::uint32_t>(group), key.step, stream);
#pragma unroll
  for (unsigned lane = 0; lane < 8; ++lane) {
    const std::size_t c = group * 8 + lane;
    if (c >= x.cols) return;
    const std::uint32_t bits = draw.v[lane / 2] >> (lane % 2 * 16) & 0xFFFFu;
    y.data[i * y.stride + c] = bits >= threshold ? x.data[i * x.stride + c] * scale : 0.0f;
  }
}

}  // namespace

void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const float> x, MatrixView<float> y,
             StreamView stream) {
  if (x.rows == 0 || x.cols == 0) return;
  const std::uint32_t threshold = dropout_threshold(p);
  const std::size_t groups = divide_up(x.cols, 8);
  dropout_kernel<<<blocks_for(x.rows * groups), kThreads, 0, stream>>>(key, threshold, dropout_scale<float>(threshold),
                                                                       ids, x, y, groups);
  check_launch("launch dropout");
}

}  // namespace strata::cuda
