// The way of 2-D tiles: memory holds the sums of a range of destinations, the rows of x stream past once for each such
// range in ascending node id, and every source adds to the sums of its destinations (spmm_scatter.hpp). Its edges are
// those of the opposite direction, source by source. No row of x is wanted at random, so x stays in its row store.
//
// With P ranges, a pass each: P (x + edges) read, the product written once.
#pragma once

#include <vector>

#include "engine/spmm_way.hpp"
#include "engine/tile_plan.hpp"

namespace strata {

template <class T>
class TiledSpmm final : public SpmmWay<T> {
 public:
  // Takes the memory for the sums: ResourceError with the least that would do when not even a chunk of a panel fits.
  explicit TiledSpmm(SpmmJob<T> job);
  // What plan_tiles() cuts.
  [[nodiscard]] static TiledProduct cut_of(const SpmmJob<T>& job);
  [[nodiscard]] std::size_t taken_panels() const override { return 0; }
  void take(std::size_t first, MatrixView<const T> rows) override;
  [[nodiscard]] std::uint64_t memory_bytes() const override { return plan_.bytes; }
  void run(const std::vector<SpmmSource>& x, bool taken) override;

 private:
  SpmmJob<T> job_;
  TiledProduct product_;
  TilePlan plan_;
};

extern template class TiledSpmm<float>;
extern template class TiledSpmm<double>;

}  // namespace strata
