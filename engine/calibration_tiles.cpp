// Rates of the products that take their sums source by source.
#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/calibration.hpp"
#include "engine/calibration_samples.hpp"
#include "engine/tile_plan.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata {

namespace {

constexpr std::size_t kSampleChunks = 16;  // of a shard

// As many sums as the run's memory holds, and a chunk of rows that is added to them again and again. cols 0: edges are
// decoded, looked up, and lead to no row that is held.
template <class T>
class ScatterSample {
 public:
  ScatterSample(Session<T>& session, std::size_t cols, Codec codec)
      : session_(session),
        skips_(cols == 0),
        cols_(skips_ ? kPanelColumns : cols),
        codec_(codec),
        stride_(encoded_row_bytes(codec, cols_)),
        held_(skips_ ? 1
                     : std::clamp<std::uint64_t>(session.spmm_memory.gather_limit / (cols * sizeof(T)), 1,
                                                 session.nodes())),
        sums_(session.budget, held_ * cols_ * sizeof(T), "a sample of sums", true),
        rows_(session.budget, kChunkRows * stride_, "a sample of rows"),
        // Destinations' scales are found by row, sources' by node: the graph's own array serves as both.
        scale_(session.graph_for(GraphUse::evaluation).scale(false)),
        units_(tile_units(held_, cols_, session.workers.threads())),
        edges_(session.workers.slots()) {
    std::memset(sums_.data(), 0, sums_.size());
    std::memset(rows_.data(), 0x21, rows_.size());  // small numbers in every codec
    for (std::size_t s = 0; s < session.workers.slots(); ++s) spaces_.emplace_back(session.budget);
  }

  // For the first `rows` rows of a shard.
  double seconds(const Shard& shard, std::size_t rows) {
    std::vector<std::uint32_t> to_row(shard.locals().begin(), shard.locals().end());
    for (std::uint32_t& row : to_row) row = skips_ ? kNoRow : static_cast<std::uint32_t>(row % held_);
    const auto work = [&](std::size_t chunk, std::size_t slot) {
      const std::size_t first = chunk * kChunkRows;
      edges_[slot] = shard.rows(first, std::min(kChunkRows, rows - first), spaces_[slot]);
      edges_[slot].to_row = to_row.data();
    };
    const auto turn = [&](std::size_t, std::size_t slot, std::size_t u) {
      add(edges_[slot], static_cast<std::uint32_t>(to_row.size()), units_[u]);
    };
    return seconds_of([&] { session_.workers.in_turns(divide_up(rows, kChunkRows), {{}, work, units_.size(), turn}); });
  }

 private:
  void add(const SparseRows& edges, std::uint32_t columns, const TileUnit& unit) {
    const EncodedRows x{codec_, rows_.data() + encoded_row_bytes(codec_, unit.first_column), edges.rows, unit.columns,
                        stride_};
    T* const sums = reinterpret_cast<T*>(sums_.data()) + unit.first_row * cols_ + unit.first_column;
    cpu::spmm_scatter<T>(edges, scale_, x, {0, columns, static_cast<std::uint32_t>(unit.first_row)},
                         {sums, unit.rows, unit.columns, cols_});
  }

  Session<T>& session_;
  bool skips_;
  std::size_t cols_;
  Codec codec_;
  std::size_t stride_, held_;
  Buffer sums_, rows_;
  EdgeScale<T> scale_;
  std::vector<TileUnit> units_;
  std::vector<SparseRows> edges_;  // by slot
  std::vector<EdgeSpace> spaces_;
};

}  // namespace

// Some shards' edges.
template <class T>
double Calibration<T>::scatter(std::size_t cols, Codec codec) {
  ScatterSample<T> sample(session_, cols, codec);
  return seconds_an_edge(session_.graph_for(GraphUse::evaluation), true, kSampleChunks * kChunkRows,
                         [&](const Shard& shard, std::size_t rows) { return sample.seconds(shard, rows); });
}

template double Calibration<float>::scatter(std::size_t, Codec);
template double Calibration<double>::scatter(std::size_t, Codec);

}  // namespace strata
