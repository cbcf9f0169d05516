// The graph's part of a conversion: read and clean the edges, find the order, write the shards and degrees.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/base/budget.hpp"
#include "storage/import/convert.hpp"
#include "storage/import/csr_builder.hpp"
#include "storage/import/edge_spool.hpp"
#include "storage/import/node_order.hpp"
#include "storage/import/shard_plan.hpp"
#include "storage/import/stages.hpp"
#include "storage/import/temporary_directory.hpp"
#include "storage/store_writer.hpp"

namespace strata {

class GraphStage {
 public:
  GraphStage(GraphSource& source, const ImportOptions& options, const ConversionPlan& plan, MemoryBudget& budget,
             TemporaryDirectory& temporary, Stages& stages, ConvertReport& report);

  // The three stages in order; the edges are given back with write().
  void read();
  void order();
  void write(StoreWriter& writer);

  [[nodiscard]] const NodeOrder& node_order() const { return order_; }

 private:
  // Sums over the edges (u, v) written of hashes of (u, v) and of (v, u): equal exactly when the graph is symmetric
  // (but for a collision of 64 bits).
  struct Symmetry {
    std::uint64_t forward = 0, backward = 0;
  };
  void count(std::span<const EdgePair> pairs);
  [[nodiscard]] std::vector<std::uint64_t> chunk_entries(std::span<const std::uint32_t> raw_degrees) const;
  // Consecutive shards whose rows fit the memory together, as [first, last).
  [[nodiscard]] std::size_t group_end(std::size_t first, std::span<const std::uint32_t> raw_degrees) const;
  Symmetry write_direction(StoreWriter& writer, Direction direction, Rows rows,
                           std::span<const std::uint32_t> raw_degrees);
  void write_shards(StoreWriter& writer, Direction direction, const CsrRange& csr, std::size_t first, std::size_t last,
                    std::span<std::uint32_t> degrees, std::span<float> weighted_degrees);
  [[nodiscard]] std::uint64_t entries_of(const ShardRange& range, std::span<const std::uint32_t> raw_degrees) const;

  GraphSource& source_;
  const ImportOptions& options_;
  const ConversionPlan& plan_;
  MemoryBudget& budget_;
  TemporaryDirectory& temporary_;
  Stages& stages_;
  ConvertReport& report_;
  std::optional<EdgeSpool> spool_;
  Array<std::uint32_t> raw_in_, raw_out_;  // by original id, repeats included; raw_out_ empty when symmetric
  NodeOrder order_;
  std::vector<ShardRange> shards_;
};

}  // namespace strata
