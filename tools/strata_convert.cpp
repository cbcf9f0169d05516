// strata-convert: a data set in someone's format in, a store out. Options: design.md section 9.
#include <oneapi/tbb/global_control.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "kernels/base/error.hpp"
#include "kernels/row_codec.hpp"
#include "storage/import/convert.hpp"
#include "tools/program.hpp"

namespace strata {
namespace {

namespace po = boost::program_options;

constexpr const char* kUsage =
    R"(usage: strata-convert --from {ogb,mag240m,snap,graphsaint,npy,synthetic} [--input PATH] --output STORE [options]

Writes a store, the directory that strata-train reads, from a data set or a generated graph. It is made beside its
final place and appears there as a whole. A run that fails leaves nothing; one that is killed leaves a hidden directory,
which the next run clears.

--input is a directory, or a zip archive that is read in place. Text may be gzip or zstd.

  ogb        a set of the Open Graph Benchmark (node property prediction, one node type): the directory that holds raw/
             and split/, in the csv.gz or the binary npz layout. A master.csv beside it is read for metric, split and
             whether edges are stored once; OGB's own sets are known by name. --edge-features mean for ogbn-proteins.
  mag240m    the papers of OGB-LSC's MAG240M and their citations: the directory with processed/ and split_dict.pt (or
             train.npy, valid.npy, test.npy); its features are float16: --feature-codec fp16 keeps them as they are.
  snap       an edge list: "source target" a line, divided by blanks, tabs or a comma; comments (# %), any 64-bit ids
             (numbered in their order; the store keeps them), further columns left out. Both directions are added when
             its comment says "Undirected graph", its name .ungraph, or its header is one of MUSAE's undirected sets;
             else --undirected on does that. In a directory also labels (*labels.txt, *target.csv, group-edges.csv),
             communities (*.cmty.txt) and features (*.json: node id -> indices); or --labels and --features name them.
  graphsaint GraphSAINT's adj_full.npz, class_map.json, role.json, feats.npy (and adj_train.npz, for --inductive), or GraphSAGE's
             PREFIX-G.json, -class_map.json, -id_map.json, -feats.npy (nodes get the numbers of the feature rows).
             Their authors standardise the features: --feature-norm standard.
  npy        your own graph: a directory of .npy files, or one .npz, with edge_index (2,E) or (E,2); node_feat (N,F);
             node_label (N,) or (N,C) of 0/1, -1 or NaN where unknown; train, valid, test (ids or masks); edge_weight (E,);
             edge_feat (E,D); num_nodes. Also read: the keys of gnn-benchmark (adj_*, attr_*, labels) and of the
             heterophilous graphs.
  synthetic  a degree-corrected stochastic block model, the same graph for the same options and seed.

Examples
  strata-convert --from ogb --input data/ogbn_arxiv --output arxiv.store --undirected on
  strata-convert --from ogb --input data/ogbn_papers100M --output papers.store --memory 64GiB --feature-codec fp16 --explain
  strata-convert --from snap --input soc-Epinions1.txt.gz --output epinions.store --undirected on
  strata-convert --from snap --input git_web_ml.zip --output github.store --split random --compress zstd
  strata-convert --from npy --input my_graph/ --output my.store --feature-norm row --verify
  strata-convert --from graphsaint --input reddit/ --output reddit.store --inductive --feature-norm standard
  strata-convert --from npy --input tolokers.npz --output tolokers.store --split-index 3
  strata-convert --from synthetic --nodes 400k --edges 4M --classes 16 --feature-dim 128 --output syn.store
)";

// "400k", "4M", "1.5G" or plain digits: a count.
std::uint64_t parse_count(const std::string& option, const std::string& text) {
  std::size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  static const std::map<std::string, double> kUnits = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};
  const auto unit = used == 0 ? kUnits.end() : kUnits.find(text.substr(used));
  const double count = unit == kUnits.end() ? -1 : value * unit->second;
  if (!(count >= 0 && count < 1e15) || count != static_cast<double>(static_cast<std::uint64_t>(count))) {
    throw UsageError("--" + option + " " + text + ": expected a count such as 400000, 400k or 4M");
  }
  return static_cast<std::uint64_t>(count);
}

