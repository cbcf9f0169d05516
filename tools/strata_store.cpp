// strata-store: look at a store, check it, take its data out, replace its labels and splits, manage what was derived
// from it.
#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "kernels/base/error.hpp"
#include "storage/derived.hpp"
#include "storage/store.hpp"
#include "storage/store_manifest.hpp"
#include "tools/program.hpp"
#include "tools/store_commands.hpp"

namespace po = boost::program_options;

namespace strata {
namespace {

constexpr const char* kUsage =
    "usage: strata-store info [--json] STORE\n"
    "       strata-store verify STORE\n"
    "       strata-store export STORE --what graph|features|labels|splits --output DIR\n"
    "       strata-store add STORE [--labels FILE.npy] [--split NAME=FILE.npy ...]\n"
    "       strata-store derived STORE [--remove KEY]\n"
    "\n"
    "info     what a store holds: a table, or the manifest as JSON\n"
    "verify   reads every byte and compares it with its checksum; exit status 5 names the file and the block that "
    "differ\n"
    "export   NumPy arrays in the original order of the nodes: edge_index, edge_weight, node_feat, node_label, NAME "
    "(splits); with the graph external_id: the ids of the source's files, where they are not 0..N-1\n"
    "add      labels and splits from NumPy arrays in the original order (splits: ids, or a mask of all nodes)\n"
    "derived  what was computed from the store and kept for later runs\n";

// Of one direction: what its shards take, and how much of that are columns.
void print_adjacency(const char* direction, const std::vector<ShardInfo>& shards) {
  std::uint64_t edges = 0, file_bytes = 0, column_bytes = 0;
  std::size_t coded = 0;
  for (const ShardInfo& shard : shards) {
    edges += shard.edges;
    file_bytes += shard.file_bytes;
    column_bytes += shard.column_bytes;
    coded += shard.coding == ColumnCoding::gaps ? 1 : 0;
  }
  if (edges == 0) return;
  const auto bits = [edges](std::uint64_t bytes) {
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(edges);
  };
  std::printf("%-11s %s, %.1f bits an edge; columns %.1f (%zu of %zu shards as coded gaps)\n", direction,
              format_bytes(file_bytes).c_str(), bits(file_bytes), bits(column_bytes), coded, shards.size());
}

void print_info(const Store& store) {
  const StoreInfo& info = store.info();
  const auto yes = [](bool value) { return value ? "yes" : "no"; };
  std::cout << (info.name.empty() ? store.path().string() : info.name) << " (from " << info.source << ", format "
            << info.format_version << ", " << format_bytes(info.total_bytes) << ")\n"
            << "nodes       " << info.nodes << "\n"
            << "edges       " << info.edges << " (undirected: " << yes(info.undirected)
            << ", reverse: " << yes(info.has_reverse) << ", weighted: " << yes(info.weighted) << ")\n"
            << "shards      " << info.in_shards.size() << " in, " << info.out_shards.size() << " out (partitioner "
            << info.partitioner << ")\n"
            << std::flush;
  print_adjacency("in-edges", info.in_shards);
  print_adjacency("out-edges", info.out_shards);
  if (const TrainGraphInfo& train = info.train_graph; train.present) {
    std::printf("training    %llu nodes, %llu edges (%s; undirected: %s)\n",
                static_cast<unsigned long long>(train.nodes), static_cast<unsigned long long>(train.edges),
                train.origin == "source" ? "the source's own graph" : "those between nodes of split train",
                yes(train.undirected));
    print_adjacency("  in-edges", train.in_shards);
    print_adjacency("  out-edges", train.out_shards);
  }
  std::fflush(stdout);
  if (info.feature_dim > 0) {
    std::cout << "features    " << info.feature_dim << " columns, " << codec_name(info.feature_codec) << ", norm "
              << info.feature_norm << "\n";
  } else {
    std::cout << "features    none\n";
  }
  std::cout << "labels      " << task_name(info.task);
  if (info.task != Task::none) {
    std::cout << ", " << info.classes << " classes, " << info.labelled << " nodes, metric " << info.metric;
  }
  std::cout << "\n";
  for (const SplitInfo& split : info.splits) std::cout << "split       " << split.name << ": " << split.nodes << "\n";
}

void print_json(const Store& store) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(store.manifest_text());
  json["total_bytes"] = store.info().total_bytes;
  json["derived"] = nlohmann::ordered_json::array();
  for (const std::string& key : derived_keys(store.path())) {
    const DerivedInfo derived = derived_info(store.path(), key);
    json["derived"].push_back({{"key", key},
                               {"bytes", derived.bytes},
                               {"files", derived.files},
                               {"about", nlohmann::ordered_json::parse(derived.about)}});
  }
  std::cout << json.dump(2) << "\n";
}

void verify(const Store& store, const CommonOptions& common) {
  std::uint64_t total = store.info().total_bytes;
  for (const std::string& key : derived_keys(store.path())) total += derived_info(store.path(), key).bytes;
  std::size_t files = 0;
  {
    Progress progress("verify", total, Progress::Unit::bytes, common.quiet);
    for (const std::string& name : store.files()) {
      progress.note(name);
      store.verify_file(name, [&](std::uint64_t bytes) { progress.add(bytes); });
      if (common.verbose) std::cout << name << ": as written\n";
      ++files;
    }
  }
  if (!common.quiet) {
    std::cout << store.path().string() << ": " << files << " files, " << format_bytes(total) << ", all as written\n";
  }
}

// The members of an object in a row: {"what": "parts", "nodes": [1, 2]} reads "parts; nodes 1, 2".
std::string readable(const std::string& about) {
  const auto value = [](const nlohmann::ordered_json& json) {
    if (json.is_string()) return json.get<std::string>();
    if (!json.is_array()) return json.dump();
    std::string list;
    for (const auto& element : json) list += (list.empty() ? "" : ", ") + element.dump();
    return list;
  };
  const nlohmann::ordered_json object = nlohmann::ordered_json::parse(about);
  std::string text;
  for (const auto& [key, json] : object.items()) {
    std::string name = key == "what" ? "" : key + " ";
    std::replace(name.begin(), name.end(), '_', ' ');
    text += (text.empty() ? "" : "; ") + name + value(json);
  }
  return text;
}

void derived(const fs::path& store, const po::variables_map& values, bool quiet) {
  if (values.count("remove") != 0) {
    const std::string key = values["remove"].as<std::string>();
    remove_derived(store, key);
    if (!quiet) std::cout << "removed " << key << "\n";
    return;
  }
  const Store opened(store);
  for (const std::string& key : derived_keys(store)) {
    const DerivedInfo info = derived_info(store, key);
    std::cout << key << "  " << format_bytes(info.bytes) << "  " << readable(info.about) << "\n";
  }
}

std::set<std::string> parse_what(const std::vector<std::string>& arguments) {
  std::set<std::string> what;
  for (const std::string& argument : arguments) {
    for (std::size_t at = 0; at <= argument.size();) {
      const std::size_t comma = std::min(argument.find(',', at), argument.size());
      const std::string word = argument.substr(at, comma - at);
      if (word != "graph" && word != "features" && word != "labels" && word != "splits") {
        throw UsageError("--what '" + word + "': use graph, features, labels or splits");
      }
      what.insert(word);
      at = comma + 1;
    }
  }
  return what;
}

void export_command(const fs::path& directory, const po::variables_map& values, const CommonOptions& common) {
  if (values.count("what") == 0 || values.count("output") == 0) {
    throw UsageError("export needs --what graph|features|labels|splits and --output DIR");
  }
  ExportOptions options;
  options.what = parse_what(values["what"].as<std::vector<std::string>>());
  options.output = values["output"].as<std::string>();
  options.memory = parse_size(values["memory"].as<std::string>());
  options.force = values["force"].as<bool>();
  options.quiet = common.quiet;
  export_store(Store(directory), options);
}

void add_command(const fs::path& directory, const po::variables_map& values, bool quiet) {
  AddOptions options;
  if (values.count("labels") != 0) options.labels = values["labels"].as<std::string>();
  if (values.count("split") != 0) options.splits = values["split"].as<std::vector<std::string>>();
  if (options.labels.empty() && options.splits.empty()) {
    throw UsageError("add needs --labels FILE or --split NAME=FILE");
  }
  options.classes = values["classes"].as<std::uint64_t>();
  if (values.count("metric") != 0) options.metric = values["metric"].as<std::string>();
  options.memory = parse_size(values["memory"].as<std::string>());
  const std::string done = add_to_store(directory, options);
  if (!quiet) std::cout << directory.string() << ": " << done << "\n";
}

po::options_description make_options() {
  po::options_description options("options");
  options.add_options()("command", po::value<std::string>()->value_name("COMMAND"), "the same as the first argument")(
      "store", po::value<std::string>()->value_name("STORE"), "the same as the second argument")(
      "json", po::bool_switch(), "info: as JSON")("what", po::value<std::vector<std::string>>()->value_name("WHAT"),
                                                  "export: graph, features, labels, splits")(
      "output", po::value<std::string>()->value_name("DIR"), "export: where the arrays go")(
      "force", po::bool_switch(), "export: replace existing files")(
      "labels", po::value<std::string>()->value_name("FILE"), "add: new labels")(
      "split", po::value<std::vector<std::string>>()->value_name("NAME=FILE"),
      "add: a new split, or a new one of that name")(
      "classes", po::value<std::uint64_t>()->default_value(0)->value_name("C"), "add: number of classes (0: as occur)")(
      "metric", po::value<std::string>()->value_name("NAME"), "add: accuracy, roc-auc or micro-f1")(
      "remove", po::value<std::string>()->value_name("KEY"), "derived: remove this")(
      "memory", po::value<std::string>()->default_value("2GiB")->value_name("SIZE"), "export, add: memory to use");
  add_common_options(options);
  return options;
}

int body(int argc, char** argv) {
  const po::options_description options = make_options();
  po::positional_options_description positional;
  positional.add("command", 1).add("store", 1);
  po::variables_map values;
  CommonOptions common;
  if (!parse_options("strata-store", kUsage, argc, argv, options, &positional, values, common)) return 0;
  if (values.count("command") == 0 || values.count("store") == 0) {
    throw UsageError("needs a command and a store; see strata-store --help");
  }
  const std::string command = values["command"].as<std::string>();
  const fs::path directory = values["store"].as<std::string>();
  if (command == "info") {
    const Store store(directory);
    values["json"].as<bool>() ? print_json(store) : print_info(store);
  } else if (command == "verify") {
    verify(Store(directory), common);
  } else if (command == "export") {
    export_command(directory, values, common);
  } else if (command == "add") {
    add_command(directory, values, common.quiet);
  } else if (command == "derived") {
    derived(directory, values, common.quiet);
  } else {
    throw UsageError("unknown command '" + command + "': use info, verify, export, add or derived");
  }
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) { return strata::run_program("strata-store", argc, argv, strata::body); }
