// gather.hpp on a CUDA device: every pointer is device memory. The same bits as the CPU: scatter_add_rows gives each
// column to one thread, which walks the rows in order, so it is only as parallel as the matrix is wide.
#pragma once

#include <span>

#include "kernels/base/device.hpp"
#include "kernels/gather.hpp"

namespace strata::cuda {
void gather_rows(MatrixView<const float> x, std::span<const NodeId> ids, MatrixView<float> out, StreamView stream);
void scatter_add_rows(MatrixView<const float> x, std::span<const NodeId> ids, MatrixView<float> out, StreamView stream);
}  // namespace strata::cuda
