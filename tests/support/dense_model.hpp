// The naive twin of the engine's models: dense matrices in double, the graph as a dense A, formulas written the other
// way round from the engine's (A (X W) instead of (A X) W), gradients by hand. Nothing of the engine is used but the
// list of layers and the parameters' values.
#pragma once

#include <vector>

#include "engine/model.hpp"
#include "engine/parameters.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {

struct Dense {
  std::size_t rows = 0, cols = 0;
  std::vector<double> v;
  Dense() = default;
  Dense(std::size_t r, std::size_t c) : rows(r), cols(c), v(r * c) {}
  double& operator()(std::size_t i, std::size_t j) { return v[i * cols + j]; }
  double operator()(std::size_t i, std::size_t j) const { return v[i * cols + j]; }
};

[[nodiscard]] Dense multiply(const Dense& a, const Dense& b);
[[nodiscard]] Dense transpose(const Dense& a);
[[nodiscard]] double dense_activation(Activation f, double z);
[[nodiscard]] double dense_activation_slope(Activation f, double z);
[[nodiscard]] Dense normalised_adjacency(const TinyGraph& graph, Aggregation aggregation);

struct DenseRun {
  std::vector<Dense> x;           // by layer index: X of that layer (the last: logits)
  std::vector<Dense> alpha;       // gradient of the loss at x[l]
  std::vector<double> gradients;  // laid out like Parameters
  double loss = 0;                // loss_scale * sum
};

// Loss: loss_scale * sum over training rows (softmax CE or BCE over classes). No dropout.
[[nodiscard]] DenseRun run_dense(const Model& model, const Parameters<double>& parameters, const TinyGraph& graph,
                                 bool multilabel, double loss_scale);

// The gradient at input rows x of one layer (index), through that layer alone and without residuals, from alpha at its
// output; null: from the sum of the multiclass loss at its logits. first: X of the first layer, for one with an initial
// residual, whose share of the gradient there goes to at_first.
[[nodiscard]] Dense dense_gradient_below(const Model& model, const Parameters<double>& parameters,
                                         const TinyGraph& graph, std::size_t layer, const Dense& x, const Dense* alpha,
                                         const Dense* first = nullptr, Dense* at_first = nullptr);

}  // namespace strata::test
