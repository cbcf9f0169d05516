#include "storage/import/sparse_features.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "kernels/base/error.hpp"
#include "storage/import/json_reader.hpp"

namespace strata {
namespace {

// Dense rows of more are no features but a damaged file.
constexpr std::int64_t kMostColumns = std::int64_t{1} << 24;

// row(id) before the indices of a node, value(index) for each.
template <class Row, class Value>
void visit_rows(const InputFile& file, Row&& row, Value&& value) {
  JsonReader json(file);
  json.begin_object();
  std::string key;
  while (json.next_key(key)) {
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) {
      json.fail("the key '" + key.substr(0, 40) + "' is not a node id");
    }
    row(json, id);
    json.begin_array();
    while (json.next_element()) {
      const std::int64_t index = json.take_integer();
      if (index < 0 || index >= kMostColumns) {
        json.fail("feature index " + std::to_string(index) + " of node " + key + " is not in [0, " +
                  std::to_string(kMostColumns) + ")");
      }
      value(static_cast<std::uint32_t>(index));
    }
  }
  json.end();
}

}  // namespace

std::uint64_t visit_feature_ids(const InputFile& file, const std::function<void(std::uint64_t id)>& visit) {
  std::uint64_t columns = 0;
  visit_rows(
      file, [&visit](const JsonReader&, std::uint64_t id) { visit(id); },
      [&columns](std::uint32_t index) { columns = std::max<std::uint64_t>(columns, index + 1); });
  return columns;
}

SparseFeatures::SparseFeatures(const InputFile& file, const IdTable& ids, std::uint64_t columns, MemoryBudget& budget)
    : columns_(columns), offsets_(budget, ids.size() + 1, "rows of sparse features") {
  NodeId node = 0;
  const Array<std::uint8_t> seen(budget, ids.size(), "nodes with features");
  const auto find = [&](const JsonReader& json, std::uint64_t id) {
    const std::optional<NodeId> found = ids.find(id);
    if (!found) json.fail("node id " + std::to_string(id) + " was not there before: the file has changed");
    node = *found;
  };
  visit_rows(
      file,
      [&](const JsonReader& json, std::uint64_t id) {
        find(json, id);
        if (seen[node]++ != 0) json.fail("node " + std::to_string(id) + " has features already");
      },
      [&](std::uint32_t) { ++offsets_[node + 1]; });
  for (std::size_t n = 0; n < ids.size(); ++n) offsets_[n + 1] += offsets_[n];
  indices_ = Array<std::uint32_t>(budget, offsets_[ids.size()], "sparse features");
  std::uint64_t at = 0;
  visit_rows(
      file,
      [&](const JsonReader& json, std::uint64_t id) {
        find(json, id);
        at = offsets_[node];
      },
      [&](std::uint32_t index) { indices_[at++] = index; });
}

void SparseFeatures::read(MemoryBudget& budget, const GraphSource::RowSink& sink) const {
  const std::size_t nodes = offsets_.size() - 1, capacity = rows_per_block(columns_);
  const Array<float> block(budget, capacity * columns_, "a block of features");
  for (std::size_t first = 0; first < nodes; first += capacity) {
    const std::size_t rows = std::min(capacity, nodes - first);
    std::fill_n(block.data(), rows * columns_, 0.0f);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::uint64_t i = offsets_[first + r]; i < offsets_[first + r + 1]; ++i) {
        block[r * columns_ + indices_[i]] = 1.0f;
      }
    }
    sink(first, {block.data(), rows, columns_});
  }
}

}  // namespace strata
