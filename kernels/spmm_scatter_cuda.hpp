// spmm_scatter.hpp on a CUDA device: every pointer, those inside the arguments too, is device memory. The same bits as
// the CPU. Rows of fp32, fp16, bf16 and fp64 must be aligned to their values.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata::cuda {
void spmm_scatter(const SparseRows& a, const EdgeScale<float>& scale, const EncodedRows& x, const HeldRows& held,
                  MatrixView<float> acc, StreamView stream);
}  // namespace strata::cuda
