#include "engine/row_access.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"
#include "kernels/row_codec.hpp"

namespace strata {

namespace {

template <class T>
MatrixView<T> columns(MatrixView<T> m, std::size_t first, std::size_t count, std::size_t rows) {
  return {m.data + first, rows, count, m.stride};
}

// The next run of consecutive ids within one chunk: [first, last) of ids.
std::size_t run_end(std::span<const NodeId> ids, std::size_t first, std::size_t chunk) {
  std::size_t last = first + 1;
  while (last < ids.size() && ids[last] == ids[last - 1] + 1 && ids[last] / kChunkRows == chunk) ++last;
  return last;
}

// values += the decoded rows of a tile, as many as `values` has.
template <class T>
void add_tile(Codec codec, const std::byte* tile, MatrixView<T> values) {
  constexpr std::size_t kBlock = 64;  // rows decoded at a time
  T block[kBlock * kPanelColumns];
  const std::size_t width = values.cols;
  const std::size_t row_bytes = panel_row_bytes(codec, width);
  for (std::size_t first = 0; first < values.rows; first += kBlock) {
    const std::size_t count = std::min(kBlock, values.rows - first);
    cpu::decode_panel<T>(codec, tile + first * row_bytes, row_bytes, {block, count, width});
    for (std::size_t r = 0; r < count; ++r) {
      T* to = values.row(first + r);
      for (std::size_t c = 0; c < width; ++c) to[c] += block[r * width + c];
    }
  }
}

// body(tile, bytes of a row in it, its part of `values`) for the panels of a chunk that the columns of `values` cover.
// pin(panel, count, pins) pins that many neighbours.
template <class T, class Pin, class Body>
void for_panels(const RowShape& shape, std::size_t chunk, std::size_t first_panel, MatrixView<T> values, Pin&& pin,
                Body&& body) {
  const std::size_t count = panel_count(values.cols);
  for (std::size_t first = 0; first < count; first += ChunkPins::kMost) {
    ChunkPins pins;
    pin(first_panel + first, std::min(ChunkPins::kMost, count - first), pins);
    for (std::size_t i = 0; i < pins.count(); ++i) {
      const std::size_t width = panel_width(shape.cols, first_panel + first + i);
      body(pins.bytes(i).data(), panel_row_bytes(shape.codec, width),
           columns(values, (first + i) * kPanelColumns, width, shape.chunk_rows(chunk)));
    }
  }
}

}  // namespace

template <class T>
void read_panels(const RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<T> out) {
  for_panels(
      store.shape(), chunk, first_panel, out,
      [&](std::size_t panel, std::size_t count, ChunkPins& pins) { store.pin_read(chunk, panel, count, pins); },
      [&](const std::byte* tile, std::size_t row_bytes, MatrixView<T> part) {
        cpu::decode_panel<T>(store.shape().codec, tile, row_bytes, part);
      });
}

template <class T>
void read_chunk(const RowStore& store, std::size_t chunk, MatrixView<T> out) {
  STRATA_ASSERT(out.cols == store.shape().cols && out.rows >= store.shape().chunk_rows(chunk));
  read_panels(store, chunk, 0, out);
}

template <class T>
void write_panels(RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<const T> values) {
  for_panels(
      store.shape(), chunk, first_panel, values,
      [&](std::size_t panel, std::size_t count, ChunkPins& pins) { store.pin_overwrite(chunk, panel, count, pins); },
      [&](std::byte* tile, std::size_t row_bytes, MatrixView<const T> part) {
        cpu::encode_panel<T>(store.shape().codec, part, tile, row_bytes);
      });
}

template <class T>
void write_chunk(RowStore& store, std::size_t chunk, MatrixView<const T> values) {
  STRATA_ASSERT(values.cols == store.shape().cols && values.rows >= store.shape().chunk_rows(chunk));
  write_panels(store, chunk, 0, values);
}

template <class T>
void add_panels(const RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<T> values) {
  for_panels(
      store.shape(), chunk, first_panel, values,
      [&](std::size_t panel, std::size_t count, ChunkPins& pins) { store.pin_read(chunk, panel, count, pins); },
      [&](const std::byte* tile, std::size_t, MatrixView<T> part) { add_tile(store.shape().codec, tile, part); });
}

template <class T>
void add_and_write_panels(RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<T> values) {
  for_panels(
      store.shape(), chunk, first_panel, values,
      [&](std::size_t panel, std::size_t count, ChunkPins& pins) { store.pin_update(chunk, panel, count, pins); },
      [&](std::byte* tile, std::size_t row_bytes, MatrixView<T> part) {
        add_tile(store.shape().codec, tile, part);
        cpu::encode_panel<T>(store.shape().codec, part, tile, row_bytes);
      });
}

template <class T>
void read_row_panels(const RowStore& store, std::span<const NodeId> ids, std::size_t first_panel, MatrixView<T> out) {
  const RowShape& shape = store.shape();
  const std::size_t panels = panel_count(out.cols);
  STRATA_ASSERT(first_panel + panels <= shape.panels() && out.rows >= ids.size());
  std::size_t begin = 0;
  while (begin < ids.size()) {
    const std::size_t chunk = ids[begin] / kChunkRows;
    const auto beyond = std::lower_bound(ids.begin() + begin, ids.end(), (chunk + 1) * kChunkRows);
    const std::size_t end = static_cast<std::size_t>(beyond - ids.begin());
    for (std::size_t p = 0; p < panels; p += ChunkPins::kMost) {
      ChunkPins pins;
      store.pin_read(chunk, first_panel + p, std::min(ChunkPins::kMost, panels - p), pins);
      for (std::size_t first = begin; first < end;) {
        const std::size_t last = std::min(run_end(ids, first, chunk), end);
        for (std::size_t i = 0; i < pins.count(); ++i) {
          const std::size_t width = panel_width(shape.cols, first_panel + p + i);
          const std::size_t row_bytes = panel_row_bytes(shape.codec, width);
          cpu::decode_panel<T>(
              shape.codec, pins.bytes(i).data() + (ids[first] - chunk * kChunkRows) * row_bytes, row_bytes,
              columns(out.rows_range(first, last - first), (p + i) * kPanelColumns, width, last - first));
        }
        first = last;
      }
    }
    begin = end;
  }
}

template <class T>
void read_rows(const RowStore& store, std::span<const NodeId> ids, MatrixView<T> out) {
  STRATA_ASSERT(out.cols == store.shape().cols);
  read_row_panels<T>(store, ids, 0, out);
}

#define STRATA_INSTANTIATE(T)                                                                             \
  template void read_chunk<T>(const RowStore&, std::size_t, MatrixView<T>);                               \
  template void write_chunk<T>(RowStore&, std::size_t, MatrixView<const T>);                              \
  template void write_panels<T>(RowStore&, std::size_t, std::size_t, MatrixView<const T>);                \
  template void read_panels<T>(const RowStore&, std::size_t, std::size_t, MatrixView<T>);                 \
  template void add_panels<T>(const RowStore&, std::size_t, std::size_t, MatrixView<T>);                  \
  template void add_and_write_panels<T>(RowStore&, std::size_t, std::size_t, MatrixView<T>);              \
  template void read_row_panels<T>(const RowStore&, std::span<const NodeId>, std::size_t, MatrixView<T>); \
  template void read_rows<T>(const RowStore&, std::span<const NodeId>, MatrixView<T>);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
