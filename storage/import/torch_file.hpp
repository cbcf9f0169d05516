// What torch.save writes of dictionaries of numbers and numpy arrays (MAG240M's meta.pt and split_dict.pt): a zip
// archive with a pickle. Nothing in it is executed: the few objects that such a dictionary consists of are known here,
// anything else is refused by name. Opcodes: CPython, Lib/pickletools.py.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "storage/import/input_files.hpp"
#include "storage/import/source.hpp"

namespace strata {

struct TorchEntry {
  bool is_array = false;
  std::int64_t number = 0;           // when it is none
  std::vector<std::int64_t> values;  // of a one-dimensional array of integers
};

// InputError with the byte of the pickle for what is damaged or not understood.
[[nodiscard]] std::map<std::string, TorchEntry> read_torch_file(const InputFile& file,
                                                                const std::filesystem::path& scratch);

// train, valid and test of a dictionary of node ids. MAG240M's test papers come as "test", "test-whole", or in the two
// parts "test-dev" and "test-challenge".
[[nodiscard]] std::vector<ImportedSplit> read_torch_splits(const InputFile& file, std::uint64_t nodes,
                                                           const std::filesystem::path& scratch);

}  // namespace strata
