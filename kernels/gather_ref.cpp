#include "kernels/base/error.hpp"
#include "kernels/gather.hpp"

namespace strata::ref {

template <class T>
void gather_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out) {
  STRATA_ASSERT(out.rows == ids.size() && out.cols == x.cols);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    STRATA_ASSERT(ids[i] < x.rows);
    for (std::size_t c = 0; c < x.cols; ++c) out(i, c) = x(ids[i], c);
  }
}

template <class T>
void scatter_add_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out) {
  STRATA_ASSERT(x.rows == ids.size() && out.cols == x.cols);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    STRATA_ASSERT(ids[i] < out.rows);
    for (std::size_t c = 0; c < x.cols; ++c) out(ids[i], c) += x(i, c);
  }
}

template void gather_rows(MatrixView<const float>, std::span<const NodeId>, MatrixView<float>);
template void gather_rows(MatrixView<const double>, std::span<const NodeId>, MatrixView<double>);
template void scatter_add_rows(MatrixView<const float>, std::span<const NodeId>, MatrixView<float>);
template void scatter_add_rows(MatrixView<const double>, std::span<const NodeId>, MatrixView<double>);

}  // namespace strata::ref
