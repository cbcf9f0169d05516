// The command line of strata-train: every option of the contract is known, and what this version lacks is refused.
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <vector>

#include "engine/run/configuration.hpp"
#include "kernels/base/error.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/train_declare.hpp"
#include "tools/train_options.hpp"

namespace strata {
namespace {

using Words = std::vector<std::string>;

TrainOptions parse(Words words) {
  Words all{"strata-train", "--store", "s", "--run", "r"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : all) arguments.push_back(word.data());
  TrainOptions options;
  const bool goes_on = parse_train_options(static_cast<int>(arguments.size()), arguments.data(), options);
  CHECK(goes_on);
  return options;
}

// The message of the UsageError (exit status 2), or "" when there is none.
std::string refusal(Words words) {
  try {
    static_cast<void>(parse(std::move(words)));
  } catch (const UsageError& error) {
    CHECK(error.status() == ExitStatus::usage);
    return error.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("defaults are those of TrainOptions") {
  const TrainOptions parsed = parse({});
  const TrainOptions standard;
  CHECK(parsed.store == "s");
  CHECK(parsed.run == "r");
  CHECK(parsed.method == standard.method);
  CHECK(parsed.model.kind == standard.model.kind);
  CHECK(parsed.model.layers == standard.model.layers);
  CHECK(parsed.model.hidden == standard.model.hidden);
  CHECK(parsed.model.activation == standard.model.activation);
  CHECK(parsed.model.norm == standard.model.norm);
  CHECK(parsed.model.aggregation == standard.model.aggregation);
  CHECK(parsed.model.classifier == standard.model.classifier);
  CHECK(parsed.model.dropout == standard.model.dropout);
  CHECK(parsed.model.input_dropout == standard.model.input_dropout);
  CHECK(parsed.optimizer.kind == standard.optimizer.kind);
  CHECK(parsed.optimizer.lr == standard.optimizer.lr);
  CHECK(parsed.optimizer.lr_schedule.empty());
  CHECK(parsed.optimizer.weight_decay == standard.optimizer.weight_decay);
  CHECK(parsed.optimizer.clip == standard.optimizer.clip);
  CHECK(parsed.epochs == standard.epochs);
  CHECK(parsed.batch_size == standard.batch_size);
  CHECK(parsed.seed == standard.seed);
  CHECK(parsed.patience == standard.patience);
  CHECK(parsed.metric == standard.metric);
  CHECK(parsed.host_memory == standard.host_memory);
  CHECK(parsed.disk_limit == standard.disk_limit);
  CHECK(parsed.codec == standard.codec);
  CHECK(parsed.alpha_codec == standard.alpha_codec);
  CHECK_FALSE(parsed.bitmap);
  CHECK_FALSE(parsed.alpha_bitmap);
  CHECK(parsed.threads == standard.threads);
  CHECK(parsed.eval_every == standard.eval_every);
  CHECK(parsed.checkpoint_every == standard.checkpoint_every);
  CHECK(parsed.save_steps == standard.save_steps);
  CHECK(parsed.predict == standard.predict);
  CHECK(parsed.embeddings == standard.embeddings);
  CHECK(parsed.init.empty());
  CHECK(parsed.batch_file.empty());
  CHECK(parsed.cache_dir.empty());
}

TEST_CASE("values arrive where they belong") {
  const TrainOptions o = parse({"--method",
                                "iglu",
                                "--model",
                                "sage",
                                "--layers",
                                "3",
                                "--hidden",
                                "256",
                                "--activation",
                                "elu",
                                "--layer-norm",
                                "layer",
                                "--classifier",
                                "linear",
                                "--dropout",
                                "0.5",
                                "--input-dropout",
                                "0.25",
                                "--batch-size",
                                "5000",
                                "--optimizer",
                                "adam-tf",
                                "--lr",
                                "5e-3",
                                "--lr-schedule",
                                "0:1e-2,40:1e-3",
                                "--weight-decay",
                                "5e-4",
                                "--clip",
                                "1",
                                "--seed",
                                "18446744073709551615",
                                "--patience",
                                "7",
                                "--min-delta",
                                "0.01",
                                "--metric",
                                "roc-auc",
                                "--host-memory",
                                "512MiB",
                                "--codec",
                                "fp16",
                                "--alpha-codec",
                                "bf16",
                                "--cache-dir",
                                "c",
                                "--disk-limit",
                                "1GB",
                                "--keep-cache",
                                "--product-way",
                                "tiles",
                                "--checkpoint-every",
                                "3",
                                "--resume",
                                "--eval-every",
                                "2",
                                "--predict",
                                "all",
                                "--predict-format",
                                "ogb",
                                "--embeddings",
                                "ids.npy",
                                "--init",
                                "m.safetensors",
                                "--batch-file",
                                "b.jsonl",
                                "--save-steps",
                                "4",
                                "--threads",
                                "2",
                                "--decay-first-layer-only",
                                "--epochs",
                                "12",
                                "--quiet",
                                "--device",
                                "cpu",
                                "--gpu-memory",
                                "8GiB",
                                "--iglu-order",
                                "inverted",
                                "--iglu-refresh",
                                "1.0"});
  CHECK(o.method == MethodKind::iglu);
  CHECK(o.model.kind == ModelKind::sage);
  CHECK(o.model.layers == 3);
  CHECK(o.model.hidden == 256);
  CHECK(o.model.activation == Activation::elu);
  CHECK(o.model.norm == NormKind::layer);
  CHECK(o.model.classifier == ClassifierKind::linear);
  CHECK(o.model.dropout == 0.5);
  CHECK(o.model.input_dropout == 0.25);
  CHECK(o.batch_size == 5000);
  CHECK(o.optimizer.kind == OptimizerKind::adam_tf);
  CHECK(o.optimizer.lr == 5e-3);
  REQUIRE(o.optimizer.lr_schedule.size() == 2);
  CHECK(o.predict_ogb);
  CHECK(o.optimizer.rate(39) == 1e-2);
  CHECK(o.optimizer.rate(40) == 1e-3);
  CHECK(o.optimizer.weight_decay == 5e-4);
  CHECK(o.optimizer.clip == 1);
  CHECK(o.optimizer.decay_first_layer_only);
  CHECK(o.seed == UINT64_MAX);
  CHECK(o.patience == 7);
  CHECK(o.min_delta == 0.01);
  CHECK(o.metric == "roc-auc");
  CHECK(o.host_memory == std::uint64_t{512} << 20);
  CHECK(o.disk_limit == 1000000000);
  CHECK(o.codec == Codec::fp16);
  CHECK(o.alpha_codec == Codec::bf16);
  CHECK(o.cache_dir == "c");
  CHECK(o.keep_cache);
  CHECK(o.product_way == ProductWay::tiles);
  CHECK(o.checkpoint_every == 3);
  CHECK(o.resume);
  CHECK(o.eval_every == 2);
  CHECK(o.predict == "all");
  CHECK(o.embeddings == "ids.npy");
  CHECK(o.init == "m.safetensors");
  CHECK(o.batch_file == "b.jsonl");
  CHECK(o.save_steps == 4);
  CHECK(o.threads == 2);
  CHECK(o.epochs == 12);
  CHECK(o.quiet);
}

TEST_CASE("the aggregation's normalisation depends on the model") {
  CHECK(parse({"--aggregation-norm", "sym"}).model.aggregation == Aggregation::sym);
  CHECK(parse({"--aggregation-norm", "row"}).model.aggregation == Aggregation::row_with_self);
  CHECK(parse({"--model", "sage", "--aggregation-norm", "row"}).model.aggregation == Aggregation::mean);
  for (const char* model : {"vrgcn", "saint"}) {
    CHECK(parse({"--model", model}).model.aggregation == Aggregation::none);
    CHECK(parse({"--model", model, "--aggregation-norm", "row"}).model.aggregation == Aggregation::row_with_self);
    CHECK(parse({"--model", model, "--aggregation-norm", "sym"}).model.aggregation == Aggregation::sym);
  }
  CHECK(has(refusal({"--model", "mlp", "--aggregation-norm", "row"}), "does not aggregate"));
  CHECK(parse({"--model", "gcnii", "--aggregation-norm", "row"}).model.aggregation == Aggregation::row_with_self);
}

TEST_CASE("the options of gcnii belong to it alone") {
  const ModelOptions standard = parse({"--model", "gcnii"}).model;
  CHECK(standard.kind == ModelKind::gcnii);
  CHECK(standard.gcnii_alpha == 0.1);
  CHECK(standard.gcnii_theta == 0.5);
  CHECK(standard.gcnii_shared);
  const ModelOptions given =
      parse({"--model", "gcnii", "--gcnii-alpha", "0.25", "--gcnii-theta", "1.5", "--gcnii-shared", "off"}).model;
  CHECK(given.gcnii_alpha == 0.25);
  CHECK(given.gcnii_theta == 1.5);
  CHECK_FALSE(given.gcnii_shared);
  CHECK(has(refusal({"--gcnii-alpha", "0.1"}), "belongs to --model gcnii"));
  CHECK(has(refusal({"--model", "sage", "--gcnii-theta", "1"}), "belongs to --model gcnii"));
  CHECK(has(refusal({"--gcnii-shared", "on"}), "belongs to --model gcnii"));
  CHECK(has(refusal({"--model", "gcnii", "--gcnii-alpha", "1.1"}), "from 0 to 1"));
  CHECK(has(refusal({"--model", "gcnii", "--gcnii-alpha", "-1"}), "expected a number from 0"));
  CHECK(has(refusal({"--model", "gcnii", "--gcnii-theta", "x"}), "expected a number"));
  CHECK(has(refusal({"--model", "gcnii", "--gcnii-shared", "maybe"}), "use on, off"));
  CHECK(
      has(refusal({"--model", "gcnii", "--method", "iglu", "--input-dropout-layers", "all"}), "outputs of its layers"));
}

TEST_CASE("vrgcn and saint, their norms and what belongs to saint alone") {
  CHECK(parse({"--model", "vrgcn"}).model.kind == ModelKind::vrgcn);
  const ModelOptions saint = parse({"--method", "iglu", "--model", "saint"}).model;
  CHECK(saint.kind == ModelKind::saint);
  CHECK(saint.norm == NormKind::automatic);
  CHECK(saint.saint_combine == SaintCombine::concat);
  CHECK(saint.saint_l2);
  const ModelOptions sum = parse({"--model", "saint", "--saint-combine", "sum", "--saint-l2", "off"}).model;
  CHECK(sum.saint_combine == SaintCombine::sum);
  CHECK_FALSE(sum.saint_l2);
  CHECK(parse({"--layer-norm", "batch"}).model.norm == NormKind::batch);
  CHECK(parse({"--layer-norm", "none"}).model.norm == NormKind::none);
  CHECK(refusal({"--model", "saint", "--classifier", "linear"}).empty());
  CHECK(has(refusal({"--model", "saint", "--classifier", "none"}), "belongs to its last layer"));
  CHECK(has(refusal({"--saint-combine", "sum"}), "belongs to model saint"));
  CHECK(has(refusal({"--model", "vrgcn", "--saint-l2", "off"}), "belongs to model saint"));
  CHECK(has(refusal({"--model", "saint", "--saint-combine", "mean"}), "use concat, sum"));
  CHECK(has(refusal({"--layer-norm", "x"}), "use auto, none, layer, batch"));
}

TEST_CASE("codec bitmap: rows of fp16 that go to disk packed, each kind by its own option") {
  const TrainOptions rows = parse({"--codec", "bitmap"});
  CHECK(rows.codec == Codec::fp16);
  CHECK(rows.bitmap);
  CHECK(rows.alpha_codec == Codec::fp32);
  CHECK_FALSE(rows.alpha_bitmap);
  const TrainOptions alpha = parse({"--codec", "int8", "--alpha-codec", "bitmap"});
  CHECK(alpha.codec == Codec::int8);
  CHECK_FALSE(alpha.bitmap);
  CHECK(alpha.alpha_codec == Codec::fp16);
  CHECK(alpha.alpha_bitmap);
}

TEST_CASE("methods, models and forms of the contract that this version lacks are refused, saying what it has") {
  for (const char* method : {"gas", "vrgcn", "mvs", "visagnn", "digest", "graphsage", "clustergcn", "graphsaint"}) {
    CHECK(has(refusal({"--method", method}), "supports full, iglu, sgc"));
  }
  for (const char* model : {"gat", "appnp", "pna"}) {
    CHECK(has(refusal({"--model", model}), "supports gcn, sage, mlp, vrgcn, saint, gcnii"));
  }
  CHECK(has(refusal({"--method", "frobnicate"}), "use full, iglu, sgc"));
  CHECK(has(refusal({"--model", "frobnicate"}), "use gcn, sage, mlp"));
  CHECK(has(refusal({"--device", "cuda"}), "CPU"));
  CHECK(has(refusal({"--device", "cuda:1"}), "CPU"));
  CHECK(has(refusal({"--device", "tpu"}), "auto or cpu"));
  CHECK(has(refusal({"--predictor", "sat"}), "sat"));
  CHECK(has(refusal({"--codec", "fp64"}), "fp32, fp16, bf16, int8, bitmap"));
  CHECK(has(refusal({"--batch-size", "100"}), "whole graph"));
}

TEST_CASE("IGLU's order and refreshes, residuals and sgc arrive, and where they do not belong they are refused") {
  const TrainOptions standard = parse({"--method", "iglu"});
  CHECK(standard.iglu_order == IgluOrder::inverted);
  CHECK(standard.iglu_refresh == IgluRefresh::once);
  CHECK(standard.model.residual == ResidualKind::none);
  const Words iglu{"--method", "iglu", "--iglu-order", "backprop", "--iglu-refresh"};
  const auto refresh = [&](const char* value) {
    Words words = iglu;
    words.push_back(value);
    return parse(words);
  };
  CHECK(refresh("0.5").iglu_order == IgluOrder::backprop);
  CHECK(refresh("0.5").iglu_refresh == IgluRefresh::alternate);
  CHECK(refresh("1.0").iglu_refresh == IgluRefresh::once);
  CHECK(refresh("2").iglu_refresh == IgluRefresh::twice);
  CHECK(has(refusal({"--method", "iglu", "--iglu-refresh", "3"}), "use 0.5, 1 or 2"));
  CHECK(has(refusal({"--method", "iglu", "--iglu-order", "sideways"}), "use inverted, backprop"));
  CHECK(has(refusal({"--iglu-order", "backprop"}), "belongs to method iglu"));
  CHECK(has(refusal({"--method", "sgc", "--iglu-refresh", "2"}), "belongs to method iglu"));
  CHECK(refusal({"--iglu-order", "inverted", "--iglu-refresh", "1"}).empty());
  CHECK(parse({"--residual", "add"}).model.residual == ResidualKind::add);
  CHECK(parse({"--residual", "add2"}).model.residual == ResidualKind::add2);
  CHECK(has(refusal({"--residual", "add3"}), "use none, add, add2"));
  const TrainOptions sgc = parse({"--method", "sgc", "--layers", "3", "--batch-size", "500"});
  CHECK(sgc.method == MethodKind::sgc);
  CHECK(sgc.model.layers == 3);
  CHECK(sgc.batch_size == 500);
  CHECK(parse({"--method", "sgc", "--aggregation-norm", "row"}).model.aggregation == Aggregation::row_with_self);
  const std::vector<Words> none_of_sgc = {
      {"--hidden", "64"},        {"--dropout", "0"},       {"--input-dropout", "0.1"}, {"--residual", "none"},
      {"--layer-norm", "layer"}, {"--activation", "tanh"}, {"--classifier", "linear"}};
  for (const Words& words : none_of_sgc) {
    CAPTURE(words[0]);
    CHECK(has(refusal({"--method", "sgc", words[0], words[1]}), "method sgc is one linear layer"));
  }
  CHECK(has(refusal({"--method", "sgc", "--model", "sage"}), "gcn's normalisation"));
}

TEST_CASE("options of other methods pass with their defaults and are refused with anything else") {
  CHECK(foreign_train_options().size() > 20);
  for (const ForeignOption& option : foreign_train_options()) {
    CAPTURE(option.name);
    const std::string name = std::string("--") + option.name;
    CHECK(refusal({name, "17"}).starts_with(name + " 17: belongs to"));
    if (*option.standard != '\0') CHECK(refusal({name, option.standard}).empty());
  }
  CHECK(refusal({"--mvs-gamma", "1e-1"}).empty());  // the same number, written another way
}

TEST_CASE("values that make no sense are refused") {
  const std::vector<Words> wrong = {{"--layers", "0"},
                                    {"--layers", "-1"},
                                    {"--layers", "two"},
                                    {"--layers", "2.5"},
                                    {"--hidden", "0"},
                                    {"--dropout", "1"},
                                    {"--dropout", "-0.1"},
                                    {"--dropout", "nan"},
                                    {"--lr", "0"},
                                    {"--lr", "-1"},
                                    {"--lr", "inf"},
                                    {"--lr", "1e-2x"},
                                    {"--lr-schedule", "5"},
                                    {"--lr-schedule", "0:"},
                                    {"--lr-schedule", ":1"},
                                    {"--lr-schedule", "0:1,"},
                                    {"--lr-schedule", "4:1,4:2"},
                                    {"--lr-schedule", "0:0"},
                                    {"--lr-schedule", "0:x"},
                                    {"--lr-schedule", "0:x0"},
                                    {"--lr-schedule", "0:x-1"},
                                    {"--lr-schedule", "0:xnan"},
                                    {"--lr-schedule", "0:x0.9/"},
                                    {"--lr-schedule", "0:x0.9/0"},
                                    {"--lr-schedule", "0:x0.9/-4"},
                                    {"--lr-schedule", "0:x0.9/1.5"},
                                    {"--lr-schedule", "0:0.9/4"},
                                    {"--lr-schedule", "x0.9/4"},
                                    {"--lr-schedule", "0:*0.9/4"},
                                    {"--lr-schedule", "4:x0.9,4:x0.9"},
                                    {"--weight-decay", "-1"},
                                    {"--clip", "-1"},
                                    {"--epochs", "-1"},
                                    {"--epochs", "4294967296"},
                                    {"--seed", "-1"},
                                    {"--patience", "x"},
                                    {"--min-delta", "-1"},
                                    {"--metric", "recall"},
                                    {"--host-memory", "0"},
                                    {"--host-memory", "lots"},
                                    {"--disk-limit", "x"},
                                    {"--gpu-memory", "x"},
                                    {"--codec", "int4"},
                                    {"--alpha-codec", ""},
                                    {"--optimizer", "lion"},
                                    {"--activation", "swish"},
                                    {"--layer-norm", "x"},
                                    {"--classifier", "x"},
                                    {"--eval-every", "x"},
                                    {"--predict", ""},
                                    {"--embeddings", ""},
                                    {"--save-steps", "-1"},
                                    {"--resume", "--force"},
                                    {"--quiet", "--verbose"},
                                    {"--unknown", "1"},
                                    {"stray"},
                                    {"--epoch", "3"},
                                    {"--patience", "3", "--eval-every", "0"}};
  for (const Words& words : wrong) {
    CAPTURE(words[0]);
    CAPTURE(words.back());
    CHECK_FALSE(refusal(words).empty());
  }
}

TEST_CASE("factors in a schedule multiply the rate when and as often as they say") {
  // IGLU's ogbn-proteins: 1e-2, x0.9 at epochs 0, 4, 8, ...: its script's loop, to the bit.
  const OptimizerOptions proteins = parse({"--lr", "1e-2", "--lr-schedule", "0:x0.9/4"}).optimizer;
  double rate = 1e-2;
  for (std::uint32_t epoch = 0; epoch < 200; ++epoch) {
    if (epoch % 4 == 0) rate = rate * 0.9;
    CHECK(proteins.rate(epoch) == rate);
  }
  CHECK(proteins.rate(0) == 1e-2 * 0.9);
  const OptimizerOptions later = parse({"--lr", "1", "--lr-schedule", "2:x0.5/3,8:0.25,9:x2,11:x3/2"}).optimizer;
  const std::vector<double> expected{1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 1.5, 1.5, 4.5, 4.5, 13.5};
  for (std::uint32_t epoch = 0; epoch < expected.size(); ++epoch) {
    CAPTURE(epoch);
    CHECK(later.rate(epoch) == expected[epoch]);
  }
  CHECK(schedule_text(later) == "2:x0.5/3,8:0.25,9:x2,11:x3/2");
  CHECK(schedule_text(proteins) == "0:x0.9/4");
}

TEST_CASE("a schedule whose rate vanishes or explodes is refused, saying when") {
  const Words sinks{"--epochs", "40000", "--lr-schedule", "0:x0.5/10,39000:1"};
  CHECK(has(refusal(sinks), "makes the rate zero by epoch 38999"));
  CHECK(has(refusal({"--epochs", "2000", "--lr-schedule", "0:x10/1"}), "makes the rate infinite by epoch 1999"));
  CHECK(refusal({"--epochs", "200", "--lr-schedule", "0:x10/1,1000:1"}).empty());
  CHECK(refusal({"--epochs", "0", "--lr-schedule", "0:x0.5/1"}).empty());
}

TEST_CASE("batches of the last layer and dropout on every layer's input belong to iglu") {
  const TrainOptions o = parse({"--method", "iglu", "--batch-size", "150000", "--top-batch-size", "25000",
                                "--input-dropout", "0.3", "--input-dropout-layers", "all"});
  CHECK(o.batch_size == 150000);
  CHECK(o.top_batch_size == 25000);
  CHECK(o.model.input_dropout_all);
  CHECK_FALSE(parse({"--method", "iglu", "--input-dropout", "0.3"}).model.input_dropout_all);
  for (const char* method : {"full", "sgc"}) {
    CHECK(has(refusal({"--method", method, "--top-batch-size", "100"}), "belongs to method iglu"));
    CHECK(has(refusal({"--method", method, "--input-dropout-layers", "all"}), "belongs to method iglu"));
  }
  CHECK(has(refusal({"--input-dropout-layers", "some"}), "use first, all"));
}

TEST_CASE("predictions for OGB need something predicted") {
  CHECK(parse({"--predict-format", "npy"}).predict_ogb == false);
  CHECK(has(refusal({"--predict-format", "ogb", "--predict", "none"}), "nothing to predict"));
  CHECK(has(refusal({"--predict-format", "csv"}), "use npy, ogb"));
}

TEST_CASE("store and run are needed") {
  char program[] = "strata-train", store[] = "--store", run[] = "--run", name[] = "x";
  TrainOptions options;
  char* without_run[] = {program, store, name};
  CHECK_THROWS_AS(static_cast<void>(parse_train_options(3, without_run, options)), UsageError);
  char* without_store[] = {program, run, name};
  CHECK_THROWS_AS(static_cast<void>(parse_train_options(3, without_store, options)), UsageError);
}

TEST_CASE("a configuration file gives options, the command line wins") {
  const TempDir directory;
  std::ofstream(directory / "config")
      << "# comment\nhidden = 32\nlayers = 4\nlr-schedule = 0:0.1,5:0.01\nquiet = true\n";
  const TrainOptions o = parse({"--config", (directory / "config").string(), "--layers", "2"});
  CHECK(o.model.hidden == 32);
  CHECK(o.model.layers == 2);
  CHECK(o.optimizer.lr_schedule.size() == 2);
  CHECK(o.quiet);
  std::ofstream(directory / "bad") << "no-such-option = 3\n";
  CHECK_FALSE(refusal({"--config", (directory / "bad").string()}).empty());
  CHECK_FALSE(refusal({"--config", (directory / "absent").string()}).empty());
}

TEST_CASE("--help teaches every option of the contract") {
  std::ostringstream text;
  text << train_usage() << declare_train_options();
  for (const char* name : {"store",
                           "run",
                           "method",
                           "predictor",
                           "model",
                           "layers",
                           "hidden",
                           "heads",
                           "activation",
                           "layer-norm",
                           "aggregation-norm",
                           "residual",
                           "saint-combine",
                           "saint-l2",
                           "classifier",
                           "epochs",
                           "batch-size",
                           "batch-parts",
                           "parts",
                           "optimizer",
                           "lr",
                           "lr-schedule",
                           "weight-decay",
                           "clip",
                           "dropout",
                           "input-dropout",
                           "seed",
                           "patience",
                           "min-delta",
                           "metric",
                           "host-memory",
                           "gpu-memory",
                           "device",
                           "codec",
                           "alpha-codec",
                           "cache-dir",
                           "disk-limit",
                           "keep-cache",
                           "product-way",
                           "checkpoint-every",
                           "resume",
                           "explain",
                           "trace",
                           "eval-every",
                           "predict",
                           "embeddings",
                           "init",
                           "batch-file",
                           "parts-file",
                           "save-steps",
                           "iglu-order",
                           "iglu-refresh",
                           "gas-refresh-at-eval",
                           "gas-noise",
                           "vrgcn-neighbours",
                           "vrgcn-cvd",
                           "mvs-gamma",
                           "mvs-inner",
                           "mvs-frozen-p",
                           "digest-interval",
                           "fanout",
                           "saint-sampler",
                           "visagnn-augment",
                           "visagnn-attention",
                           "visagnn-lambda",
                           "visagnn-drop",
                           "visagnn-beta",
                           "sat-window",
                           "sat-every",
                           "sat-lr",
                           "sat-hidden",
                           "sat-precision",
                           "predict-format",
                           "threads",
                           "config",
                           "quiet",
                           "verbose",
                           "help",
                           "version",
                           "force"}) {
    CAPTURE(name);
    CHECK(has(text.str(), std::string("--") + name + " "));
  }
}

}  // namespace
}  // namespace strata
