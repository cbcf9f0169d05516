// One shard of the graph: the in-edges (or, in the reversed graph, the out-edges) of a contiguous, chunk-aligned range
// of nodes. Bytes on disk: FORMAT.md, "Shard file".
//
// Columns are local: the rank of the source in the sorted union of the shard's own rows and its halo, so columns ascend
// within a row and sums run in ascending global id. On disk they are differences coded in bytes (kernels/gap_codec.hpp)
// where that is smaller, and row offsets and halo always are, so rows are read by decoding them into memory of the
// caller's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "kernels/base/budget.hpp"
#include "kernels/base/spare_memory.hpp"
#include "kernels/base/types.hpp"
#include "kernels/spmm.hpp"
#include "storage/file.hpp"
#include "storage/file_header.hpp"

namespace strata {

enum class ColumnCoding : std::uint8_t { raw = 0, gaps = 1 };
[[nodiscard]] const char* column_coding_name(ColumnCoding coding);  // "raw", "gaps"

// Rows that are coded together: what can be decoded without what comes before it. A format constant.
inline constexpr std::size_t kSegmentRows = 256;

struct ShardInfo {
  std::string file;      // relative to the store
  NodeId first_row = 0;  // a multiple of kChunkRows
  NodeId rows = 0;
  std::uint64_t edges = 0;
  std::uint64_t halo = 0;  // number of halo nodes
  std::uint64_t file_bytes = 0;
  std::uint64_t checksum = 0;       // of the header (which holds the sections' checksums)
  std::uint64_t largest_chunk = 0;  // edges of the chunk that has most
  std::uint64_t column_bytes = 0;   // of the columns section
  ColumnCoding coding = ColumnCoding::raw;
};

// Where rows are decoded to: one for each thread that reads rows, used again for the next. Grows to the largest rows
// asked for, charged to the budget (ResourceError when it cannot).
class EdgeSpace {
 public:
  explicit EdgeSpace(MemoryBudget& budget) : budget_(&budget) {}
  // Room for any chunk of so many edges at once, so that reading them allocates nothing.
  EdgeSpace(MemoryBudget& budget, std::uint64_t largest_chunk);
  // What the space takes once it has held a chunk of so many edges; raw columns take less.
  [[nodiscard]] static std::uint64_t bytes_for(std::uint64_t largest_chunk);

 private:
  friend class Shard;
  [[nodiscard]] EdgeId* offsets(std::size_t count);
  [[nodiscard]] std::uint32_t* columns(std::size_t count);

  MemoryBudget* budget_;
  Array<EdgeId> offsets_;
  Array<std::uint32_t> columns_;
};

// A mapped shard. Construction checks header, version, sizes, bounds and the index (DamagedError), not section
// checksums (check_sections() and verify() do; Store::open_shard calls the first once per shard), and reads the file
// into memory. The mapping (file_bytes) and the local-to-global table (4 bytes per own row and halo node) are charged
// to the budget.
class Shard {
 public:
  // spares: of the table, for shards that come and go.
  Shard(const std::filesystem::path& store, const ShardInfo& info, MemoryBudget& budget, SpareMemory* spares = nullptr);
  Shard(Shard&&) noexcept = default;
  Shard& operator=(Shard&&) noexcept = default;

  [[nodiscard]] const ShardInfo& info() const { return info_; }
  // Rows [first, first + count) of this shard (local row numbers), ready for spmm; offsets start at 0, columns and
  // weights at the first row's. `first` is a multiple of kSegmentRows (256), as every chunk's is. Valid while the shard
  // lives and until `space` is used again. DamagedError when the bytes are not coded rows. Any number of threads, each
  // with a space of its own.
  [[nodiscard]] SparseRows rows(std::size_t first, std::size_t count, EdgeSpace& space) const;
  // Global id of every column, ascending: own rows and halo. Own row r has column first_local() + r.
  [[nodiscard]] std::span<const NodeId> locals() const { return to_global_.span(); }
  [[nodiscard]] std::uint32_t first_local() const { return static_cast<std::uint32_t>(halo_below_); }
  // Gives the file's pages back to the system, the page cache's too: a run whose budget has no room for the graph does
  // not live on memory that it does not count. The shard must not be used afterwards.
  void forget() const { file_.drop(); }
  // The halo nodes below the own rows, and those above; ascending.
  [[nodiscard]] std::array<std::span<const NodeId>, 2> halo() const;
  // Checks every section's checksum; DamagedError names the section. What passes is what write_shard wrote, so ids are
  // in range.
  void check_sections() const;
  // The same, and every invariant (ascending columns, ids in range) on its own.
  void verify() const;

  // Bytes of budget a shard takes while open.
  [[nodiscard]] static std::uint64_t memory_bytes(const ShardInfo& info);

 private:
  template <class T>
  [[nodiscard]] const T* section(std::size_t which) const;
  [[nodiscard]] const std::uint64_t* index(std::size_t list) const;
  void locate_sections(const FileHeader& header);
  void check_index() const;
  void fill_to_global();
  void decode_halo(std::span<NodeId> ids) const;
  void decode_row_ends(std::size_t segment, EdgeId base, EdgeId* ends) const;
  void decode_columns(std::size_t first_segment, std::size_t segments, std::uint32_t* columns) const;

  ShardInfo info_;
  std::filesystem::path path_;
  Reservation mapping_charge_;
  MappedFile file_;
  SpareArray<NodeId> to_global_;                  // own rows and halo, ascending
  std::size_t halo_below_ = 0;                    // halo nodes before the own rows
  std::array<std::uint64_t, 5> section_begin_{};  // byte offsets; FORMAT.md has their order
  std::array<std::uint64_t, 5> section_bytes_{};
};

// Calls visit(rows) for every chunk of the shard, in order. The rows are valid during the call.
template <class Visit>
void for_each_chunk(const Shard& shard, EdgeSpace& space, Visit&& visit) {
  for (std::size_t first = 0; first < shard.info().rows; first += kChunkRows) {
    visit(shard.rows(first, std::min<std::size_t>(kChunkRows, shard.info().rows - first), space));
  }
}

// How write_shard decides: the smaller form of the columns, or the one that is wanted.
enum class ColumnChoice : std::uint8_t { smaller, raw, gaps };

// Writes one shard file atomically. offsets: rows + 1 (from 0); sources: *global* ids, ascending within a row;
// weights: empty or one per edge. Returns the info to put in the manifest. Needs 3/16 byte per id between the smallest
// and the largest that occurs, and 9 bytes per edge of the 256 rows that have most, charged to the budget when there is
// one. InputError when 256 rows have 2^32 edges or more.
ShardInfo write_shard(const std::filesystem::path& store, const std::string& file, NodeId first_row,
                      std::span<const EdgeId> offsets, std::span<const NodeId> sources, std::span<const float> weights,
                      MemoryBudget* budget = nullptr, ColumnChoice choice = ColumnChoice::smaller);

}  // namespace strata
