#include <cmath>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata::ref {

template <class T>
void spmm_scatter(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, const HeldRows& held,
                  MatrixView<T> acc) {
  STRATA_ASSERT(acc.cols == x.cols && x.rows >= a.rows);
  std::vector<T> source(x.cols);
  for (std::size_t i = 0; i < a.rows; ++i) {
    const std::size_t r = a.range_row(i);
    const std::byte* row = x.data + i * x.stride;
    for (std::size_t panel = 0; panel < panel_count(x.cols); ++panel) {
      const std::size_t width = panel_width(x.cols, panel);
      decode_panel(x.codec, row, 0, MatrixView<T>(source.data() + panel * kPanelColumns, 1, width));
      row += panel_row_bytes(x.codec, width);
    }
    const auto add = [&](std::uint32_t column, const float* weight) {
      if (column < held.begin || column >= held.end) return;
      const std::uint32_t destination = a.row_of(column);
      if (destination == kNoRow || destination < held.first_row || destination - held.first_row >= acc.rows) return;
      T w = 1;
      if (scale.destination != nullptr) w *= scale.destination[destination];
      if (scale.source != nullptr) w *= scale.source[a.first_row + r];
      if (weight != nullptr) w *= *weight;
      T* to = acc.row(destination - held.first_row);
      for (std::size_t c = 0; c < x.cols; ++c) to[c] = std::fma(w, source[c], to[c]);
    };
    if (scale.self_loop) add(a.own_column(r), nullptr);
    for (EdgeId e = a.offsets[r]; e < a.offsets[r + 1]; ++e) {
      add(a.columns[e], a.edge_weight != nullptr ? a.edge_weight + e : nullptr);
    }
  }
}

template void spmm_scatter(const SparseRows&, const EdgeScale<float>&, const EncodedRows&, const HeldRows&,
                           MatrixView<float>);
template void spmm_scatter(const SparseRows&, const EdgeScale<double>&, const EncodedRows&, const HeldRows&,
                           MatrixView<double>);

}  // namespace strata::ref
