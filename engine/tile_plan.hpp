// How the sums of a product are cut where memory does not hold them all: into groups of whole panels of columns and
// ranges of destinations, one pass each; and what the workers of a pass hold of them. The cut changes no bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/base/types.hpp"

namespace strata {

struct TiledProduct {
  std::size_t cols = 0;
  std::size_t value_bytes = 0;     // of a sum
  std::vector<std::size_t> rows;   // of each output
  std::uint64_t source_bytes = 0;  // of x, in all columns: read once for every range
  std::uint64_t edge_bytes = 0;    // of the shards: read once for every range and group

  [[nodiscard]] std::size_t all_rows() const;
  [[nodiscard]] std::size_t chunks() const;  // of all outputs
};

struct TilePlan {
  std::size_t columns = 0;  // of a group; the last may have fewer
  std::size_t chunks = 0;   // of a range, over the outputs in their order; the last may have fewer
  double read = 0;          // bytes, from the disk if nothing of it is in memory
  std::uint64_t bytes = 0;  // of the sums held at a time
};

// The cut that reads the fewest bytes with at most `limit` bytes of sums. ResourceError when not even the smallest
// fits.
[[nodiscard]] TilePlan plan_tiles(const TiledProduct& product, std::uint64_t limit);
// Bytes of the smallest that works: a chunk of a panel.
[[nodiscard]] std::uint64_t least_tile_bytes(std::size_t rows, std::size_t cols, std::size_t value_bytes);

// Held sums that one worker at a time adds to.
struct TileUnit {
  std::size_t first_column = 0, columns = 0;  // of the group; from a panel's beginning
  std::size_t first_row = 0, rows = 0;        // of the range
};
// Enough of them that `threads` workers have something to do: groups of panels first, each of which takes all of a
// source's edges at once; rows where there are not enough panels.
[[nodiscard]] std::vector<TileUnit> tile_units(std::size_t rows, std::size_t columns, std::size_t threads);

}  // namespace strata
