#include "storage/import/ogb_source.hpp"

#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/csv.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/torch_file.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSplitDict = "split_dict.pt";

// OGB unpacks `arxiv` and renames it `ogbn_arxiv`: either may be there, whichever was asked for.
fs::path find_directory(fs::path input) {
  if (input.filename().empty()) input = input.parent_path();  // a trailing slash
  if (fs::exists(input)) return input;
  std::string name = input.filename().string();
  std::vector<std::string> others;
  const auto add = [&others](std::string other) { others.push_back(std::move(other)); };
  std::string underscored = name, hyphened = name;
  std::replace(underscored.begin(), underscored.end(), '-', '_');
  std::replace(hyphened.begin(), hyphened.end(), '_', '-');
  add(underscored);
  add(hyphened);
  if (underscored.rfind("ogbn_", 0) == 0) {
    const std::string download = name.substr(5);
    add(download);
    add(download + "-bin");
  } else {
    const std::string bare = underscored.size() > 4 && underscored.substr(underscored.size() - 4) == "_bin"
                                 ? underscored.substr(0, underscored.size() - 4)
                                 : underscored;
    add("ogbn_" + bare);
  }
  for (const std::string& other : others) {
    fs::path candidate = input.parent_path() / other;
    if (fs::is_directory(candidate)) return candidate;
    candidate += ".zip";
    if (fs::exists(candidate)) return candidate;
  }
  throw InputError(input.string(), "",
                   "there is no such directory or zip archive: --input names the set's own, which holds raw/");
}

void refuse_heterogeneous(const InputFiles& files, const std::optional<OgbEntry>& entry) {
  static constexpr const char* kSigns[] = {"triplet-type-list.csv.gz", "num-node-dict.csv.gz", "num_nodes_dict.npz",
                                           "edge_index_dict.npz"};
  const bool sign = std::any_of(std::begin(kSigns), std::end(kSigns),
                                [&](const char* file) { return files.has("raw/" + std::string(file)); });
  if (sign || files.has_folder("raw/relations") || (entry && entry->heterogeneous)) {
    throw InputError(files.path().string(), "",
                     "is a heterogeneous set (several node or edge types), and a store has one of each: write one "
                     "relation between nodes of one type (for ogbn-mag paper-cites-paper) as edge_index.npy with "
                     "node_feat.npy, node_label.npy, train.npy, valid.npy, test.npy and use --from npy");
  }
}

std::string store_metric(const std::string& ogb_metric) {
  if (ogb_metric == "acc") return "accuracy";
  if (ogb_metric == "rocauc") return "roc-auc";
  if (ogb_metric == "F1" || ogb_metric == "f1") return "micro-f1";
  return {};
}

