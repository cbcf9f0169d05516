#include "storage/import/edge_features.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/base/error.hpp"

namespace strata {

EdgeFeatureMeans::EdgeFeatureMeans(MemoryBudget& budget, std::uint64_t nodes, std::uint64_t columns)
    : columns_(columns),
      sums_(budget, nodes * columns, "sums of edge features"),
      counts_(budget, nodes, "edges by node") {}

std::uint64_t EdgeFeatureMeans::bytes(std::uint64_t nodes, std::uint64_t columns) {
  return round_up(nodes * columns * sizeof(double), kBlockAlignment) +
         round_up(nodes * sizeof(std::uint64_t), kBlockAlignment);
}

void EdgeFeatureMeans::add(NodeId node, std::span<const float> row) {
  double* const sums = sums_.data() + node * columns_;
  for (std::size_t c = 0; c < columns_; ++c) sums[c] += static_cast<double>(row[c]);
  ++counts_[node];
}

void EdgeFeatureMeans::read(MemoryBudget& budget, const GraphSource::RowSink& sink) const {
  const std::size_t capacity = rows_per_block(columns_);
  const Array<float> block(budget, capacity * columns_, "a block of features");
  for (std::size_t first = 0; first < counts_.size(); first += capacity) {
    const std::size_t rows = std::min(capacity, counts_.size() - first);
    for (std::size_t r = 0; r < rows; ++r) {
      const auto count = static_cast<double>(std::max<std::uint64_t>(counts_[first + r], 1));
      for (std::size_t c = 0; c < columns_; ++c) {
        block[r * columns_ + c] = static_cast<float>(sums_[(first + r) * columns_ + c] / count);
      }
    }
    sink(first, {block.data(), rows, columns_});
  }
}

EdgeFeatureMeans average_edge_features(GraphSource& source, bool both_ways, MemoryBudget& held, MemoryBudget& scratch,
                                       const std::function<void(std::span<float> row)>& next) {
  EdgeFeatureMeans means(held, source.facts().nodes, source.facts().feature_dim);
  std::vector<float> row(source.facts().feature_dim);
  source.read_edges(scratch, [&](std::span<const EdgePair> pairs, std::span<const float>) {
    for (const EdgePair& pair : pairs) {
      next(row);
      means.add(pair.target, row);
      if (both_ways) means.add(pair.source, row);
    }
  });
  return means;
}

std::uint64_t edge_feature_columns(const ArraySet& arrays, const std::string& key, std::uint64_t edges) {
  const NpyReader reader = arrays.open(key);
  const NpyHeader& header = reader.header();
  const bool numbers = header.type.is_float() || header.type.is_integer();
  if (!numbers || header.shape.empty() || header.shape.size() > 2 || header.rows() != edges || header.fortran_order) {
    arrays.fail(key, "",
                "holds " + header.type.text() + " of shape " + header.shape_text() + ", expected numbers in " +
                    std::to_string(edges) + " rows, one an edge, in C order");
  }
  return header.row_elements();
}

EdgeFeatureMeans average_edge_array(GraphSource& source, bool both_ways, const ArraySet& arrays, const std::string& key,
                                    bool zero_nan, MemoryBudget& held, MemoryBudget& scratch) {
  NpyReader reader = arrays.open(key);
  std::uint64_t edge = 0;
  return average_edge_features(source, both_ways, held, scratch, [&](std::span<float> row) {
    reader.read_as_float(row);
    require_finite(row, zero_nan,
                   [&](const std::string& what) { arrays.fail(key, "row " + std::to_string(edge), what); });
    ++edge;
  });
}

void require_finite(std::span<float> row, bool zero_nan, const std::function<void(const std::string& what)>& fail) {
  for (std::size_t c = 0; c < row.size(); ++c) {
    if (std::isfinite(row[c])) continue;
    if (!zero_nan) {
      fail("column " + std::to_string(c) + " is NaN or infinite (--nan-features zero would make it 0)");
    }
    row[c] = 0.0f;
  }
}

void require_edge_features(const SourceFacts& facts, bool found) {
  if (!found) throw UsageError("--edge-features mean: " + facts.name + " has no edge features");
  if (facts.feature_dim != 0) {
    throw UsageError("--edge-features mean: " + facts.name + " has node features, which it would replace");
  }
}

}  // namespace strata
