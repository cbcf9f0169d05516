// The csv.gz layout: edge, num-node-list, num-edge-list, node-feat, node-label; no headers, one item a line.
#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/csv.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/ogb_source.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEdgesPerBlock = std::size_t{1} << 18;

void require_file(const fs::path& path) {
  if (!fs::exists(path)) throw InputError(path.string(), "", "the set lacks this file");
}

std::uint64_t columns_of(const fs::path& path) {
  LineReader lines(open_text_source(path));
  if (!lines.next()) return 0;
  return count_fields(lines.line());
}

[[noreturn]] void wrong_count(const fs::path& path, std::uint64_t found, std::uint64_t expected,
                              const char* listed_in) {
  throw InputError(
      path.string(), "line " + std::to_string(found),
      "the file has " + std::to_string(found) + " lines, but " + listed_in + " says " + std::to_string(expected));
}

}  // namespace

OgbCsvSource::OgbCsvSource(const ImportOptions& options, fs::path directory)
    : OgbSource(options, std::move(directory)) {
  for (const char* file : {"edge.csv.gz", "num-node-list.csv.gz", "num-edge-list.csv.gz"}) {
    require_file(raw(file));
    raw_files_.push_back(raw(file));
  }
  facts_.nodes = read_single_count(raw("num-node-list.csv.gz"));
  facts_.edges = read_single_count(raw("num-edge-list.csv.gz"));
  const fs::path features = raw("node-feat.csv.gz");
  if (fs::exists(features)) {
    facts_.feature_dim = columns_of(features);
    facts_.feature_place = features.string();
    raw_files_.push_back(features);
  } else if (entry_ && entry_->has_node_features) {
    throw InputError(features.string(), "", "the set lacks this file, but " + entry_->origin + " says it has features");
  }
  if (fs::exists(raw("node-label.csv.gz"))) raw_files_.push_back(raw("node-label.csv.gz"));
}

void OgbCsvSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  const fs::path path = raw("edge.csv.gz");
  LineReader lines(open_text_source(path));
  const Array<EdgePair> block(budget, kEdgesPerBlock, "a block of edges");
  std::size_t filled = 0;
  std::uint64_t count = 0;
  const auto endpoint = [&](CsvFields& fields) {
    const std::int64_t id = fields.next_integer();
    if (id < 0 || static_cast<std::uint64_t>(id) >= facts_.nodes) {
      lines.fail("node id " + std::to_string(id) + " is not in [0, " + std::to_string(facts_.nodes) + ")");
    }
    return static_cast<NodeId>(id);
  };
  while (lines.next()) {
    if (lines.line().empty()) continue;
    if (++count > facts_.edges)
      lines.fail("more edges than the " + std::to_string(facts_.edges) + " of num-edge-list.csv.gz");
    CsvFields fields(lines);
    const NodeId source = endpoint(fields);
    const NodeId target = endpoint(fields);
    fields.require_end(2);
    block[filled++] = {source, target};
    if (filled == block.size()) {
      sink({block.data(), filled}, {});
      filled = 0;
    }
  }
  if (count != facts_.edges) wrong_count(path, count, facts_.edges, "num-edge-list.csv.gz");
  if (filled != 0) sink({block.data(), filled}, {});
}

void OgbCsvSource::read_features(MemoryBudget& budget, const RowSink& sink) {
  if (facts_.feature_dim == 0) return;
  const fs::path path = raw("node-feat.csv.gz");
  LineReader lines(open_text_source(path), std::size_t{1} << 27);
  const std::size_t columns = facts_.feature_dim;
  const std::size_t capacity = rows_per_block(columns);
  const Array<float> block(budget, capacity * columns, "a block of features");
  std::uint64_t row = 0;
  std::size_t filled = 0;
  while (lines.next()) {
    if (lines.line().empty()) continue;
    if (row == facts_.nodes)
      lines.fail("more rows than the " + std::to_string(facts_.nodes) + " nodes of num-node-list.csv.gz");
    CsvFields fields(lines);
    float* to = block.data() + filled * columns;
    for (std::size_t c = 0; c < columns; ++c) to[c] = fields.next_float();
    fields.require_end(columns);
    ++row;
    if (++filled == capacity) {
      sink(row - filled, {block.data(), filled, columns});
      filled = 0;
    }
  }
  if (row != facts_.nodes) wrong_count(path, row, facts_.nodes, "num-node-list.csv.gz");
  if (filled != 0) sink(row - filled, {block.data(), filled, columns});
}

ImportedLabels OgbCsvSource::read_labels(MemoryBudget& budget) {
  const fs::path path = raw("node-label.csv.gz");
  if (!fs::exists(path)) return {};
  const std::size_t columns = columns_of(path);
  LineReader lines(open_text_source(path));
  LabelBuilder builder(budget, facts_.nodes, columns, columns > 1 ? 0 : known_classes(),
                       [&lines](std::uint64_t, const std::string& what) { lines.fail(what); });
  std::vector<float> values(columns);
  std::uint64_t row = 0;
  while (lines.next()) {
    // An empty line is how a single NaN label is written; only one at the very end is no row.
    if (row == facts_.nodes) {
      if (lines.line().empty()) continue;
      lines.fail("more rows than the " + std::to_string(facts_.nodes) + " nodes of num-node-list.csv.gz");
    }
    CsvFields fields(lines);
    for (float& value : values) value = fields.next_float();
    fields.require_end(columns);
    if (columns > 1) {
      builder.set_targets(row, values);
    } else {
      builder.set_class(row, static_cast<double>(values[0]));
    }
    ++row;
  }
  if (row != facts_.nodes) wrong_count(path, row, facts_.nodes, "num-node-list.csv.gz");
  return finish_labels(builder.take());
}

}  // namespace strata
