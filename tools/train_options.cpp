#include "tools/train_options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string_view>

#include "kernels/base/error.hpp"
#include "tools/program.hpp"
#include "tools/train_declare.hpp"

namespace po = boost::program_options;

namespace strata {

namespace {

// A whole text as a number, or false.
template <class Number>
bool parse_number(const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string joined(std::initializer_list<const char*> words) {
  std::string text;
  for (const char* word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

class Values {
 public:
  explicit Values(const po::variables_map& map) : map_(map) {}

  // Empty when the option has no default and was not given.
  [[nodiscard]] std::string text(const char* name) const {
    return map_.count(name) != 0 ? map_[name].as<std::string>() : std::string();
  }
  // On the command line or in a configuration file.
  [[nodiscard]] bool given(const char* name) const { return map_.count(name) != 0 && !map_[name].defaulted(); }
  [[nodiscard]] bool flag(const char* name) const { return map_[name].as<bool>(); }

  // A whole number in [least, most].
  [[nodiscard]] std::uint64_t count(const char* name, std::uint64_t least, std::uint64_t most = UINT32_MAX) const {
    std::uint64_t value = 0;
    if (!parse_number(text(name), value) || value < least || value > most) {
      fail(name, "expected a whole number from " + std::to_string(least) +
                     (most == UINT64_MAX ? "" : " to " + std::to_string(most)));
    }
    return value;
  }

  [[nodiscard]] double real(const char* name, double least) const {
    double value = 0;
    if (!parse_number(text(name), value) || !std::isfinite(value) || value < least) {
      fail(name, least == 0 ? "expected a number from 0" : "expected a number");
    }
    return value;
  }

  [[nodiscard]] double positive(const char* name) const {
    const double value = real(name, 0);
    if (value == 0) fail(name, "expected a number above 0");
    return value;
  }

  [[nodiscard]] double probability(const char* name) const {
    const double value = real(name, 0);
    if (value >= 1) fail(name, "expected a number from 0 to below 1");
    return value;
  }

  [[nodiscard]] std::uint64_t size(const char* name) const {
    try {
      return parse_size(text(name));
    } catch (const UsageError& error) {
      throw UsageError(std::string("--") + name + ": " + error.what());
    }
  }

  // The index of the value among `supported`; the contract's other names get their own message.
  std::size_t choice(const char* name, std::initializer_list<const char*> supported,
                     std::initializer_list<const char*> known = {}) const {
    const std::string value = text(name);
    const auto found = std::find(supported.begin(), supported.end(), value);
    if (found != supported.end()) return static_cast<std::size_t>(found - supported.begin());
    if (std::find(known.begin(), known.end(), value) != known.end()) {
      fail(name, "is not in this version, which supports " + joined(supported));
    }
    fail(name, "use " + joined(supported));
  }

  [[noreturn]] void fail(const char* name, const std::string& what) const {
    throw UsageError(std::string("--") + name + " " + text(name) + ": " + what);
  }

 private:
  const po::variables_map& map_;
};

bool same_value(const std::string& a, const std::string& b) {
  double x = 0;
  double y = 0;
  if (parse_number(a, x) && parse_number(b, y)) return x == y;
  return a == b;
}

void refuse_foreign_options(const Values& values) {
  for (const ForeignOption& option : foreign_train_options()) {
    if (same_value(values.text(option.name), option.standard)) continue;
    values.fail(option.name,
                std::string("belongs to ") + option.belongs_to +
                    "; this version has methods full, iglu and sgc with models gcn, sage, mlp, vrgcn, saint and gcnii");
  }
}

// "40:1e-3", "40:x0.5" or "40:x0.5/10"; false for anything else.
bool parse_rate_change(std::string_view item, RateChange& change) {
  const std::size_t colon = item.find(':');
  if (colon == std::string_view::npos || !parse_number(std::string(item.substr(0, colon)), change.first)) return false;
  std::string_view value = item.substr(colon + 1);
  change.factor = value.starts_with('x');
  if (change.factor) value.remove_prefix(1);
  const std::size_t slash = change.factor ? value.find('/') : std::string_view::npos;
  if (slash != std::string_view::npos) {
    if (!parse_number(std::string(value.substr(slash + 1)), change.every) || change.every == 0) return false;
    value = value.substr(0, slash);
  }
  return parse_number(std::string(value), change.value) && std::isfinite(change.value) && change.value > 0;
}

std::vector<RateChange> parse_schedule(const Values& values) {
  std::vector<RateChange> schedule;
  const std::string text = values.text("lr-schedule");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    RateChange change;
    if (!parse_rate_change(std::string_view(text).substr(begin, end - begin), change) || end + 1 == text.size()) {
      values.fail("lr-schedule", "expected EPOCH:RATE or EPOCH:xFACTOR/EPOCHS,..., as 0:1e-2,40:1e-3 or 4:x0.9/4");
    }
    if (!schedule.empty() && change.first <= schedule.back().first) values.fail("lr-schedule", "epochs must ascend");
    schedule.push_back(change);
    begin = end + 1;
  }
  return schedule;
}

// Factors may take the rate to zero or beyond all bounds. It only falls or only rises from a change to the next.
void check_rates(const Values& values, const TrainOptions& options) {
  const auto check = [&](std::uint32_t epoch) {
    const double rate = options.optimizer.rate(epoch);
    if (epoch >= options.epochs || (std::isfinite(rate) && rate > 0)) return;
    values.fail("lr-schedule", "makes the rate " + std::string(rate > 0 ? "infinite" : "zero") + " by epoch " +
                                   std::to_string(epoch) + "; choose a factor nearer to 1");
  };
  for (const RateChange& change : options.optimizer.lr_schedule) {
    if (change.first > 0) check(change.first - 1);
  }
  if (options.epochs > 0) check(options.epochs - 1);
}

// bitmap: rows of fp16 that go to disk packed.
Codec parse_codec_option(const Values& values, const char* name, bool& bitmap) {
  constexpr Codec kCodecs[] = {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8, Codec::fp16};
  const std::size_t choice = values.choice(name, {"fp32", "fp16", "bf16", "int8", "bitmap"});
  bitmap = choice + 1 == std::size(kCodecs);
  return kCodecs[choice];
}

void fill_gcnii(const Values& values, ModelOptions& model) {
  for (const char* name : {"gcnii-alpha", "gcnii-theta", "gcnii-shared"}) {
    if (model.kind != ModelKind::gcnii && values.given(name))
      values.fail(name, "belongs to --model gcnii; leave it out");
  }
  if (model.kind == ModelKind::gcnii && values.text("input-dropout-layers") == "all") {
    values.fail("input-dropout-layers", "model gcnii has masks on the outputs of its layers only (--dropout)");
  }
  model.gcnii_alpha = values.real("gcnii-alpha", 0);
  if (model.gcnii_alpha > 1) values.fail("gcnii-alpha", "expected a number from 0 to 1");
  model.gcnii_theta = values.real("gcnii-theta", 0);
  model.gcnii_shared = values.choice("gcnii-shared", {"on", "off"}) == 0;
}

void fill_saint(const Values& values, ModelOptions& model) {
  constexpr SaintCombine kCombines[] = {SaintCombine::concat, SaintCombine::sum};
  model.saint_combine = kCombines[values.choice("saint-combine", {"concat", "sum"})];
  model.saint_l2 = values.choice("saint-l2", {"on", "off"}) == 0;
  if (model.kind != ModelKind::saint) {
    for (const char* name : {"saint-combine", "saint-l2"}) {
      if (values.given(name)) values.fail(name, "belongs to model saint");
    }
    return;
  }
  if (model.classifier == ClassifierKind::none) {
    values.fail("classifier", "model saint ends in a linear classifier that belongs to its last layer; leave it out");
  }
}

void fill_model(const Values& values, ModelOptions& model) {
  constexpr ModelKind kModels[] = {ModelKind::gcn,   ModelKind::sage,  ModelKind::mlp,
                                   ModelKind::vrgcn, ModelKind::saint, ModelKind::gcnii};
  model.kind =
      kModels[values.choice("model", {"gcn", "sage", "mlp", "vrgcn", "saint", "gcnii"}, {"gat", "appnp", "pna"})];
  fill_gcnii(values, model);
  model.layers = values.count("layers", 1, 1000);
  model.hidden = values.count("hidden", 1, 1u << 20);
  constexpr Activation kActivations[] = {Activation::relu, Activation::elu, Activation::gelu, Activation::tanh};
  model.activation = kActivations[values.choice("activation", {"relu", "elu", "gelu", "tanh"})];
  constexpr NormKind kNorms[] = {NormKind::automatic, NormKind::none, NormKind::layer, NormKind::batch};
  model.norm = kNorms[values.choice("layer-norm", {"auto", "none", "layer", "batch"})];
  constexpr ClassifierKind kClassifiers[] = {ClassifierKind::automatic, ClassifierKind::none, ClassifierKind::linear};
  model.classifier = kClassifiers[values.choice("classifier", {"auto", "none", "linear"})];
  constexpr ResidualKind kResiduals[] = {ResidualKind::none, ResidualKind::add, ResidualKind::add2};
  model.residual = kResiduals[values.choice("residual", {"none", "add", "add2"})];
  model.dropout = values.probability("dropout");
  model.input_dropout = values.probability("input-dropout");
  model.input_dropout_all = values.choice("input-dropout-layers", {"first", "all"}) == 1;
  fill_saint(values, model);
  const std::size_t norm = values.choice("aggregation-norm", {"auto", "sym", "row"});
  if (norm == 0) return;
  if (model.kind == ModelKind::mlp) values.fail("aggregation-norm", "model mlp does not aggregate");
  const Aggregation row = model.kind == ModelKind::sage ? Aggregation::mean : Aggregation::row_with_self;
  model.aggregation = norm == 1 ? Aggregation::sym : row;
}

void fill_optimizer(const Values& values, OptimizerOptions& optimizer) {
  constexpr OptimizerKind kOptimizers[] = {OptimizerKind::adam, OptimizerKind::adam_tf, OptimizerKind::sgd};
  optimizer.kind = kOptimizers[values.choice("optimizer", {"adam", "adam-tf", "sgd"})];
  optimizer.lr = values.positive("lr");
  optimizer.lr_schedule = parse_schedule(values);
  optimizer.weight_decay = values.real("weight-decay", 0);
  optimizer.decay_first_layer_only = values.flag("decay-first-layer-only");
  optimizer.clip = values.real("clip", 0);
}

void fill_iglu(const Values& values, TrainOptions& options) {
  constexpr IgluOrder kOrders[] = {IgluOrder::inverted, IgluOrder::backprop};
  options.iglu_order = kOrders[values.choice("iglu-order", {"inverted", "backprop"})];
  const std::string refresh = values.text("iglu-refresh");
  if (same_value(refresh, "0.5")) {
    options.iglu_refresh = IgluRefresh::alternate;
  } else if (same_value(refresh, "2")) {
    options.iglu_refresh = IgluRefresh::twice;
  } else if (!same_value(refresh, "1")) {
    values.fail("iglu-refresh", "use 0.5, 1 or 2");
  }
  options.top_batch_size = values.count("top-batch-size", 0);
  if (options.method == MethodKind::iglu) return;
  if (options.top_batch_size != 0) values.fail("top-batch-size", "belongs to method iglu");
  if (values.text("input-dropout-layers") == "all") values.fail("input-dropout-layers", "belongs to method iglu");
  if (options.iglu_order != IgluOrder::inverted) values.fail("iglu-order", "belongs to method iglu");
  if (options.iglu_refresh != IgluRefresh::once) values.fail("iglu-refresh", "belongs to method iglu");
}

void refuse_beside_sgc(const Values& values) {
  if (values.text("model") != "gcn") {
    values.fail("model", "method sgc uses gcn's normalisation and no other model; leave it out");
  }
  for (const char* name :
       {"hidden", "dropout", "input-dropout", "activation", "layer-norm", "residual", "classifier"}) {
    if (values.given(name))
      values.fail(name, "method sgc is one linear layer on A^K X and has no such thing; leave it out");
  }
}

void fill_method(const Values& values, TrainOptions& options) {
  constexpr MethodKind kMethods[] = {MethodKind::full, MethodKind::iglu, MethodKind::sgc};
  options.method = kMethods[values.choice("method", {"full", "iglu", "sgc"},
                                          {"gas", "vrgcn", "mvs", "visagnn", "digest", "graphsage", "clustergcn",
                                           "graphsaint", "lmc", "graphfm", "refresh"})];
  options.batch_size = values.count("batch-size", 0);
  if (options.method == MethodKind::full && options.batch_size != 0) {
    values.fail("batch-size", "method full takes the whole graph a step; leave it out or use --method iglu or sgc");
  }
  fill_iglu(values, options);
  if (options.method == MethodKind::sgc) refuse_beside_sgc(values);
}

void fill_training(const Values& values, TrainOptions& options) {
  options.epochs = static_cast<std::uint32_t>(values.count("epochs", 0));
  options.seed = values.count("seed", 0, UINT64_MAX);
  options.patience = static_cast<std::uint32_t>(values.count("patience", 0));
  options.min_delta = values.real("min-delta", 0);
  values.choice("metric", {"auto", "accuracy", "micro-f1", "roc-auc"});
  options.metric = values.text("metric");
  options.eval_every = static_cast<std::uint32_t>(values.count("eval-every", 0));
  if (options.patience > 0 && options.eval_every == 0) {
    values.fail("patience", "needs evaluation; leave out --eval-every 0");
  }
  options.batch_file = values.text("batch-file");
  options.inductive = values.choice("inductive", {"auto", "off"}) == 0;
}

void refuse_gpu(const Values& values) {
  const std::string device = values.text("device");
  if (device == "auto" || device == "cpu") return;
  if (device == "cuda" || device.starts_with("cuda:")) {
    values.fail("device", "this version trains on the CPU only (its CUDA kernels serve strata-bench); use auto or cpu");
  }
  values.fail("device", "use auto or cpu");
}

void fill_resources(const Values& values, TrainOptions& options) {
  refuse_gpu(values);
  if (values.text("host-memory") != "auto") {
    options.host_memory = values.size("host-memory");
    if (options.host_memory == 0) values.fail("host-memory", "expected a size above 0, as 2GiB");
  }
  if (values.text("gpu-memory") != "auto") static_cast<void>(values.size("gpu-memory"));
  options.codec = parse_codec_option(values, "codec", options.bitmap);
  options.alpha_codec = parse_codec_option(values, "alpha-codec", options.alpha_bitmap);
  options.cache_dir = values.text("cache-dir");
  if (values.text("disk-limit") != "none") options.disk_limit = values.size("disk-limit");
  options.keep_cache = values.flag("keep-cache");
  options.prefetch = values.choice("prefetch", {"on", "off"}) == 0;
  static constexpr ProductWay kWays[] = {ProductWay::automatic, ProductWay::columns, ProductWay::tiles};
  options.product_way = kWays[values.choice("product-way", {"auto", "columns", "tiles"})];
}

void fill_output(const Values& values, TrainOptions& options) {
  options.store = values.text("store");
  options.run = values.text("run");
  if (options.store.empty()) throw UsageError("--store is missing: give the directory that strata-convert wrote");
  if (options.run.empty()) throw UsageError("--run is missing: give a directory for the results");
  options.predict = values.text("predict");
  options.embeddings = values.text("embeddings");
  if (options.predict.empty()) values.fail("predict", "use splits, test, all, none or a file of ids");
  options.predict_ogb = values.choice("predict-format", {"npy", "ogb"}) == 1;
  if (options.predict_ogb && options.predict == "none") {
    values.fail("predict-format", "there is nothing to predict; leave out --predict none");
  }
  if (options.embeddings.empty()) values.fail("embeddings", "use none, all or a file of ids");
  options.init = values.text("init");
  options.explain = values.flag("explain");
  options.trace = values.text("trace");
  options.resume = values.flag("resume");
  options.force = values.flag("force");
  if (options.resume && options.force) throw UsageError("--resume and --force exclude each other: continue or replace");
  options.checkpoint_every = static_cast<std::uint32_t>(values.count("checkpoint-every", 0));
  options.save_steps = static_cast<std::uint32_t>(values.count("save-steps", 0));
}

}  // namespace

bool parse_train_options(int argc, char** argv, TrainOptions& options) {
  po::variables_map map;
  CommonOptions common;
  if (!parse_options("strata-train", train_usage(), argc, argv, declare_train_options(), nullptr, map, common)) {
    return false;
  }
  const Values values(map);
  fill_method(values, options);
  fill_model(values, options.model);
  refuse_foreign_options(values);
  fill_optimizer(values, options.optimizer);
  fill_training(values, options);
  check_rates(values, options);
  fill_resources(values, options);
  fill_output(values, options);
  options.threads = common.threads;
  options.quiet = common.quiet;
  options.verbose = common.verbose;
  return true;
}

}  // namespace strata
