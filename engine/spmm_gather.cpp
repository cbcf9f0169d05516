#include "engine/spmm_gather.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

constexpr std::size_t kNarrowestSlice = 4;

// An int8 output row needs its whole panel at once (one scale), so its panels are not sliced.
std::size_t narrowest(std::size_t cols, Codec out_codec) {
  const std::size_t first_panel = std::min(cols, kPanelColumns);
  return out_codec == Codec::int8 ? first_panel : std::min(first_panel, kNarrowestSlice);
}

std::uint64_t bytes_of(const RowShape& source, std::size_t width) {
  return source.rows * encoded_row_bytes(source.codec, width);
}

}  // namespace

std::vector<ColumnGroup> plan_column_groups(const RowShape& source, Codec out_codec, std::uint64_t limit) {
  const std::size_t cols = source.cols;
  std::size_t width = cols;
  if (bytes_of(source, cols) > limit) {
    width = kPanelColumns;
    while (width < cols && bytes_of(source, width + kPanelColumns) <= limit) width += kPanelColumns;
    // Groups of nearly equal width: as many as are needed, none wider than it must be.
    const std::size_t groups = divide_up(panel_count(cols), width / kPanelColumns);
    width = divide_up(panel_count(cols), groups) * kPanelColumns;
    while (width > narrowest(cols, out_codec) && bytes_of(source, width) > limit) width /= 2;
    width = std::max(width, narrowest(cols, out_codec));
  }
  width = std::min(width, cols);
  if (bytes_of(source, width) > limit) {
    throw ResourceError("not enough memory to aggregate over the graph: " + format_bytes(bytes_of(source, width)) +
                            " are needed for the narrowest group of columns and " + format_bytes(limit) + " are left",
                        bytes_of(source, width) - limit);
  }
  std::vector<ColumnGroup> groups;
  for (std::size_t c = 0; c < cols; c += width) groups.push_back({c, std::min(width, cols - c)});
  return groups;
}

std::uint64_t gather_bytes(const RowShape& source, const std::vector<ColumnGroup>& groups) {
  std::uint64_t bytes = 0;
  for (const ColumnGroup& group : groups) bytes = std::max(bytes, bytes_of(source, group.count));
  return bytes;
}

std::uint64_t least_gather_bytes(const RowShape& source, Codec out_codec) {
  return bytes_of(source, narrowest(source.cols, out_codec));
}

void Gather::load(const RowStore& x, std::size_t base, std::size_t chunk) const {
  const std::size_t first_panel = group_.first_panel(), panels = group_.panels();
  const std::size_t last = group_.first + group_.count;
  std::byte* to = memory_ + (base + chunk * kChunkRows) * stride_;
  for (std::size_t p = 0; p < panels; p += ChunkPins::kMost) {
    ChunkPins pins;
    x.pin_read(chunk, first_panel + p, std::min(ChunkPins::kMost, panels - p), pins);
    for (std::size_t i = 0; i < pins.count(); ++i) {
      const std::size_t panel = first_panel + p + i;
      const std::size_t begin = std::max(group_.first, panel * kPanelColumns);
      const std::size_t end = std::min(last, (panel + 1) * kPanelColumns);
      copy_columns(pins.bytes(i), x.shape().chunk_rows(chunk), panel, begin - panel * kPanelColumns, end - begin, to);
      to += panel_row_bytes(source_.codec, end - begin);
    }
  }
}

void Gather::copy_columns(std::span<const std::byte> tile, std::size_t rows, std::size_t panel, std::size_t first,
                          std::size_t take, std::byte* to) const {
  const std::size_t from_stride = panel_row_bytes(source_.codec, panel_width(source_.cols, panel));
  const std::size_t scale = source_.codec == Codec::int8 ? 2 : 0;  // an int8 row starts with its scale
  const std::size_t value = value_bytes(source_.codec);
  const std::byte* from = tile.data();
  for (std::size_t r = 0; r < rows; ++r, from += from_stride, to += stride_) {
    std::memcpy(to, from, scale);
    std::memcpy(to + scale, from + scale + first * value, take * value);
  }
}

template <class T>
void Gather::put(std::size_t first, MatrixView<const T> rows) const {
  STRATA_ASSERT(group_.whole_panels(source_.cols) && first + rows.rows <= source_.rows);
  std::byte* to = memory_ + first * stride_;
  for (std::size_t c = group_.first; c < group_.first + group_.count; c += kPanelColumns) {
    const std::size_t width = std::min(kPanelColumns, group_.first + group_.count - c);
    cpu::encode_panel<T>(source_.codec, {rows.data + c, rows.rows, width, rows.stride}, to, stride_);
    to += panel_row_bytes(source_.codec, width);
  }
}

template void Gather::put(std::size_t, MatrixView<const float>) const;
template void Gather::put(std::size_t, MatrixView<const double>) const;

}  // namespace strata
