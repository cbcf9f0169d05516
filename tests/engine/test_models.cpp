// What build_model makes of the options: tensors' names and shapes, groups, norms.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/parameters.hpp"
#include "kernels/base/error.hpp"
#include "tests/engine/fixture.hpp"

namespace strata::test {
namespace {

ModelOptions model_options(ModelKind kind, std::size_t layers = 2) {
  ModelOptions o;
  o.kind = kind;
  o.layers = layers;
  o.hidden = 16;
  return o;
}

// "name 16x5", ..., in the order of the groups.
std::vector<std::string> tensors_of(const Model& model) {
  std::vector<std::string> all;
  for (const TensorSpec& tensor : model.tensors) {
    std::string text = tensor.name;
    for (std::size_t i = 0; i < tensor.shape.size(); ++i)
      text += (i == 0 ? " " : "x") + std::to_string(tensor.shape[i]);
    all.push_back(text);
  }
  return all;
}

TEST_CASE("vrgcn: no biases, one map of A X and X, LayerNorm with a small epsilon, logits from the last aggregation") {
  const Model model = build_model(model_options(ModelKind::vrgcn), MethodKind::iglu, 5, 3);
  CHECK(tensors_of(model) == std::vector<std::string>{"convs.0.lin_l.weight 16x5", "convs.0.lin_r.weight 16x5",
                                                      "norms.0.weight 16", "norms.0.bias 16",
                                                      "convs.1.lin_l.weight 3x16", "convs.1.lin_r.weight 3x16"});
  CHECK(model.group_names == std::vector<std::string>{"layer1", "layer2"});
  CHECK(model.layers[0].norm_epsilon == 1e-9);
  CHECK(model.layers[0].aggregation == Aggregation::row_with_self);
  CHECK_FALSE(model.layers[1].has_norm);
  CHECK(model.layers[1].activation == Activation::none);
  for (const std::size_t i : {0, 1, 4, 5}) CHECK(model.tensors[i].fan_in == 2 * model.tensors[i].shape[1]);
}

TEST_CASE("saint: branches without biases, a norm each, the classifier in the last layer's group") {
  ModelOptions options = model_options(ModelKind::saint);
  const std::vector<std::string> concat = {"convs.0.lins.0.weight 16x5",
                                           "convs.0.lins.1.weight 16x5",
                                           "convs.0.norms.0.weight 16",
                                           "convs.0.norms.0.bias 16",
                                           "convs.0.norms.1.weight 16",
                                           "convs.0.norms.1.bias 16",
                                           "convs.1.lins.0.weight 16x32",
                                           "convs.1.lins.1.weight 16x32",
                                           "convs.1.norms.0.weight 16",
                                           "convs.1.norms.0.bias 16",
                                           "convs.1.norms.1.weight 16",
                                           "convs.1.norms.1.bias 16",
                                           "head.weight 3x32"};
  const Model model = build_model(options, MethodKind::iglu, 5, 3);
  CHECK(tensors_of(model) == concat);
  CHECK(model.group_names == std::vector<std::string>{"layer1", "layer2"});
  CHECK(model.tensors.back().group == 1);
  CHECK_FALSE(model.has_head);
  CHECK(model.layers[0].out == 32);
  CHECK(model.layers[1].out == 3);
  CHECK(model.layers[0].aggregation == Aggregation::row_with_self);
  for (const NormSpec& norm : model.layers[1].after) CHECK(norm.epsilon == 1e-9);
  CHECK(model.layers[1].saint.l2);
  options.saint_combine = SaintCombine::sum;
  options.saint_l2 = false;
  const Model sum = build_model(options, MethodKind::full, 5, 3);
  CHECK(sum.layers[0].out == 16);
  CHECK(sum.tensors.back().shape == std::vector<std::size_t>{3, 16});
  CHECK_FALSE(sum.layers[1].saint.l2);
  options.classifier = ClassifierKind::none;
  CHECK_THROWS_AS(static_cast<void>(build_model(options, MethodKind::full, 5, 3)), UsageError);
}

TEST_CASE("batch norm under the names of PyG's BatchNorm, its running statistics outside all groups") {
  ModelOptions options = model_options(ModelKind::gcn);
  options.norm = NormKind::batch;
  const Model model = build_model(options, MethodKind::full, 5, 3);
  CHECK(tensors_of(model) == std::vector<std::string>{"convs.0.lin.weight 16x5", "convs.0.bias 16",
                                                      "norms.0.module.weight 16", "norms.0.module.bias 16",
                                                      "norms.0.module.running_mean 16", "norms.0.module.running_var 16",
                                                      "convs.1.lin.weight 3x16", "convs.1.bias 3"});
  MemoryBudget budget(std::uint64_t{1} << 20);
  Parameters<float> parameters(model.tensors, model.group_names, 1, budget);
  CHECK(parameters.group_range(0) == std::pair<std::size_t, std::size_t>{0, 5 * 16 + 3 * 16});
  CHECK(parameters.group_range(1).first == parameters.group_range(0).second);
  CHECK(parameters.group_range(1).second + 32 == parameters.size());
  CHECK(parameters.value(4)[0] == 0);
  CHECK(parameters.value(5)[0] == 1);
  std::ranges::fill(parameters.gradients(), 1.0f);
  OptimizerOptions optimizer;
  optimizer.weight_decay = 0.5;
  optimizer.clip = 1;
  parameters.step(optimizer, 0.1, 0, parameters.groups());
  CHECK(parameters.value(4)[3] == 0);  // no optimiser's
  CHECK(parameters.value(5)[3] == 1);
  CHECK(parameters.value(2)[3] != 1);
  options.kind = ModelKind::saint;
  const std::vector<std::string> saint = tensors_of(build_model(options, MethodKind::full, 5, 3));
  CHECK(std::find(saint.begin(), saint.end(), "convs.1.norms.0.module.running_var 16") != saint.end());
}

TEST_CASE("a model has its own norm unless told otherwise") {
  const auto norm = [](ModelKind kind, NormKind asked) {
    ModelOptions options = model_options(kind);
    options.norm = asked;
    return norm_of(options);
  };
  for (const ModelKind kind : {ModelKind::gcn, ModelKind::sage, ModelKind::mlp}) {
    CHECK(norm(kind, NormKind::automatic) == NormKind::none);
    CHECK(norm(kind, NormKind::layer) == NormKind::layer);
  }
  for (const ModelKind kind : {ModelKind::vrgcn, ModelKind::saint}) {
    CHECK(norm(kind, NormKind::automatic) == NormKind::layer);
    CHECK(norm(kind, NormKind::none) == NormKind::none);
  }
}

TEST_CASE("weights start within Glorot's bounds of the whole map they belong to") {
  const auto largest = [](ModelKind kind) {
    ModelOptions options = model_options(kind, 1);
    options.hidden = 200;
    const Model model = build_model(options, MethodKind::full, 300, 100);
    MemoryBudget budget(std::uint64_t{1} << 24);
    const Parameters<float> parameters(model.tensors, model.group_names, 3, budget);
    float most = 0;
    for (std::size_t i = 0; i < model.tensors[0].size(); ++i) most = std::max(most, std::abs(parameters.value(0)[i]));
    return static_cast<double>(most);
  };
  CHECK(largest(ModelKind::vrgcn) == doctest::Approx(std::sqrt(6.0 / (100 + 600))).epsilon(1e-3));
  CHECK(largest(ModelKind::sage) == doctest::Approx(std::sqrt(6.0 / (100 + 300))).epsilon(1e-3));
  CHECK(largest(ModelKind::saint) == doctest::Approx(std::sqrt(6.0 / (200 + 300))).epsilon(1e-3));
}

}  // namespace
}  // namespace strata::test
