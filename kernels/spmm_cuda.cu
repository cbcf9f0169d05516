// One warp for one destination and up to 128 of its columns: lane l holds the sums of columns l, l + 32, l + 64, l
// + 96. The edges are taken in order, thirty-two at a time: each lane fetches one edge's source and weight, then all
// lanes add the rows one after the other. No atomics, no splitting of a row: the order of the sum is that of the
// header.
#include <cuda_fp16.h>

#include "kernels/base/cuda_launch.hpp"
#include "kernels/spmm_cuda.hpp"

namespace strata::cuda {
namespace {

constexpr int kGroups = 4;  // columns of a lane
constexpr std::size_t kBlockColumns = kGroups * kWarp;

template <Codec kCodec>
__device__ float load_value(const std::byte* row, std::size_t column) {
  if constexpr (kCodec == Codec::fp64) {
    return static_cast<float>(reinterpret_cast<const double*>(row)[column]);
  } else if constexpr (kCodec == Codec::fp32) {
    return reinterpret_cast<const float*>(row)[column];
  } else if constexpr (kCodec == Codec::fp16) {
    return __half2float(reinterpret_cast<const __half*>(row)[column]);
  } else if constexpr (kCodec == Codec::bf16) {
    return __uint_as_float(static_cast<unsigned>(reinterpret_cast<const unsigned short*>(row)[column]) << 16);
  } else {
    // A panel is as wide as a warp. Rows of odd widths start at odd addresses: the scale is read byte by byte.
    const std::byte* panel = row + column / kPanelColumns * (kPanelColumns + 2);
    const auto low = static_cast<unsigned short>(panel[0]);
    const auto high = static_cast<unsigned short>(panel[1]);
    const float scale = __half2float(__ushort_as_half(static_cast<unsigned short>(high << 8 | low)));
    const auto q = static_cast<signed char>(panel[2 + column % kPanelColumns]);
    return static_cast<float>(q) * scale;
  }
}

template <Codec kCodec>
__device__ void add_row(const EncodedRows& x, NodeId source, float weight, std::size_t first, unsigned lane,
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
  const std::size_t r = warp / column_blocks;
  if (r >= a.rows) return;
  const std::size_t first = warp % column_blocks * kBlockColumns;
  const NodeId destination = a.first_row + static_cast<NodeId>(r);
  const float base = scale.destination != nullptr ? scale.destination[destination] : 1.0f;
  float self_weight = base;
  if (scale.self_loop && scale.source != nullptr) self_weight *= scale.source[destination];
  bool self_pending = scale.self_loop;
  float sums[kGroups] = {};
  const EdgeId end = a.offsets[r + 1];
  for (EdgeId batch = a.offsets[r]; batch < end; batch += kWarp) {
    const unsigned count = end - batch < kWarp ? static_cast<unsigned>(end - batch) : kWarp;
    NodeId source = 0;
    float weight = base;
    if (lane < count) {
      const std::uint32_t column = a.columns[batch + lane];
      source = a.to_global != nullptr ? a.to_global[column] : column;
      if (scale.source != nullptr) weight *= scale.source[source];
      if (a.edge_weight != nullptr) weight *= a.edge_weight[batch + lane];
    }
    // The first edge of the batch that the self-loop goes before; none: kWarp.
    const unsigned later = __ballot_sync(kAllLanes, lane < count && source >= destination);
    const unsigned split = later != 0 ? static_cast<unsigned>(__ffs(static_cast<int>(later)) - 1) : kWarp;
#pragma unroll 4
    for (unsigned k = 0; k < count; ++k) {
      if (self_pending && k == split) {
        add_row<kCodec>(x, destination, self_weight, first, lane, sums);
        self_pending = false;
      }
      add_row<kCodec>(x, __shfl_sync(kAllLanes, source, static_cast<int>(k)),
                      __shfl_sync(kAllLanes, weight, static_cast<int>(k)), first, lane, sums);
    }
  }
  if (self_pending) add_row<kCodec>(x, destination, self_weight, first, lane, sums);
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const std::size_t column = first + g * kWarp + lane;
    if (column < x.cols) out.data[r * out.stride + column] = sums[g];
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
