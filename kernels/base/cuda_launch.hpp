// For .cu files only: launch shapes and the reductions that more than one kernel uses.
#pragma once

#include <cstddef>

#include "kernels/base/cuda_error.hpp"
#include "kernels/base/types.hpp"

namespace strata::cuda {

inline constexpr unsigned kThreads = 256;  // of a block
inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

// Blocks of kThreads for `count` threads, at least one. Kernels compare their index with the count.
inline unsigned blocks_for(std::size_t count) {
  return static_cast<unsigned>(divide_up(count > 0 ? count : 1, kThreads));
}

__device__ inline std::size_t thread_index() { return std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; }

// Sum over the sixteen lanes of a half-warp in the order of norm.hpp, in all of them.
__device__ inline float half_warp_sum(float value) {
  for (unsigned half = 8; half > 0; half /= 2) value += __shfl_down_sync(kAllLanes, value, half, 16);
  return __shfl_sync(kAllLanes, value, 0, 16);
}
__device__ inline float warp_max(float value) {
  for (unsigned half = 16; half > 0; half /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, half));
  return value;
}
// A butterfly: every lane adds the same pairs, so all hold the same bits.
template <class T>
__device__ inline T warp_sum(T value) {
  for (unsigned half = 16; half > 0; half /= 2) value += __shfl_xor_sync(kAllLanes, value, half);
  return value;
}

}  // namespace strata::cuda
