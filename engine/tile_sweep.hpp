// The rows of x and their edges stream past the sums of one range of destinations, which are then finished.
//
// Every worker takes the next chunk of sources, reads and decodes it; then the chunk goes from unit to unit of the held
// sums (TileUnit), each of which sees the chunks in ascending order whoever carries them. So sums keep their order.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/source_tiles.hpp"
#include "engine/tile_range.hpp"

namespace strata {

template <class T>
class TileSweep {
 public:
  // memory: for the range's sums. job and range must outlive this.
  TileSweep(const SpmmJob<T>& job, const TileRange<T>& range, std::byte* memory);
  void run(const std::vector<SpmmSource>& x);

 private:
  struct Slot {
    std::span<std::byte> x;
    EdgeSpace space;
    SourceTiles::Rows rows;
    SparseRows edges;
    std::vector<std::uint32_t> list;
  };
  struct FinishSlot {
    std::span<T> added;
    std::vector<NodeId> nodes;
  };
  [[nodiscard]] const RowMap& destinations() const { return *job_.rows.destinations; }
  void clear();
  void scatter(const std::vector<SpmmSource>& x);
  void load(std::size_t item, SourceTiles& tiles, Slot& slot) const;
  void add(std::size_t item, const Slot& slot, std::size_t row_bytes, std::size_t unit) const;
  void finish(std::size_t output);

  const SpmmJob<T>& job_;
  Session<T>& session_;
  const TileRange<T>& range_;
  const RowMap every_node_;
  MatrixView<T> sums_;
  std::vector<TileUnit> units_;
  std::vector<NodeSpan> spans_;  // of the units' rows
  EdgeScale<T> scale_;
  ShardSpares spares_;
  std::vector<std::shared_ptr<const OpenShard>> open_;  // by index in range.shards()
};

extern template class TileSweep<float>;
extern template class TileSweep<double>;

}  // namespace strata
