#include "engine/model.hpp"

#include <algorithm>
#include <cmath>
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
    layer.drops_root_input = options_.kind == ModelKind::vrgcn;
    if (!emits_logits) {
      layer.activation = options_.activation;
      layer.output_dropout = options_.dropout;
      add_norm(layer, "norms." + std::to_string(index) + ".");
      add_residual(layer, index);
    }
    model_.layers.push_back(layer);
  }

  // classes: of the last layer, which holds the classifier; 0: a hidden one. Returns the width of its rows.
  std::size_t add_saint(std::size_t in, std::size_t classes) {
    const std::size_t index = model_.layers.size();
    LayerSpec layer;
    layer.saint.branch = options_.hidden;
    layer.saint.sum = options_.saint_combine == SaintCombine::sum;
    layer.in = in;
    layer.out = classes > 0 ? classes : layer.saint.width();
    layer.group = open_group("layer" + std::to_string(index + 1));
    layer.aggregation = aggregation();
    layer.activation = options_.activation;
    layer.input_dropout = index == 0 || options_.input_dropout_all ? options_.input_dropout : 0;
    layer.drops_root_input = true;
    const std::string prefix = "convs." + std::to_string(index) + ".";
    const std::vector<std::size_t> shape{layer.saint.branch, in};
    layer.root_weight = tensor(prefix + "lins.0.weight", shape, layer.group, Init::glorot);
    layer.weight = tensor(prefix + "lins.1.weight", shape, layer.group, Init::glorot);
    for (std::size_t b = 0; b < 2; ++b) {
      layer.after[b] = norm_after(layer, prefix + "norms." + std::to_string(b) + ".", layer.saint.branch);
    }
    if (classes > 0) {
      layer.saint.l2 = options_.saint_l2;
      layer.saint.dropout = options_.dropout;
      layer.saint.classifier = tensor("head.weight", {classes, layer.saint.width()}, layer.group, Init::glorot);
    } else {
      layer.output_dropout = options_.dropout;
      add_residual(layer, index);
    }
    const std::size_t width = layer.saint.width();
    model_.layers.push_back(layer);
    return width;
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

  // X^1 = act(X^0 W^T + b), without a mask (PyG's example has none on the initial residual either).
  void add_gcnii_input(std::size_t in) {
    LayerSpec layer;
    layer.in = in;
    layer.out = options_.hidden;
    layer.group = open_group("layer1");
    layer.activation = options_.activation;
    layer.input_dropout = options_.input_dropout;
    add_linear(layer, "lins.0.");
    model_.layers.push_back(layer);
  }

  // number: from 1, of the layers that aggregate; layer 1 of the model is the input's.
  void add_gcnii_layer(std::size_t number) {
    const std::string index = std::to_string(number - 1);
    LayerSpec layer;
    layer.in = layer.out = options_.hidden;
    layer.group = open_group("layer" + std::to_string(number + 1));
    layer.aggregation = aggregation();
    layer.initial =
        InitialResidual{options_.gcnii_alpha, std::log(options_.gcnii_theta / static_cast<double>(number) + 1)};
    layer.weight = tensor("convs." + index + ".weight1", {layer.in, layer.out}, layer.group, Init::glorot);
    if (!options_.gcnii_shared) {
      layer.initial->weight = tensor("convs." + index + ".weight2", {layer.in, layer.out}, layer.group, Init::glorot);
    }
    layer.activation = options_.activation;
    layer.output_dropout = options_.dropout;
    add_norm(layer, "norms." + index + ".");
    model_.layers.push_back(layer);
  }

  // name: of the tensors, in front of weight and bias.
  void add_head(std::size_t in, std::size_t classes, const std::string& name = "head.") {
    LayerSpec head;
    head.in = in;
    head.out = classes;
    head.group = open_group("head");
    add_linear(head, name);
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
    switch (options_.kind) {
      case ModelKind::sage: return Aggregation::mean;
      case ModelKind::vrgcn:
      case ModelKind::saint: return Aggregation::row_with_self;
      default: return Aggregation::sym;
    }
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
      case ModelKind::mlp: add_linear(layer, prefix); break;
      case ModelKind::vrgcn:  // one map of A X and X side by side
        layer.weight = tensor(prefix + "lin_l.weight", shape, layer.group, Init::glorot);
        layer.root_weight = tensor(prefix + "lin_r.weight", shape, layer.group, Init::glorot);
        for (const std::size_t i : {layer.weight, layer.root_weight}) model_.tensors[i].fan_in = 2 * layer.in;
        break;
      case ModelKind::saint:         // add_saint
      case ModelKind::gcnii: break;  // add_gcnii_layer
    }
  }

  void add_linear(LayerSpec& layer, const std::string& prefix) {
    layer.weight = tensor(prefix + "weight", {layer.out, layer.in}, layer.group, Init::glorot);
    layer.bias = tensor(prefix + "bias", {layer.out}, layer.group, Init::zero);
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

  // Batch norm stands behind the activation, layer norm before it.
  void add_norm(LayerSpec& layer, const std::string& prefix) {
    const NormKind kind = norm_of(options_);
    if (kind == NormKind::batch) layer.after[0] = norm_after(layer, prefix, layer.out);
    if (kind != NormKind::layer) return;
    layer.has_norm = true;
    layer.norm_epsilon = layer_norm_epsilon();
    layer.norm_gain = tensor(prefix + "weight", {layer.out}, layer.group, Init::one);
    layer.norm_offset = tensor(prefix + "bias", {layer.out}, layer.group, Init::zero);
  }

  // PyG's BatchNorm holds PyTorch's as its `module`.
  NormSpec norm_after(const LayerSpec& layer, std::string prefix, std::size_t width) {
    NormSpec norm;
    norm.kind = norm_of(options_);
    if (norm.kind == NormKind::none) return norm;
    const bool batch = norm.kind == NormKind::batch;
    if (batch) prefix += "module.";
    norm.epsilon = batch ? kBatchNormEpsilon : layer_norm_epsilon();
    norm.gain = tensor(prefix + "weight", {width}, layer.group, Init::one);
    norm.offset = tensor(prefix + "bias", {width}, layer.group, Init::zero);
    if (!batch) return norm;
    norm.mean = tensor(prefix + "running_mean", {width}, kNoGroup, Init::zero);
    norm.variance = tensor(prefix + "running_var", {width}, kNoGroup, Init::one);
    return norm;
  }

  double layer_norm_epsilon() const {
    const bool small = options_.kind == ModelKind::vrgcn || options_.kind == ModelKind::saint;
    return small ? kSmallLayerNormEpsilon : kLayerNormEpsilon;
  }

  std::size_t open_group(const std::string& name) {
    model_.group_names.push_back(name);
    return model_.group_names.size() - 1;
  }

  std::size_t tensor(const std::string& name, std::vector<std::size_t> shape, std::size_t group, Init init) {
    model_.tensors.push_back({name, std::move(shape), group, init, 0, 0});
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

Aggregation Model::aggregation() const {
  const auto first = std::find_if(layers.begin(), layers.end(), [](const LayerSpec& l) { return l.aggregates(); });
  return first != layers.end() ? first->aggregation : Aggregation::none;
}

bool Model::has_dropout() const {
  return std::any_of(layers.begin(), layers.end(), [](const LayerSpec& l) {
    return l.input_dropout > 0 || l.output_dropout > 0 || l.saint.dropout > 0;
  });
}

bool Model::has_batch_norm() const {
  return std::any_of(layers.begin(), layers.end(), [](const LayerSpec& l) { return l.has_batch_norm(); });
}

NormKind norm_of(const ModelOptions& options) {
  if (options.norm != NormKind::automatic) return options.norm;
  const bool own = options.kind == ModelKind::vrgcn || options.kind == ModelKind::saint;
  return own ? NormKind::layer : NormKind::none;
}

namespace {

Model build_gcnii(ModelBuilder& builder, const ModelOptions& options, std::size_t features, std::size_t classes) {
  if (options.classifier == ClassifierKind::none) {
    throw UsageError(
        "--classifier none: the layers of model gcnii are as wide as --hidden, so a linear layer emits the "
        "logits; use auto or linear");
  }
  if (options.residual != ResidualKind::none) {
    throw UsageError(
        "--residual: model gcnii has residuals of its own, to its first rows (--gcnii-alpha) and past its "
        "weights (--gcnii-theta); leave it out");
  }
  builder.add_gcnii_input(features);
  for (std::size_t k = 1; k <= options.layers; ++k) builder.add_gcnii_layer(k);
  builder.add_head(options.hidden, classes, "lins.1.");
  return builder.finish(classes);
}

}  // namespace

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
  if (options.kind == ModelKind::gcnii) return build_gcnii(builder, options, features, classes);
  if (options.kind == ModelKind::saint) {
    if (options.classifier == ClassifierKind::none) {
      throw UsageError("--classifier none: the linear classifier belongs to model saint; leave the option out");
    }
    std::size_t width = features;
    for (std::size_t k = 1; k <= options.layers; ++k)
      width = builder.add_saint(width, k == options.layers ? classes : 0);
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
