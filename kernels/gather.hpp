// Rows by index: out_i = x_{ids[i]} and out_{ids[i]} += x_i (scatter-add, in ascending i; ids may repeat).
#pragma once

#include <span>

#include "kernels/base/types.hpp"

namespace strata {
namespace ref {
template <class T>
void gather_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out);
template <class T>
void scatter_add_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out);
}  // namespace ref
namespace cpu {
template <class T>
void gather_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out);
template <class T>
void scatter_add_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out);
}  // namespace cpu
}  // namespace strata
