// gap_codec.hpp on a CUDA device: every pointer, those inside the arguments too, is device memory. The same values as
// the CPU.
#pragma once

#include "kernels/base/device.hpp"
#include "kernels/gap_codec.hpp"

namespace strata::cuda {
void decode_gaps(const GapLists& lists, std::uint32_t* values, std::uint8_t* good, StreamView stream);
}
