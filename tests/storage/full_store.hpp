// A small store that has everything a store can have: both directions, weights, several labels a node with gaps,
// compressed int8 features, splits, and derived data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/base/types.hpp"

namespace strata::test {

struct FullStore {
  static constexpr NodeId kNodes = 2100;
  static constexpr std::uint64_t kClasses = 11;
  static constexpr std::uint64_t kColumns = 33;
  FullStore();
  void write(const std::filesystem::path& directory, bool force = false) const;
  static void write_derived(const std::filesystem::path& directory, const std::string& key);

  std::vector<std::vector<NodeId>> in, out;  // [reordered] ascending neighbours
  [[nodiscard]] static float weight(NodeId source, NodeId target) {
    return 0.25f + static_cast<float>((source * 7 + target) % 13);
  }
  std::vector<float> features;            // kNodes x kColumns
  std::vector<std::vector<int>> targets;  // kNodes x kClasses
  std::vector<std::uint8_t> labelled;
  std::vector<NodeId> original;            // [reordered]
  std::vector<NodeId> train, valid, test;  // ascending reordered ids
};

}  // namespace strata::test
