// The CUDA bodies as the differential harness calls them, on one stream, and arrays in device memory.
#pragma once

#include "kernels/activation_cuda.hpp"
#include "kernels/bitmap_codec_cuda.hpp"
#include "kernels/dropout_cuda.hpp"
#include "kernels/gap_codec_cuda.hpp"
#include "kernels/gather_cuda.hpp"
#include "kernels/linear_cuda.hpp"
#include "kernels/loss_cuda.hpp"
#include "kernels/norm_cuda.hpp"
#include "kernels/optimizer_cuda.hpp"
#include "kernels/row_codec_cuda.hpp"
#include "kernels/row_l2_cuda.hpp"
#include "kernels/spmm_cuda.hpp"
#include "kernels/spmm_scatter_cuda.hpp"

namespace strata::testing {

class CudaSession {
 public:
  static CudaSession& instance() {
    static CudaSession session;
    return session;
  }
  [[nodiscard]] cuda::StreamView stream() const { return stream_.view(); }
  [[nodiscard]] cuda::DeviceBuffer allocate(std::size_t bytes) {
    return {budget_, bytes, "a test's array", stream_.view()};
  }
  void copy_back(void* host, const void* device, std::size_t bytes) const {
    cuda::copy_to_host(host, device, bytes, stream_.view());
    stream_.synchronize();
  }

 private:
  MemoryBudget budget_{std::uint64_t{1} << 30};
  cuda::Stream stream_;
};

class CudaMemory {
 public:
  explicit CudaMemory(const std::vector<std::byte>& bytes) : buffer_(CudaSession::instance().allocate(bytes.size())) {
    cuda::copy_to_device(buffer_.data(), bytes.data(), bytes.size(), CudaSession::instance().stream());
  }
  [[nodiscard]] std::byte* data() { return buffer_.data(); }
  [[nodiscard]] std::vector<std::byte> read() const {
    std::vector<std::byte> bytes(buffer_.size());
    CudaSession::instance().copy_back(bytes.data(), buffer_.data(), bytes.size());
    return bytes;
  }

 private:
  cuda::DeviceBuffer buffer_;
};

#define STRATA_ON_STREAM(operation)                                                 \
  template <class... Args>                                                          \
  static void operation(Args&&... args) {                                           \
    cuda::operation(std::forward<Args>(args)..., CudaSession::instance().stream()); \
  }

struct CudaBody {
  static constexpr const char* kName = "cuda";
  static constexpr bool kCompiled = true;
  static bool available() { return cuda::device_count() > 0; }

  STRATA_ON_STREAM(encode_panel)
  STRATA_ON_STREAM(decode_panel)
  STRATA_ON_STREAM(decode_gaps)
  STRATA_ON_STREAM(pack_bitmap)
  STRATA_ON_STREAM(unpack_bitmap)
  STRATA_ON_STREAM(spmm)
  STRATA_ON_STREAM(spmm_scatter)
  STRATA_ON_STREAM(gather_rows)
  STRATA_ON_STREAM(scatter_add_rows)
  STRATA_ON_STREAM(linear_forward)
  STRATA_ON_STREAM(linear_backward_input)
  STRATA_ON_STREAM(linear_backward_weight)
  STRATA_ON_STREAM(linear_backward_bias)
  STRATA_ON_STREAM(activation_forward)
  STRATA_ON_STREAM(activation_backward)
  STRATA_ON_STREAM(dropout)
  STRATA_ON_STREAM(layer_norm_forward)
  STRATA_ON_STREAM(layer_norm_backward)
  STRATA_ON_STREAM(column_sums)
  STRATA_ON_STREAM(batch_norm_apply)
  STRATA_ON_STREAM(batch_norm_backward_sums)
  STRATA_ON_STREAM(batch_norm_backward)
  STRATA_ON_STREAM(row_l2_forward)
  STRATA_ON_STREAM(row_l2_backward)
  STRATA_ON_STREAM(adam_step)
  STRATA_ON_STREAM(sgd_step)

  static double softmax_cross_entropy(MatrixView<const float> logits, const std::int32_t* labels, float scale,
                                      MatrixView<float> dlogits) {
    return with_loss(logits.rows, [&](double* rows, double* total, cuda::StreamView stream) {
      cuda::softmax_cross_entropy(logits, labels, scale, dlogits, rows, total, stream);
    });
  }
  static double sigmoid_cross_entropy(MatrixView<const float> logits, const std::uint8_t* targets,
                                      std::size_t target_stride, const std::uint8_t* labelled, float scale,
                                      MatrixView<float> dlogits) {
    return with_loss(logits.rows, [&](double* rows, double* total, cuda::StreamView stream) {
      cuda::sigmoid_cross_entropy(logits, targets, target_stride, labelled, scale, dlogits, rows, total, stream);
    });
  }

 private:
  template <class Loss>
  static double with_loss(std::size_t rows, Loss loss) {
    CudaSession& session = CudaSession::instance();
    const cuda::DeviceBuffer memory = session.allocate((rows + 1) * sizeof(double));
    loss(memory.as<double>() + 1, memory.as<double>(), session.stream());
    double total = 0;
    session.copy_back(&total, memory.data(), sizeof total);
    return total;
  }
};

}  // namespace strata::testing
