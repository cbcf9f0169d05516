// Float: each destination's sum stays in registers, up to 256 columns at a time, while its sources' rows are decoded
// and added; rows further ahead in the edge list are prefetched. Double and fp64 rows: the reference. What lists of
// rows and absent rows of x cost is compiled separately (kPartial), so that whole ranges do not pay for it; so is the
// look-up of a narrow row together with its scale (kScaled), where cache misses outside of x would be most of them.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/lanes.hpp"
#include "kernels/spmm.hpp"

namespace strata::cpu {
namespace {

constexpr std::size_t kMaxVectors = 16;  // of sixteen columns: half of the registers of AVX-512
constexpr std::size_t kBlockColumns = kMaxVectors * kLanes;
constexpr std::size_t kScaledVectors = 4;
constexpr std::size_t kCacheLine = 64;

// Walks the edges of the listed rows in the order of the sums, ahead of them.
struct Ahead {
  std::size_t row = 0;  // of the output
  EdgeId edge = 0, end = 0;
};

struct Job {
  SparseRows a;
  EdgeScale<float> scale;
  EncodedRows x;
  MatrixView<float> out;
  EdgeId end;             // one past the last edge of all rows
  std::size_t row_bytes;  // encoded
  std::size_t distance;   // edges between a row's prefetch and its use
  bool aligned;           // rows begin with a cache line

  template <bool kScaled>
  std::uint32_t source(EdgeId e) const {
    return kScaled ? a.scaled[a.columns[e]].row : a.row_of(a.columns[e]);
  }
  const std::byte* row(std::uint32_t source_row) const { return x.data + source_row * x.stride; }

  template <bool kScaled>
  void prefetch(EdgeId e) const {
    if (e < end) prefetch_row<kScaled>(source<kScaled>(e));
  }
  template <bool kScaled>
  void prefetch_row(std::uint32_t id) const {
    const std::byte* first = row(id);
    for (std::size_t at = 0; at < row_bytes; at += kCacheLine) __builtin_prefetch(first + at, 0, 3);
    if (!aligned) __builtin_prefetch(first + row_bytes - 1, 0, 3);
    if (!kScaled && scale.source != nullptr) __builtin_prefetch(scale.source + id, 0, 3);
  }

  void enter(Ahead& ahead) const {
    ahead.edge = a.offsets[a.range_row(ahead.row)];
    ahead.end = a.offsets[a.range_row(ahead.row) + 1];
    while (ahead.edge == ahead.end && ++ahead.row < a.rows) {
      ahead.edge = a.offsets[a.range_row(ahead.row)];
      ahead.end = a.offsets[a.range_row(ahead.row) + 1];
    }
  }
  template <bool kScaled>
  void step(Ahead& ahead) const {
    if (ahead.row >= a.rows) return;
    const std::uint32_t id = source<kScaled>(ahead.edge);
    if (id != kNoRow) prefetch_row<kScaled>(id);
    if (++ahead.edge == ahead.end && ++ahead.row < a.rows) enter(ahead);
  }
  template <bool kScaled>
  [[nodiscard]] Ahead start() const {
    Ahead ahead;
    enter(ahead);
    for (std::size_t i = 0; i < distance; ++i) step<kScaled>(ahead);
    return ahead;
  }
};

// `kVectors` groups of sixteen columns of one destination, beginning at column `first` (a multiple of the panel width);
// the last group has `last` columns. Everything is indexed by constants, so that the sums live in registers.
template <Codec kCodec, bool kPartial, bool kScaled, class Index>
class RowBlock;

template <Codec kCodec, bool kPartial, bool kScaled, std::size_t... kIndex>
class RowBlock<kCodec, kPartial, kScaled, std::index_sequence<kIndex...>> {
 public:
  RowBlock(const Job& job, Ahead& ahead, std::size_t first, std::size_t last)
      : job_(job), ahead_(ahead), offset_(encoded_row_bytes(kCodec, first)), first_(first), last_(last) {}

  void sum_row(std::size_t i) const {
    const std::size_t r = kPartial ? job_.a.range_row(i) : i;
    const NodeId destination = job_.a.first_row + static_cast<NodeId>(r);
    const float base = job_.scale.destination != nullptr ? job_.scale.destination[destination] : 1.0f;
    const EdgeId begin = job_.a.offsets[r];
    const EdgeId end = job_.a.offsets[r + 1];
    Lanes sums[kVectors] = {(static_cast<void>(kIndex), Lanes::zero())...};
    EdgeId split = end;
    if (job_.scale.self_loop) {
      const std::uint32_t own = job_.a.own_column(r);
      split = begin;
      while (split < end && job_.a.columns[split] < own) ++split;
    }
    add_edges(begin, split, base, sums);
    if (job_.scale.self_loop) {
      const std::uint32_t source = job_.a.row_of(job_.a.own_column(r));
      if (!kPartial || source != kNoRow) {
        add(source, job_.scale.source != nullptr ? base * job_.scale.source[source] : base, sums);
      }
      add_edges(split, end, base, sums);
    }
    float* out = job_.out.row(i) + first_;
    (sums[kIndex].store(out + kIndex * kLanes, count(kIndex)), ...);
  }

 private:
  static constexpr std::size_t kVectors = sizeof...(kIndex);
  std::size_t count(std::size_t v) const { return v + 1 < kVectors ? kLanes : last_; }

