#include "storage/import/labels.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/import/synthetic_model.hpp"

namespace strata {
namespace {

// Classes are columns of the logits: more than this is a damaged file, not a task.
constexpr double kMaxClasses = 1 << 24;

}  // namespace

LabelBuilder::LabelBuilder(MemoryBudget& budget, std::uint64_t nodes, std::uint64_t columns,
                           std::uint64_t known_classes, Fail fail)
    : known_classes_(known_classes), fail_(std::move(fail)) {
  if (columns <= 1) {
    labels_.task = Task::multiclass;
    labels_.classes_of = Array<std::int32_t>(budget, nodes, "labels");
    std::fill(labels_.classes_of.begin(), labels_.classes_of.end(), kUnlabelled);
    return;
  }
  labels_.task = Task::multilabel;
  labels_.classes = columns;
  labels_.target_stride = divide_up(columns, 8);
  labels_.targets = Array<std::uint8_t>(budget, nodes * labels_.target_stride, "labels");
  labels_.labelled = Array<std::uint8_t>(budget, nodes, "labelled nodes");
}

void LabelBuilder::set_class(std::uint64_t node, double value) {
  if (std::isnan(value) || value == -1.0) return;
  if (value != std::floor(value)) fail_(node, "label " + std::to_string(value) + " is not a whole number");
  const double end = known_classes_ != 0 ? static_cast<double>(known_classes_) : kMaxClasses;
  if (value < 0 || value >= end) {
    fail_(node, "label " + std::to_string(static_cast<std::int64_t>(value)) + " is not in [0, " +
                    std::to_string(static_cast<std::int64_t>(end)) + ")");
  }
  const auto label = static_cast<std::int32_t>(value);
  labels_.classes_of[node] = label;
  largest_ = std::max(largest_, label);
  ++labels_.labelled_nodes;
}

void LabelBuilder::set_targets(std::uint64_t node, std::span<const float> values) {
  const auto unknown = static_cast<std::size_t>(
      std::count_if(values.begin(), values.end(), [](float v) { return std::isnan(v) || v == -1.0f; }));
  if (unknown == values.size()) return;
  if (unknown != 0) fail_(node, "only some of the node's targets are known: all or none must be");
  std::uint8_t* row = labels_.targets.data() + node * labels_.target_stride;
  for (std::size_t c = 0; c < values.size(); ++c) {
    if (values[c] != 0.0f && values[c] != 1.0f) {
      fail_(node, "target " + std::to_string(c) + " is " + std::to_string(values[c]) + ", expected 0 or 1");
    }
    if (values[c] == 1.0f) row[c / 8] = static_cast<std::uint8_t>(row[c / 8] | (1u << (c % 8)));
  }
  labels_.labelled[node] = 1;
  ++labels_.labelled_nodes;
}

ImportedLabels LabelBuilder::take() {
  if (labels_.task == Task::multiclass) {
    labels_.classes = known_classes_ != 0 ? known_classes_ : static_cast<std::uint64_t>(largest_ + 1);
    if (labels_.labelled_nodes == 0) labels_ = ImportedLabels();
  }
  return std::move(labels_);
}

ImportedSplit make_split(std::string name, std::string place, std::vector<NodeId> nodes,
                         std::function<std::string(NodeId)> locate) {
  ImportedSplit split{std::move(name), std::move(place), std::move(nodes), std::move(locate)};
  std::sort(split.nodes.begin(), split.nodes.end());
  const auto repeated = std::adjacent_find(split.nodes.begin(), split.nodes.end());
  if (repeated != split.nodes.end()) {
    throw InputError(split.place, split.where(*repeated),
                     "node " + std::to_string(*repeated) + " occurs twice in the " + split.name + " split");
  }
  return split;
}

SplitFacts check_splits(const std::vector<ImportedSplit>& splits, const ImportedLabels& labels, std::uint64_t nodes) {
  SplitFacts facts;
  for (std::size_t a = 0; a < splits.size(); ++a) {
    const ImportedSplit& split = splits[a];
    for (const NodeId node : split.nodes) {
      STRATA_ASSERT(node < nodes);
      if (labels.is_labelled(node)) continue;
      if (split.name != "test") {
        throw InputError(split.place, split.where(node),
                         "node " + std::to_string(node) + " of the " + split.name + " split has no label");
      }
      ++facts.unlabelled_test;
    }
    for (std::size_t b = 0; b < a; ++b) {
      std::vector<NodeId> shared;
      std::set_intersection(split.nodes.begin(), split.nodes.end(), splits[b].nodes.begin(), splits[b].nodes.end(),
                            std::back_inserter(shared));
      if (shared.empty()) continue;
      throw InputError(split.place, split.where(shared[0]),
                       "node " + std::to_string(shared[0]) + " is also in the " + splits[b].name + " split (" +
                           splits[b].place + ", " + splits[b].where(shared[0]) + "); " + std::to_string(shared.size()) +
                           " nodes are in both");
    }
  }
  return facts;
}

std::vector<ImportedSplit> random_splits(const ImportedLabels& labels, std::uint64_t nodes,
                                         const SplitFractions& fractions, std::uint64_t seed) {
  std::vector<ImportedSplit> splits = {
      {"train", "random split", {}, {}}, {"valid", "random split", {}, {}}, {"test", "random split", {}, {}}};
  for (std::uint64_t node = 0; node < nodes; ++node) {
    if (!labels.is_labelled(static_cast<NodeId>(node))) continue;
    const int part = random_split_of(seed, static_cast<NodeId>(node), fractions);
    if (part < 3) splits[static_cast<std::size_t>(part)].nodes.push_back(static_cast<NodeId>(node));
  }
  return splits;
}

}  // namespace strata
