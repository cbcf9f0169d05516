#include "storage/import/snap_source.hpp"

#include <array>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/snap_labels.hpp"

namespace strata {
namespace {

constexpr std::size_t kEdgesPerBlock = std::size_t{1} << 18;

std::string set_name(const InputFile& edges, const fs::path& input) {
  fs::path name = fs::absolute(input).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  name = name.filename();
  const bool whole = fs::is_directory(input);
  while (!whole && name.has_extension() && (name.extension() == ".gz" || name.extension() == ".zst"))
    name = name.stem();
  return whole ? name.string() : name.has_extension() ? name.stem().string() : edges.disk().filename().string();
}

// Headers of the sets that list every undirected edge once; the Wikipedia ones ("id1,id2") list directed links.
bool is_undirected_header(const std::string& header) {
  static constexpr std::array<const char*, 3> kHeaders = {"id_1,id_2", "from,to", "node_1,node_2"};
  std::string plain;
  for (const char c : header) {
    if (c != '"' && c != ' ' && c != '\r') plain += c;
  }
  for (const char* known : kHeaders) {
    if (plain == known) return true;
  }
  return false;
}

}  // namespace

SnapSource::SnapSource(const ImportOptions& options) : budget_(options.memory), layout_(find_snap_layout(options)) {
  facts_.name = set_name(layout_.edges, options.input);
  facts_.split = options.split;
  facts_.random_split = options.split == "random";
  IdCollector ids(budget_);
  scan_edges(ids);
  std::uint64_t columns = 0;
  visit_label_ids(layout_.labels, layout_.label_kind, [&ids](std::uint64_t id) { ids.add(id); });
  const bool featured = layout_.features.exists();
  if (featured) columns = visit_feature_ids(layout_.features, [&ids](std::uint64_t id) { ids.add(id); });
  ids_ = ids.finish();
  facts_.nodes = ids_.size();
  if (facts_.nodes == 0) throw InputError(layout_.edges.place(), "", "holds no edges");
  if (featured && columns != 0) {
    features_ = SparseFeatures(layout_.features, ids_, columns, budget_);
    facts_.feature_dim = columns;
    facts_.feature_place = layout_.features.place();
  }
  facts_.held_bytes = budget_.used();
}

void SnapSource::scan_edges(IdCollector& ids) {
  EdgeListReader reader(layout_.edges);
  IdPair pair;
  while (reader.next(pair)) {
    ++facts_.edges;
    ids.add(pair.source);
    ids.add(pair.target);
  }
  describe(reader);
}

void SnapSource::describe(const EdgeListReader& reader) {
  if (reader.declared_edges() && *reader.declared_edges() != facts_.edges) {
    throw InputError(reader.path(), "line " + std::to_string(reader.declared_at()),
                     "announces " + std::to_string(*reader.declared_edges()) + " edges, but the file holds " +
                         std::to_string(facts_.edges) +
                         ": it was cut short or changed (without that comment it is taken as it is)");
  }
  const bool named = layout_.edges.place().find(".ungraph") != std::string::npos;
  facts_.each_once = reader.says_undirected() || named || is_undirected_header(reader.header());
  if (reader.has_more_columns()) facts_.notes.push_back("only the first two columns of the edge list are used");
}

void SnapSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  EdgeListReader reader(layout_.edges);
  const Array<EdgePair> block(budget, kEdgesPerBlock, "a block of edges");
  std::size_t filled = 0;
  std::uint64_t count = 0;
  const auto node_of = [&](std::uint64_t id) {
    const std::optional<NodeId> node = ids_.find(id);
    if (!node) reader.fail("node id " + std::to_string(id) + " was not there before: the file has changed");
    return *node;
  };
  IdPair pair;
  while (reader.next(pair)) {
    if (++count > facts_.edges) reader.fail("more edges than before: the file has changed");
    block[filled++] = {node_of(pair.source), node_of(pair.target)};
    if (filled < block.size()) continue;
    sink({block.data(), filled}, {});
    filled = 0;
  }
  if (count != facts_.edges) throw InputError(reader.path(), "", "fewer edges than before: the file has changed");
  if (filled != 0) sink({block.data(), filled}, {});
}

void SnapSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim != 0) features_.read(budget, sink);
}

ImportedLabels SnapSource::read_labels(MemoryBudget& budget) {
  return read_snap_labels(layout_.labels, layout_.label_kind, ids_, budget);
}

Array<std::uint64_t> SnapSource::external_ids(MemoryBudget& budget) {
  return ids_.is_identity() ? Array<std::uint64_t>() : ids_.ids(budget);
}

std::vector<fs::path> SnapSource::files() const { return files_on_disk(layout_.all()); }

std::unique_ptr<GraphSource> open_snap_source(const ImportOptions& options) {
  if (!options.split.empty() && options.split != "random") {
    throw UsageError("--split " + options.split +
                     ": these sets have no splits; use --split random, or strata-store add afterwards");
  }
  return std::make_unique<SnapSource>(options);
}

}  // namespace strata
