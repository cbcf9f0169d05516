#include <cstring>

#include "kernels/base/error.hpp"
#include "kernels/gather.hpp"

namespace strata::cpu {
namespace {

constexpr std::size_t kAhead = 8;  // rows between a prefetch and its use
constexpr std::size_t kCacheLine = 64;

template <int kWrite, class T>
void prefetch_row(const T* row, std::size_t cols) {
  const std::byte* bytes = reinterpret_cast<const std::byte*>(row);
  for (std::size_t at = 0; at < cols * sizeof(T); at += kCacheLine) __builtin_prefetch(bytes + at, kWrite, 3);
}

}  // namespace

template <class T>
void gather_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out) {
  STRATA_ASSERT(out.rows == ids.size() && out.cols == x.cols);
  if (x.cols == 0) return;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i + kAhead < ids.size()) prefetch_row<0>(x.row(ids[i + kAhead]), x.cols);
    STRATA_ASSERT(ids[i] < x.rows);
    std::memcpy(out.row(i), x.row(ids[i]), x.cols * sizeof(T));
  }
}

template <class T>
void scatter_add_rows(MatrixView<const T> x, std::span<const NodeId> ids, MatrixView<T> out) {
  STRATA_ASSERT(x.rows == ids.size() && out.cols == x.cols);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i + kAhead < ids.size()) prefetch_row<1>(out.row(ids[i + kAhead]), x.cols);
    STRATA_ASSERT(ids[i] < out.rows);
    T* __restrict to = out.row(ids[i]);
    const T* __restrict from = x.row(i);
    for (std::size_t c = 0; c < x.cols; ++c) to[c] += from[c];
  }
}

template void gather_rows(MatrixView<const float>, std::span<const NodeId>, MatrixView<float>);
template void gather_rows(MatrixView<const double>, std::span<const NodeId>, MatrixView<double>);
template void scatter_add_rows(MatrixView<const float>, std::span<const NodeId>, MatrixView<float>);
template void scatter_add_rows(MatrixView<const double>, std::span<const NodeId>, MatrixView<double>);

}  // namespace strata::cpu
