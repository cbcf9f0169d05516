#include "engine/spmm_finish.hpp"

#include <algorithm>

#include "engine/row_access.hpp"
#include "kernels/row_codec.hpp"

namespace strata {

template <class T>
void SpmmFinish<T>::store(std::size_t chunk, MatrixView<T> sums, std::span<T> added, std::vector<NodeId>& nodes) const {
  const std::size_t first_panel = columns_.first_panel();
  const bool in_place = output_.in_place();
  if (added_values() > 0 && !in_place) {
    add_rows(chunk, sums, added, nodes);
  } else if (output_.add && !in_place) {
    add_panels<T>(*output_.add.store, chunk, first_panel, sums);
  }
  if (!whole_panels_) {
    store_slice(chunk, sums, added);
  } else if (in_place) {
    add_and_write_panels<T>(*output_.out, chunk, first_panel, sums);
  } else {
    write_panels<T>(*output_.out, chunk, first_panel, sums);
  }
}

// Of other rows' order, or only some columns of a panel.
template <class T>
void SpmmFinish<T>::add_rows(std::size_t chunk, MatrixView<T> sums, std::span<T> added,
                             std::vector<NodeId>& nodes) const {
  const std::size_t cols = output_.out->shape().cols, first = columns_.first_panel() * kPanelColumns;
  const std::size_t width = std::min(columns_.panels() * kPanelColumns, cols - first);
  const MatrixView<T> values(added.data(), sums.rows, width);
  const PassRows rows(destinations_, output_.part);
  if (output_.add.map != nullptr) {
    read_nodes<T>(output_.add, rows.nodes(chunk, nodes), values, columns_.first_panel());
  } else {
    read_panels<T>(*output_.add.store, chunk, columns_.first_panel(), values);
  }
  add_columns(values, sums);
}

template <class T>
void SpmmFinish<T>::add_columns(MatrixView<const T> from, MatrixView<T> sums) const {
  const std::size_t offset = columns_.first % kPanelColumns;
  for (std::size_t r = 0; r < sums.rows; ++r) {
    for (std::size_t c = 0; c < sums.cols; ++c) sums(r, c) += from(r, offset + c);
  }
}

// A slice of one panel: its columns of `out` are replaced.
template <class T>
void SpmmFinish<T>::store_slice(std::size_t chunk, MatrixView<T> sums, std::span<T> added) const {
  RowStore& out = *output_.out;
  const RowShape& shape = out.shape();
  const std::size_t panel = columns_.first_panel(), width = panel_width(shape.cols, panel);
  const std::size_t stride = panel_row_bytes(shape.codec, width);
  const std::size_t offset = (columns_.first % kPanelColumns) * value_bytes(shape.codec);
  const Pin pin = replaces_ ? out.pin_overwrite(chunk, panel) : out.pin_update(chunk, panel);
  if (output_.in_place()) {
    const MatrixView<T> values(added.data(), sums.rows, width);
    cpu::decode_panel<T>(shape.codec, pin.bytes().data(), stride, values);
    add_columns(values, sums);
  }
  cpu::encode_panel<T>(shape.codec, sums, pin.bytes().data() + offset, stride);
}

template class SpmmFinish<float>;
template class SpmmFinish<double>;

}  // namespace strata
