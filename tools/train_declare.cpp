#include "tools/train_declare.hpp"

#include "tools/program.hpp"

namespace po = boost::program_options;

namespace strata {

namespace {

constexpr ForeignOption kForeignOptions[] = {
    {"predictor", "NAME", "none", "predictor sat"},
    {"heads", "H", "1", "model gat"},
    {"batch-parts", "B", "1", "methods on parts (gas and its kin)"},
    {"parts", "N", "0", "methods on parts (gas and its kin)"},
    {"parts-file", "FILE", "", "methods on parts (gas and its kin)"},
    {"gas-refresh-at-eval", "on|off", "on", "method gas"},
    {"gas-noise", "X", "0", "method gas"},
    {"vrgcn-neighbours", "N", "2", "method vrgcn"},
    {"vrgcn-cvd", "on|off", "off", "method vrgcn"},
    {"mvs-gamma", "X", "0.1", "method mvs"},
    {"mvs-inner", "N", "20", "method mvs"},
    {"mvs-frozen-p", "on|off", "off", "method mvs"},
    {"digest-interval", "N", "1", "method digest"},
    {"fanout", "N,N", "25,10", "method graphsage"},
    {"saint-sampler", "rw|node", "rw", "method graphsaint"},
    {"visagnn-augment", "NAME", "sum", "method visagnn"},
    {"visagnn-attention", "on|off", "on", "method visagnn"},
    {"visagnn-lambda", "X", "0.3", "method visagnn"},
    {"visagnn-drop", "X|off", "1.5", "method visagnn"},
    {"visagnn-beta", "X", "1", "method visagnn"},
    {"sat-window", "N", "5", "predictor sat"},
    {"sat-every", "N", "10", "predictor sat"},
    {"sat-lr", "X", "0.1", "predictor sat"},
    {"sat-hidden", "D", "0", "predictor sat"},
    {"sat-precision", "N", "2", "predictor sat"},
};

constexpr unsigned kLineLength = 110;

auto text(const char* standard, const char* value_name) {
  return po::value<std::string>()->default_value(standard)->value_name(value_name);
}
// Empty when absent.
auto path(const char* value_name) { return po::value<std::string>()->value_name(value_name); }

po::options_description data_options() {
  po::options_description group("Data", kLineLength);
  auto add = group.add_options();
  add("store", path("STORE"), "the store that strata-convert wrote (needed)");
  add("run", path("RUN"), "directory for everything this run writes (needed)");
  add("predict", text("splits", "WHAT"),
      "nodes whose logits go to RUN/predictions.npy: splits (train, valid and test), test, all, none, or a FILE of "
      "original ids (.npy, or text with one a line)");
  add("predict-format", text("npy", "npy|ogb"),
      "ogb: also RUN/ogb_predictions.npz, the input of OGB's Evaluator: y_pred (nodes x 1 classes, or nodes x tasks "
      "scores) and node_ids; for MAG240M y_pred of shape (nodes), and the test nodes' RUN/y_pred_mag240m*.npz as its "
      "leaderboard takes them");
  add("embeddings", text("none", "WHAT"),
      "nodes whose last hidden rows go to RUN/embeddings.npy: none, all, or a FILE");
  add("init", path("MODEL"),
      "start from these weights (.safetensors under PyG's names); with --epochs 0: only predict");
  return group;
}

po::options_description model_options() {
  po::options_description group("Model", kLineLength);
  auto add = group.add_options();
  add("model", text("gcn", "NAME"),
      "gcn, sage (mean), mlp, vrgcn ([A X, X] W without biases), saint (GraphSAINT's layers of order 1) or gcnii "
      "(between two linear layers)");
  add("layers", text("2", "K"), "number of aggregations (of linear layers for mlp; the power of A for sgc)");
  add("hidden", text("64", "D"), "width of the hidden layers; of saint that of a branch");
  add("activation", text("relu", "NAME"), "relu, elu, gelu or tanh");
  add("layer-norm", text("auto", "NAME"),
      "of the hidden rows: none, layer, batch (behind the activation; by the batch in steps, by running statistics in "
      "sweeps and evaluation), or auto: the model's own (vrgcn, saint layer, others none); gcnii: behind aggregations");
  add("aggregation-norm", text("auto", "NAME"),
      "sym, row, or auto: the model's own (gcn, gcnii sym, others row); row counts a node itself, but not with sage");
  add("classifier", text("auto", "NAME"),
      "linear: a linear layer after the last aggregation; none: that one emits the logits; auto: none, but linear "
      "with gcnii and with saint, which has it in the group of its last layer");
  add("saint-combine", text("concat", "NAME"),
      "saint: a node's own branch and its neighbours' side by side (concat: rows twice --hidden wide) or added (sum)");
  add("saint-l2", text("on", "on|off"),
      "saint: rows scaled to length 1 before the classifier, as IGLU and GraphSAINT do");
  add("residual", text("none", "NAME"),
      "add: X^k += X^(k-1), add2: X^k += X^(k-2), in hidden layers where the widths agree, after the activation and "
      "before dropout");
  add("dropout", text("0", "P"),
      "on the output of every hidden layer (gcnii: behind aggregations); of saint also before the classifier");
  add("input-dropout", text("0", "P"), "on the input of the first linear map");
  add("input-dropout-layers", text("first", "first|all"), "all: on the input of every layer's (method iglu)");
  return group;
}

po::options_description training_options() {
  po::options_description group("Training", kLineLength);
  auto add = group.add_options();
  add("method", text("full", "NAME"),
      "full: the whole graph a step; iglu: layer by layer, in mini-batches; sgc: a linear model on A^K X, in "
      "mini-batches");
  add("epochs", text("200", "E"), "passes over the data; 0: only predict");
  add("optimizer", text("adam", "NAME"), "adam, adam-tf (TensorFlow's epsilon) or sgd");
  add("lr", text("0.01", "R"), "learning rate");
  add("lr-schedule", path("E:R,..."),
      "changes of the rate at given epochs, counted from 0. E:R: R from E on (0:1e-2,40:1e-3); E:xF: times F from E "
      "on; "
      "E:xF/N: times F at E and every N epochs after it, until the next change (--lr 1e-2 --lr-schedule 0:x0.9/4: 9e-3 "
      "in epochs 0 to 3, 8.1e-3 in 4 to 7, ...)");
  add("weight-decay", text("0", "W"), "L2 beside the mean loss, added to the gradient, in every method alike");
  add("decay-first-layer-only", po::bool_switch(), "weight decay on the first layer alone (Kipf & Welling)");
  add("clip", text("0", "C"), "largest norm of a step's gradient of the mean loss; 0: any");
  add("seed", text("0", "S"), "of weights, batches and dropout: the same seed gives the same bits");
  add("patience", text("0", "N"), "stop after N epochs without a better validation metric; 0: never");
  add("min-delta", text("0", "X"), "what counts as better");
  add("metric", text("auto", "NAME"), "accuracy, micro-f1, roc-auc, or auto: what the store names");
  add("eval-every", text("1", "N"), "evaluate every N epochs and at the last; 0: never");
  add("inductive", text("auto", "NAME"),
      "auto: on a store that strata-convert --inductive wrote, training sees its training graph alone, and evaluation "
      "and prediction the full graph; off: training sees the full graph too");
  add("batch-file", path("FILE"),
      "the batches to take, JSON lines: {\"epoch\": 1, \"group\": \"layer1\", \"nodes\": [...]}");
  return group;
}

po::options_description resource_options() {
  po::options_description group("Memory and disk", kLineLength);
  auto add = group.add_options();
  add("host-memory", text("auto", "SIZE"),
      "budget, e.g. 2GiB; it changes speed, never results; auto: half of the memory");
  add("gpu-memory", text("auto", "SIZE"), "accepted; this version computes on the CPU");
  add("device", text("auto", "NAME"), "auto or cpu");
  add("codec", text("fp32", "NAME"),
      "of embeddings and aggregates: fp32, fp16, bf16, int8, or bitmap: fp16, on disk without the zeros behind a ReLU");
  add("alpha-codec", text("fp32", "NAME"), "of the gradients with respect to them");
  add("cache-dir", path("DIR"), "where rows go that do not fit in memory; RUN/cache when absent");
  add("disk-limit", text("none", "SIZE"), "most that may lie there");
  add("prefetch", text("on", "on|off"), "read ahead of the computation; off changes no result and is slower");
  add("product-way", text("auto", "NAME"),
      "what sparse products hold in memory: columns (of all rows that are read), tiles (the sums of some rows that are "
      "written), or auto: what is faster by the plan; it changes no result");
  add("keep-cache", po::bool_switch(), "leave RUN/cache in place at the end");
  return group;
}

po::options_description output_options() {
  po::options_description group("Output and control", kLineLength);
  auto add = group.add_options();
  add("explain", po::bool_switch(),
      "print what lives where, the passes of an epoch with the bytes and seconds they will take, and stop");
  add("trace", path("FILE"),
      "write a timeline of passes, computing, reads and writes to FILE (Chrome trace format: chrome://tracing, "
      "ui.perfetto.dev)");
  add("resume", po::bool_switch(), "go on with the run in RUN; ends in the same bits as an uninterrupted one");
  add("force", po::bool_switch(), "replace a run in RUN");
  add("checkpoint-every", text("10", "N"),
      "epochs between checkpoints (and one when the last is five minutes old); 0: only at the end or when stopped. "
      "With "
      "--iglu-refresh 0.5 after every even epoch, whatever N: only there can a run go on");
  add("save-steps", text("0", "N"), "write the weights of every N-th step to RUN/steps; 0: none");
  add_common_options(group);
  return group;
}

po::options_description method_options() {
  po::options_description group("Options of one method or model", kLineLength);
  auto add = group.add_options();
  add("batch-size", text("0", "B"), "iglu, sgc: nodes in a batch; 0: 10240");
  add("gcnii-alpha", text("0.1", "X"), "gcnii: share of the first hidden rows in every layer's input");
  add("gcnii-theta", text("0.5", "X"), "gcnii: share of layer l's weights beside the identity: ln(X / l + 1)");
  add("gcnii-shared", text("on", "on|off"), "gcnii: one weight for aggregate and first rows, or off: one for each");
  add("top-batch-size", text("0", "B"), "iglu: nodes in a batch of the last layer; 0: as --batch-size");
  add("iglu-order", text("inverted", "NAME"),
      "iglu: inverted: layers step upwards, embeddings exact, their gradients from the epoch's start; backprop: "
      "layers step downwards, gradients recomputed on the way, embeddings from the epoch's start");
  add("iglu-refresh", text("1", "F"),
      "iglu: refreshes an epoch, of the gradients (inverted) or the embeddings (backprop): 1; 0.5: in odd epochs "
      "only, cheaper and staler; 2: before each half of the batches");
  return group;
}

po::options_description foreign_options() {
  po::options_description group("Recognised, but only with these values in this version", kLineLength);
  for (const ForeignOption& option : kForeignOptions) {
    auto* value = po::value<std::string>()->value_name(option.value_name);
    if (*option.standard != '\0') value->default_value(option.standard);
    group.add_options()(option.name, value, option.belongs_to);
  }
  return group;
}

}  // namespace

std::string train_usage() {
  return R"(Usage: strata-train --store STORE --run DIR [options]

Trains a graph neural network on a store. What does not fit in --host-memory lives on disk; the results do not depend on
it. RUN/metrics.jsonl has a line an epoch, RUN/summary.json the outcome, RUN/model.safetensors the weights of the epoch
with the best validation metric, RUN/predictions.npy its logits. A run that was stopped goes on with --resume.

Examples
  Two layers of GCN on a small graph, whole graph a step:
    strata-train --store cora.store --run runs/cora --model gcn --hidden 16 --dropout 0.5 --weight-decay 5e-4

  Three layers of GraphSAGE in batches, at most 2 GiB of memory, embeddings in half precision:
    strata-train --store products.store --run runs/products --method iglu --model sage --layers 3 --hidden 256 \
      --layer-norm layer --epochs 50 --lr 5e-3 --lr-schedule 0:5e-3,40:1e-3 --host-memory 2GiB --codec fp16
  (the same with --explain first tells what will lie where)

  IGLU's own setting for PPI-large, on a store with its features standardised:
    strata-train --store ppi.store --run runs/ppi --method iglu --model saint --hidden 512 --optimizer adam-tf \
      --batch-size 1024 --epochs 300 --lr-schedule 0:5e-2,4:2e-3,40:1e-3

  A strong, cheap baseline: a linear model on three passes of the normalised adjacency, which are kept in the store:
    strata-train --store products.store --run runs/sgc --method sgc --layers 3 --epochs 50

Methods and models of this version
               gcn    sage    mlp    vrgcn    saint    gcnii
  full         yes    yes     yes    yes      yes      yes
  iglu         yes    yes     yes    yes      yes      yes
  sgc          yes
Every norm (--layer-norm) works with full and iglu and every model; so do residuals (--residual), but gcnii has its own.

Exit status: 0 done; 1 internal error; 2 wrong usage; 3 bad input; 4 not enough memory or disk; 5 damaged store or
checkpoint; 130 or 143 stopped by SIGINT or SIGTERM after an epoch, with a checkpoint.
)";
}

po::options_description declare_train_options() {
  po::options_description all("Options", kLineLength);
  all.add(data_options());
  all.add(model_options());
  all.add(training_options());
  all.add(resource_options());
  all.add(output_options());
  all.add(method_options());
  all.add(foreign_options());
  return all;
}

std::span<const ForeignOption> foreign_train_options() { return kForeignOptions; }

}  // namespace strata
