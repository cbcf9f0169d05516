#include "kernels/gather.hpp"

namespace strata::cpu {

template <class T>
void gather_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out) {
  return ref::gather_rows<T>(x, ids, out);
}

template <class T>
void scatter_add_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out) {
  return ref::scatter_add_rows<T>(x, ids, out);
}

template void gather_rows(MatrixView<const float>, std::span<const NodeId>, MatrixView<float>);
template void gather_rows(MatrixView<const double>, std::span<const NodeId>, MatrixView<double>);
template void scatter_add_rows(MatrixView<const float>, std::span<const NodeId>, MatrixView<float>);
template void scatter_add_rows(MatrixView<const double>, std::span<const NodeId>, MatrixView<double>);

}  // namespace strata::cpu
