#include "kernels/base/cuda_launch.hpp"
#include "kernels/gather_cuda.hpp"

namespace strata::cuda {
namespace {

__global__ void gather_kernel(MatrixView<const float> x, const NodeId* ids, MatrixView<float> out) {
  const std::size_t t = thread_index();
  if (t >= out.rows * out.cols) return;
  const std::size_t i = t / out.cols;
  const std::size_t c = t % out.cols;
  out.data[i * out.stride + c] = x.data[ids[i] * x.stride + c];
}

__global__ void scatter_add_kernel(MatrixView<const float> x, const NodeId* ids, MatrixView<float> out) {
  const std::size_t c = thread_index();
  if (c >= x.cols) return;
  for (std::size_t i = 0; i < x.rows; ++i) out.data[ids[i] * out.stride + c] += x.data[i * x.stride + c];
}

}  // namespace

void gather_rows(MatrixView<const float> x, std::span<const NodeId> ids, MatrixView<float> out, StreamView stream) {
  const std::size_t count = out.rows * out.cols;
  if (count == 0) return;
  gather_kernel<<<blocks_for(count), kThreads, 0, stream>>>(x, ids.data(), out);
  check_launch("launch gather_rows");
}

void scatter_add_rows(MatrixView<const float> x, std::span<const NodeId> ids, MatrixView<float> out,
                      StreamView stream) {
  if (x.rows == 0 || x.cols == 0) return;
  scatter_add_kernel<<<blocks_for(x.cols), kThreads, 0, stream>>>(x, ids.data(), out);
  check_launch("launch scatter_add_rows");
}

}  // namespace strata::cuda
