// Weights in and out: safetensors under PyG's names.
#pragma once

#include <filesystem>

#include "engine/parameters.hpp"
#include "kernels/base/budget.hpp"

namespace strata {

// The present values of the parameters. The copy being written is charged to the budget.
void save_model(const std::filesystem::path& path, const Parameters<float>& parameters, MemoryBudget& budget);

// Sets every parameter from the tensor of its name; InputError for a missing or unknown tensor, another shape, or a
// value that is not finite.
void load_model(const std::filesystem::path& path, Parameters<float>& parameters, MemoryBudget& budget);

}  // namespace strata
