// The graph's part of a conversion: read and clean the edges, find the order, write the shards and degrees.
#pragma once

#include <cstdint>
#include <functional>
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

  // The stages in order.
  void read();
  void order();
  void write(StoreWriter& writer);
  // The source's own training graph, or the one that split train (ascending original ids) induces.
  void write_train_graph(StoreWriter& writer, std::span<const NodeId> training);
  void release_edges();

  [[nodiscard]] const NodeOrder& node_order() const { return order_; }

 private:
  // Sums over the edges (u, v) written of hashes of (u, v) and of (v, u): equal exactly when the graph is symmetric
  // (but for a collision of 64 bits).
  struct Symmetry {
    std::uint64_t forward = 0, backward = 0;
  };
  struct Written {
    Symmetry symmetry;
    std::uint64_t edges = 0, duplicates = 0;
  };
  // What the source hands to the sink goes to the spool, without self-loops unless they are kept.
  void spool_edges(std::uint64_t capacity, bool weighted,
                   const std::function<void(const GraphSource::EdgeSink&)>& read_from_source);
  void spool_train_edges(std::span<const std::uint64_t> training);
  void count_degrees();
  void count(std::span<const EdgePair> pairs);
  [[nodiscard]] std::vector<std::uint64_t> chunk_entries(std::span<const std::uint32_t> raw_degrees) const;
  // Consecutive shards whose rows fit the memory together, as [first, last).
  [[nodiscard]] std::size_t group_end(std::size_t first, std::span<const std::uint32_t> raw_degrees) const;
  // Of edges_written_.
  Written write_direction(StoreWriter& writer, Direction direction, Rows rows,
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
  EdgeSet edges_written_ = EdgeSet::all;
  std::span<const std::uint64_t> only_;    // edges between these original nodes (bits); empty: all
  Array<std::uint32_t> raw_in_, raw_out_;  // by original id, repeats included; raw_out_ empty when symmetric
  NodeOrder order_;
  std::vector<ShardRange> shards_;
};

}  // namespace strata