template <class T>
T parse_choice(const std::string& option, const std::string& text,
               const std::vector<std::pair<std::string, T>>& choices) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names += (names.empty() ? "" : ", ") + name;
  }
  throw UsageError("--" + option + " " + text + ": expected one of " + names);
}

SourceKind parse_source(const std::string& text) {
  return parse_choice<SourceKind>("from", text,
                                  {{"ogb", SourceKind::ogb},
                                   {"mag240m", SourceKind::mag240m},
                                   {"snap", SourceKind::snap},
                                   {"graphsaint", SourceKind::graphsaint},
                                   {"npy", SourceKind::npy},
                                   {"synthetic", SourceKind::synthetic}});
}

Partitioner parse_partitioner(const std::string& text) {
  if (text == "stream") {
    throw UsageError(
        "--partitioner stream: the stream partitioner is not part of this version; use metis, random or none");
  }
  return parse_choice<Partitioner>("partitioner", text,
                                   {{"auto", Partitioner::automatic},
                                    {"metis", Partitioner::metis},
                                    {"random", Partitioner::random},
                                    {"none", Partitioner::none}});
}

int parse_compression(const std::string& text) {
  if (text == "none") return 0;
  if (text == "zstd") return 3;
  if (text.rfind("zstd:", 0) == 0) {
    const std::uint64_t level = parse_count("compress", text.substr(5));
    if (level >= 1 && level <= 19) return static_cast<int>(level);
  }
  throw UsageError("--compress " + text + ": expected none, zstd or zstd:LEVEL with a level from 1 to 19");
}

Codec parse_feature_codec(const std::string& text) {
  if (text == "sparse") {
    throw UsageError(
        "--feature-codec sparse: is not part of this version; use fp32 with --compress zstd for wide features");
  }
  return parse_choice<Codec>(
      "feature-codec", text,
      {{"fp32", Codec::fp32}, {"fp16", Codec::fp16}, {"bf16", Codec::bf16}, {"int8", Codec::int8}});
}

SplitFractions parse_fractions(const std::string& text) {
  SplitFractions fractions{};
  std::size_t at = 0;
  double sum = 0;
  for (std::size_t i = 0; i < fractions.size(); ++i) {
    const std::size_t comma = i + 1 < fractions.size() ? text.find(',', at) : text.size();
    std::size_t used = 0;
    try {
      if (comma != std::string::npos) fractions[i] = std::stod(text.substr(at, comma - at), &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (comma == std::string::npos || used == 0 || used != comma - at || !(fractions[i] >= 0)) {
      throw UsageError("--split-fractions " + text + ": expected three shares such as 0.6,0.2,0.2");
    }
    sum += fractions[i];
    at = comma + 1;
  }
  if (sum > 1.0 + 1e-9) throw UsageError("--split-fractions " + text + ": the shares add up to more than 1");
  return fractions;
}

std::uint64_t default_memory() {
  const auto machine =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGE_SIZE));
  return std::min<std::uint64_t>(std::uint64_t{2} << 30, machine / 2);
}

void add_general_options(po::options_description& all) {
  po::options_description options("Input and output");
  auto add = options.add_options();
  add("from", po::value<std::string>(), "ogb, mag240m, snap, graphsaint, npy or synthetic");
  add("input", po::value<std::string>(), "the data set: a directory, a zip archive or a file");
  add("labels", po::value<std::string>(),
      "snap: a file of labels: lines of node and label, a .csv with a header, or communities (.cmty.txt)");
  add("features", po::value<std::string>(), "snap: a JSON file of feature indices by node");
  add("output", po::value<std::string>(), "the store to write");
  add("force", po::bool_switch(), "replace a store that is there");
  add("restart", po::bool_switch(), "start from the beginning (as every run does)");
  add("explain", po::bool_switch(), "print the plan, sizes and memory, and end");
  add("verify", po::bool_switch(), "afterwards, compare the store with the source by other means");
  add("memory", po::value<std::string>(), "memory to use (2GiB, at most half the machine's)");
  add("tmp", po::value<std::string>(), "where to spill (beside the output)");
  add("seed", po::value<std::uint64_t>()->default_value(1), "of the generator, METIS and drawn splits");
  all.add(options);
}

