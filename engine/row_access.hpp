// Reading and writing row stores as dense tiles: decode and encode behind pins.
#pragma once

#include <span>

#include "kernels/base/types.hpp"
#include "storage/buffer_manager.hpp"

namespace strata {

// Rows of a chunk, all columns. out/values: chunk_rows(chunk) (or more) rows x cols.
template <class T>
void read_chunk(const RowStore& store, std::size_t chunk, MatrixView<T> out);
template <class T>
void write_chunk(RowStore& store, std::size_t chunk, MatrixView<const T> values);

// Panels [first_panel, ...) that the columns of `values` cover.
template <class T>
void write_panels(RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<const T> values);
template <class T>
void read_panels(const RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<T> out);
// values += the stored panels.
template <class T>
void add_panels(const RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<T> values);
// The same, and the sums are written back.
template <class T>
void add_and_write_panels(RowStore& store, std::size_t chunk, std::size_t first_panel, MatrixView<T> values);

// Rows by ascending id: out row i is the store's row ids[i]. The second from panel `first_panel` on, as far as the
// columns of `out` go.
template <class T>
void read_rows(const RowStore& store, std::span<const NodeId> ids, MatrixView<T> out);
template <class T>
void read_row_panels(const RowStore& store, std::span<const NodeId> ids, std::size_t first_panel, MatrixView<T> out);

}  // namespace strata
