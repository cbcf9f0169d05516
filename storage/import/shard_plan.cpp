#include "storage/import/shard_plan.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"

namespace strata {

std::uint64_t adjacency_bytes(std::uint64_t nodes, std::uint64_t entries, bool weighted) {
  return nodes * sizeof(EdgeId) + entries * (sizeof(NodeId) + (weighted ? sizeof(float) : 0));
}

std::uint64_t automatic_shards(std::uint64_t nodes, std::uint64_t entries, bool weighted) {
  const std::uint64_t bytes = adjacency_bytes(nodes, entries, weighted);
  const std::uint64_t target = std::clamp<std::uint64_t>(bytes / 64, std::uint64_t{1} << 20, std::uint64_t{64} << 20);
  const std::uint64_t chunks = std::max<std::uint64_t>(1, divide_up(nodes, kChunkRows));
  return std::clamp<std::uint64_t>((bytes + target / 2) / target, 1, chunks);
}

std::vector<ShardRange> cut_into_shards(std::uint64_t nodes, std::uint64_t shards,
                                        std::span<const std::uint64_t> in_chunk_entries,
                                        std::span<const std::uint64_t> out_chunk_entries) {
  const std::size_t chunks = in_chunk_entries.size();
  STRATA_ASSERT(chunks == divide_up(nodes, kChunkRows) && shards >= 1 && shards <= chunks);
  // A chunk's weight: its edges and, at two words a row, its offsets; so that empty rows count too.
  const auto weight = [&](std::size_t chunk) {
    return in_chunk_entries[chunk] + (out_chunk_entries.empty() ? 0 : out_chunk_entries[chunk]) + 2 * kChunkRows;
  };
  std::uint64_t left = 0;
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) left += weight(chunk);
  std::vector<ShardRange> ranges;
  std::size_t chunk = 0;
  for (std::uint64_t shard = 0; shard < shards; ++shard) {
    const std::uint64_t share = left / (shards - shard);
    const std::size_t last_possible = chunks - (shards - shard - 1);  // one chunk stays for each later shard
    const std::size_t begin = chunk;
    std::uint64_t taken = 0, in_entries = 0, out_entries = 0;
    // A chunk is taken while more than half of it fits the share.
    while (chunk < last_possible && (chunk == begin || shard + 1 == shards || taken + weight(chunk) / 2 <= share)) {
      taken += weight(chunk);
      in_entries += in_chunk_entries[chunk];
      if (!out_chunk_entries.empty()) out_entries += out_chunk_entries[chunk];
      ++chunk;
    }
    left -= taken;
    const std::uint64_t end = std::min<std::uint64_t>(nodes, chunk * kChunkRows);
    ranges.push_back({static_cast<NodeId>(begin * kChunkRows), static_cast<NodeId>(end - begin * kChunkRows),
                      std::max(in_entries, out_entries)});
  }
  return ranges;
}

}  // namespace strata
