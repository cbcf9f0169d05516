// --batch-file: JSON lines, one a step.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/batches.hpp"
#include "kernels/base/error.hpp"
#include "storage/byte_source.hpp"

namespace strata {

namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 30;

class BatchFileReader {
 public:
  BatchFileReader(const std::filesystem::path& path, std::span<const NodeId> reordered_of_original)
      : lines_(open_text_source(path), kLongestLine), reordered_(reordered_of_original) {}

  std::map<std::uint32_t, EpochBatches> read() {
    std::map<std::uint32_t, EpochBatches> epochs;
    while (lines_.next()) {
      if (lines_.line().empty()) continue;
      const nlohmann::json step = nlohmann::json::parse(lines_.line(), nullptr, /*allow_exceptions=*/false);
      if (step.is_discarded() || !step.is_object()) lines_.fail("is not a JSON object");
      check_keys(step);
      epochs[epoch(step)].push_back({group(step), nodes(step)});
    }
    if (epochs.empty()) throw InputError(lines_.path(), "", "holds no batches");
    return epochs;
  }

 private:
  void check_keys(const nlohmann::json& step) const {
    for (const auto& [key, value] : step.items()) {
      if (key == "parts") lines_.fail("\"parts\" belong to methods on parts: give \"nodes\" for full and iglu");
      if (key != "epoch" && key != "group" && key != "nodes") {
        lines_.fail("unknown key \"" + key + "\": expected epoch, group and nodes");
      }
    }
  }

  std::uint32_t epoch(const nlohmann::json& step) const {
    const auto found = step.find("epoch");
    if (found == step.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() == 0 ||
        found->get<std::uint64_t>() > UINT32_MAX) {
      lines_.fail("\"epoch\" must be a whole number from 1");
    }
    return found->get<std::uint32_t>();
  }

  std::string group(const nlohmann::json& step) const {
    const auto found = step.find("group");
    if (found == step.end() || !found->is_string()) lines_.fail("\"group\" must be a name: all, layer1, ..., head");
    return found->get<std::string>();
  }

  std::vector<NodeId> nodes(const nlohmann::json& step) const {
    const auto found = step.find("nodes");
    if (found == step.end() || !found->is_array() || found->empty()) {
      lines_.fail("\"nodes\" must be a list of at least one original id");
    }
    std::vector<NodeId> ids;
    ids.reserve(found->size());
    for (const nlohmann::json& id : *found) {
      if (!id.is_number_unsigned()) lines_.fail(id.dump() + " is not a node id");
      const std::uint64_t original = id.get<std::uint64_t>();
      if (original >= reordered_.size()) {
        lines_.fail("node " + std::to_string(original) + " does not exist: the store has " +
                    std::to_string(reordered_.size()) + " nodes");
      }
      ids.push_back(reordered_[original]);
    }
    std::sort(ids.begin(), ids.end());
    if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) lines_.fail("a node is listed twice");
    return ids;
  }

  LineReader lines_;
  std::span<const NodeId> reordered_;
};

}  // namespace

std::map<std::uint32_t, EpochBatches> read_batch_file(const std::filesystem::path& path,
                                                      std::span<const NodeId> reordered_of_original) {
  return BatchFileReader(path, reordered_of_original).read();
}

}  // namespace strata
