#include <string>

#include "kernels/base/error.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/torch_file.hpp"

namespace strata {
namespace {

// The keys that make up one split.
std::vector<std::string> keys_of(const std::string& split, const std::map<std::string, TorchEntry>& entries) {
  if (split != "test" || entries.contains("test")) return {split};
  if (entries.contains("test-whole")) return {"test-whole"};
  return {"test-dev", "test-challenge"};
}

}  // namespace

std::vector<ImportedSplit> read_torch_splits(const InputFile& file, std::uint64_t nodes_in_all,
                                             const fs::path& scratch) {
  const std::string place = file.place();
  const std::map<std::string, TorchEntry> entries = read_torch_file(file, scratch);
  std::vector<ImportedSplit> splits;
  for (const char* name : {"train", "valid", "test"}) {
    std::vector<NodeId> nodes;
    for (const std::string& key : keys_of(name, entries)) {
      const auto found = entries.find(key);
      if (found == entries.end() || !found->second.is_array) throw InputError(place, key, "the split lacks this array");
      for (std::size_t i = 0; i < found->second.values.size(); ++i) {
        const std::int64_t id = found->second.values[i];
        if (id < 0 || static_cast<std::uint64_t>(id) >= nodes_in_all) {
          throw InputError(place, key + ", element " + std::to_string(i),
                           "node id " + std::to_string(id) + " is not in [0, " + std::to_string(nodes_in_all) + ")");
        }
        nodes.push_back(static_cast<NodeId>(id));
      }
    }
    splits.push_back(make_split(name, place, std::move(nodes), {}));
  }
  return splits;
}

}  // namespace strata
