// Rates of the products that take their sums source by source.
#include <chrono>
#include <cstring>
#include <optional>

#include "engine/calibration.hpp"
#include "engine/tile_plan.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSampleShards = 4;
constexpr std::size_t kSampleChunks = 16;  // of a shard

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

// Some shards' edges over as many sums as the run's memory holds. cols 0: they are decoded only.
template <class T>
double Calibration<T>::scatter(std::size_t cols, Codec codec) {
  const std::size_t held = cols == 0 ? 1
                                     : std::clamp<std::uint64_t>(session_.spmm_memory.gather_limit / (cols * sizeof(T)),
                                                                 1, session_.nodes());
  const std::size_t stride = encoded_row_bytes(codec, cols);
  const Buffer memory(session_.budget, std::max<std::uint64_t>(held * cols * sizeof(T), 1), "a sample of sums", true);
  const Buffer rows(session_.budget, std::max<std::uint64_t>(kChunkRows * stride, 1), "a sample of rows");
  std::memset(memory.data(), 0, memory.size());
  std::memset(rows.data(), 0x21, rows.size());
  const MatrixView<T> sums{reinterpret_cast<T*>(memory.data()), held, cols};
  const std::vector<TileUnit> units =
      cols == 0 ? std::vector<TileUnit>(1) : tile_units(held, cols, session_.workers.threads());
  // Destinations' scales are looked up by row, sources' by node: either fits the graph's array.
  const EdgeScale<T> scale = session_.graph.scale(false);
  std::vector<EdgeSpace> spaces;
  for (std::size_t s = 0; s < session_.workers.slots(); ++s) spaces.emplace_back(session_.budget);
  std::vector<SparseRows> edges(spaces.size());
  const std::size_t shards = session_.graph.shard_count(true), samples = std::min(shards, kSampleShards);
  double seconds = 0, amount = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    std::optional<Shard> own;
    const std::size_t index = i * shards / samples;
    if (!session_.graph.resident()) own.emplace(session_.graph.open_shard(true, index));
    const Shard& shard = own ? *own : session_.graph.open_shards(true)[index];
    const std::size_t count = std::min<std::size_t>(shard.info().rows, kSampleChunks * kChunkRows);
    std::vector<std::uint32_t> to_row(shard.locals().begin(), shard.locals().end());
    for (std::uint32_t& row : to_row) row = static_cast<std::uint32_t>(row % held);
    const Clock::time_point begin = Clock::now();
    session_.workers.in_turns(
        divide_up(count, kChunkRows),
        {.before = {},
         .work =
             [&](std::size_t chunk, std::size_t slot) {
               const std::size_t first = chunk * kChunkRows;
               edges[slot] = shard.rows(first, std::min(kChunkRows, count - first), spaces[slot]);
               edges[slot].to_row = to_row.data();
             },
         .count = units.size(),
         .turn =
             [&](std::size_t, std::size_t slot, std::size_t u) {
               if (cols == 0) return;
               const TileUnit& unit = units[u];
               const EncodedRows x{codec, rows.data() + encoded_row_bytes(codec, unit.first_column), edges[slot].rows,
                                   unit.columns, stride};
               cpu::spmm_scatter<T>(
                   edges[slot], scale, x,
                   {0, static_cast<std::uint32_t>(to_row.size()), static_cast<std::uint32_t>(unit.first_row)},
                   {sums.row(unit.first_row) + unit.first_column, unit.rows, unit.columns, sums.stride});
             }});
    const double taken = seconds_since(begin);
    if (i == 0 && shards > 1) continue;  // met cold caches
    seconds += taken;
    amount += static_cast<double>(shard.info().edges) * static_cast<double>(count) / shard.info().rows;
  }
  return amount > 0 ? seconds / amount : 0;
}

template double Calibration<float>::scatter(std::size_t, Codec);
template double Calibration<double>::scatter(std::size_t, Codec);

}  // namespace strata
