// How the nodes are cut into shards: contiguous ranges of whole chunks with about equal bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/types.hpp"

namespace strata {

struct ShardRange {
  NodeId first = 0;
  NodeId count = 0;
  std::uint64_t entries = 0;  // of the larger direction, before repeats are removed

  [[nodiscard]] bool operator==(const ShardRange&) const = default;
};

// Bytes of one direction's offsets and columns.
[[nodiscard]] std::uint64_t adjacency_bytes(std::uint64_t nodes, std::uint64_t entries, bool weighted);
// One 64th of the graph, but at least 1 MiB and at most 64 MiB a shard, and no more shards than chunks.
[[nodiscard]] std::uint64_t automatic_shards(std::uint64_t nodes, std::uint64_t entries, bool weighted);

// chunk_entries: entries per chunk, of the in- and (if any) the out-graph. `shards` <= chunks.
[[nodiscard]] std::vector<ShardRange> cut_into_shards(std::uint64_t nodes, std::uint64_t shards,
                                                      std::span<const std::uint64_t> in_chunk_entries,
                                                      std::span<const std::uint64_t> out_chunk_entries);

}  // namespace strata