void add_data_options(po::options_description& all) {
  po::options_description graph("Graph");
  auto add = graph.add_options();
  add("undirected", po::value<std::string>()->default_value("off"), "on: add the reverse of every edge");
  add("self-loops", po::value<std::string>()->default_value("drop"), "drop or keep");
  add("duplicates", po::value<std::string>()->default_value("drop"), "drop or keep");
  add("reverse", po::value<std::string>()->default_value("on"), "off: leave out the out-edges of a directed graph");
  add("columns", po::value<std::string>()->default_value("auto"),
      "how shards hold their columns: gaps (coded in bytes), raw (4 bytes an edge) or auto (the smaller)");
  add("shards", po::value<std::string>()->default_value("auto"), "auto or a number");
  add("partitioner", po::value<std::string>()->default_value("auto"),
      "the order of the nodes: metis, random, none, or auto (metis where the memory allows and one shard is not "
      "enough)");
  po::options_description data("Features and splits");
  auto add_data = data.add_options();
  add_data("feature-codec", po::value<std::string>()->default_value("fp32"), "fp32, fp16, bf16 or int8");
  add_data("feature-norm", po::value<std::string>()->default_value("none"),
           "none, row (each row divided by its L1 norm) or standard (mean 0 and deviation 1 over the training rows)");
  add_data("compress", po::value<std::string>()->default_value("none"), "none or zstd[:LEVEL]: of the features");
  add_data("nan-features", po::value<std::string>()->default_value("refuse"), "refuse or zero");
  add_data("edge-features", po::value<std::string>()->default_value("none"),
           "none, or mean: the mean over a node's edges as its features (sets without node features)");
  add_data("split", po::value<std::string>(), "which split; 'random' draws one among the labelled nodes");
  add_data("split-index", po::value<std::uint64_t>(), "which row of a table of masks (0)");
  add_data("split-fractions", po::value<std::string>()->default_value("0.6,0.2,0.2"),
           "train, valid, test of a drawn split");
  add_data("inductive", po::bool_switch(),
           "write the training graph beside the full one: the edges between nodes of split train (graphsaint: those of "
           "adj_train.npz); strata-train then trains on it and evaluates on the full graph");
  all.add(graph).add(data);
}

void add_synthetic_options(po::options_description& all) {
  po::options_description options("Synthetic graphs");
  auto add = options.add_options();
  add("nodes", po::value<std::string>(), "number of nodes");
  add("edges", po::value<std::string>(), "number of edges drawn");
  add("classes", po::value<std::string>()->default_value("16"), "number of classes");
  add("communities", po::value<std::string>(),
      "a multiple of the classes (one per class; more with --labelled-clustered)");
  add("feature-dim", po::value<std::string>()->default_value("128"), "feature columns");
  add("signal", po::value<double>()->default_value(0.1, "0.1"), "size of the class means against noise of deviation 1");
  add("homophily", po::value<double>()->default_value(0.8, "0.8"), "share of edges within a class");
  add("power-law", po::value<double>()->default_value(2.5, "2.5"),
      "exponent of the degrees; 0: equal expected degrees");
  add("multi-label", po::bool_switch(), "classes overlap");
  add("labelled", po::value<double>()->default_value(1.0, "1"), "share of nodes with a label");
  add("labelled-clustered", po::bool_switch(), "labels in whole communities, not spread");
  all.add(options);
}

bool parse_switch(const po::variables_map& values, const char* name, const char* off, const char* on) {
  return parse_choice<bool>(name, values[name].as<std::string>(), {{off, false}, {on, true}});
}

void refuse_synthetic_options(const po::variables_map& values) {
  for (const char* name : {"nodes", "edges", "classes", "communities", "feature-dim", "signal", "homophily",
                           "power-law", "multi-label", "labelled", "labelled-clustered"}) {
    if (values.count(name) != 0 && !values[name].defaulted()) {
      throw UsageError("--" + std::string(name) + ": is for --from synthetic only");
    }
  }
}

