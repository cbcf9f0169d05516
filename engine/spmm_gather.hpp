// The source side of an external SpMM: as many columns of *all* source rows as memory holds, side by side, so that a
// destination's sum finds them at random speed. Design section 6, "resident" (all columns) and "column panels".
#pragma once

#include <cstdint>
#include <vector>

#include "engine/options.hpp"
#include "kernels/base/budget.hpp"
#include "kernels/row_codec.hpp"
#include "kernels/spmm.hpp"
#include "storage/buffer_manager.hpp"

namespace strata {

// Columns [first, first + count) that are gathered together: whole panels, or a slice of one.
struct ColumnGroup {
  std::size_t first = 0;
  std::size_t count = 0;
  [[nodiscard]] bool whole_panels(std::size_t cols) const {
    return first % kPanelColumns == 0 && (count % kPanelColumns == 0 || first + count == cols);
  }
  [[nodiscard]] std::size_t first_panel() const { return first / kPanelColumns; }
  // Panels it touches.
  [[nodiscard]] std::size_t panels() const { return panel_count(first % kPanelColumns + count); }
};

// How the columns of a source are cut so that one group takes at most `limit` bytes. The groups change no bit of any
// sum. ResourceError when not even the narrowest fits.
[[nodiscard]] std::vector<ColumnGroup> plan_column_groups(const RowShape& source, Codec out_codec, std::uint64_t limit);
// Bytes of the largest group, and of the narrowest that works.
[[nodiscard]] std::uint64_t gather_bytes(const RowShape& source, const std::vector<ColumnGroup>& groups);
[[nodiscard]] std::uint64_t least_gather_bytes(const RowShape& source, Codec out_codec);

// The memory SpMM may take for gathered columns or for sums, and whether to keep it between calls.
struct SpmmMemory {
  std::uint64_t gather_limit = 0;        // bytes
  bool keep = false;                     // by plan: the buffer stays for the next call
  ProductWay way = ProductWay::columns;  // of the products from now on
  Buffer buffer;
  // Gathered rows that take less are found in a cache.
  std::uint64_t cached_bytes = std::uint64_t{64} << 20;

  // Whether shards' columns are looked up together with their scales (ShardRowsOptions::source_scale): it pays where
  // the rows are narrow, so that the rest of an edge counts, and many.
  [[nodiscard]] bool wants_scaled(Codec codec, std::size_t cols, std::uint64_t rows) const {
    return cpu::spmm_wants_scaled(codec, cols) && rows * encoded_row_bytes(codec, cols) > cached_bytes;
  }
  void hold(MemoryBudget& budget, std::uint64_t bytes) {
    if (buffer.size() >= bytes) return;
    buffer.release();
    buffer = Buffer(budget, bytes, "what SpMM holds in memory", true);
  }
};

// One group of columns in memory; owns nothing.
class Gather {
 public:
  Gather() = default;
  Gather(const RowShape& source, const ColumnGroup& group, std::byte* memory)
      : source_(source), group_(group), memory_(memory), stride_(encoded_row_bytes(source.codec, group.count)) {}

  [[nodiscard]] const ColumnGroup& group() const { return group_; }
  [[nodiscard]] EncodedRows rows() const {
    return {source_.codec, memory_, static_cast<std::size_t>(source_.rows), group_.count, stride_};
  }
  // The group's columns of a chunk of x, whose row 0 is source row `base`; or of decoded rows (all columns; whole
  // panels only) from source row `first` on: the same bytes. Different rows at the same time are fine.
  void load(const RowStore& x, std::size_t base, std::size_t chunk) const;
  template <class T>
  void put(std::size_t first, MatrixView<const T> rows) const;

 private:
  void copy_columns(std::span<const std::byte> tile, std::size_t rows, std::size_t panel, std::size_t first,
                    std::size_t take, std::byte* to) const;
  RowShape source_;
  ColumnGroup group_;
  std::byte* memory_ = nullptr;
  std::size_t stride_ = 0;
};

}  // namespace strata
