#include <algorithm>
#include <cmath>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/npy.hpp"
#include "storage/store_edit.hpp"
#include "tools/store_commands.hpp"

namespace strata {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16;  // values converted at a time

// Calls visit(index, value) for every element, as an integer; NaN becomes kUnlabelled where `nan_allowed`.
template <class Visit>
void for_each_integer(NpyReader& reader, bool nan_allowed, Visit&& visit) {
  std::vector<std::int64_t> piece;
  std::uint64_t index = 0;
  while (reader.remaining() > 0) {
    piece.resize(std::min<std::uint64_t>(kPiece, reader.remaining()));
    reader.read_as_int64(piece, nan_allowed ? std::optional<std::int64_t>(kUnlabelled) : std::nullopt);
    for (const std::int64_t value : piece) visit(index++, value);
  }
}

// Reordered ids of a split given as original ids, or as a mask of all nodes.
Array<NodeId> read_split(const std::string& path, std::span<const NodeId> reordered, MemoryBudget& budget) {
  NpyReader reader(path);
  const NpyHeader& header = reader.header();
  const std::uint64_t nodes = reordered.size();
  const bool mask = header.type.kind == 'b';
  if (header.shape.size() > 1 && header.row_elements() != 1) {
    throw InputError(path, "header", "shape " + header.shape_text() + ", expected one dimension");
  }
  if (mask && header.elements() != nodes) {
    throw InputError(path, "header", "a mask of " + header.shape_text() + " for " + std::to_string(nodes) + " nodes");
  }
  Array<std::uint8_t> chosen(budget, nodes, "nodes of the split");
  std::uint64_t count = 0;
  for_each_integer(reader, false, [&](std::uint64_t index, std::int64_t value) {
    if (mask && value == 0) return;
    const std::int64_t id = mask ? static_cast<std::int64_t>(index) : value;
    const std::string where = "element " + std::to_string(index);
    if (id < 0 || static_cast<std::uint64_t>(id) >= nodes) {
      throw InputError(path, where, "id " + std::to_string(id) + " of " + std::to_string(nodes) + " nodes");
    }
    std::uint8_t& mark = chosen[reordered[static_cast<std::size_t>(id)]];
    if (mark != 0) throw InputError(path, where, "id " + std::to_string(id) + " occurs twice");
    mark = 1;
    ++count;
  });
  Array<NodeId> split(budget, count, "ids of the split");
  NodeId* to = split.data();
  for (std::uint64_t node = 0; node < nodes; ++node) {
    if (chosen[node] != 0) *to++ = static_cast<NodeId>(node);
  }
  return split;
}

void put_classes(NpyReader& reader, const AddOptions& options, std::span<const NodeId> reordered, StoreEditor& editor,
                 MemoryBudget& budget) {
  Array<std::int32_t> labels(budget, reordered.size(), "labels");
  std::uint64_t classes = std::max<std::uint64_t>(options.classes, 1);
  for_each_integer(reader, true, [&](std::uint64_t index, std::int64_t value) {
    const std::int64_t limit = options.classes > 0 ? static_cast<std::int64_t>(options.classes) : INT32_MAX;
    if (value < kUnlabelled || value >= limit) {
      throw InputError(
          options.labels, "element " + std::to_string(index),
          "label " + std::to_string(value) + " is not -1 (none) or a class below " + std::to_string(limit));
    }
    labels[reordered[index]] = static_cast<std::int32_t>(value);
    classes = std::max(classes, static_cast<std::uint64_t>(value + 1));
  });
  editor.put_labels(labels.span(), classes, options.metric.empty() ? "accuracy" : options.metric);
}

// A row is labelled unless it is all NaN; a row with some NaN is an error.
void put_targets(NpyReader& reader, const AddOptions& options, std::span<const NodeId> reordered, StoreEditor& editor,
                 MemoryBudget& budget) {
  const std::uint64_t classes = reader.header().row_elements();
  if (options.classes != 0 && options.classes != classes) {
    throw UsageError("--classes " + std::to_string(options.classes) + " contradicts the " + std::to_string(classes) +
                     " columns of " + options.labels);
  }
  const std::size_t stride = divide_up(classes, 8);
  Array<std::uint8_t> targets(budget, reordered.size() * stride, "labels");
  Array<std::uint8_t> labelled(budget, reordered.size(), "labelled nodes");
  std::vector<double> row(classes);
  for (std::uint64_t i = 0; i < reordered.size(); ++i) {
    reader.read_as_double(row);
    const auto missing = std::count_if(row.begin(), row.end(), [](double v) { return std::isnan(v); });
    labelled[reordered[i]] = missing == 0;
    for (std::size_t c = 0; c < classes && missing != static_cast<std::ptrdiff_t>(classes); ++c) {
      if (row[c] != 0.0 && row[c] != 1.0) {
        throw InputError(options.labels, "row " + std::to_string(i), "a value that is neither 0 nor 1");
      }
      if (row[c] == 1.0) {
        std::uint8_t& byte = targets[reordered[i] * stride + c / 8];
        byte = static_cast<std::uint8_t>(byte | 1u << (c % 8));
      }
    }
  }
  editor.put_labels(targets.span(), labelled.span(), classes, options.metric.empty() ? "micro-f1" : options.metric);
}

void put_labels(const AddOptions& options, std::span<const NodeId> reordered, StoreEditor& editor,
                MemoryBudget& budget) {
  NpyReader reader(options.labels);
  const NpyHeader& header = reader.header();
  if (header.shape.empty() || header.shape.size() > 2 || header.rows() != reordered.size() || header.fortran_order) {
    throw InputError(options.labels, "header",
                     "shape " + header.shape_text() + ", expected rows for " + std::to_string(reordered.size()) +
                         " nodes in C order");
  }
  if (header.row_elements() == 1) {
    put_classes(reader, options, reordered, editor, budget);
  } else {
    put_targets(reader, options, reordered, editor, budget);
  }
}

}  // namespace

std::string add_to_store(const fs::path& store, const AddOptions& options) {
  for (const std::string& metric : {std::string("accuracy"), std::string("roc-auc"), std::string("micro-f1")}) {
    if (options.metric == metric) break;
    if (metric == "micro-f1" && !options.metric.empty()) {
      throw UsageError("--metric '" + options.metric + "': use accuracy, roc-auc or micro-f1");
    }
  }
  StoreEditor editor(store);
  MemoryBudget budget(options.memory);
  const Array<NodeId> reordered = editor.store().reordered_ids(budget);
  std::string done;
  if (!options.labels.empty()) {
    put_labels(options, reordered.span(), editor, budget);
    done += "labels";
  }
  for (const std::string& argument : options.splits) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) throw UsageError("--split '" + argument + "': write NAME=FILE");
    const std::string name = argument.substr(0, equals);
    const Array<NodeId> nodes = read_split(argument.substr(equals + 1), reordered.span(), budget);
    editor.put_split(name, nodes.span());
    done += (done.empty() ? "" : ", ") + ("split " + name) + " (" + std::to_string(nodes.size()) + " nodes)";
  }
  editor.commit();
  return "added " + done;
}

}  // namespace strata