// Folders below split/ that hold a train file or a split_dict.pt, by their path relative to split/.
std::vector<std::string> list_splits(const InputFiles& files) {
  std::vector<std::string> names;
  for (const std::string& file : files.list()) {
    if (file.rfind("split/", 0) != 0) continue;
    const fs::path path = fs::path(file).lexically_relative("split");
    const std::string name = path.filename().string();
    if (name != "train.csv.gz" && name != "train.csv" && name != kSplitDict) continue;
    if (names.empty() || names.back() != path.parent_path().string()) names.push_back(path.parent_path().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Where the catalogue looks the set up: its name, in the folder that may hold a master.csv.
fs::path catalogue_path(const InputFiles& files) {
  return fs::absolute(files.path()).lexically_normal().parent_path() / files.name();
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

OgbSource::OgbSource(const ImportOptions& options, InputFiles files)
    : files_(std::move(files)),
      zero_nan_(options.zero_nan_features),
      both_ways_(options.undirected),
      means_budget_(options.memory) {
  entry_ = find_ogb_entry(catalogue_path(files_));
  refuse_heterogeneous(files_, entry_);
  facts_.name = files_.name();
  if (entry_) {
    facts_.each_once = entry_->add_inverse_edge;
    facts_.metric = store_metric(entry_->metric);
  }
  both_ways_ = both_ways_ || facts_.each_once;
  choose_split(options.split);
}

void OgbSource::announce_edge_features(const ImportOptions& options, bool found, std::uint64_t columns,
                                       const std::string& place) {
  if (!options.edge_feature_means) {
    if (found) facts_.notes.push_back("edge features are left out" + std::string(kMeansHint));
    return;
  }
  require_edge_features(facts_, found);
  edge_means_ = true;
  facts_.feature_dim = columns;
  facts_.feature_place = place;
  facts_.held_bytes += EdgeFeatureMeans::bytes(facts_.nodes, columns);
}

void OgbSource::choose_split(const std::string& wanted) {
  const std::vector<std::string> names = list_splits(files_);
  const auto has = [&names](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::string name = wanted;
  if (name.empty() && entry_ && has(entry_->split)) name = entry_->split;
  if (name.empty() && !names.empty()) name = names.front();
  if (wanted == "random" && !has(name)) {
    facts_.split = name;
    facts_.random_split = true;
    return;
  }
  if (name.empty()) return;
  if (!has(name)) {
    throw InputError(
        files_.place("split"), "",
        "there is no split '" + name + "'; " + (names.empty() ? "there are none" : "there are: " + joined(names)));
  }
  facts_.split = name;
  split_directory_ = "split/" + name;
}

std::vector<ImportedSplit> OgbSource::read_splits() {
  std::vector<ImportedSplit> splits;
  if (split_directory_.empty()) return splits;
  const InputFile dictionary = files_.file(split_directory_ + "/" + kSplitDict);  // goes first in OGB's loader
  if (dictionary.exists()) return read_torch_splits(dictionary, facts_.nodes, files_.scratch());
  for (const char* part : {"train", "valid", "test"}) {
    const std::string name = split_directory_ + "/" + part + ".csv";
    const InputFile file = files_.file(files_.has(name + ".gz") ? name + ".gz" : name);
    if (!file.exists()) throw InputError(files_.place(name + ".gz"), "", "the split lacks this file");
    const std::uint64_t nodes = facts_.nodes;
    splits.push_back(make_split(part, file.place(), read_node_ids(file, nodes), [file, nodes](NodeId node) {
      const std::vector<NodeId> ids = read_node_ids(file, nodes);  // the last occurrence is the offending one
      const auto found = std::find(ids.rbegin(), ids.rend(), node);
      return "line " + std::to_string(ids.rend() - found);
    }));
  }
  return splits;
}

std::vector<fs::path> OgbSource::files() const {
  std::vector<InputFile> files = raw_files_;
  for (const char* name :
       {"train.csv.gz", "valid.csv.gz", "test.csv.gz", "train.csv", "valid.csv", "test.csv", kSplitDict}) {
    const InputFile file = files_.file(split_directory_ + "/" + name);
    if (!split_directory_.empty() && file.exists()) files.push_back(file);
  }
  return files_on_disk(files);
}

ImportedLabels OgbSource::finish_labels(ImportedLabels labels) const {
  if (entry_ && entry_->tasks > 1 && labels.task == Task::multilabel && labels.classes != entry_->tasks) {
    throw InputError(files_.path().string(), "node labels",
                     "have " + std::to_string(labels.classes) + " columns, but " + entry_->origin + " says " +
                         std::to_string(entry_->tasks) + " tasks");
  }
  return labels;
}

std::unique_ptr<GraphSource> open_ogb_source(const ImportOptions& options) {
  InputFiles files(find_directory(options.input), scratch_folder(options));
  if (files.has("raw/data.npz")) return std::make_unique<OgbNpzSource>(options, std::move(files));
  if (files.has("raw/edge.csv.gz")) return std::make_unique<OgbCsvSource>(options, std::move(files));
  refuse_heterogeneous(files, find_ogb_entry(catalogue_path(files)));
  if (files.has_folder("processed/paper")) {
    throw InputError(files.path().string(), "", "is a MAG240M directory: use --from mag240m");
  }
  throw InputError(files.path().string(), "",
                   "holds neither raw/edge.csv.gz nor raw/data.npz: this is no OGB node set");
}

}  // namespace strata
