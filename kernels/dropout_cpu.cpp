// Float with AVX-512: eight Philox calls side by side, one per 64-bit lane, make the masks of 64 columns. Otherwise one
// call serves its eight columns.
#include <algorithm>
#include <type_traits>

#include "kernels/base/error.hpp"
#include "kernels/base/lanes.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/dropout.hpp"

namespace strata::cpu {
namespace {

constexpr std::size_t kDrawColumns = 8;  // one Philox call's worth

struct Plan {
  std::uint64_t seed;
  std::uint32_t step;
  std::uint32_t stream;
  std::uint32_t threshold;  // in [0, 65536)
};

#if STRATA_AVX512

constexpr std::size_t kGroupColumns = 8 * kDrawColumns;

// Bit c: is column first + c kept, for the 64 columns of Philox blocks first / 8 .. first / 8 + 7 of row `id`.
// Only the low half of each 64-bit lane means anything; what multiplications leave in the high halves is never read.
std::uint64_t keep_mask(const Plan& plan, NodeId id, std::size_t first) {
  const auto all = [](std::uint32_t x) { return _mm512_set1_epi64(x); };
  const __m512i m0 = all(0xD2511F53u);
  const __m512i m1 = all(0xCD9E8D57u);
  std::uint32_t k0 = static_cast<std::uint32_t>(plan.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(plan.seed >> 32);
  __m512i c0 = all(id);
  __m512i c1 =
      _mm512_add_epi64(all(static_cast<std::uint32_t>(first / kDrawColumns)), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
  __m512i c2 = all(plan.step);
  __m512i c3 = all(plan.stream);
  for (int round = 0; round < 10; ++round) {
    const __m512i p0 = _mm512_mul_epu32(m0, c0);
    const __m512i p1 = _mm512_mul_epu32(m1, c2);
    c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, all(k0), 0x96);  // exclusive or of the three
    c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, all(k1), 0x96);
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const __mmask16 high = 0xAAAA;  // the high 32 bits of each 64-bit lane
  const __m512i low_lanes = _mm512_mask_blend_epi32(high, c0, _mm512_slli_epi64(c1, 32));   // 16-bit lanes 0..3
  const __m512i high_lanes = _mm512_mask_blend_epi32(high, c2, _mm512_slli_epi64(c3, 32));  // 16-bit lanes 4..7
  const __m512i a = _mm512_permutex2var_epi64(low_lanes, _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), high_lanes);
  const __m512i b = _mm512_permutex2var_epi64(low_lanes, _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4), high_lanes);
  const __m512i threshold = _mm512_set1_epi16(static_cast<short>(plan.threshold));
  const std::uint64_t kept_a = _mm512_cmpge_epu16_mask(a, threshold);
  const std::uint64_t kept_b = _mm512_cmpge_epu16_mask(b, threshold);
  return kept_b << 32 | kept_a;
}

void dropout_row(const Plan& plan, NodeId id, float scale, const float* x, float* y, std::size_t cols) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (std::size_t first = 0; first < cols; first += kGroupColumns) {
    std::uint64_t kept = keep_mask(plan, id, first);
    for_lanes(std::min(kGroupColumns, cols - first), [&](std::size_t c, std::size_t n) {
      const __m512 scaled = _mm512_maskz_mul_ps(static_cast<__mmask16>(kept), Lanes::load(x + first + c, n).v, factor);
      Lanes{scaled}.store(y + first + c, n);
      kept >>= kLanes;
    });
  }
}

#else

void dropout_row(const Plan& plan, NodeId id, float scale, const float* x, float* y, std::size_t cols) {
  for (std::size_t first = 0; first < cols; first += kDrawColumns) {
    const Philox draw = philox(plan.seed, id, static_cast<std::uint32_t>(first / kDrawColumns), plan.step, plan.stream);
    const std::size_t end = std::min(first + kDrawColumns, cols);
    for (std::size_t c = first; c < end; ++c) {
      const std::uint32_t lane = draw.v[c % 8 / 2] >> (c % 2 * 16) & 0xFFFFu;
      y[c] = lane >= plan.threshold ? x[c] * scale : 0.0f;
    }
  }
}

#endif

void fill_zero(MatrixView<float> y) {
  for (std::size_t i = 0; i < y.rows; ++i) std::fill_n(y.row(i), y.cols, 0.0f);
}

void copy(MatrixView<const float> x, MatrixView<float> y) {
  if (x.data == y.data) return;
  for (std::size_t i = 0; i < x.rows; ++i) std::copy_n(x.row(i), x.cols, y.row(i));
}

void dropout_float(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const float> x, MatrixView<float> y) {
  const Plan plan{key.seed, key.step, key.layer << 8 | static_cast<std::uint32_t>(Stream::dropout),
                  dropout_threshold(p)};
  if (plan.threshold > 0xFFFFu) return fill_zero(y);
  if (plan.threshold == 0) return copy(x, y);
  const float scale = dropout_scale<float>(plan.threshold);
  for (std::size_t i = 0; i < x.rows; ++i) dropout_row(plan, ids[i], scale, x.row(i), y.row(i), x.cols);
}

}  // namespace

template <class T>
void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const T> x, MatrixView<T> y) {
  STRATA_ASSERT(x.rows == y.rows && x.cols == y.cols && p >= 0 && p < 1);
  if constexpr (std::is_same_v<T, double>) {
    ref::dropout<T>(p, key, ids, x, y);
  } else {
    dropout_float(p, key, ids, x, y);
  }
}

template void dropout(double, const DropoutKey&, const NodeId*, MatrixView<const float>, MatrixView<float>);
template void dropout(double, const DropoutKey&, const NodeId*, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::cpu
