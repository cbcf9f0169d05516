// Float: a source's row is decoded into registers once, up to 256 columns at a time, and added to the sums of its held
// destinations; the sums of destinations further ahead in the edge list are prefetched. Double and fp64 rows: the
// reference.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/lanes.hpp"
#include "kernels/spmm_scatter.hpp"

namespace strata::cpu {
namespace {

constexpr std::size_t kMaxVectors = 16;  // of sixteen columns: half of the registers of AVX-512
constexpr std::size_t kBlockColumns = kMaxVectors * kLanes;
constexpr std::size_t kCacheLine = 64;
constexpr EdgeId kDistance = 8;  // edges between the prefetch of a sum and its use

struct Job {
  SparseRows a;
  EdgeScale<float> scale;
  EncodedRows x;
  HeldRows held;
  MatrixView<float> acc;

  // The place of a column's destination in acc; acc.rows or more if it is not held.
  std::uint32_t place(std::uint32_t column) const { return a.row_of(column) - held.first_row; }
  [[nodiscard]] bool holds(std::uint32_t at) const { return at < acc.rows; }
};

template <Codec kCodec, class Index>
class SourceBlock;

// `kVectors` groups of sixteen columns beginning at column `first`; the last group has `last` columns.
template <Codec kCodec, std::size_t... kIndex>
class SourceBlock<kCodec, std::index_sequence<kIndex...>> {
 public:
  SourceBlock(const Job& job, std::size_t first, std::size_t last)
      : job_(job), offset_(encoded_row_bytes(kCodec, first)), first_(first), last_(last) {}

  void add_row(std::size_t i) const {
    const SparseRows& a = job_.a;
    const std::size_t r = a.range_row(i);
    const std::uint32_t* const columns = a.columns + a.offsets[r];
    const std::uint32_t* const row_end = a.columns + a.offsets[r + 1];
    const std::uint32_t* const begin = std::lower_bound(columns, row_end, job_.held.begin);
    const std::uint32_t* const end = std::lower_bound(begin, row_end, job_.held.end);
    const std::uint32_t own = a.own_column(r);
    const bool self = job_.scale.self_loop && own >= job_.held.begin && own < job_.held.end;
    if (begin == end && !self) return;
    const std::byte* row = job_.x.data + i * job_.x.stride + offset_;
    const Lanes source[kVectors] = {load_encoded<kCodec>(row, kIndex * kLanes, count(kIndex))...};
    const float factor = job_.scale.source != nullptr ? job_.scale.source[a.first_row + r] : 1.0f;
    if (self) add(own, nullptr, factor, source);
    for (const std::uint32_t* column = begin; column < end; ++column) {
      if (end - column > static_cast<std::ptrdiff_t>(kDistance)) prefetch(column[kDistance]);
      add(*column, a.edge_weight != nullptr ? a.edge_weight + (column - a.columns) : nullptr, factor, source);
    }
  }

 private:
  static constexpr std::size_t kVectors = sizeof...(kIndex);
  std::size_t count(std::size_t v) const { return v + 1 < kVectors ? kLanes : last_; }

  void prefetch(std::uint32_t column) const {
    const std::uint32_t at = job_.place(column);
    if (!job_.holds(at)) return;
    const auto* sums = reinterpret_cast<const std::byte*>(job_.acc.row(at) + first_);
    for (std::size_t b = 0; b < kVectors * kLanes * sizeof(float); b += kCacheLine) __builtin_prefetch(sums + b, 1, 3);
  }

  [[gnu::always_inline]] void add(std::uint32_t column, const float* edge_weight, float factor,
                                  const Lanes (&source)[kVectors]) const {
    const std::uint32_t at = job_.place(column);
    if (!job_.holds(at)) return;
    float weight = job_.scale.destination != nullptr ? job_.scale.destination[at + job_.held.first_row] : 1.0f;
    weight *= factor;
    if (edge_weight != nullptr) weight *= *edge_weight;
    const Lanes w = Lanes::all(weight);
    float* to = job_.acc.row(at) + first_;
    (fma(w, source[kIndex], Lanes::load(to + kIndex * kLanes, count(kIndex)))
         .store(to + kIndex * kLanes, count(kIndex)),
     ...);
  }

  const Job& job_;
  const std::size_t offset_;  // bytes from the start of an encoded row to column `first`
  const std::size_t first_;
  const std::size_t last_;
};

template <Codec kCodec, std::size_t kVectors>
void add_rows(const Job& job, std::size_t first_column, std::size_t columns) {
  const SourceBlock<kCodec, std::make_index_sequence<kVectors>> block(job, first_column,
                                                                      columns - (kVectors - 1) * kLanes);
  for (std::size_t i = 0; i < job.a.rows; ++i) block.add_row(i);
}

using AddRows = void (*)(const Job&, std::size_t, std::size_t);

template <Codec kCodec, std::size_t... kIndex>
constexpr std::array<AddRows, kMaxVectors> make_table(std::index_sequence<kIndex...>) {
  return {add_rows<kCodec, kIndex + 1>...};
}

template <Codec kCodec>
void run(const Job& job) {
  static constexpr auto kTable = make_table<kCodec>(std::make_index_sequence<kMaxVectors>());
  for (std::size_t first = 0; first < job.x.cols; first += kBlockColumns) {
    const std::size_t columns = std::min(kBlockColumns, job.x.cols - first);
    kTable[divide_up(columns, kLanes) - 1](job, first, columns);
  }
}

void scatter_float(const Job& job) {
  switch (job.x.codec) {
    case Codec::fp32: return run<Codec::fp32>(job);
    case Codec::fp16: return run<Codec::fp16>(job);
    case Codec::bf16: return run<Codec::bf16>(job);
    case Codec::int8: return run<Codec::int8>(job);
    case Codec::fp64: return ref::spmm_scatter<float>(job.a, job.scale, job.x, job.held, job.acc);
  }
}

}  // namespace

template <class T>
void spmm_scatter(const SparseRows& a, const EdgeScale<T>& scale, const EncodedRows& x, const HeldRows& held,
                  MatrixView<T> acc) {
  STRATA_ASSERT(acc.cols == x.cols && x.rows >= a.rows);
  STRATA_ASSERT(acc.rows <= kNoRow - held.first_row);  // so that kNoRow is not held
  if constexpr (std::is_same_v<T, double>) {
    ref::spmm_scatter<T>(a, scale, x, held, acc);
  } else {
    scatter_float({a, scale, x, held, acc});
  }
}

template void spmm_scatter(const SparseRows&, const EdgeScale<float>&, const EncodedRows&, const HeldRows&,
                           MatrixView<float>);
template void spmm_scatter(const SparseRows&, const EdgeScale<double>&, const EncodedRows&, const HeldRows&,
                           MatrixView<double>);

}  // namespace strata::cpu
