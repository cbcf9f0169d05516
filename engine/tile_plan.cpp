#include "engine/tile_plan.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include "kernels/base/error.hpp"
#include "storage/buffer_manager.hpp"

namespace strata {

namespace {

// Panels of a group: a chunk's are pinned at once, and the kernel holds as many columns of a source in registers.
constexpr std::size_t kMostPanels = ChunkPins::kMost;

// Groups of nearly equal width, as many as `panels` of each lead to.
std::optional<TilePlan> cut(const TiledProduct& product, std::size_t panels, std::uint64_t limit) {
  const std::size_t groups = divide_up(panel_count(product.cols), panels);
  const std::size_t width = std::min(product.cols, divide_up(panel_count(product.cols), groups) * kPanelColumns);
  const std::uint64_t row_bytes = width * product.value_bytes;
  std::size_t ranges = 1;
  if (product.all_rows() * row_bytes > limit) {
    const std::size_t most = limit / (kChunkRows * row_bytes);
    if (most == 0) return std::nullopt;
    ranges = divide_up(product.chunks(), most);
  }
  const std::size_t chunks = divide_up(product.chunks(), ranges);
  ranges = divide_up(product.chunks(), chunks);
  const std::uint64_t rows = std::min<std::uint64_t>(product.all_rows(), chunks * kChunkRows);
  const double read = static_cast<double>(ranges) *
                      (static_cast<double>(product.source_bytes) + static_cast<double>(groups * product.edge_bytes));
  return TilePlan{width, chunks, read, rows * row_bytes};
}

}  // namespace

std::size_t TiledProduct::all_rows() const { return std::accumulate(rows.begin(), rows.end(), std::size_t{0}); }

std::size_t TiledProduct::chunks() const {
  std::size_t sum = 0;
  for (const std::size_t count : rows) sum += divide_up(count, kChunkRows);
  return sum;
}

TilePlan plan_tiles(const TiledProduct& product, std::uint64_t limit) {
  if (product.all_rows() == 0) return {std::min(product.cols, kMostPanels * kPanelColumns), 1, 0, 0};
  std::optional<TilePlan> best;
  for (std::size_t panels = std::min(kMostPanels, panel_count(product.cols)); panels > 0; --panels) {
    const std::optional<TilePlan> now = cut(product, panels, limit);
    if (now && (!best || now->read < best->read)) best = now;
  }
  if (best) return *best;
  const std::uint64_t least = least_tile_bytes(product.all_rows(), product.cols, product.value_bytes);
  throw ResourceError("not enough memory to aggregate over the graph: " + format_bytes(least) +
                          " are needed for the sums of a chunk of rows and " + format_bytes(limit) + " are left",
                      least - limit);
}

std::uint64_t least_tile_bytes(std::size_t rows, std::size_t cols, std::size_t value_bytes) {
  return std::min(rows, kChunkRows) * std::min(cols, kPanelColumns) * value_bytes;
}

std::vector<TileUnit> tile_units(std::size_t rows, std::size_t columns, std::size_t threads) {
  const std::size_t panels = panel_count(columns);
  const std::size_t step = divide_up(panels, std::min(panels, threads)) * kPanelColumns;
  const std::size_t groups = divide_up(columns, step);
  // Twice as many parts as workers: the edges of a chunk rarely go to all parts alike.
  const std::size_t parts = groups >= threads ? 1 : std::min(rows, 2 * divide_up(threads, groups));
  const std::size_t part_rows = divide_up(rows, parts);
  std::vector<TileUnit> units;
  for (std::size_t row = 0; row < rows; row += part_rows) {
    for (std::size_t column = 0; column < columns; column += step) {
      units.push_back({column, std::min(step, columns - column), row, std::min(part_rows, rows - row)});
    }
  }
  return units;
}

}  // namespace strata
