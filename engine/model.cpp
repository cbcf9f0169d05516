#include "engine/model.hpp"

#include <algorithm>
#include <string>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

class ModelBuilder {
 public:
  ModelBuilder(const ModelOptions& options, MethodKind method) : options_(options), method_(method) {}

  void add_layer(std::size_t in, std::size_t out, bool emits_logits) {
    const std::size_t index = model_.layers.size();
    LayerSpec layer;
    layer.in = in;
    layer.out = out;
    layer.group = open_group("layer" + std::to_string(index + 1));
    layer.aggregation = aggregation();
    // IGLU steps a layer's weights while its aggregate stands still, so it aggregates first; so does layer 1, whose
    // aggregate never changes.
    layer.transform_first = method_ == MethodKind::full && layer.aggregates() && index > 0 && out < in;
    layer.input_dropout = index == 0 || options_.input_dropout_all ? options_.input_dropout : 0;
    const std::string prefix = (options_.kind == ModelKind::mlp ? "lins." : "convs.") + std::to_string(index) + ".";
    add_tensors(layer, prefix);
    if (!emits_logits) {
      layer.activation = options_.activation;
      layer.output_dropout = options_.dropout;
      if (options_.norm == NormKind::layer) add_norm(layer, "norms." + std::to_string(index) + ".");
      add_residual(layer, index);
    }
    model_.layers.push_back(layer);
  }

  void add_sgc(std::size_t in, std::size_t classes) {
    LayerSpec layer;
    layer.in = in;
    layer.out = classes;
    layer.group = open_group("head");
    layer.aggregation = aggregation();
    layer.hops = options_.layers;
    layer.weight = tensor("lin.weight", {classes, in}, layer.group, Init::glorot);
    layer.bias = tensor("lin.bias", {classes}, layer.group, Init::zero);
    model_.layers.push_back(layer);
  }

  void add_head(std::size_t in, std::size_t classes) {
    LayerSpec head;
    head.in = in;
    head.out = classes;
    head.group = open_group("head");
    head.weight = tensor("head.weight", {classes, in}, head.group, Init::glorot);
    head.bias = tensor("head.bias", {classes}, head.group, Init::zero);
    model_.layers.push_back(head);
    model_.has_head = true;
  }

  Model finish(std::size_t classes) {
    model_.classes = classes;
    return std::move(model_);
  }

 private:
  Aggregation aggregation() const {
    if (options_.kind == ModelKind::mlp) return Aggregation::none;
    if (options_.aggregation != Aggregation::none) return options_.aggregation;
    return options_.kind == ModelKind::gcn ? Aggregation::sym : Aggregation::mean;
  }

  void add_tensors(LayerSpec& layer, const std::string& prefix) {
    const std::vector<std::size_t> shape{layer.out, layer.in};
    switch (options_.kind) {
      case ModelKind::gcn:
        layer.weight = tensor(prefix + "lin.weight", shape, layer.group, Init::glorot);
        layer.bias = tensor(prefix + "bias", {layer.out}, layer.group, Init::zero);
        break;
      case ModelKind::sage:
        layer.weight = tensor(prefix + "lin_l.weight", shape, layer.group, Init::glorot);
        layer.bias = tensor(prefix + "lin_l.bias", {layer.out}, layer.group, Init::zero);
        layer.root_weight = tensor(prefix + "lin_r.weight", shape, layer.group, Init::glorot);
        break;
      case ModelKind::mlp:
        layer.weight = tensor(prefix + "weight", shape, layer.group, Init::glorot);
        layer.bias = tensor(prefix + "bias", {layer.out}, layer.group, Init::zero);
        break;
    }
  }

  // index: of the layer, not yet in the model.
  void add_residual(LayerSpec& layer, std::size_t index) {
    if (options_.residual == ResidualKind::none) return;
    const std::size_t back = options_.residual == ResidualKind::add ? 1 : 2;
    if (index + 1 < back) return;
    const std::size_t width = back == 1 ? layer.in : model_.layers.back().in;  // of X^{k-back}
    if (width != layer.out) return;
    layer.skip = back;
    if (back == 2 && index >= 2) model_.layers.back().skipped_over = true;
  }

  void add_norm(LayerSpec& layer, const std::string& prefix) {
    layer.has_norm = true;
    layer.norm_gain = tensor(prefix + "weight", {layer.out}, layer.group, Init::one);
    layer.norm_offset = tensor(prefix + "bias", {layer.out}, layer.group, Init::zero);
  }

  std::size_t open_group(const std::string& name) {
    model_.group_names.push_back(name);
    return model_.group_names.size() - 1;
  }

  std::size_t tensor(const std::string& name, std::vector<std::size_t> shape, std::size_t group, Init init) {
    model_.tensors.push_back({name, std::move(shape), group, init, 0});
    return model_.tensors.size() - 1;
  }

  const ModelOptions& options_;
  MethodKind method_;
  Model model_;
};

}  // namespace

bool Model::uses_graph() const {
  return std::any_of(layers.begin(), layers.end(), [](const LayerSpec& l) { return l.aggregates(); });
}

bool Model::has_dropout() const {
  return std::any_of(layers.begin(), layers.end(),
                     [](const LayerSpec& l) { return l.input_dropout > 0 || l.output_dropout > 0; });
}

Model build_model(const ModelOptions& options, MethodKind method, std::size_t features, std::size_t classes) {
  if (features == 0)
    throw UsageError("the store has no node features: convert it with features to train a model on it");
  if (classes == 0) throw UsageError("the store has no labels: convert it with labels to train on it");
  if (options.layers == 0) throw UsageError("--layers 0: a model needs at least one layer");
  const bool head = options.classifier == ClassifierKind::linear;
  ModelBuilder builder(options, method);
  if (method == MethodKind::sgc) {
    if (options.kind != ModelKind::gcn) throw UsageError("--method sgc: works with --model gcn only");
    builder.add_sgc(features, classes);
    return builder.finish(classes);
  }
  std::size_t in = features;
  for (std::size_t k = 1; k <= options.layers; ++k) {
    const bool emits_logits = k == options.layers && !head;
    const std::size_t out = emits_logits ? classes : options.hidden;
    builder.add_layer(in, out, emits_logits);
    in = out;
  }
  if (head) builder.add_head(in, classes);
  return builder.finish(classes);
}

}  // namespace strata
