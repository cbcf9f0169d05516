#include "engine/run/configuration.hpp"

#include <fmt/format.h>

#include "engine/model.hpp"
#include "kernels/activation.hpp"
#include "kernels/row_codec.hpp"
#include "storage/checksum.hpp"
#include "storage/file.hpp"

namespace strata {

namespace {

std::string number(double value) { return fmt::format("{}", value); }
std::string on_off(bool value) { return value ? "on" : "off"; }

std::string text_checksum(const std::string& text) { return checksum_text(checksum(std::as_bytes(std::span(text)))); }

std::string file_checksum(const fs::path& path) {
  if (path.empty()) return "none";
  const File file(path, File::Mode::read);
  const std::uint64_t size = file.size();
  std::vector<std::byte> piece(std::size_t{1} << 20);
  ChecksumStream sum;
  for (std::uint64_t at = 0; at < size; at += piece.size()) {
    const std::span<std::byte> part(piece.data(), std::min<std::uint64_t>(piece.size(), size - at));
    file.read_at(at, part);
    sum.update(part);
  }
  return checksum_text(sum.value());
}

void add_model(const ModelOptions& model, Settings& settings) {
  settings["model"] = model_name(model.kind);
  settings["layers"] = std::to_string(model.layers);
  settings["hidden"] = std::to_string(model.hidden);
  settings["activation"] = activation_name(model.activation);
  settings["layer-norm"] = norm_name(norm_of(model));
  settings["aggregation-norm"] = aggregation_norm_name(model.aggregation);
  settings["classifier"] = classifier_name(model.classifier);
  settings["residual"] = residual_name(model.residual);
  settings["dropout"] = number(model.dropout);
  settings["input-dropout"] = number(model.input_dropout);
  settings["input-dropout-layers"] = model.input_dropout_all ? "all" : "first";
  if (model.kind == ModelKind::gcnii) {
    settings["gcnii-alpha"] = number(model.gcnii_alpha);
    settings["gcnii-theta"] = number(model.gcnii_theta);
    settings["gcnii-shared"] = on_off(model.gcnii_shared);
  }
  if (model.kind == ModelKind::saint) {
    settings["saint-combine"] = model.saint_combine == SaintCombine::sum ? "sum" : "concat";
    settings["saint-l2"] = on_off(model.saint_l2);
  }
}

void add_optimizer(const OptimizerOptions& optimizer, Settings& settings) {
  settings["optimizer"] = optimizer_name(optimizer.kind);
  settings["lr"] = number(optimizer.lr);
  settings["lr-schedule"] = schedule_text(optimizer);
  settings["weight-decay"] = number(optimizer.weight_decay);
  settings["decay-first-layer-only"] = on_off(optimizer.decay_first_layer_only);
  settings["clip"] = number(optimizer.clip);
}

// The options that decide bits, without the files. Rows packed on disk are those of their codec.
Settings deciding_options(const TrainOptions& options) {
  Settings settings;
  add_model(options.model, settings);
  add_optimizer(options.optimizer, settings);
  settings["method"] = method_name(options.method);
  settings["batch-size"] = std::to_string(options.batch_size);
  settings["top-batch-size"] = std::to_string(options.top_batch_size);
  settings["iglu-order"] = iglu_order_name(options.iglu_order);
  settings["iglu-refresh"] = iglu_refresh_name(options.iglu_refresh);
  settings["seed"] = std::to_string(options.seed);
  settings["codec"] = codec_name(options.codec);
  settings["alpha-codec"] = codec_name(options.alpha_codec);
  settings["metric"] = options.metric;
  settings["patience"] = std::to_string(options.patience);
  settings["min-delta"] = number(options.min_delta);
  settings["eval-every"] = std::to_string(options.eval_every);
  if (!options.inductive) settings["inductive"] = "off";
  return settings;
}

}  // namespace

const char* product_way_name(ProductWay way) {
  switch (way) {
    case ProductWay::automatic: return "auto";
    case ProductWay::columns: return "columns";
    case ProductWay::tiles: return "tiles";
  }
  return "";
}

const char* method_name(MethodKind kind) {
  switch (kind) {
    case MethodKind::full: return "full";
    case MethodKind::iglu: return "iglu";
    case MethodKind::sgc: return "sgc";
  }
  return "";
}

const char* model_name(ModelKind kind) {
  switch (kind) {
    case ModelKind::gcn: return "gcn";
    case ModelKind::sage: return "sage";
    case ModelKind::mlp: return "mlp";
    case ModelKind::gcnii: return "gcnii";
    case ModelKind::vrgcn: return "vrgcn";
    case ModelKind::saint: return "saint";
  }
  return "";
}

const char* norm_name(NormKind kind) {
  switch (kind) {
    case NormKind::automatic: return "auto";
    case NormKind::none: return "none";
    case NormKind::layer: return "layer";
    case NormKind::batch: return "batch";
  }
  return "";
}

const char* classifier_name(ClassifierKind kind) {
  switch (kind) {
    case ClassifierKind::automatic: return "auto";
    case ClassifierKind::none: return "none";
    case ClassifierKind::linear: return "linear";
  }
  return "";
}

const char* residual_name(ResidualKind kind) {
  switch (kind) {
    case ResidualKind::none: return "none";
    case ResidualKind::add: return "add";
    case ResidualKind::add2: return "add2";
  }
  return "";
}

const char* iglu_order_name(IgluOrder order) { return order == IgluOrder::inverted ? "inverted" : "backprop"; }

const char* iglu_refresh_name(IgluRefresh refresh) {
  switch (refresh) {
    case IgluRefresh::alternate: return "0.5";
    case IgluRefresh::once: return "1";
    case IgluRefresh::twice: return "2";
  }
  return "";
}

const char* optimizer_name(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::adam: return "adam";
    case OptimizerKind::adam_tf: return "adam-tf";
    case OptimizerKind::sgd: return "sgd";
  }
  return "";
}

