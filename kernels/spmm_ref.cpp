#include <cmath>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/spmm.hpp"

namespace strata::ref {
namespace {

template <class T>
class RowSum {
 public:
  RowSum(const EdgeScale<T>& scale, const EncodedRows& x) : scale_(scale), x_(x), decoded_(x.cols) {}

  // out += destination_scale * source_scale[source] * weight * x[source]; `weight` may be null.
  void add(NodeId destination, std::uint32_t source, const float* weight, T* out) {
    STRATA_ASSERT(source < x_.rows);
    T w = 1;
    if (scale_.destination != nullptr) w *= scale_.destination[destination];
    if (scale_.source != nullptr) w *= scale_.source[source];
    if (weight != nullptr) w *= *weight;
    decode(source);
    for (std::size_t c = 0; c < x_.cols; ++c) out[c] = std::fma(w, decoded_[c], out[c]);
  }

 private:
  void decode(std::uint32_t source) {
    const std::byte* row = x_.data + source * x_.stride;
    for (std::size_t panel = 0; panel < panel_count(x_.cols); ++panel) {
      const std::size_t width = panel_width(x_.cols, panel);
      decode_panel(x_.codec, row, 0, MatrixView<T>(decoded_.data() + panel * kPanelColumns, 1, width));
      row += panel_row_bytes(x_.codec, width);
    }
  }

  EdgeScale<T> scale_;
  EncodedRows x_;
  std::vector<T> decoded_;
};

}  // namespace

template <class T>
void spmm(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, MatrixView<T> out) {
  STRATA_ASSERT(out.rows == a.rows && out.cols == x.cols);
  RowSum<T> sum(scale, x);
  for (std::size_t i = 0; i < a.rows; ++i) {
    const std::size_t r = a.range_row(i);
    const NodeId destination = a.first_row + static_cast<NodeId>(r);
    const std::uint32_t own = a.own_column(r);
    const auto add = [&](std::uint32_t column, const float* weight) {
      const std::uint32_t row = a.row_of(column);
      if (a.may_skip && row == kNoRow) return;
      sum.add(destination, row, weight, out.row(i));
    };
    bool self_pending = scale.self_loop;
    for (std::size_t c = 0; c < out.cols; ++c) out(i, c) = 0;
    for (EdgeId e = a.offsets[r]; e < a.offsets[r + 1]; ++e) {
      if (self_pending && own <= a.columns[e]) {
        add(own, nullptr);
        self_pending = false;
      }
      add(a.columns[e], a.edge_weight != nullptr ? a.edge_weight + e : nullptr);
    }
    if (self_pending) add(own, nullptr);
  }
}

template void spmm(const SparseRows&, const EdgeScale<float>&, const EncodedRows&, MatrixView<float>);
template void spmm(const SparseRows&, const EdgeScale<double>&, const EncodedRows&, MatrixView<double>);

}  // namespace strata::ref
