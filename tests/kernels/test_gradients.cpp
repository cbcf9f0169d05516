// The reference's gradients in double against central differences.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/activation.hpp"
#include "kernels/dropout.hpp"
#include "kernels/linear.hpp"
#include "kernels/loss.hpp"
#include "kernels/norm.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

using Vector = std::vector<double>;

MatrixView<const double> in(const Vector& v, std::size_t rows, std::size_t cols) { return {v.data(), rows, cols}; }
MatrixView<double> out(Vector& v, std::size_t rows, std::size_t cols) { return {v.data(), rows, cols}; }

constexpr double kAllowed = 1e-6;

struct LinearProblem {
  static constexpr std::size_t kRows = 5, kIn = 4, kOut = 3;
  Random random{11};
  Vector x = random.reals(kRows * kIn), w = random.reals(kOut * kIn), b = random.reals(kOut);
  Vector dy = random.reals(kRows * kOut);

  static double loss(const Vector& x, const Vector& w, const Vector& b, const Vector& dy) {
    Vector y(kRows * kOut);
    ref::linear_forward(in(x, kRows, kIn), in(w, kOut, kIn), b.data(), out(y, kRows, kOut), false);
    return dot(y, dy);
  }
};

}  // namespace

TEST_CASE("gradient of linear") {
  constexpr std::size_t kRows = LinearProblem::kRows, kIn = LinearProblem::kIn, kOut = LinearProblem::kOut;
  LinearProblem p;
  Vector dx(kRows * kIn), dw(kOut * kIn), db(kOut);
  ref::linear_backward_input(in(p.dy, kRows, kOut), in(p.w, kOut, kIn), out(dx, kRows, kIn), false);
  ref::linear_backward_weight(in(p.dy, kRows, kOut), in(p.x, kRows, kIn), out(dw, kOut, kIn), false);
  ref::linear_backward_bias(in(p.dy, kRows, kOut), db.data(), false);
  CHECK(gradient_error([&](const Vector& v) { return p.loss(v, p.w, p.b, p.dy); }, p.x, dx) < kAllowed);
  CHECK(gradient_error([&](const Vector& v) { return p.loss(p.x, v, p.b, p.dy); }, p.w, dw) < kAllowed);
  CHECK(gradient_error([&](const Vector& v) { return p.loss(p.x, p.w, v, p.dy); }, p.b, db) < kAllowed);
}

TEST_CASE("gradient of every activation") {
  for (const Activation f : {Activation::none, Activation::relu, Activation::leaky_relu, Activation::elu,
                             Activation::gelu, Activation::tanh, Activation::sigmoid}) {
    Random random(3);
    Vector z = random.reals(40, -3, 3), dy = random.reals(40), dz(40);
    for (double& v : z) v += v > 0 ? 0.01 : -0.01;  // away from the kinks
    ref::activation_backward(f, in(z, 4, 10), in(dy, 4, 10), out(dz, 4, 10));
    const auto loss = [&](const Vector& v) {
      Vector y(40);
      ref::activation_forward(f, in(v, 4, 10), out(y, 4, 10));
      return dot(y, dy);
    };
    CAPTURE(activation_name(f));
    CHECK(gradient_error(loss, z, dz) < kAllowed);
  }
}

TEST_CASE("gradient of dropout is dropout of the gradient") {
  Random random(4);
  const Vector x = random.reals(3 * 20), dy = random.reals(3 * 20);
  const NodeId ids[] = {5, 9, 100};
  const DropoutKey key{1, 2, 3};
  Vector dx(3 * 20);
  ref::dropout(0.4, key, ids, in(dy, 3, 20), out(dx, 3, 20));
  const auto loss = [&](const Vector& v) {
    Vector y(3 * 20);
    ref::dropout(0.4, key, ids, in(v, 3, 20), out(y, 3, 20));
    return dot(y, dy);
  };
  CHECK(gradient_error(loss, x, dx) < kAllowed);
}

TEST_CASE("gradient of layer norm") {
  constexpr std::size_t kRows = 4, kCols = 19;
  Random random(6);
  const Vector z = random.reals(kRows * kCols), gain = random.reals(kCols), offset = random.reals(kCols);
  const Vector dy = random.reals(kRows * kCols);
  const auto loss = [&](const Vector& zs, const Vector& gains, const Vector& offsets) {
    Vector y(kRows * kCols), mean(kRows), rstd(kRows);
    ref::layer_norm_forward(in(zs, kRows, kCols), gains.data(), offsets.data(), 1e-5, out(y, kRows, kCols), mean.data(),
                            rstd.data());
    return dot(y, dy);
  };
  Vector y(kRows * kCols), mean(kRows), rstd(kRows), dz(kRows * kCols), dgain(kCols), doffset(kCols);
  ref::layer_norm_forward(in(z, kRows, kCols), gain.data(), offset.data(), 1e-5, out(y, kRows, kCols), mean.data(),
                          rstd.data());
  ref::layer_norm_backward(in(z, kRows, kCols), gain.data(), mean.data(), rstd.data(), in(dy, kRows, kCols),
                           out(dz, kRows, kCols), dgain.data(), doffset.data());
  CHECK(gradient_error([&](const Vector& v) { return loss(v, gain, offset); }, z, dz) < kAllowed);
  CHECK(gradient_error([&](const Vector& v) { return loss(z, v, offset); }, gain, dgain) < kAllowed);
  CHECK(gradient_error([&](const Vector& v) { return loss(z, gain, v); }, offset, doffset) < kAllowed);
}

