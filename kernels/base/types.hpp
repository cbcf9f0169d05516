// The words every room shares: ids, chunk and panel sizes, codecs, and non-owning matrix views.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace strata {

using NodeId = std::uint32_t;  // a node in the store's (reordered) numbering
using EdgeId = std::uint64_t;  // counts and offsets of edges

inline constexpr std::size_t kChunkRows = 1024;   // unit of shuffling; a format constant
inline constexpr std::size_t kPanelColumns = 32;  // columns of one block on disk; a format constant
inline constexpr std::size_t kBlockAlignment = 4096;

constexpr std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }
constexpr std::size_t round_up(std::size_t a, std::size_t b) { return divide_up(a, b) * b; }

// How the values of a row store are written. fp64 exists for verification only: the engine compiled in
// double precision keeps exact rows, so that its schedules can be checked against finite differences.
enum class Codec : std::uint8_t { fp32 = 0, fp16 = 1, bf16 = 2, int8 = 3, fp64 = 4 };

enum class Aggregation : std::uint8_t { none, sum, mean, row_with_self, sym };

enum class Activation : std::uint8_t { none, relu, leaky_relu, elu, gelu, tanh, sigmoid };

// A row-major matrix somewhere in host memory; owns nothing. `stride` counts elements between rows.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  MatrixView() = default;
  MatrixView(T* d, std::size_t r, std::size_t c) : data(d), rows(r), cols(c), stride(c) {}
  MatrixView(T* d, std::size_t r, std::size_t c, std::size_t s) : data(d), rows(r), cols(c), stride(s) {}
  template <class U>
  requires(!std::is_same_v<U, T> && std::is_convertible_v<U (*)[], T (*)[]>) MatrixView(const MatrixView<U>& o)
      : data(o.data), rows(o.rows), cols(o.cols), stride(o.stride) {}

  T* row(std::size_t i) const { return data + i * stride; }
  T& operator()(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
  std::span<T> row_span(std::size_t i) const { return {row(i), cols}; }
  MatrixView rows_range(std::size_t first, std::size_t count) const { return {row(first), count, cols, stride}; }
};

}  // namespace strata
