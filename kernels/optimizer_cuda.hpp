// optimizer.hpp on a CUDA device: every pointer is device memory. The same bits as the CPU.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/optimizer.hpp"

namespace strata::cuda {
void adam_step(const AdamOptions& o, std::uint64_t t, std::size_t n, float* w, const float* g, float* m, float* v,
               StreamView stream);
void sgd_step(double lr, double weight_decay, std::size_t n, float* w, const float* g, StreamView stream);
}  // namespace strata::cuda
