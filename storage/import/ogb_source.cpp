#include "storage/import/ogb_source.hpp"

#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/csv.hpp"
#include "storage/import/labels.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

// OGB unpacks `arxiv` and renames it `ogbn_arxiv`: either may be there, whichever was asked for.
fs::path find_directory(fs::path input) {
  if (input.filename().empty()) input = input.parent_path();  // a trailing slash
  if (fs::is_directory(input)) return input;
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
  }
  throw InputError(input.string(), "",
                   "there is no such directory: --input names the set's own directory, which holds raw/");
}

void refuse_heterogeneous(const fs::path& directory, const std::optional<OgbEntry>& entry) {
  static constexpr const char* kSigns[] = {"triplet-type-list.csv.gz", "num-node-dict.csv.gz", "num_nodes_dict.npz",
                                           "relations"};
  const bool sign = std::any_of(std::begin(kSigns), std::end(kSigns),
                                [&](const char* file) { return fs::exists(directory / "raw" / file); });
  if (sign || (entry && entry->heterogeneous)) {
    throw InputError(
        directory.string(), "",
        "is a heterogeneous set (several node or edge types): only sets with one node type and one edge type "
        "can be converted");
  }
}

std::string store_metric(const std::string& ogb_metric) {
  if (ogb_metric == "acc") return "accuracy";
  if (ogb_metric == "rocauc") return "roc-auc";
  if (ogb_metric == "F1" || ogb_metric == "f1") return "micro-f1";
  return {};
}

// Directories below split/ that hold a train file, by their path relative to split/.
std::vector<std::string> list_splits(const fs::path& root) {
  std::vector<std::string> names;
  if (!fs::is_directory(root)) return names;
  for (const fs::directory_entry& file : fs::recursive_directory_iterator(root)) {
    const std::string name = file.path().filename().string();
    if (name == "train.csv.gz" || name == "train.csv") {
      names.push_back(file.path().parent_path().lexically_relative(root).string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

OgbSource::OgbSource(const ImportOptions& options, fs::path directory) : directory_(std::move(directory)) {
  entry_ = find_ogb_entry(fs::absolute(directory_));
  refuse_heterogeneous(directory_, entry_);
  facts_.name = fs::absolute(directory_).filename().string();
  if (entry_) {
    facts_.each_once = entry_->add_inverse_edge;
    facts_.metric = store_metric(entry_->metric);
  }
  choose_split(options.split);
}

void OgbSource::choose_split(const std::string& wanted) {
  const fs::path root = directory_ / "split";
  const std::vector<std::string> names = list_splits(root);
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
        root.string(), "",
        "there is no split '" + name + "'; " + (names.empty() ? "there are none" : "there are: " + joined(names)));
  }
  facts_.split = name;
  split_directory_ = root / name;
}

std::vector<ImportedSplit> OgbSource::read_splits() {
  std::vector<ImportedSplit> splits;
  if (split_directory_.empty()) return splits;
  for (const char* part : {"train", "valid", "test"}) {
    fs::path path = split_directory_ / (std::string(part) + ".csv.gz");
    if (!fs::exists(path)) path.replace_extension();
    if (!fs::exists(path)) throw InputError(path.string() + ".gz", "", "the split lacks this file");
    const std::uint64_t nodes = facts_.nodes;
    splits.push_back(make_split(part, path.string(), read_node_ids(path, nodes), [path, nodes](NodeId node) {
      const std::vector<NodeId> ids = read_node_ids(path, nodes);  // the last occurrence is the offending one
      const auto found = std::find(ids.rbegin(), ids.rend(), node);
      return "line " + std::to_string(ids.rend() - found);
    }));
  }
  return splits;
}

std::vector<fs::path> OgbSource::files() const {
  std::vector<fs::path> files = raw_files_;
  if (!split_directory_.empty()) {
    for (const char* part : {"train.csv.gz", "valid.csv.gz", "test.csv.gz"}) {
      if (fs::exists(split_directory_ / part)) files.push_back(split_directory_ / part);
    }
  }
  return files;
}

ImportedLabels OgbSource::finish_labels(ImportedLabels labels) const {
  if (entry_ && entry_->tasks > 1 && labels.task == Task::multilabel && labels.classes != entry_->tasks) {
    throw InputError(directory_.string(), "node labels",
                     "have " + std::to_string(labels.classes) + " columns, but " + entry_->origin + " says " +
                         std::to_string(entry_->tasks) + " tasks");
  }
  return labels;
}

std::unique_ptr<GraphSource> open_ogb_source(const ImportOptions& options) {
  fs::path directory = find_directory(options.input);
  if (fs::exists(directory / "raw" / "data.npz")) return std::make_unique<OgbNpzSource>(options, directory);
  if (fs::exists(directory / "raw" / "edge.csv.gz")) return std::make_unique<OgbCsvSource>(options, directory);
  const std::optional<OgbEntry> entry = find_ogb_entry(fs::absolute(directory));
  refuse_heterogeneous(directory, entry);
  throw InputError(directory.string(), "", "holds neither raw/edge.csv.gz nor raw/data.npz: this is no OGB node set");
}

}  // namespace strata
