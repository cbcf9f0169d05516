#include "storage/import/graphsage_source.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/import/class_map.hpp"
#include "storage/import/labels.hpp"

namespace strata {
namespace {

constexpr const char* kGraph = "-G.json";
constexpr std::size_t kEdgesPerBlock = std::size_t{1} << 16;

std::uint64_t hash_of(const std::string& name) { return checksum(std::as_bytes(std::span(name))); }

// An id that is text or an integer, as text.
std::string take_name(JsonReader& json, bool* text = nullptr) {
  const bool is_text = json.peek() == JsonReader::Kind::string;
  if (text != nullptr) *text = is_text;
  return is_text ? json.take_string() : std::to_string(json.take_integer());
}

// Calls entry(json) at each element of the list under `list`; others are left out.
template <class Entry>
void visit_list(const InputFile& file, const std::string& list, Entry&& entry) {
  JsonReader json(file);
  std::string key;
  bool found = false;
  json.begin_object();
  while (json.next_key(key)) {
    if (key != list) {
      json.skip_value();
      continue;
    }
    found = true;
    json.begin_array();
    while (json.next_element()) entry(json);
  }
  json.end();
  if (!found) throw InputError(file.place(), "", "there is no list \"" + list + "\"");
}

}  // namespace

std::optional<SageFiles> find_sage_files(const ImportOptions& options) {
  fs::path input = options.input;
  std::string prefix;
  const std::string text = input.string();
  if (text.ends_with(kGraph)) input = text.substr(0, text.size() - std::string(kGraph).size());
  if (!fs::exists(input) && fs::exists(input.string() + kGraph)) {
    prefix = input.filename().string();
    input = input.has_parent_path() ? input.parent_path() : fs::path(".");
  }
  InputFiles files(input, scratch_folder(options));
  if (!prefix.empty()) return SageFiles{std::move(files), prefix};
  for (const std::string& name : files.list()) {
    if (!name.ends_with(kGraph)) continue;
    if (!prefix.empty()) {
      std::string what = "holds several graphs (";
      what.append(prefix).append(kGraph).append(", ").append(name).append("): give one as --input");
      throw InputError(files.path().string(), "", what);
    }
    prefix = name.substr(0, name.size() - std::string(kGraph).size());
  }
  if (prefix.empty()) return std::nullopt;
  return SageFiles{std::move(files), prefix};
}

void NodeNames::add(const std::string& name, NodeId row) {
  STRATA_ASSERT(filled_ < entries_.size());
  entries_[filled_++] = {hash_of(name), row};
}

std::optional<std::pair<NodeId, NodeId>> NodeNames::finish() {
  Entry* const last = entries_.begin() + filled_;
  std::sort(entries_.begin(), last, [](const Entry& a, const Entry& b) { return a.hash < b.hash; });
  const Entry* const twice =
      std::adjacent_find(entries_.begin(), last, [](const Entry& a, const Entry& b) { return a.hash == b.hash; });
  if (twice == last) return std::nullopt;
  return std::pair(twice[0].row, twice[1].row);
}

std::optional<NodeId> NodeNames::find(const std::string& name) const {
  const std::uint64_t hash = hash_of(name);
  const Entry* const last = entries_.begin() + filled_;
  const Entry* const found =
      std::lower_bound(static_cast<const Entry*>(entries_.begin()), last, hash,
                       [](const Entry& entry, std::uint64_t wanted) { return entry.hash < wanted; });
  if (found == last || found->hash != hash) return std::nullopt;
  return found->row;
}

GraphSageSource::GraphSageSource(const ImportOptions& options, SageFiles sage)
    : files_(std::move(sage.files)),
      prefix_(std::move(sage.prefix)),
      arrays_(files_, ""),
      budget_(options.memory),
      has_id_map_(file("-id_map.json").exists()) {
  facts_.name = fs::path(prefix_).filename().string();
  if (file("-class_map.json").exists()) facts_.split = options.split.empty() ? "flags" : options.split;
  facts_.random_split = facts_.split == "random";
  count_graph();
  read_id_map();
  read_nodes();
  const std::string feats = prefix_ + "-feats";
  if (arrays_.has(feats)) {
    facts_.feature_dim = feature_columns(arrays_, feats, facts_.nodes);
    facts_.feature_place = arrays_.place(feats);
  }
  facts_.held_bytes = budget_.used();
}

// Numbers of nodes and links, and whether links go both ways.
void GraphSageSource::count_graph() {
  JsonReader json(file(kGraph));
  std::string key;
  bool directed = false;
  json.begin_object();
  while (json.next_key(key)) {
    if (key == "nodes" || key == "links") {
      std::uint64_t& count = key == "nodes" ? positions_ : facts_.edges;
      json.begin_array();
      while (json.next_element()) {
        ++count;
        json.skip_value();
      }
    } else if (key == "directed") {
      directed = json.take_boolean();
    } else {
      json.skip_value();
    }
  }
  json.end();
  if (positions_ == 0) throw InputError(json.path(), "", "holds no nodes");
  facts_.each_once = !directed;
  facts_.nodes = positions_;
}

void GraphSageSource::read_id_map() {
  names_ = NodeNames(budget_, positions_);
  if (!has_id_map_) return;
  JsonReader json(file("-id_map.json"));
  const Array<std::uint8_t> seen(budget_, positions_, "rows of the id map");
  std::string key;
  json.begin_object();
  while (json.next_key(key)) {
    if (names_.size() == positions_) {
      json.fail("more ids than the " + std::to_string(positions_) + " nodes of " + prefix_ + kGraph);
    }
    const NodeId row = take_node(json, positions_);
    if (seen[row]++ != 0) json.fail("row " + std::to_string(row) + " is given to two ids");
    names_.add(key, row);
  }
  json.end();
  if (names_.size() != positions_) {
    throw InputError(json.path(), "",
                     "holds " + std::to_string(names_.size()) + " ids, but " + prefix_ + kGraph + " has " +
                         std::to_string(positions_) + " nodes");
  }
  if (names_.finish()) throw InputError(json.path(), "", "an id occurs twice");
}

void GraphSageSource::read_nodes() {
  row_of_position_ = Array<NodeId>(budget_, positions_, "rows of nodes");
  role_of_ = Array<std::uint8_t>(budget_, positions_, "roles of nodes");
  const Array<std::uint8_t> seen(budget_, positions_, "nodes seen");
  std::uint64_t position = 0;
  visit_list(file(kGraph), "nodes", [&](JsonReader& json) {
    if (position == positions_) json.fail("more nodes than before: the file has changed");
    std::string key, name;
    bool has_id = false, has_flags = false, valid = false, test = false, text = false;
    json.begin_object();
    while (json.next_key(key)) {
      if (key == "id") {
        name = take_name(json, &text);
        has_id = true;
      } else if (key == "val" || key == "test") {
        (key == "val" ? valid : test) = json.take_boolean();
        has_flags = true;
      } else {
        json.skip_value();
      }
    }
    if (!has_id) json.fail("node " + std::to_string(position) + " of the list has no \"id\"");
    if (valid && test) json.fail("node " + name.substr(0, 40) + " is in both val and test");
    named_ = named_ || text;
    if (!has_id_map_) names_.add(name, static_cast<NodeId>(position));
    const NodeId row = has_id_map_ ? row_of(json, name) : static_cast<NodeId>(position);
    if (seen[row]++ != 0) json.fail("node " + name.substr(0, 40) + " occurs twice");
    row_of_position_[position++] = row;
    role_of_[row] = static_cast<std::uint8_t>(!has_flags ? 0 : test ? 3 : valid ? 2 : 1);
  });
  if (has_id_map_) return;
  if (const auto twice = names_.finish()) {
    throw InputError(file(kGraph).place(), "",
                     "nodes " + std::to_string(twice->first) + " and " + std::to_string(twice->second) +
                         " of the list have the same id");
  }
}

NodeId GraphSageSource::row_of(const JsonReader& json, const std::string& name) const {
  const std::optional<NodeId> row = names_.find(name);
  if (!row) json.fail("node id '" + name.substr(0, 40) + "' is not among the known nodes");
  return *row;
}

// networkx 1 wrote positions in the list of nodes, later ones write ids. Where ids are text a number is a position;
// where they are numbers it is taken as an id, which is the same for the published sets.
NodeId GraphSageSource::take_end(JsonReader& json) const {
  if (!named_ || json.peek() == JsonReader::Kind::string) return row_of(json, take_name(json));
  return row_of_position_[take_node(json, positions_)];
}

void GraphSageSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  const Array<EdgePair> block(budget, kEdgesPerBlock, "a block of edges");
  std::size_t filled = 0;
  std::uint64_t count = 0;
  visit_list(file(kGraph), "links", [&](JsonReader& json) {
    std::string key;
    std::optional<NodeId> source, target;
    json.begin_object();
    while (json.next_key(key)) {
      if (key == "source") {
        source = take_end(json);
      } else if (key == "target") {
        target = take_end(json);
      } else {
        json.skip_value();
      }
    }
    if (!source || !target) json.fail("link " + std::to_string(count) + " lacks its source or target");
    if (++count > facts_.edges) json.fail("more links than before: the file has changed");
    block[filled++] = {*source, *target};
    if (filled < block.size()) return;
    sink({block.data(), filled}, {});
    filled = 0;
  });
  if (filled != 0) sink({block.data(), filled}, {});
}

void GraphSageSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim != 0) read_feature_array(arrays_, prefix_ + "-feats", facts_.nodes, budget, sink);
}

ImportedLabels GraphSageSource::read_labels(MemoryBudget& budget) {
  const InputFile map = file("-class_map.json");
  if (!map.exists()) return {};
  return read_class_map(
      map, facts_.nodes, [this](const JsonReader& json, const std::string& key) { return row_of(json, key); }, budget);
}

std::vector<ImportedSplit> GraphSageSource::read_splits() {
  static constexpr std::array<const char*, 3> kNames = {"train", "valid", "test"};
  std::vector<ImportedSplit> splits;
  if (facts_.split.empty() || facts_.random_split) return splits;
  const std::string place = file(kGraph).place();
  for (std::size_t s = 0; s < kNames.size(); ++s) {
    std::vector<NodeId> nodes;
    for (std::size_t n = 0; n < role_of_.size(); ++n) {
      if (role_of_[n] == s + 1) nodes.push_back(static_cast<NodeId>(n));
    }
    splits.push_back(make_split(kNames[s], place, std::move(nodes), {}));
  }
  return splits;
}

std::vector<fs::path> GraphSageSource::files() const {
  std::vector<InputFile> files;
  for (const char* end : {kGraph, "-feats.npy", "-id_map.json", "-class_map.json"}) {
    if (file(end).exists()) files.push_back(file(end));
  }
  return files_on_disk(files);
}

}  // namespace strata