namespace {

// Batch norm over two tiles, as the engine composes it.
struct BatchNorm {
  static constexpr std::size_t kTile = 6, kCols = 5, kRows = 2 * kTile;
  Vector mean = Vector(kCols), rstd = Vector(kCols);

  void statistics(const Vector& z) {
    Vector sum(kCols), sum_sq(kCols), unused(kCols);
    for (std::size_t t = 0; t < 2; ++t) ref::column_sums<double>(tile(z, t), nullptr, sum.data(), unused.data());
    for (std::size_t c = 0; c < kCols; ++c) mean[c] = sum[c] / kRows;
    std::fill(unused.begin(), unused.end(), 0.0);
    for (std::size_t t = 0; t < 2; ++t) ref::column_sums<double>(tile(z, t), mean.data(), unused.data(), sum_sq.data());
    for (std::size_t c = 0; c < kCols; ++c) rstd[c] = 1 / std::sqrt(sum_sq[c] / kRows + 1e-5);
  }
  static MatrixView<const double> tile(const Vector& v, std::size_t t) {
    return {v.data() + t * kTile * kCols, kTile, kCols};
  }
};

}  // namespace

TEST_CASE("gradient of batch norm over two tiles") {
  constexpr std::size_t kCols = BatchNorm::kCols, kRows = BatchNorm::kRows, kTile = BatchNorm::kTile;
  Random random(8);
  const Vector z = random.reals(kRows * kCols), gain = random.reals(kCols), offset = random.reals(kCols);
  const Vector dy = random.reals(kRows * kCols);
  const auto loss = [&](const Vector& zs, const Vector& gains, const Vector& offsets) {
    BatchNorm norm;
    norm.statistics(zs);
    Vector y(kRows * kCols);
    ref::batch_norm_apply(in(zs, kRows, kCols), norm.mean.data(), norm.rstd.data(), gains.data(), offsets.data(),
                          out(y, kRows, kCols));
    return dot(y, dy);
  };
  BatchNorm norm;
  norm.statistics(z);
  Vector sum_dy(kCols), sum_dy_zhat(kCols), dz(kRows * kCols);
  for (std::size_t t = 0; t < 2; ++t) {
    ref::batch_norm_backward_sums(norm.tile(z, t), norm.mean.data(), norm.rstd.data(), norm.tile(dy, t), sum_dy.data(),
                                  sum_dy_zhat.data());
  }
  for (std::size_t t = 0; t < 2; ++t) {
    ref::batch_norm_backward(norm.tile(z, t), norm.mean.data(), norm.rstd.data(), gain.data(), sum_dy.data(),
                             sum_dy_zhat.data(), kRows, norm.tile(dy, t),
                             MatrixView<double>(dz.data() + t * kTile * kCols, kTile, kCols));
  }
  CHECK(gradient_error([&](const Vector& v) { return loss(v, gain, offset); }, z, dz) < kAllowed);
  CHECK(gradient_error([&](const Vector& v) { return loss(z, v, offset); }, gain, sum_dy_zhat) < kAllowed);
  CHECK(gradient_error([&](const Vector& v) { return loss(z, gain, v); }, offset, sum_dy) < kAllowed);
}

TEST_CASE("gradient of both losses") {
  constexpr std::size_t kRows = 6, kCols = 11;
  Random random(9);
  const Vector z = random.reals(kRows * kCols, -2, 2);
  const std::int32_t labels[] = {0, 10, kUnlabelled, 4, 4, 7};
  const auto targets = random.integers<std::uint8_t>(kRows * 2, 256);
  const std::uint8_t labelled[] = {1, 1, 0, 1, 0, 1};
  const double scale = 0.25;
  Vector dz(kRows * kCols);
  ref::softmax_cross_entropy(in(z, kRows, kCols), labels, scale, out(dz, kRows, kCols));
  const auto softmax = [&](const Vector& v) {
    return scale * ref::softmax_cross_entropy(in(v, kRows, kCols), labels, scale, MatrixView<double>());
  };
  CHECK(gradient_error(softmax, z, dz) < kAllowed);
  ref::sigmoid_cross_entropy(in(z, kRows, kCols), targets.data(), 2, labelled, scale, out(dz, kRows, kCols));
  const auto sigmoid = [&](const Vector& v) {
    return scale *
           ref::sigmoid_cross_entropy(in(v, kRows, kCols), targets.data(), 2, labelled, scale, MatrixView<double>());
  };
  CHECK(gradient_error(sigmoid, z, dz) < kAllowed);
}

}  // namespace strata::testing
