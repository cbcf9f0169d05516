// What zstd would do to a row file: a few tiles from all over it are compressed and thrown away. Counts, one-hot
// columns and zeros compress many times over; trained or measured floats hardly (a tenth, for half a core).
#pragma once

#include <filesystem>

#include "kernels/base/budget.hpp"

namespace strata {

// Compressed bytes, in whole pages as they would be stored, over plain bytes; 1 for an empty file.
[[nodiscard]] double sampled_compression(const std::filesystem::path& row_file, MemoryBudget& budget);

}  // namespace strata
