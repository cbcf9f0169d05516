// One block for one tile, one warp for one row, which is as wide as a warp. First the block adds up what is kept and
// stops where the tile does not do; then, a row a warp at a time, every warp finds the place of its values by a sum
// over the warps before it, and every lane that of its value by the bits below its own.
#include "kernels/base/cuda_launch.hpp"
#include "kernels/bitmap_codec_cuda.hpp"

namespace strata::cuda {
namespace {

static_assert(kPanelColumns == kWarp);
constexpr unsigned kWarps = kThreads / kWarp;

// bitmap_bytes() is the host's.
__device__ std::size_t packed_bytes(std::size_t rows, std::size_t kept) {
  return rows * sizeof(std::uint32_t) + kept * sizeof(std::uint16_t);
}

struct Place {
  unsigned lane, warp;
};
__device__ Place place() { return {threadIdx.x % kWarp, threadIdx.x / kWarp}; }

// Sum over the block, for all of its threads. `value` counts once a warp.
__device__ std::uint32_t block_sum(std::uint32_t value, std::uint32_t* shared) {
  const Place at = place();
  if (at.lane == 0) shared[at.warp] = value;
  __syncthreads();
  std::uint32_t sum = 0;
  for (unsigned w = 0; w < kWarps; ++w) sum += shared[w];
  __syncthreads();
  return sum;
}

// What the warps before this one keep of their rows; `all` grows by what all of them do.
__device__ std::uint32_t kept_before(std::uint32_t kept, std::uint32_t* shared, std::uint32_t& all) {
  const Place at = place();
  if (at.lane == 0) shared[at.warp] = kept;
  __syncthreads();
  std::uint32_t before = all;
  for (unsigned w = 0; w < kWarps; ++w) {
    if (w < at.warp) before += shared[w];
    all += shared[w];
  }
  __syncthreads();
  return before;
}

__device__ std::uint32_t bits_below(std::uint32_t mask, unsigned lane) {
  return static_cast<std::uint32_t>(__popc(mask & ((1u << lane) - 1)));
}

// The row's mask, in all lanes; `value` becomes the lane's own.
__device__ std::uint32_t mask_of(const std::uint16_t* values, std::size_t row, const BitmapTiles& tiles,
                                 std::uint16_t& value) {
  const unsigned lane = place().lane;
  value = row < tiles.rows && lane < tiles.width ? values[row * tiles.width + lane] : std::uint16_t{0};
  return __ballot_sync(kAllLanes, value != 0);
}

__global__ void pack_kernel(BitmapTiles tiles, const std::uint16_t* all_values, std::byte* all_packed,
                            std::uint32_t* bytes) {
  __shared__ std::uint32_t shared[kWarps];
  const Place at = place();
  const std::uint16_t* values = all_values + blockIdx.x * tiles.rows * tiles.width;
  std::byte* packed = all_packed + blockIdx.x * tiles.room;
  auto* masks = reinterpret_cast<std::uint32_t*>(packed);
  auto* kept = reinterpret_cast<std::uint16_t*>(packed + packed_bytes(tiles.rows, 0));
  std::uint32_t own = 0;
  std::uint16_t value = 0;
  for (std::size_t row = at.warp; row < tiles.rows; row += kWarps) {
    own += static_cast<std::uint32_t>(__popc(mask_of(values, row, tiles, value)));
  }
  const std::size_t length = packed_bytes(tiles.rows, block_sum(own, shared));
  if (threadIdx.x == 0) bytes[blockIdx.x] = static_cast<std::uint32_t>(length);
  if (length > tiles.room) return;
  std::uint32_t done = 0;
  for (std::size_t first = 0; first < tiles.rows; first += kWarps) {
    const std::size_t row = first + at.warp;
    const std::uint32_t mask = mask_of(values, row, tiles, value);
    const std::uint32_t before = kept_before(static_cast<std::uint32_t>(__popc(mask)), shared, done);
    if (row < tiles.rows && at.lane == 0) masks[row] = mask;
    if (value != 0) kept[before + bits_below(mask, at.lane)] = value;
  }
}

// The length of a packed tile, more than `room` when it is not one. The same in all threads.
__device__ std::size_t length_of(const std::uint32_t* masks, const BitmapTiles& tiles, std::uint32_t* shared) {
  __shared__ int bad;
  if (threadIdx.x == 0) bad = 0;
  __syncthreads();
  std::uint32_t own = 0;
  for (std::size_t row = place().warp; row < tiles.rows; row += kWarps) {
    own += static_cast<std::uint32_t>(__popc(masks[row]));
    if (tiles.width < kWarp && masks[row] >> tiles.width != 0) bad = 1;
  }
  const std::uint32_t kept = block_sum(own, shared);  // with a barrier: `bad` is known to all
  return bad != 0 ? tiles.room + 1 : packed_bytes(tiles.rows, kept);
}

__global__ void unpack_kernel(BitmapTiles tiles, const std::byte* all_packed, std::uint16_t* all_values,
                              std::uint8_t* good) {
  __shared__ std::uint32_t shared[kWarps];
  const Place at = place();
  const std::byte* packed = all_packed + blockIdx.x * tiles.room;
  std::uint16_t* values = all_values + blockIdx.x * tiles.rows * tiles.width;
  const auto* masks = reinterpret_cast<const std::uint32_t*>(packed);
  const auto* kept = reinterpret_cast<const std::uint16_t*>(packed + packed_bytes(tiles.rows, 0));
  const bool whole = packed_bytes(tiles.rows, 0) <= tiles.room && length_of(masks, tiles, shared) <= tiles.room;
  if (threadIdx.x == 0) good[blockIdx.x] = whole ? 1 : 0;
  if (!whole) return;
  std::uint32_t done = 0;
  for (std::size_t first = 0; first < tiles.rows; first += kWarps) {
    const std::size_t row = first + at.warp;
    const std::uint32_t mask = row < tiles.rows ? masks[row] : 0;
    const std::uint32_t before = kept_before(static_cast<std::uint32_t>(__popc(mask)), shared, done);
    if (row >= tiles.rows || at.lane >= tiles.width) continue;
    const bool set = (mask >> at.lane & 1) != 0;
    values[row * tiles.width + at.lane] = set ? kept[before + bits_below(mask, at.lane)] : std::uint16_t{0};
  }
}

}  // namespace

void pack_bitmap(const BitmapTiles& tiles, const std::uint16_t* values, std::byte* packed, std::uint32_t* bytes,
                 StreamView stream) {
  if (tiles.count == 0) return;
  pack_kernel<<<static_cast<unsigned>(tiles.count), kThreads, 0, stream>>>(tiles, values, packed, bytes);
  check_launch("launch pack_bitmap");
}

void unpack_bitmap(const BitmapTiles& tiles, const std::byte* packed, std::uint16_t* values, std::uint8_t* good,
                   StreamView stream) {
  if (tiles.count == 0) return;
  unpack_kernel<<<static_cast<unsigned>(tiles.count), kThreads, 0, stream>>>(tiles, packed, values, good);
  check_launch("launch unpack_bitmap");
}

}  // namespace strata::cuda
