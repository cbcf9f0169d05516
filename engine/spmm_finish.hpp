// What becomes of the sums of a product, whichever way they were taken: rows are added in T, rounded once, written.
#pragma once

#include <span>
#include <vector>

#include "engine/spmm_gather.hpp"
#include "engine/spmm_way.hpp"

namespace strata {

template <class T>
class SpmmFinish {
 public:
  // columns: of the sums, at most those of `output`. replaces: nothing else of the panels that they touch is of value
  // yet, so that they are not read. output and destinations must outlive this.
  SpmmFinish(const SpmmOutput& output, const RowMap& destinations, const ColumnGroup& columns, bool replaces)
      : output_(output),
        destinations_(destinations),
        columns_(columns),
        whole_panels_(columns.whole_panels(output.out->shape().cols)),
        replaces_(replaces) {}

  // Values of T that store() needs beside the sums.
  [[nodiscard]] std::size_t added_values() const {
    const bool separate = output_.add && (output_.add.map != nullptr || !whole_panels_);
    return separate ? kChunkRows * columns_.panels() * kPanelColumns : 0;
  }
  // The sums of a chunk's rows; destroyed. added: added_values() or more; nodes: working memory.
  void store(std::size_t chunk, MatrixView<T> sums, std::span<T> added, std::vector<NodeId>& nodes) const;

 private:
  void add_rows(std::size_t chunk, MatrixView<T> sums, std::span<T> added, std::vector<NodeId>& nodes) const;
  void add_columns(MatrixView<const T> from, MatrixView<T> sums) const;
  void store_slice(std::size_t chunk, MatrixView<T> sums, std::span<T> added) const;

  const SpmmOutput& output_;
  const RowMap& destinations_;
  ColumnGroup columns_;
  bool whole_panels_, replaces_;
};

extern template class SpmmFinish<float>;
extern template class SpmmFinish<double>;

}  // namespace strata
