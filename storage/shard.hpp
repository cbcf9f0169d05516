// One shard of the graph: the in-edges (or, in the reversed graph, the out-edges) of a contiguous, chunk-aligned range
// of nodes. Bytes on disk: FORMAT.md, "Shard file".
//
// Columns are local: the rank of the source in the sorted union of the shard's own rows and its halo, so columns ascend
// within a row and sums run in ascending global id.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"
#include "kernels/spmm.hpp"
#include "storage/file.hpp"

namespace strata {

struct ShardInfo {
  std::string file;      // relative to the store
  NodeId first_row = 0;  // a multiple of kChunkRows
  NodeId rows = 0;
  std::uint64_t edges = 0;
  std::uint64_t halo = 0;  // number of halo nodes
  std::uint64_t file_bytes = 0;
  std::uint64_t checksum = 0;  // of the header (which holds the sections' checksums)
};

// A mapped shard. Construction checks header, version, sizes and bounds (DamagedError), not section checksums
// (check_sections() and verify() do; Store::open_shard calls the first once per shard), and reads the file into memory.
// The mapping (file_bytes) and the local-to-global table (4 bytes per own row and halo node) are charged to the budget.
class Shard {
 public:
  Shard(const std::filesystem::path& store, const ShardInfo& info, MemoryBudget& budget);
  Shard(Shard&&) noexcept = default;
  Shard& operator=(Shard&&) noexcept = default;

  [[nodiscard]] const ShardInfo& info() const { return info_; }
  // Rows [first, first + count) of this shard (local row numbers), ready for spmm. Valid while the shard lives.
  [[nodiscard]] SparseRows rows(std::size_t first, std::size_t count) const;
  [[nodiscard]] SparseRows rows() const { return rows(0, info_.rows); }
  [[nodiscard]] std::span<const NodeId> halo() const;
  // Global id of every column, ascending: own rows and halo. Own row r has column first_local() + r.
  [[nodiscard]] std::span<const NodeId> locals() const { return to_global_.span(); }
  [[nodiscard]] std::uint32_t first_local() const { return first_local_; }
  // Checks every section's checksum; DamagedError names the section. What passes is what write_shard wrote, so ids are
  // in range.
  void check_sections() const;
  // The same, and every invariant (ascending columns, ids in range) on its own.
  void verify() const;

  // Bytes of budget a shard takes while open.
  [[nodiscard]] static std::uint64_t memory_bytes(const ShardInfo& info);

 private:
  template <class T>
  [[nodiscard]] std::span<const T> section(std::size_t index, std::uint64_t count) const;
  void fill_to_global();

  ShardInfo info_;
  std::filesystem::path path_;
  Reservation mapping_charge_;
  MappedFile file_;
  Array<NodeId> to_global_;  // own rows and halo, ascending
  std::uint32_t first_local_ = 0;
  std::array<std::uint64_t, 4> section_begin_{};  // byte offsets; FORMAT.md has their order
  bool weighted_ = false;
};

// Writes one shard file atomically. offsets: rows + 1 (from 0); sources: *global* ids, ascending within a row;
// weights: empty or one per edge. Returns the info to put in the manifest. Needs 3/16 byte per id between the smallest
// and the largest that occurs, charged to the budget when there is one.
ShardInfo write_shard(const std::filesystem::path& store, const std::string& file, NodeId first_row,
                      std::span<const EdgeId> offsets, std::span<const NodeId> sources, std::span<const float> weights,
                      MemoryBudget* budget = nullptr);

}  // namespace strata
