// Identities that gradients must satisfy whatever their values (methods' checks 6 and 7), in double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "kernels/loss.hpp"
#include "kernels/norm.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

TEST_CASE("layer norm's input gradient sums to zero along a row and is orthogonal to the normalised row") {
  constexpr std::size_t kRows = 7;
  constexpr std::size_t kCols = 33;
  constexpr double kEpsilon = 1e-12;  // the second identity holds up to it
  Random random(11);
  const auto z = random.reals(kRows * kCols, -2, 5);
  const auto gain = random.reals(kCols, 0.5, 1.5);
  const auto offset = random.reals(kCols);
  const auto dy = random.reals(kRows * kCols);
  std::vector<double> y(z.size()), dz(z.size()), mean(kRows), rstd(kRows), dgain(kCols), doffset(kCols);
  const MatrixView<const double> zv(z.data(), kRows, kCols);
  ref::layer_norm_forward<double>(zv, gain.data(), offset.data(), kEpsilon, {y.data(), kRows, kCols}, mean.data(),
                                  rstd.data());
  ref::layer_norm_backward<double>(zv, gain.data(), mean.data(), rstd.data(), {dy.data(), kRows, kCols},
                                   {dz.data(), kRows, kCols}, dgain.data(), doffset.data());
  for (std::size_t i = 0; i < kRows; ++i) {
    double sum = 0;
    double inner = 0;
    double size = 0;
    for (std::size_t c = 0; c < kCols; ++c) {
      const double d = dz[i * kCols + c];
      sum += d;
      inner += d * (z[i * kCols + c] - mean[i]) * rstd[i];
      size += std::abs(d);
    }
    CHECK(size > 0.1);
    CHECK(std::abs(sum) < 1e-12 * size);
    CHECK(std::abs(inner) < 1e-9 * size);
  }
}

TEST_CASE("softmax cross entropy's gradient sums to zero along a row and is zero where there is no label") {
  constexpr std::size_t kRows = 6;
  constexpr std::size_t kCols = 5;
  Random random(12);
  const auto logits = random.reals(kRows * kCols, -4, 4);
  const std::vector<std::int32_t> labels{0, 4, kUnlabelled, 2, 1, kUnlabelled};
  std::vector<double> gradient(logits.size(), 7.0);
  const double loss = ref::softmax_cross_entropy<double>({logits.data(), kRows, kCols}, labels.data(), 2.0,
                                                         {gradient.data(), kRows, kCols});
  CHECK(loss > 0);
  for (std::size_t i = 0; i < kRows; ++i) {
    double sum = 0;
    double size = 0;
    for (std::size_t c = 0; c < kCols; ++c) {
      sum += gradient[i * kCols + c];
      size += std::abs(gradient[i * kCols + c]);
    }
    CHECK(std::abs(sum) < 1e-14);
    CHECK((size > 0.01) == (labels[i] != kUnlabelled));
  }
}

}  // namespace
}  // namespace strata::testing
