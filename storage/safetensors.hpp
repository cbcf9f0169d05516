// Named tensors in one file, readable by PyTorch and PyG: the safetensors format
// (https://github.com/huggingface/safetensors): u64 length of the header, a JSON header, the values.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace strata {

struct NamedTensor {
  std::string name;                // "convs.0.lin.weight"
  std::vector<std::size_t> shape;  // empty: a single value
  std::vector<float> values;       // row-major, the product of the shape
};

// All tensors in the order of their data. F32 as they are; F64, F16, BF16, integers and BOOL converted to float.
// InputError when the file is malformed. `metadata`, when given, receives the header's __metadata__.
[[nodiscard]] std::vector<NamedTensor> read_safetensors(const std::filesystem::path& path,
                                                        std::map<std::string, std::string>* metadata = nullptr);

// Writes F32 tensors in the given order, atomically. The bytes depend on the arguments alone. Names must differ.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace strata
