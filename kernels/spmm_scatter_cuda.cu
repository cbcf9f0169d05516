// The held columns are cut into slices. One warp takes one slice and up to 128 columns of x through all sources in
// order: a destination belongs to one slice, so its sum has one writer and the order of the header, without atomics. In
// every source's edges the slice's are a run, found by bisection.
#include "kernels/base/cuda_encoded.hpp"
#include "kernels/base/cuda_launch.hpp"
#include "kernels/spmm_scatter_cuda.hpp"

namespace strata::cuda {
namespace {

constexpr int kGroups = 4;  // columns of x of a lane
constexpr std::size_t kBlockColumns = kGroups * kWarp;
constexpr std::uint32_t kSlices = 2048;  // at most: enough warps to fill a device
constexpr std::uint32_t kSmallestSlice = 16;

struct Job {
  SparseRows a;
  EdgeScale<float> scale;
  EncodedRows x;
  HeldRows held;
  MatrixView<float> acc;
  std::uint32_t slice;  // columns of the adjacency that a warp takes
  std::uint32_t slices;
  std::size_t column_blocks;
};

__device__ EdgeId first_not_below(const std::uint32_t* columns, EdgeId begin, EdgeId end, std::uint32_t bound) {
  while (begin < end) {
    const EdgeId middle = begin + (end - begin) / 2;
    if (columns[middle] < bound) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

__device__ void add(const Job& job, std::uint32_t column, float factor, const float* edge_weight, std::size_t first,
                    unsigned lane, const float (&source)[kGroups]) {
  const std::uint32_t row = job.a.to_row != nullptr ? job.a.to_row[column] : column;
  const std::uint32_t at = row - job.held.first_row;
  if (at >= job.acc.rows) return;
  float weight = job.scale.destination != nullptr ? job.scale.destination[row] : 1.0f;
  weight *= factor;
  if (edge_weight != nullptr) weight *= *edge_weight;
  float* to = job.acc.data + at * job.acc.stride;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const std::size_t c = first + g * kWarp + lane;
    if (c < job.x.cols) to[c] = __fmaf_rn(weight, source[g], to[c]);
  }
}

template <Codec kCodec>
__global__ void scatter_kernel(Job job) {
  const std::size_t warp = thread_index() / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  if (warp >= job.slices * job.column_blocks) return;
  const std::size_t first = warp % job.column_blocks * kBlockColumns;
  const std::uint32_t begin = job.held.begin + static_cast<std::uint32_t>(warp / job.column_blocks) * job.slice;
  const std::uint32_t end = job.held.end - begin < job.slice ? job.held.end : begin + job.slice;
  const SparseRows& a = job.a;
  for (std::size_t i = 0; i < a.rows; ++i) {
    const std::size_t r = a.row_list != nullptr ? a.row_list[i] : i;
    const EdgeId last = a.offsets[r + 1];
    EdgeId e = first_not_below(a.columns, a.offsets[r], last, begin);
    const std::uint32_t own = (a.to_row != nullptr ? a.first_local : a.first_row) + static_cast<std::uint32_t>(r);
    const bool self = job.scale.self_loop && own >= begin && own < end;
    if (!self && (e == last || a.columns[e] >= end)) continue;
    const std::byte* row = job.x.data + i * job.x.stride;
    float source[kGroups] = {};
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const std::size_t c = first + g * kWarp + lane;
      if (c < job.x.cols) source[g] = load_value<kCodec>(row, c);
    }
    const float factor = job.scale.source != nullptr ? job.scale.source[a.first_row + r] : 1.0f;
    if (self) add(job, own, factor, nullptr, first, lane, source);
    for (; e < last && a.columns[e] < end; ++e) {
      add(job, a.columns[e], factor, a.edge_weight != nullptr ? a.edge_weight + e : nullptr, first, lane, source);
    }
  }
}

template <Codec kCodec>
void launch(const Job& job, StreamView stream) {
  const std::size_t threads = job.slices * job.column_blocks * kWarp;
  scatter_kernel<kCodec><<<blocks_for(threads), kThreads, 0, stream>>>(job);
  check_launch("launch spmm_scatter");
}

}  // namespace

void spmm_scatter(const SparseRows& a, const EdgeScale<float>& scale, const EncodedRows& x, const HeldRows& held,
                  MatrixView<float> acc, StreamView stream) {
  if (a.rows == 0 || x.cols == 0 || acc.rows == 0 || held.begin >= held.end) return;
  const std::uint32_t columns = held.end - held.begin;
  std::uint32_t slice = columns / kSlices + (columns % kSlices != 0 ? 1 : 0);
  if (slice < kSmallestSlice) slice = kSmallestSlice;
  const std::uint32_t slices = columns / slice + (columns % slice != 0 ? 1 : 0);
  const Job job{a, scale, x, held, acc, slice, slices, divide_up(x.cols, kBlockColumns)};
  switch (x.codec) {
    case Codec::fp32: return launch<Codec::fp32>(job, stream);
    case Codec::fp16: return launch<Codec::fp16>(job, stream);
    case Codec::bf16: return launch<Codec::bf16>(job, stream);
    case Codec::int8: return launch<Codec::int8>(job, stream);
    case Codec::fp64: return launch<Codec::fp64>(job, stream);
  }
}

}  // namespace strata::cuda
