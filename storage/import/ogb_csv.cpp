// The csv.gz layout: edge, num-node-list, num-edge-list, node-feat, node-label; no headers, one item a line.
#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/csv.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/ogb_source.hpp"

namespace strata {
namespace {

constexpr std::size_t kEdgesPerBlock = std::size_t{1} << 18;
constexpr std::size_t kLongestLine = std::size_t{1} << 27;  // of features

void require_file(const InputFile& file) {
  if (!file.exists()) throw InputError(file.place(), "", "the set lacks this file");
}

std::uint64_t columns_of(const InputFile& file) {
  LineReader lines(file.open_text(), kLongestLine);
  if (!lines.next()) return 0;
  return count_fields(lines.line());
}

[[noreturn]] void wrong_count(const InputFile& file, std::uint64_t found, std::uint64_t expected,
                              const char* listed_in) {
  throw InputError(
      file.place(), "line " + std::to_string(found),
      "the file has " + std::to_string(found) + " lines, but " + listed_in + " says " + std::to_string(expected));
}

}  // namespace

OgbCsvSource::OgbCsvSource(const ImportOptions& options, InputFiles files) : OgbSource(options, std::move(files)) {
  for (const char* file : {"edge.csv.gz", "num-node-list.csv.gz", "num-edge-list.csv.gz"}) {
    require_file(raw(file));
    raw_files_.push_back(raw(file));
  }
  facts_.nodes = read_single_count(raw("num-node-list.csv.gz"));
  facts_.edges = read_single_count(raw("num-edge-list.csv.gz"));
  const InputFile features = raw("node-feat.csv.gz");
  if (features.exists()) {
    facts_.feature_dim = columns_of(features);
    facts_.feature_place = features.place();
    raw_files_.push_back(features);
  } else if (entry_ && entry_->has_node_features) {
    throw InputError(features.place(), "", "the set lacks this file, but " + entry_->origin + " says it has features");
  }
  const InputFile edge_features = raw("edge-feat.csv.gz");
  const bool found = edge_features.exists();
  announce_edge_features(options, found, found ? columns_of(edge_features) : 0, edge_features.place());
  if (edge_means_) raw_files_.push_back(edge_features);
  if (raw("node-label.csv.gz").exists()) raw_files_.push_back(raw("node-label.csv.gz"));
}

void OgbCsvSource::read_edges(MemoryBudget& budget, const EdgeSink& sink) {
  const InputFile path = raw("edge.csv.gz");
  LineReader lines(path.open_text());
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
  if (edge_means_) return read_edge_means(budget, sink);
  const InputFile path = raw("node-feat.csv.gz");
  LineReader lines(path.open_text(), kLongestLine);
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

void OgbCsvSource::read_edge_means(MemoryBudget& budget, const RowSink& sink) {
  if (!means_) {
    const InputFile file = raw("edge-feat.csv.gz");
    LineReader lines(file.open_text());
    const std::size_t columns = facts_.feature_dim;
    std::uint64_t rows = 0;
    const auto next_line = [&] {
      while (lines.next()) {
        if (!lines.line().empty()) return true;
      }
      return false;
    };
    means_ = average_edge_features(*this, both_ways_, means_budget_, budget, [&](std::span<float> row) {
      if (!next_line()) wrong_count(file, rows, facts_.edges, "num-edge-list.csv.gz");
      ++rows;
      CsvFields fields(lines);
      for (float& value : row) value = fields.next_float();
      fields.require_end(columns);
      require_finite(row, zero_nan_, [&lines](const std::string& what) { lines.fail(what); });
    });
    if (next_line())
      lines.fail("more rows than the " + std::to_string(facts_.edges) + " edges of num-edge-list.csv.gz");
  }
  means_->read(budget, sink);
}

ImportedLabels OgbCsvSource::read_labels(MemoryBudget& budget) {
  const InputFile path = raw("node-label.csv.gz");
  if (!path.exists()) return {};
  const std::size_t columns = columns_of(path);
  LineReader lines(path.open_text());
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
