#include "engine/run/model_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/safetensors.hpp"

namespace strata {

namespace {

void copy_tensor(const std::filesystem::path& path, const TensorSpec& spec, const NamedTensor& tensor, float* to) {
  if (tensor.shape != spec.shape) {
    throw InputError(
        path.string(), "tensor " + spec.name,
        fmt::format("has shape ({}), the model's is ({})", fmt::join(tensor.shape, ", "), fmt::join(spec.shape, ", ")));
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(tensor.values.begin(), tensor.values.end(), finite)) {
    throw InputError(path.string(), "tensor " + spec.name, "holds NaN or infinity");
  }
  std::copy(tensor.values.begin(), tensor.values.end(), to);
}

}  // namespace

void save_model(const std::filesystem::path& path, const Parameters<float>& parameters, MemoryBudget& budget) {
  const Reservation charge = budget.reserve(parameters.size() * sizeof(float), "model being written");
  std::vector<NamedTensor> tensors;
  const auto& specs = parameters.tensors();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const float* values = parameters.value(i);
    tensors.push_back({specs[i].name, specs[i].shape, std::vector<float>(values, values + specs[i].size())});
  }
  write_safetensors(path, tensors);
}

void load_model(const std::filesystem::path& path, Parameters<float>& parameters, MemoryBudget& budget) {
  const Reservation charge =
      budget.reserve(std::filesystem::exists(path) ? std::filesystem::file_size(path) : 0, "initial model being read");
  const std::vector<NamedTensor> tensors = read_safetensors(path);
  const auto& specs = parameters.tensors();
  for (const NamedTensor& tensor : tensors) {
    const auto same = [&](const TensorSpec& spec) { return spec.name == tensor.name; };
    if (std::none_of(specs.begin(), specs.end(), same)) {
      throw InputError(path.string(), "tensor " + tensor.name,
                       "is none of the model; check --model, --layers, --layer-norm");
    }
  }
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto same = [&](const NamedTensor& tensor) { return tensor.name == specs[i].name; };
    const auto found = std::find_if(tensors.begin(), tensors.end(), same);
    if (found == tensors.end()) {
      throw InputError(path.string(), "", "has no tensor " + specs[i].name + "; check --model, --layers, --layer-norm");
    }
    copy_tensor(path, specs[i], *found, parameters.value(i));
  }
}

}  // namespace strata
