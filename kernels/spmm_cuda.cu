// One warp for one destination and up to 128 of its columns: lane l holds the sums of columns l, l + 32, l + 64, l
// + 96. The edges are taken in order, thirty-two at a time: each lane fetches one edge's source and weight, then all
// lanes add the rows one after the other. No atomics, no splitting of a row: the order of the sum is that of the
// header.
#include "kernels/base/cuda_encoded.hpp"
#include "kernels/base/cuda_launch.hpp"
#include "kernels/spmm_cuda.hpp"

namespace strata::cuda {
namespace {

constexpr int kGroups = 4;  // columns of a lane
constexpr std::size_t kBlockColumns = kGroups * kWarp;

template <Codec kCodec>
__device__ void add_row(const EncodedRows& x, std::uint32_t source, float weight, std::size_t first, unsigned lane,
                        float (&sums)[kGroups]) {
  const std::byte* row = x.data + source * x.stride;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const std::size_t column = first + g * kWarp + lane;
    if (column < x.cols) sums[g] = __fmaf_rn(weight, load_value<kCodec>(row, column), sums[g]);
  }
}

template <Codec kCodec>
__global__ void spmm_kernel(SparseRows a, EdgeScale<float> scale, EncodedRows x, MatrixView<float> out,
                            std::size_t column_blocks) {
  const std::size_t warp = thread_index() / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  const std::size_t i = warp / column_blocks;
  if (i >= a.rows) return;
  const std::size_t r = a.row_list != nullptr ? a.row_list[i] : i;
  const std::size_t first = warp % column_blocks * kBlockColumns;
  const NodeId destination = a.first_row + static_cast<NodeId>(r);
  const std::uint32_t own = (a.to_row != nullptr ? a.first_local : a.first_row) + static_cast<std::uint32_t>(r);
  const std::uint32_t self = a.to_row != nullptr && scale.self_loop ? a.to_row[own] : own;
  const float base = scale.destination != nullptr ? scale.destination[destination] : 1.0f;
  bool self_pending = scale.self_loop && !(a.may_skip && self == kNoRow);
  float self_weight = base;
  if (self_pending && scale.source != nullptr) self_weight *= scale.source[self];
  float sums[kGroups] = {};
  const EdgeId end = a.offsets[r + 1];
  for (EdgeId batch = a.offsets[r]; batch < end; batch += kWarp) {
    const unsigned count = end - batch < kWarp ? static_cast<unsigned>(end - batch) : kWarp;
    std::uint32_t column = 0, source = kNoRow;
    float weight = base;
    if (lane < count) {
      column = a.columns[batch + lane];
      source = a.to_row != nullptr ? a.to_row[column] : column;
      const bool absent = a.may_skip && source == kNoRow;
      if (scale.source != nullptr && !absent) weight *= scale.source[source];
      if (a.edge_weight != nullptr) weight *= a.edge_weight[batch + lane];
    }
    // The first edge of the batch that the self-loop goes before; none: kWarp.
    const unsigned later = __ballot_sync(kAllLanes, lane < count && column >= own);
    const unsigned split = later != 0 ? static_cast<unsigned>(__ffs(static_cast<int>(later)) - 1) : kWarp;
#pragma unroll 4
    for (unsigned k = 0; k < count; ++k) {
      if (self_pending && k == split) {
        add_row<kCodec>(x, self, self_weight, first, lane, sums);
        self_pending = false;
      }
      const std::uint32_t from = __shfl_sync(kAllLanes, source, static_cast<int>(k));
      const float by = __shfl_sync(kAllLanes, weight, static_cast<int>(k));
      if (a.may_skip && from == kNoRow) continue;
      add_row<kCodec>(x, from, by, first, lane, sums);
    }
  }
  if (self_pending) add_row<kCodec>(x, self, self_weight, first, lane, sums);
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const std::size_t column = first + g * kWarp + lane;
    if (column < x.cols) out.data[i * out.stride + column] = sums[g];
  }
}

template <Codec kCodec>
void launch(const SparseRows& a, const EdgeScale<float>& scale, const EncodedRows& x, MatrixView<float> out,
            StreamView stream) {
  const std::size_t column_blocks = divide_up(x.cols, kBlockColumns);
  const std::size_t threads = a.rows * column_blocks * kWarp;
  spmm_kernel<kCodec><<<blocks_for(threads), kThreads, 0, stream>>>(a, scale, x, out, column_blocks);
  check_launch("launch spmm");
}

}  // namespace

void spmm(const SparseRows& a, const EdgeScale<float>& scale, const EncodedRows& x, MatrixView<float> out,
          StreamView stream) {
  if (a.rows == 0 || x.cols == 0) return;
  switch (x.codec) {
    case Codec::fp32: return launch<Codec::fp32>(a, scale, x, out, stream);
    case Codec::fp16: return launch<Codec::fp16>(a, scale, x, out, stream);
    case Codec::bf16: return launch<Codec::bf16>(a, scale, x, out, stream);
    case Codec::int8: return launch<Codec::int8>(a, scale, x, out, stream);
    case Codec::fp64: return launch<Codec::fp64>(a, scale, x, out, stream);
  }
}

}  // namespace strata::cuda