SyntheticOptions synthetic_options(const po::variables_map& values) {
  for (const char* name : {"nodes", "edges"}) {
    if (values.count(name) == 0) throw UsageError("--from synthetic: --" + std::string(name) + " is missing");
  }
  const auto count = [&](const char* name) { return parse_count(name, values[name].as<std::string>()); };
  SyntheticOptions s;
  s.nodes = count("nodes");
  s.edges = count("edges");
  s.classes = count("classes");
  if (values.count("communities") != 0) s.communities = count("communities");
  s.feature_dim = count("feature-dim");
  s.signal = values["signal"].as<double>();
  s.homophily = values["homophily"].as<double>();
  s.power_law = values["power-law"].as<double>();
  s.multi_label = values["multi-label"].as<bool>();
  s.labelled = values["labelled"].as<double>();
  s.labelled_clustered = values["labelled-clustered"].as<bool>();
  return s;
}

void read_graph_options(const po::variables_map& values, ImportOptions& options) {
  const auto text = [&](const char* name) { return values[name].as<std::string>(); };
  if (text("shards") != "auto") {
    options.shards = parse_count("shards", text("shards"));
    if (options.shards == 0) throw UsageError("--shards 0: expected auto or a positive number");
  }
  options.partitioner = parse_partitioner(text("partitioner"));
  options.undirected = parse_switch(values, "undirected", "off", "on");
  options.keep_self_loops = parse_switch(values, "self-loops", "drop", "keep");
  options.keep_duplicates = parse_switch(values, "duplicates", "drop", "keep");
  options.reverse = parse_switch(values, "reverse", "off", "on");
  options.columns = parse_choice<ColumnChoice>(
      "columns", text("columns"),
      {{"auto", ColumnChoice::smaller}, {"gaps", ColumnChoice::gaps}, {"raw", ColumnChoice::raw}});
}

void read_feature_options(const po::variables_map& values, ImportOptions& options) {
  const auto text = [&](const char* name) { return values[name].as<std::string>(); };
  options.feature_codec = parse_feature_codec(text("feature-codec"));
  options.zstd_level = parse_compression(text("compress"));
  options.feature_norm = parse_choice<FeatureNorm>(
      "feature-norm", text("feature-norm"),
      {{"none", FeatureNorm::none}, {"row", FeatureNorm::row}, {"standard", FeatureNorm::standard}});
  options.edge_feature_means = parse_switch(values, "edge-features", "none", "mean");
  const bool may_have = options.from == SourceKind::ogb || options.from == SourceKind::npy;
  if (options.edge_feature_means && !may_have) {
    throw UsageError("--edge-features mean: is for --from ogb and npy; other sources have no edge features");
  }
  options.zero_nan_features = parse_switch(values, "nan-features", "refuse", "zero");
  if (values.count("split") != 0) options.split = text("split");
  if (values.count("split-index") != 0) options.split_index = values["split-index"].as<std::uint64_t>();
  if (options.from != SourceKind::npy && options.split_index) {
    throw UsageError("--split-index: is for --from npy only; use --split NAME");
  }
  options.inductive = values["inductive"].as<bool>();
  options.split_fractions = parse_fractions(text("split-fractions"));
}

void read_snap_options(const po::variables_map& values, ImportOptions& options) {
  const std::pair<const char*, std::filesystem::path*> files[] = {{"labels", &options.labels},
                                                                  {"features", &options.features}};
  for (const auto& [name, path] : files) {
    if (values.count(name) == 0) continue;
    if (options.from != SourceKind::snap) throw UsageError("--" + std::string(name) + ": is for --from snap only");
    *path = values[name].as<std::string>();
  }
}

