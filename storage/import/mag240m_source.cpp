#include "storage/import/mag240m_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/torch_file.hpp"

namespace strata {
namespace {

constexpr const char* kPapers = "processed/paper";
constexpr const char* kCites = "processed/paper___cites___paper";
constexpr const char* kMeta = "meta.pt";
constexpr const char* kSplitDict = "split_dict.pt";
constexpr std::array<const char*, 3> kSplits = {"train", "valid", "test"};

InputFiles find_directory(const ImportOptions& options) {
  InputFiles files(options.input, scratch_folder(options));
  static constexpr const char* kName = "mag240m_kddcup2021";
  const bool above = !files.is_archive() && !files.has_folder("processed") && files.has_folder(kName);
  return above ? InputFiles(files.path() / kName, files.scratch()) : files;
}

}  // namespace

Mag240mSource::Mag240mSource(const ImportOptions& options, InputFiles files)
    : files_(std::move(files)), papers_(files_, kPapers), cites_(files_, kCites), splits_(files_, "") {
  facts_.name = files_.name();
  if (!cites_.has("edge_index")) {
    throw InputError(files_.path().string(), "",
                     "lacks " + std::string(kCites) + "/edge_index.npy: this is no MAG240M directory");
  }
  facts_.edges = edge_count(cites_, "edge_index");
  count_nodes();
  if (files_.has(kMeta)) check_meta();
  if (papers_.has("node_feat")) {
    facts_.feature_dim = feature_columns(papers_, "node_feat", facts_.nodes);
    facts_.feature_place = papers_.place("node_feat");
  }
  facts_.metric = "accuracy";
  choose_split(options.split);
  facts_.notes.push_back("papers and their citations are converted; authors and institutions are left out");
}

void Mag240mSource::count_nodes() {
  for (const char* key : {"node_feat", "node_label"}) {
    if (!papers_.has(key)) continue;
    const std::uint64_t rows = papers_.open(key).header().rows();
    if (facts_.nodes != 0 && rows != facts_.nodes) {
      papers_.fail(key, "",
                   "is about " + std::to_string(rows) + " papers, node_feat about " + std::to_string(facts_.nodes));
    }
    facts_.nodes = rows;
  }
  if (facts_.nodes == 0) {
    throw InputError(files_.path().string(), "", "lacks " + std::string(kPapers) + "/node_feat.npy and node_label.npy");
  }
}

void Mag240mSource::check_meta() {
  const std::map<std::string, TorchEntry> meta = read_torch_file(files_.file(kMeta), files_.scratch());
  const auto number = [&](const char* key) {
    const auto found = meta.find(key);
    const bool good = found == meta.end() || (!found->second.is_array && found->second.number >= 0);
    if (!good) throw InputError(files_.place(kMeta), key, "is no count");
    return found == meta.end() ? 0 : static_cast<std::uint64_t>(found->second.number);
  };
  const std::uint64_t papers = number("paper");
  if (papers != 0 && papers != facts_.nodes) {
    throw InputError(files_.place(kMeta), "paper",
                     "says " + std::to_string(papers) + " papers, but the arrays have " + std::to_string(facts_.nodes));
  }
  classes_ = number("num_classes");
}

void Mag240mSource::choose_split(const std::string& wanted) {
  if (wanted == "random") {
    facts_.split = wanted;
    facts_.random_split = true;
    return;
  }
  if (!wanted.empty()) {
    throw UsageError("--split " + wanted + ": this set has one split; use --split random to draw another");
  }
  split_arrays_ = splits_.has("train");
  if (split_arrays_ || files_.has(kSplitDict)) facts_.split = "given";
}

void Mag240mSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  read_edge_arrays(cites_, "edge_index", "", facts_.nodes, budget, sink);
}

void Mag240mSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim != 0) read_feature_array(papers_, "node_feat", facts_.nodes, budget, sink);
}

ImportedLabels Mag240mSource::read_labels(MemoryBudget& budget) {
  if (!papers_.has("node_label")) return {};
  return read_label_array(papers_, "node_label", facts_.nodes, classes_, budget);
}

std::vector<ImportedSplit> Mag240mSource::read_splits() {
  if (facts_.split.empty() || facts_.random_split) return {};
  if (!split_arrays_) return read_torch_splits(files_.file(kSplitDict), facts_.nodes, files_.scratch());
  std::vector<ImportedSplit> splits;
  for (const char* name : kSplits) {
    if (splits_.has(name)) splits.push_back(read_split_array(splits_, name, name, facts_.nodes, 0));
  }
  return splits;
}

std::vector<fs::path> Mag240mSource::files() const {
  std::vector<InputFile> files = {files_.file(std::string(kCites) + "/edge_index.npy")};
  for (const char* name : {"processed/paper/node_feat.npy", "processed/paper/node_label.npy", kMeta, kSplitDict}) {
    if (files_.has(name)) files.push_back(files_.file(name));
  }
  for (const char* name : kSplits) {
    if (split_arrays_ && splits_.has(name)) files.push_back(files_.file(std::string(name) + ".npy"));
  }
  return files_on_disk(files);
}

std::unique_ptr<GraphSource> open_mag240m_source(const ImportOptions& options) {
  return std::make_unique<Mag240mSource>(options, find_directory(options));
}

}  // namespace strata
