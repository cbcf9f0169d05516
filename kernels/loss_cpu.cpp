#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/base/error.hpp"
#include "kernels/base/vector_math.hpp"
#include "kernels/loss.hpp"

namespace strata::cpu {
namespace {

void clear_row(MatrixView<float> m, std::size_t i) {
  if (m.data != nullptr) std::fill_n(m.row(i), m.cols, 0.0f);
}

float largest(const float* z, std::size_t cols) {
  Lanes most = Lanes::all(z[0]);
  std::size_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) {
    most = map_lanes(most, Lanes::load(z + c), [](float a, float b) { return a > b ? a : b; });
  }
  float v[kLanes];
  most.store(v);
  const float whole = *std::max_element(v, v + kLanes);
  return c < cols ? std::max(whole, *std::max_element(z + c, z + cols)) : whole;
}

// Sum of e^(z - shift) over the row, in sixteen partial sums.
float sum_of_exp(const float* z, std::size_t cols, float shift) {
  Lanes sum = Lanes::zero();
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const Lanes e = map_lanes(Lanes::load(z + c, n), [shift](float x) { return exp_lane(x - shift); });
    float v[kLanes];
    e.store(v);
    sum = sum + Lanes::load(v, n);
  });
  return pairwise_sum(sum);
}

double softmax_row(const float* z, std::size_t cols, std::size_t label, float scale, float* dz) {
  const float shift = largest(z, cols);
  const float sum = sum_of_exp(z, cols, shift);
  const double loss = static_cast<double>(std::log(sum)) - (static_cast<double>(z[label]) - shift);
  if (dz == nullptr) return loss;
  const float at_label = scale * (exp_lane(z[label] - shift) / sum - 1.0f);
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const auto gradient = [=](float x) { return scale * (exp_lane(x - shift) / sum); };
    map_lanes(Lanes::load(z + c, n), gradient).store(dz + c, n);
  });
  dz[label] = at_label;
  return loss;
}

// Sixteen 0 / 1 targets from the bits of two bytes; the second byte is read only if n > 8.
Lanes target_lanes(const std::uint8_t* bits, std::size_t c, std::size_t n) {
  const std::uint32_t word = bits[c / 8] | (n > 8 ? static_cast<std::uint32_t>(bits[c / 8 + 1]) << 8 : 0u);
  float v[kLanes];
  STRATA_KEEP_LOOP
  for (std::uint32_t l = 0; l < kLanes; ++l) v[l] = static_cast<float>(static_cast<std::int32_t>(word >> l & 1u));
  return Lanes::load(v);
}

inline float sigmoid_loss(float z, float target) {
  const float positive = z > 0 ? z : 0.0f;
  return positive - z * target + log1p_lane(exp_lane(z > 0 ? -z : z));
}

double sigmoid_row(const float* z, std::size_t cols, const std::uint8_t* targets, float scale, float* dz) {
  double loss = 0;
  for_lanes(cols, [&](std::size_t c, std::size_t n) {
    const Lanes logits = Lanes::load(z + c, n);
    const Lanes target = target_lanes(targets, c, n);
    float terms[kLanes];
    map_lanes(logits, target, [](float x, float t) { return sigmoid_loss(x, t); }).store(terms);
    for (std::size_t l = 0; l < n; ++l) loss += static_cast<double>(terms[l]);
    if (dz == nullptr) return;
    const auto gradient = [scale](float x, float t) { return scale * (sigmoid_lane(x) - t); };
    map_lanes(logits, target, gradient).store(dz + c, n);
  });
  return loss;
}

}  // namespace

template <class T>
double softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, T scale, MatrixView<T> dlogits) {
  if constexpr (std::is_same_v<T, double>) {
    return ref::softmax_cross_entropy<T>(logits, labels, scale, dlogits);
  } else {
    double total = 0;
    for (std::size_t i = 0; i < logits.rows; ++i) {
      if (labels[i] == kUnlabelled) {
        clear_row(dlogits, i);
        continue;
      }
      const std::size_t label = static_cast<std::size_t>(labels[i]);
      STRATA_ASSERT(label < logits.cols);
      float* gradient = dlogits.data != nullptr ? dlogits.row(i) : nullptr;
      total += softmax_row(logits.row(i), logits.cols, label, scale, gradient);
    }
    return total;
  }
}

template <class T>
double sigmoid_cross_entropy(MatrixView<const T> logits, const std::uint8_t* targets, std::size_t target_stride,
                             const std::uint8_t* labelled, T scale, MatrixView<T> dlogits) {
  if constexpr (std::is_same_v<T, double>) {
    return ref::sigmoid_cross_entropy<T>(logits, targets, target_stride, labelled, scale, dlogits);
  } else {
    double total = 0;
    for (std::size_t i = 0; i < logits.rows; ++i) {
      if (labelled[i] == 0) {
        clear_row(dlogits, i);
        continue;
      }
      float* gradient = dlogits.data != nullptr ? dlogits.row(i) : nullptr;
      total += sigmoid_row(logits.row(i), logits.cols, targets + i * target_stride, scale, gradient);
    }
    return total;
  }
}

template double softmax_cross_entropy(MatrixView<const float>, const std::int32_t*, float, MatrixView<float>);
template double softmax_cross_entropy(MatrixView<const double>, const std::int32_t*, double, MatrixView<double>);
template double sigmoid_cross_entropy(MatrixView<const float>, const std::uint8_t*, std::size_t, const std::uint8_t*,
                                      float, MatrixView<float>);
template double sigmoid_cross_entropy(MatrixView<const double>, const std::uint8_t*, std::size_t, const std::uint8_t*,
                                      double, MatrixView<double>);

}  // namespace strata::cpu
