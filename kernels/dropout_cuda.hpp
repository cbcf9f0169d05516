// dropout.hpp on a CUDA device: every pointer is device memory. The same bits as the CPU.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/dropout.hpp"

namespace strata::cuda {
void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const float> x, MatrixView<float> y,
             StreamView stream);
}