  [[gnu::always_inline]] void add_edges(EdgeId begin, EdgeId end, float base, Lanes (&sums)[kVectors]) const {
    for (EdgeId e = begin; e < end; ++e) {
      if (first_ == 0) {
        if constexpr (kPartial) {
          job_.template step<kScaled>(ahead_);
        } else {
          job_.template prefetch<kScaled>(e + job_.distance);
        }
      }
      const std::uint32_t source = job_.template source<kScaled>(e);
      if (kPartial && source == kNoRow) continue;
      float w = base;
      if constexpr (kScaled) {
        w *= job_.a.scaled[job_.a.columns[e]].scale;
      } else if (job_.scale.source != nullptr) {
        w *= job_.scale.source[source];
      }
      if (job_.a.edge_weight != nullptr) w *= job_.a.edge_weight[e];
      add(source, w, sums);
    }
  }

  [[gnu::always_inline]] void add(std::uint32_t source, float weight, Lanes (&sums)[kVectors]) const {
    const std::byte* row = job_.row(source) + offset_;
    const Lanes w = Lanes::all(weight);
    ((sums[kIndex] = fma(w, load_encoded<kCodec>(row, kIndex * kLanes, count(kIndex)), sums[kIndex])), ...);
  }

  const Job& job_;
  Ahead& ahead_;              // moved on by the first columns' block only
  const std::size_t offset_;  // bytes from the start of an encoded row to column `first`
  const std::size_t first_;
  const std::size_t last_;
};

template <Codec kCodec, bool kPartial, bool kScaled, std::size_t kVectors>
void sum_rows(const Job& job, Ahead& ahead, std::size_t first_column, std::size_t columns, std::size_t begin,
              std::size_t end) {
  const RowBlock<kCodec, kPartial, kScaled, std::make_index_sequence<kVectors>> block(
      job, ahead, first_column, columns - (kVectors - 1) * kLanes);
  for (std::size_t i = begin; i < end; ++i) block.sum_row(i);
}

using SumRows = void (*)(const Job&, Ahead&, std::size_t, std::size_t, std::size_t, std::size_t);

template <Codec kCodec, bool kPartial, bool kScaled, std::size_t... kIndex>
constexpr std::array<SumRows, sizeof...(kIndex)> make_table(std::index_sequence<kIndex...>) {
  return {sum_rows<kCodec, kPartial, kScaled, kIndex + 1>...};
}

template <Codec kCodec, bool kPartial, bool kScaled>
void run_rows(const Job& job) {
  static constexpr auto kTable =
      make_table<kCodec, kPartial, kScaled>(std::make_index_sequence < kScaled ? kScaledVectors : kMaxVectors > ());
  Ahead ahead = kPartial ? job.start<kScaled>() : Ahead{};
  const std::size_t cols = job.x.cols;
  const auto sum = [&](std::size_t first, std::size_t begin, std::size_t end) {
    const std::size_t columns = std::min(kBlockColumns, cols - first);
    kTable.at(divide_up(columns, kLanes) - 1)(job, ahead, first, columns, begin, end);
  };
  if (cols <= kBlockColumns) {
    sum(0, 0, job.a.rows);
    return;
  }
  for (std::size_t i = 0; i < job.a.rows; ++i) {
    for (std::size_t first = 0; first < cols; first += kBlockColumns) sum(first, i, i + 1);
  }
}

template <Codec kCodec>
void run(const Job& job) {
  const bool partial = job.a.row_list != nullptr || job.a.may_skip;
  if (job.a.scaled != nullptr && spmm_wants_scaled(kCodec, job.x.cols)) {
    return partial ? run_rows<kCodec, true, true>(job) : run_rows<kCodec, false, true>(job);
  }
  return partial ? run_rows<kCodec, true, false>(job) : run_rows<kCodec, false, false>(job);
}

void spmm_float(const SparseRows& a, const EdgeScale<float>& scale, const EncodedRows& x, MatrixView<float> out) {
  if (a.rows == 0 || x.cols == 0) return;
  const std::size_t row_bytes = encoded_row_bytes(x.codec, x.cols);
  const std::size_t distance = std::clamp<std::size_t>(2048 / row_bytes, 8, 32);
  const bool aligned = x.stride % kCacheLine == 0 && reinterpret_cast<std::uintptr_t>(x.data) % kCacheLine == 0;
  const Job job{a, scale, x, out, a.offsets[a.range_row(a.rows - 1) + 1], row_bytes, distance, aligned};
  switch (x.codec) {
    case Codec::fp32: return run<Codec::fp32>(job);
    case Codec::fp16: return run<Codec::fp16>(job);
    case Codec::bf16: return run<Codec::bf16>(job);
    case Codec::int8: return run<Codec::int8>(job);
    case Codec::fp64: return ref::spmm<float>(a, scale, x, out);
  }
}

}  // namespace

bool spmm_wants_scaled(Codec codec, std::size_t cols) {
  return codec != Codec::fp64 && cols <= kScaledVectors * kLanes && encoded_row_bytes(codec, cols) <= kWidestScaledRow;
}

template <class T>
void spmm(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, MatrixView<T> out) {
  STRATA_ASSERT(out.rows == a.rows && out.cols == x.cols);
  if constexpr (std::is_same_v<T, double>) {
    ref::spmm<T>(a, scale, x, out);
  } else {
    spmm_float(a, scale, x, out);
  }
}

template void spmm(const SparseRows&, const EdgeScale<float>&, const EncodedRows&, MatrixView<float>);
template void spmm(const SparseRows&, const EdgeScale<double>&, const EncodedRows&, MatrixView<double>);

}  // namespace strata::cpu
