// The bodies of every operation under one set of names, and the memory each works in. The only place of the tests that
// asks whether CUDA bodies were built (STRATA_WITH_CUDA comes from tests/kernels/CMakeLists.txt).
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/activation.hpp"
#include "kernels/base/device.hpp"
#include "kernels/bitmap_codec.hpp"
#include "kernels/dropout.hpp"
#include "kernels/gap_codec.hpp"
#include "kernels/gather.hpp"
#include "kernels/linear.hpp"
#include "kernels/loss.hpp"
#include "kernels/norm.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/row_codec.hpp"
#include "kernels/row_l2.hpp"
#include "kernels/spmm.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata::testing {

class HostMemory {
 public:
  explicit HostMemory(const std::vector<std::byte>& bytes) : bytes_(bytes) {}
  [[nodiscard]] std::byte* data() { return bytes_.data(); }
  [[nodiscard]] std::vector<std::byte> read() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

#define STRATA_FORWARD(space, operation)                          \
  template <class... Args>                                        \
  static auto operation(Args&&... args) {                         \
    return strata::space::operation(std::forward<Args>(args)...); \
  }
#define STRATA_FORWARD_ALL(space)                 \
  STRATA_FORWARD(space, encode_panel)             \
  STRATA_FORWARD(space, decode_panel)             \
  STRATA_FORWARD(space, decode_gaps)              \
  STRATA_FORWARD(space, pack_bitmap)              \
  STRATA_FORWARD(space, unpack_bitmap)            \
  STRATA_FORWARD(space, spmm)                     \
  STRATA_FORWARD(space, spmm_scatter)             \
  STRATA_FORWARD(space, gather_rows)              \
  STRATA_FORWARD(space, scatter_add_rows)         \
  STRATA_FORWARD(space, linear_forward)           \
  STRATA_FORWARD(space, linear_backward_input)    \
  STRATA_FORWARD(space, linear_backward_weight)   \
  STRATA_FORWARD(space, linear_backward_bias)     \
  STRATA_FORWARD(space, activation_forward)       \
  STRATA_FORWARD(space, activation_backward)      \
  STRATA_FORWARD(space, dropout)                  \
  STRATA_FORWARD(space, layer_norm_forward)       \
  STRATA_FORWARD(space, layer_norm_backward)      \
  STRATA_FORWARD(space, column_sums)              \
  STRATA_FORWARD(space, batch_norm_apply)         \
  STRATA_FORWARD(space, batch_norm_backward_sums) \
  STRATA_FORWARD(space, batch_norm_backward)      \
  STRATA_FORWARD(space, row_l2_forward)           \
  STRATA_FORWARD(space, row_l2_backward)          \
  STRATA_FORWARD(space, softmax_cross_entropy)    \
  STRATA_FORWARD(space, sigmoid_cross_entropy)    \
  STRATA_FORWARD(space, adam_step)                \
  STRATA_FORWARD(space, sgd_step)

struct ReferenceBody {
  static constexpr const char* kName = "reference";
  STRATA_FORWARD_ALL(ref)
};

struct CpuBody {
  static constexpr const char* kName = "cpu";
  STRATA_FORWARD_ALL(cpu)
};

}  // namespace strata::testing

#if STRATA_WITH_CUDA
#include "tests/kernels/cuda_body.hpp"
#else
namespace strata::testing {
struct CudaBody {
  static constexpr bool kCompiled = false;
  static bool available() { return false; }
};
using CudaMemory = HostMemory;
}  // namespace strata::testing
#endif
