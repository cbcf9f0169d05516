// Builds ImportedLabels from values as the sources store them: one class a node, or rows of 0/1 targets; NaN (and,
// where the format says so, -1) means unlabelled.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kernels/base/budget.hpp"
#include "storage/import/source.hpp"

namespace strata {

class LabelBuilder {
 public:
  // `fail(node, what)` throws the InputError that names the place of that node's label.
  using Fail = std::function<void(std::uint64_t node, const std::string& what)>;
  // columns 1: multiclass; more: multilabel. known_classes 0: as many as occur (multiclass).
  LabelBuilder(MemoryBudget& budget, std::uint64_t nodes, std::uint64_t columns, std::uint64_t known_classes,
               Fail fail);

  void set_class(std::uint64_t node, double value);
  // Values of one node, one per column.
  void set_targets(std::uint64_t node, std::span<const float> values);
  [[nodiscard]] ImportedLabels take();

 private:
  ImportedLabels labels_;
  std::uint64_t known_classes_;
  std::int32_t largest_ = -1;
  Fail fail_;
};

// Sorts the nodes; a repeated id is an InputError.
[[nodiscard]] ImportedSplit make_split(std::string name, std::string place, std::vector<NodeId> nodes,
                                       std::function<std::string(NodeId)> locate);

// InputError when two splits share a node, or when a train or valid node has no label. Unlabelled test nodes are
// allowed (hidden test labels) and counted.
struct SplitFacts {
  std::uint64_t unlabelled_test = 0;
};
SplitFacts check_splits(const std::vector<ImportedSplit>& splits, const ImportedLabels& labels, std::uint64_t nodes);

// Labelled nodes drawn into train, valid and test.
[[nodiscard]] std::vector<ImportedSplit> random_splits(const ImportedLabels& labels, std::uint64_t nodes,
                                                       const SplitFractions& fractions, std::uint64_t seed);

}  // namespace strata
