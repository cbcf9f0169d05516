// For .cu files and base/device_cuda.cpp only: turning CUDA status codes into exceptions.
#pragma once

#include <cuda_runtime_api.h>

namespace strata::cuda {

// Throws ResourceError for a failed allocation and Error(internal) for the rest: "CUDA: cannot <action>: <reason>".
void check(cudaError_t status, const char* action);

// After a kernel launch: the launch itself failed or not. What goes wrong inside the kernel shows at a synchronization.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

}  // namespace strata::cuda
