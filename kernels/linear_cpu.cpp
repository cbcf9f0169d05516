// Float: oneDNN's sgemm, one call a product. Double: the reference.
#include <dnnl.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <algorithm>
#include <string>
#include <type_traits>

#include "kernels/base/error.hpp"
#include "kernels/linear.hpp"

namespace strata::cpu {
namespace {

// An OpenMP build of oneDNN takes its thread count from the calling thread's setting.
void use_one_thread() {
#if defined(_OPENMP)
  static thread_local const bool done = (omp_set_num_threads(1), true);
  static_cast<void>(done);
#endif
}

struct Operand {
  char transposed;  // 'T' or 'N', as BLAS names it
  MatrixView<const float> matrix;
};

void clear(MatrixView<float> c) {
  for (std::size_t i = 0; i < c.rows; ++i) std::fill_n(c.row(i), c.cols, 0.0f);
}

// c = op(a) op(b), or c += op(a) op(b). `depth` is the length of the inner dimension.
void multiply(const Operand& a, const Operand& b, std::size_t depth, MatrixView<float> c, bool accumulate) {
  if (c.rows == 0 || c.cols == 0) return;
  if (depth == 0) {
    if (!accumulate) clear(c);
    return;
  }
  use_one_thread();
  const auto leading = [](const auto& m) { return static_cast<dnnl_dim_t>(std::max(m.stride, m.cols)); };
  const dnnl_status_t status =
      dnnl_sgemm(a.transposed, b.transposed, static_cast<dnnl_dim_t>(c.rows), static_cast<dnnl_dim_t>(c.cols),
                 static_cast<dnnl_dim_t>(depth), 1.0f, a.matrix.data, leading(a.matrix), b.matrix.data,
                 leading(b.matrix), accumulate ? 1.0f : 0.0f, c.data, leading(c));
  if (status == dnnl_out_of_memory) throw ResourceError("oneDNN found no memory for a matrix product");
  if (status != dnnl_success) {
    throw Error(ExitStatus::internal, "oneDNN refused a matrix product: status " + std::to_string(status));
  }
}

void add_bias(const float* bias, MatrixView<float> y) {
  for (std::size_t i = 0; i < y.rows; ++i) {
    float* row = y.row(i);
    for (std::size_t c = 0; c < y.cols; ++c) row[c] += bias[c];
  }
}

// Columns in blocks that stay in registers; each column's rows in ascending order, in double.
void add_column_sums(MatrixView<const float> dy, float* db, bool accumulate) {
  constexpr std::size_t kBlock = 64;
  for (std::size_t first = 0; first < dy.cols; first += kBlock) {
    const std::size_t width = std::min(kBlock, dy.cols - first);
    double sums[kBlock] = {};
    for (std::size_t i = 0; i < dy.rows; ++i) {
      const float* row = dy.row(i) + first;
      if (width == kBlock) {
        for (std::size_t c = 0; c < kBlock; ++c) sums[c] += row[c];
      } else {
        for (std::size_t c = 0; c < width; ++c) sums[c] += row[c];
      }
    }
    for (std::size_t c = 0; c < width; ++c) {
      const float rounded = static_cast<float>(sums[c]);
      db[first + c] = accumulate ? db[first + c] + rounded : rounded;
    }
  }
}

template <class T>
constexpr bool kIsDouble = std::is_same_v<T, double>;

}  // namespace

template <class T>
void linear_forward(MatrixView<const T> x, MatrixView<const T> w, const T* bias, MatrixView<T> y, bool accumulate) {
  if constexpr (kIsDouble<T>) {
    ref::linear_forward<T>(x, w, bias, y, accumulate);
  } else {
    STRATA_ASSERT(y.rows == x.rows && y.cols == w.rows && w.cols == x.cols);
    multiply({'N', x}, {'T', w}, x.cols, y, accumulate);
    if (bias != nullptr) add_bias(bias, y);
  }
}

template <class T>
void linear_backward_input(MatrixView<const T> dy, MatrixView<const T> w, MatrixView<T> dx, bool accumulate) {
  if constexpr (kIsDouble<T>) {
    ref::linear_backward_input<T>(dy, w, dx, accumulate);
  } else {
    STRATA_ASSERT(dx.rows == dy.rows && dx.cols == w.cols && w.rows == dy.cols);
    multiply({'N', dy}, {'N', w}, dy.cols, dx, accumulate);
  }
}

template <class T>
void linear_backward_weight(MatrixView<const T> dy, MatrixView<const T> x, MatrixView<T> dw, bool accumulate) {
  if constexpr (kIsDouble<T>) {
    ref::linear_backward_weight<T>(dy, x, dw, accumulate);
  } else {
    STRATA_ASSERT(dy.rows == x.rows && dw.rows == dy.cols && dw.cols == x.cols);
    multiply({'T', dy}, {'N', x}, dy.rows, dw, accumulate);
  }
}

template <class T>
void linear_backward_bias(MatrixView<const T> dy, T* db, bool accumulate) {
  if constexpr (kIsDouble<T>) {
    ref::linear_backward_bias<T>(dy, db, accumulate);
  } else {
    add_column_sums(dy, db, accumulate);
  }
}

#define STRATA_INSTANTIATE(T)                                                                            \
  template void linear_forward(MatrixView<const T>, MatrixView<const T>, const T*, MatrixView<T>, bool); \
  template void linear_backward_input(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, bool);    \
  template void linear_backward_weight(MatrixView<const T>, MatrixView<const T>, MatrixView<T>, bool);   \
  template void linear_backward_bias(MatrixView<const T>, T*, bool);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata::cpu
