// One block for one list. First the block adds up what the control bytes say and stops unless that is the list's
// length; then, kThreads control bytes at a time, every thread finds the place of its four values' bytes by a sum over
// the threads before it, and their values by another.
#include "kernels/base/cuda_launch.hpp"
#include "kernels/gap_codec_cuda.hpp"

namespace strata::cuda {
namespace {

constexpr unsigned kWarps = kThreads / kWarp;
constexpr std::uint32_t kBias1 = kGapBias[1], kBias2 = kGapBias[2];  // std::array is the host's

__device__ std::size_t control_bytes(std::size_t count) { return (count + 3) / 4; }

__device__ std::uint32_t bias_of(unsigned code) { return code == 1 ? kBias1 : code == 2 ? kBias2 : 0; }

// Data bytes of the first `count` values of a control byte.
__device__ std::uint32_t data_bytes(unsigned codes, unsigned count) {
  std::uint32_t bytes = 0;
  for (unsigned k = 0; k < count; ++k) bytes += ((codes >> (2 * k)) & 3) + 1;
  return bytes;
}

__device__ unsigned values_of(std::size_t byte, std::size_t count) {
  const std::size_t left = count - 4 * byte;
  return left < 4 ? static_cast<unsigned>(left) : 4;
}

// Sum of `value` over the threads before this one; `total` becomes the sum over all. Modulo 2^32.
__device__ std::uint32_t sum_before(std::uint32_t value, std::uint32_t* shared, std::uint32_t& total) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  std::uint32_t sum = value;
  for (unsigned step = 1; step < kWarp; step *= 2) {
    const std::uint32_t other = __shfl_up_sync(kAllLanes, sum, step);
    if (lane >= step) sum += other;
  }
  if (lane == kWarp - 1) shared[warp] = sum;
  __syncthreads();
  std::uint32_t before = 0;
  total = 0;
  for (unsigned w = 0; w < kWarps; ++w) {
    if (w == warp) before = total;
    total += shared[w];
  }
  __syncthreads();
  return before + sum - value;
}

__device__ bool is_encoded_list(const std::uint8_t* control, std::uint64_t bytes, std::size_t count) {
  __shared__ unsigned long long sum;
  __shared__ int rest;
  if (threadIdx.x == 0) {
    sum = 0;
    rest = 0;
  }
  __syncthreads();
  const std::size_t controls = control_bytes(count);
  if (bytes < controls) return false;
  unsigned long long own = 0;
  for (std::size_t b = threadIdx.x; b < controls; b += kThreads) {
    const unsigned valid = values_of(b, count);
    own += data_bytes(control[b], valid);
    if (valid < 4 && control[b] >> (2 * valid) != 0) rest = 1;
  }
  atomicAdd(&sum, own);
  __syncthreads();
  return rest == 0 && sum == bytes - controls;
}

__device__ void decode_list(const std::uint8_t* control, std::size_t count, std::uint32_t* values) {
  __shared__ std::uint32_t shared[kWarps];
  const std::size_t controls = control_bytes(count);
  const std::uint8_t* data = control + controls;
  std::uint32_t carry = 0;
  for (std::size_t first = 0; first < controls; first += kThreads) {
    const std::size_t byte = first + threadIdx.x;
    const unsigned codes = byte < controls ? control[byte] : 0;
    const unsigned valid = byte < controls ? values_of(byte, count) : 0;
    std::uint32_t length = 0, total = 0;
    const std::uint8_t* from = data + sum_before(data_bytes(codes, valid), shared, length);
    std::uint32_t sums[4] = {};
    for (unsigned k = 0; k < valid; ++k) {
      const unsigned code = (codes >> (2 * k)) & 3;
      std::uint32_t written = 0;
      for (unsigned b = 0; b <= code; ++b) written |= static_cast<std::uint32_t>(*from++) << (8 * b);
      sums[k] = (k > 0 ? sums[k - 1] : 0) + written - bias_of(code);
    }
    const std::uint32_t before = carry + sum_before(valid > 0 ? sums[valid - 1] : 0, shared, total);
    for (unsigned k = 0; k < valid; ++k) values[4 * byte + k] = before + sums[k];
    data += length;
    carry += total;
  }
}

__global__ void decode_kernel(GapLists lists, std::uint32_t* values, std::uint8_t* good) {
  const std::size_t i = blockIdx.x;
  const std::uint64_t begin = lists.byte_begin[i], first = lists.value_begin[i];
  const std::size_t count = lists.value_begin[i + 1] - first;
  const auto* encoded = reinterpret_cast<const std::uint8_t*>(lists.bytes) + begin;
  const bool whole = is_encoded_list(encoded, lists.byte_begin[i + 1] - begin, count);
  if (threadIdx.x == 0) good[i] = whole ? 1 : 0;
  if (whole) decode_list(encoded, count, values + (first - lists.value_begin[0]));
}

}  // namespace

void decode_gaps(const GapLists& lists, std::uint32_t* values, std::uint8_t* good, StreamView stream) {
  if (lists.count == 0) return;
  decode_kernel<<<static_cast<unsigned>(lists.count), kThreads, 0, stream>>>(lists, values, good);
  check_launch("launch decode_gaps");
}

}  // namespace strata::cuda