const char* aggregation_norm_name(Aggregation aggregation) {
  switch (aggregation) {
    case Aggregation::none: return "auto";
    case Aggregation::sym: return "sym";
    case Aggregation::mean:
    case Aggregation::row_with_self: return "row";
    case Aggregation::sum: return "sum";
  }
  return "";
}

const char* row_codec_name(Codec codec, bool bitmap) { return bitmap ? "bitmap" : codec_name(codec); }

std::string schedule_text(const OptimizerOptions& options) {
  std::string text;
  for (const RateChange& change : options.lr_schedule) {
    text += fmt::format("{}{}:{}{}", text.empty() ? "" : ",", change.first, change.factor ? "x" : "", change.value);
    if (change.every != 0) text += fmt::format("/{}", change.every);
  }
  return text;
}

Settings fingerprint(const TrainOptions& options, const Store& store) {
  Settings settings = deciding_options(options);
  settings["store manifest"] = text_checksum(store.manifest_text());
  settings["init file"] = file_checksum(options.init);
  settings["batch file"] = file_checksum(options.batch_file);
  return settings;
}

std::string differences(const Settings& before, const Settings& now) {
  std::string text;
  const auto value = [](const Settings& settings, const std::string& name) {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string("absent") : found->second;
  };
  Settings all = before;
  all.insert(now.begin(), now.end());
  for (const auto& [name, ignored] : all) {
    const std::string old_value = value(before, name);
    const std::string new_value = value(now, name);
    if (old_value == new_value) continue;
    text += fmt::format("{}{} ({}, now {})", text.empty() ? "" : ", ", name, old_value, new_value);
  }
  return text;
}

Settings all_settings(const TrainOptions& options) {
  Settings settings = deciding_options(options);
  settings["codec"] = row_codec_name(options.codec, options.bitmap);
  settings["alpha-codec"] = row_codec_name(options.alpha_codec, options.alpha_bitmap);
  settings["inductive"] = options.inductive ? "auto" : "off";
  settings["store"] = options.store.string();
  settings["run"] = options.run.string();
  settings["cache-dir"] = options.cache_dir.string();
  settings["epochs"] = std::to_string(options.epochs);
  settings["host-memory"] = std::to_string(options.host_memory);
  settings["disk-limit"] = options.disk_limit == UINT64_MAX ? "none" : std::to_string(options.disk_limit);
  settings["threads"] = std::to_string(options.threads);
  settings["product-way"] = product_way_name(options.product_way);
  settings["checkpoint-every"] = std::to_string(options.checkpoint_every);
  settings["save-steps"] = std::to_string(options.save_steps);
  settings["init"] = options.init.string();
  settings["batch-file"] = options.batch_file.string();
  settings["predict"] = options.predict;
  settings["predict-format"] = options.predict_ogb ? "ogb" : "npy";
  settings["embeddings"] = options.embeddings;
  settings["keep-cache"] = on_off(options.keep_cache);
  settings["resume"] = on_off(options.resume);
  return settings;
}

}  // namespace strata
