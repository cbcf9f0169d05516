// The rows of x by ascending node, a chunk of nodes at a time, wherever they lie: what a product that takes its sums
// source by source reads. The store's tiles are pinned once each, also where the nodes of two chunks share one.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/spmm_gather.hpp"
#include "engine/spmm_way.hpp"

namespace strata {

class SourceTiles {
 public:
  // map: whose rows x holds, all or (train_only) those of its train part. columns: whole panels, at most
  // ChunkPins::kMost of them. One pass over x.
  SourceTiles(const std::vector<SpmmSource>& x, const RowMap& map, bool train_only, const ColumnGroup& columns);

  // Chunks of kChunkRows nodes that some row of x belongs to, ascending.
  [[nodiscard]] static std::vector<std::uint32_t> chunks(const RowMap& map, bool train_only);
  // Bytes of a row in load()'s order.
  [[nodiscard]] std::size_t row_bytes() const { return row_bytes_; }

  // Working memory of one load; list: the nodes with rows, counted from the chunk's first, empty when all have.
  struct Rows {
    std::vector<std::uint32_t> list;
    std::size_t count = 0;
    std::vector<std::uint32_t> train, eval;  // nodes of the two parts, then their places among all
  };
  // The rows of a chunk's nodes, one after the other, encoded as they are. Each chunk once; any number of threads.
  void load(std::size_t chunk, std::byte* to, Rows& rows);

 private:
  // A chunk of a store while some of its rows are still to be copied.
  struct Shared {
    std::mutex mutex;
    ChunkPins pins;
    std::size_t left = 0;  // rows; guarded by the mutex of SourceTiles
  };
  struct Store {
    SpmmSource source;
    std::map<std::size_t, std::shared_ptr<Shared>> open;
  };
  void copy(std::size_t first_row, std::size_t count, const std::vector<std::uint32_t>& places, std::byte* to);
  void copy_from(Store& store, std::size_t first, std::size_t count, const std::uint32_t* places, std::byte* to);
  [[nodiscard]] std::shared_ptr<Shared> share(Store& store, std::size_t chunk);

  const RowMap& map_;
  bool train_only_;
  ColumnGroup columns_;
  std::size_t row_bytes_ = 0;
  std::vector<Store> stores_;
  std::mutex mutex_;
};

}  // namespace strata
