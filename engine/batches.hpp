// Mini-batches of nodes. The method's own are formed once from (seed, group) and visited in a new order each epoch
// (methods.md 2.2); explicit ones come from --batch-file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"

namespace strata {

// Batches over a list of nodes (or over all of 0..n-1), cut into units of min(kChunkRows, batch size) consecutive
// nodes, the units permuted by the seed and grouped. Within a batch nodes ascend.
class BatchPlan {
 public:
  BatchPlan() = default;
  // ids: ascending; empty span with n > 0 means all nodes 0..n-1. The ids must outlive the plan.
  BatchPlan(std::span<const NodeId> ids, std::size_t n, std::size_t batch_size, std::uint64_t seed,
            std::uint32_t group);
  [[nodiscard]] std::size_t count() const { return starts_.empty() ? 0 : starts_.size() - 1; }
  // The order of visiting in an epoch.
  [[nodiscard]] std::vector<std::uint32_t> order(std::uint32_t epoch) const;
  // Ascending node ids of a batch.
  [[nodiscard]] std::vector<NodeId> nodes(std::size_t batch) const;

 private:
  std::span<const NodeId> ids_;
  std::size_t n_ = 0, unit_ = 1;
  std::uint64_t seed_ = 0;
  std::uint32_t group_ = 0;
  std::vector<std::uint32_t> units_;  // permuted unit numbers
  std::vector<std::size_t> starts_;   // batch b takes units_[starts_[b], starts_[b+1])
};

// The explicit batches of one epoch, in file order: group name and ascending reordered ids.
struct ExplicitBatch {
  std::string group;
  std::vector<NodeId> nodes;
};
using EpochBatches = std::vector<ExplicitBatch>;

// Reads --batch-file (JSON lines; "nodes" are original ids). InputError names line and fault. Epochs that the file does
// not mention keep the method's own batches. reordered_of_original has one entry per node.
[[nodiscard]] std::map<std::uint32_t, EpochBatches> read_batch_file(const std::filesystem::path& path,
                                                                    std::span<const NodeId> reordered_of_original);

}  // namespace strata
