// One warp for one panel row, which is as wide as a warp.
#include <cuda_fp16.h>

#include "kernels/base/cuda_launch.hpp"
#include "kernels/base/small_float.hpp"
#include "kernels/row_codec_cuda.hpp"

namespace strata::cuda {
namespace {

static_assert(kPanelColumns == kWarp);

// The hardware's conversions round as small_float.hpp does, but for NaNs.
__device__ std::uint16_t to_fp16(float x) {
  if (isnan(x)) return fp16_from(x);
  return __half_as_ushort(__float2half_rn(fminf(fmaxf(x, -65504.0f), 65504.0f)));
}

__device__ void encode_int8(float x, bool inside, unsigned lane, std::byte* row) {
  const float magnitude = inside ? fabsf(x) : 0.0f;
  const bool nan = __any_sync(kAllLanes, isnan(magnitude)) != 0;
  const float largest = warp_max(magnitude);
  const std::uint16_t bits = nan ? std::uint16_t{0x7E00} : fp16_rounded_up(static_cast<double>(largest) / 127.0);
  const float scale = fp16_value(bits);
  if (lane == 0) {
    row[0] = static_cast<std::byte>(bits & 0xFF);
    row[1] = static_cast<std::byte>(bits >> 8);
  }
  if (!inside) return;
  float q = 0;
  if (scale > 0) q = fminf(fmaxf(rintf(x / scale), -127.0f), 127.0f);
  row[2 + lane] = static_cast<std::byte>(static_cast<signed char>(q));
}

__global__ void encode_kernel(Codec codec, MatrixView<const float> values, std::byte* encoded, std::size_t stride) {
  const std::size_t i = thread_index() / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  if (i >= values.rows) return;
  std::byte* row = encoded + i * stride;
  const bool inside = lane < values.cols;
  const float x = inside ? values.data[i * values.stride + lane] : 0.0f;
  if (codec == Codec::int8) {
    encode_int8(x, inside, lane, row);
    return;
  }
  if (!inside) return;
  switch (codec) {
    case Codec::fp64: reinterpret_cast<double*>(row)[lane] = x; break;
    case Codec::fp32: reinterpret_cast<float*>(row)[lane] = x; break;
    case Codec::fp16: reinterpret_cast<std::uint16_t*>(row)[lane] = to_fp16(x); break;
    case Codec::bf16: reinterpret_cast<std::uint16_t*>(row)[lane] = bf16_from(x); break;
    case Codec::int8: break;
  }
}

__global__ void decode_kernel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<float> values) {
  const std::size_t i = thread_index() / kWarp;
  const unsigned lane = threadIdx.x % kWarp;
  if (i >= values.rows || lane >= values.cols) return;
  const std::byte* row = encoded + i * stride;
  float x = 0;
  switch (codec) {
    case Codec::fp64: x = static_cast<float>(reinterpret_cast<const double*>(row)[lane]); break;
    case Codec::fp32: x = reinterpret_cast<const float*>(row)[lane]; break;
    case Codec::fp16: x = fp16_value(reinterpret_cast<const std::uint16_t*>(row)[lane]); break;
    case Codec::bf16: x = bf16_value(reinterpret_cast<const std::uint16_t*>(row)[lane]); break;
    case Codec::int8: {
      const auto bits = static_cast<unsigned>(row[1]) << 8 | static_cast<unsigned>(row[0]);
      x = static_cast<float>(static_cast<signed char>(row[2 + lane])) * fp16_value(static_cast<std::uint16_t>(bits));
      break;
    }
  }
  values.data[i * values.stride + lane] = x;
}

}  // namespace

void encode_panel(Codec codec, MatrixView<const float> values, std::byte* encoded, std::size_t stride,
                  StreamView stream) {
  if (values.rows == 0) return;
  encode_kernel<<<blocks_for(values.rows * kWarp), kThreads, 0, stream>>>(codec, values, encoded, stride);
  check_launch("launch encode_panel");
}

void decode_panel(Codec codec, const std::byte* encoded, std::size_t stride, MatrixView<float> values,
                  StreamView stream) {
  if (values.rows == 0 || values.cols == 0) return;
  decode_kernel<<<blocks_for(values.rows * kWarp), kThreads, 0, stream>>>(codec, encoded, stride, values);
  check_launch("launch decode_panel");
}

}  // namespace strata::cuda