ImportOptions import_options(const po::variables_map& values) {
  const auto text = [&](const char* name) { return values[name].as<std::string>(); };
  for (const char* name : {"from", "output"}) {
    if (values.count(name) == 0) throw UsageError("--" + std::string(name) + " is missing; see --help");
  }
  ImportOptions options;
  options.from = parse_source(text("from"));
  if (values.count("input") != 0) options.input = text("input");
  if (options.from != SourceKind::synthetic && options.input.empty()) {
    throw UsageError("--input is missing; see --help");
  }
  options.output = text("output");
  if (options.output.empty()) throw UsageError("--output is empty");
  if (values.count("tmp") != 0) options.tmp = text("tmp");
  options.memory = values.count("memory") != 0 ? parse_size(text("memory")) : default_memory();
  read_graph_options(values, options);
  read_feature_options(values, options);
  read_snap_options(values, options);
  options.verify = values["verify"].as<bool>();
  options.force = values["force"].as<bool>();
  options.seed = values["seed"].as<std::uint64_t>();
  if (options.from == SourceKind::synthetic) {
    options.synthetic = synthetic_options(values);
  } else {
    refuse_synthetic_options(values);
  }
  return options;
}

class Display final : public ConvertListener {
 public:
  explicit Display(bool quiet) : quiet_(quiet) {}
  void begin_stage(const std::string& name, std::uint64_t total, Unit unit) override {
    progress_ = std::make_unique<Progress>(name, total,
                                           unit == Unit::bytes ? Progress::Unit::bytes : Progress::Unit::items, quiet_);
  }
  void advance(std::uint64_t amount) override { progress_->add(amount); }
  void end_stage() override {
    progress_.reset();
    for (const std::string& text : hints_) std::fprintf(stderr, "strata-convert: note: %s\n", text.c_str());
    hints_.clear();
  }
  void hint(const std::string& text) override {
    if (quiet_) return;
    hints_.push_back(text);
    if (!progress_) end_stage();
  }

 private:
  bool quiet_;
  std::unique_ptr<Progress> progress_;
  std::vector<std::string> hints_;  // shown between the stages' lines
};

void print_summary(const ImportOptions& options, const ConvertReport& report) {
  double seconds = 0;
  for (const StageReport& stage : report.stages) seconds += stage.seconds;
  std::printf("%s: %llu nodes, %llu edges (%s), %llu shards, order %s\n", options.output.c_str(),
              static_cast<unsigned long long>(report.nodes), static_cast<unsigned long long>(report.edges_out),
              report.undirected ? "undirected, both ways" : "directed", static_cast<unsigned long long>(report.shards),
              report.partitioner.c_str());
  if (options.inductive) {
    std::printf("training graph: %llu nodes, %llu edges (%s)\n",
                static_cast<unsigned long long>(report.train_graph.nodes),
                static_cast<unsigned long long>(report.train_graph.edges),
                report.train_graph.origin == "source" ? "the source's own" : "between nodes of split train");
  }
  std::printf("dropped or found: %llu self-loops, %llu duplicates, %llu nodes without label; %.1f s, peak memory %s\n",
              static_cast<unsigned long long>(report.self_loops), static_cast<unsigned long long>(report.duplicates),
              static_cast<unsigned long long>(report.unlabelled), seconds,
              format_bytes(report.stages.back().peak_memory).c_str());
}

int convert_main(int argc, char** argv) {
  po::options_description all("Options");
  add_general_options(all);
  add_data_options(all);
  add_synthetic_options(all);
  add_common_options(all);
  po::variables_map values;
  CommonOptions common;
  if (!parse_options("strata-convert", kUsage, argc, argv, all, nullptr, values, common)) return 0;
  const ImportOptions options = import_options(values);
  const unsigned threads = common.threads != 0 ? common.threads : std::max(1u, std::thread::hardware_concurrency());
  const tbb::global_control control(tbb::global_control::max_allowed_parallelism, threads);
  const std::unique_ptr<GraphSource> source = open_source(options);
  if (values["explain"].as<bool>()) {
    const ConversionPlan plan = plan_conversion(options, source->facts());
    std::fputs(explain(options, source->facts(), plan).c_str(), stdout);
    return 0;
  }
  Display display(common.quiet);
  const ConvertReport report = convert(*source, options, &display);
  if (!common.quiet) print_summary(options, report);
  if (options.verify) {
    const std::string verified = verify_conversion(*source, options, &display);
    if (!common.quiet) std::printf("%s\n", verified.c_str());
  }
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) { return strata::run_program("strata-convert", argc, argv, strata::convert_main); }
