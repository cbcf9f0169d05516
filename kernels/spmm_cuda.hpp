// spmm.hpp on a CUDA device: every pointer, those inside the arguments too, is device memory. The same bits as the CPU.
// Rows of fp32, fp16, bf16 and fp64 must be aligned to their values.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/spmm.hpp"

namespace strata::cuda {
void spmm(const SparseRows& a, const EdgeScale<float>& scale, const EncodedRows& x, MatrixView<float> out,
          StreamView stream);
}
