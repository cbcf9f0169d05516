#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/npy.hpp"
#include "tools/program.hpp"
#include "tools/store_commands.hpp"

namespace strata {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16;  // values converted at a time

std::uint64_t as_u64(std::size_t value) { return value; }

class Exporter {
 public:
  Exporter(const Store& store, const ExportOptions& options)
      : store_(store), options_(options), budget_(options.memory), original_(store.original_ids(budget_)) {}

  void graph();
  void features();
  void labels();
  void splits();
  void external_ids();

 private:
  [[nodiscard]] fs::path target(const std::string& name) const {
    const fs::path path = options_.output / name;
    if (!options_.force && fs::exists(path)) {
      throw UsageError(path.string() + ": already exists; choose another place or pass --force");
    }
    return path;
  }
  template <class Visit>
  void for_each_shard(const char* stage, Visit&& visit);
  void write_multilabel(const Labels& labels, std::span<const NodeId> reordered);

  const Store& store_;
  const ExportOptions& options_;
  MemoryBudget budget_;
  Array<NodeId> original_;  // [reordered]
};

template <class Visit>
void Exporter::for_each_shard(const char* stage, Visit&& visit) {
  Progress progress(stage, store_.info().edges, Progress::Unit::items, options_.quiet);
  EdgeSpace space(budget_);
  for (std::size_t i = 0; i < store_.info().in_shards.size(); ++i) {
    const Shard shard = store_.open_shard(Direction::in, i, budget_);
    for_each_chunk(shard, space, visit);
    progress.add(shard.info().edges);
  }
}

void Exporter::graph() {
  const StoreInfo& info = store_.info();
  NpyWriter edges(target("edge_index.npy"), npy_type<std::int64_t>(), {2, info.edges});
  std::vector<std::int64_t> piece;
  piece.reserve(kPiece);
  const auto put = [&](NodeId node) {
    piece.push_back(original_[node]);
    if (piece.size() < kPiece) return;
    edges.append<std::int64_t>(piece);
    piece.clear();
  };
  for_each_shard("sources", [&](const SparseRows& rows) {
    for (EdgeId e = rows.offsets[0]; e < rows.offsets[rows.rows]; ++e) put(rows.to_row[rows.columns[e]]);
  });
  for_each_shard("targets", [&](const SparseRows& rows) {
    for (std::size_t row = 0; row < rows.rows; ++row) {
      for (EdgeId e = rows.offsets[row]; e < rows.offsets[row + 1]; ++e) put(rows.first_row + static_cast<NodeId>(row));
    }
  });
  edges.append<std::int64_t>(piece);
  edges.commit();
  if (!info.weighted) return;
  NpyWriter weights(target("edge_weight.npy"), npy_type<float>(), {info.edges});
  for_each_shard("edge weights", [&](const SparseRows& rows) {
    const EdgeId begin = rows.offsets[0], end = rows.offsets[rows.rows];
    if (begin < end) weights.append<float>({rows.edge_weight + begin, end - begin});
  });
  weights.commit();
}

// Rows come in the store's order and go out in the original one: as many output rows at a time as the memory holds,
// each time reading all features.
void Exporter::features() {
  const RowFileReader reader = store_.features(budget_);
  const RowShape& shape = reader.shape();
  Buffer tile(budget_, round_up(kChunkRows * panel_row_bytes(shape.codec, kPanelColumns), kBlockAlignment), "tile");
  Array<float> decoded(budget_, kChunkRows * kPanelColumns, "tile of values");
  const std::uint64_t row_bytes = shape.cols * sizeof(float);
  const std::uint64_t left = (budget_.limit() - budget_.used()) / kBlockAlignment * kBlockAlignment;
  const std::uint64_t window = std::min<std::uint64_t>(shape.rows, left / std::max<std::uint64_t>(row_bytes, 1));
  if (window == 0 && shape.rows > 0) {
    throw ResourceError("the memory does not hold one row of features; pass --memory " +
                            std::to_string(budget_.used() + round_up(row_bytes, kBlockAlignment)),
                        budget_.used() + round_up(row_bytes, kBlockAlignment));
  }
  NpyWriter file(target("node_feat.npy"), npy_type<float>(), {shape.rows, shape.cols});
  Array<float> rows(budget_, window * shape.cols, "rows to write");
  const std::uint64_t passes = window == 0 ? 0 : divide_up(shape.rows, window);
  Progress progress("features", passes * shape.chunks() * shape.panels(), Progress::Unit::items, options_.quiet);
  for (std::uint64_t first = 0; first < shape.rows; first += window) {
    const std::uint64_t count = std::min(window, shape.rows - first);
    for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
      for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
        const std::size_t width = panel_width(shape.cols, panel);
        reader.read_tile(chunk, panel, tile.bytes());
        cpu::decode_panel<float>(shape.codec, tile.data(), panel_row_bytes(shape.codec, width),
                                 {decoded.data(), shape.chunk_rows(chunk), width});
        for (std::size_t i = 0; i < shape.chunk_rows(chunk); ++i) {
          const std::uint64_t to = original_[chunk * kChunkRows + i] - first;  // wraps for rows before `first`
          if (to >= count) continue;
          std::copy_n(decoded.data() + i * width, width, rows.data() + to * shape.cols + panel * kPanelColumns);
        }
        progress.add(1);
      }
    }
    file.append<float>(rows.span().first(count * shape.cols));
  }
  file.commit();
}

void Exporter::labels() {
  const StoreInfo& info = store_.info();
  if (info.task == Task::none) throw InputError(store_.path().string(), "", "holds no labels");
  const Labels labels = store_.labels(budget_);
  const Array<NodeId> reordered = store_.reordered_ids(budget_);
  if (info.task == Task::multilabel) {
    write_multilabel(labels, reordered.span());
    return;
  }
  NpyWriter file(target("node_label.npy"), npy_type<std::int64_t>(), {info.nodes});
  std::vector<std::int64_t> piece;
  for (std::uint64_t first = 0; first < info.nodes; first += kPiece) {
    piece.clear();
    for (std::uint64_t i = first; i < std::min<std::uint64_t>(info.nodes, first + kPiece); ++i) {
      piece.push_back(labels.classes[reordered[i]]);
    }
    file.append<std::int64_t>(piece);
  }
  file.commit();
}

void Exporter::write_multilabel(const Labels& labels, std::span<const NodeId> reordered) {
  const StoreInfo& info = store_.info();
  const bool gaps = info.labelled < info.nodes;
  NpyWriter file(target("node_label.npy"), gaps ? npy_type<float>() : npy_type<std::int8_t>(),
                 {info.nodes, info.classes});
  std::vector<float> floats(info.classes);
  std::vector<std::int8_t> bytes(info.classes);
  for (const NodeId node : reordered) {
    const std::uint8_t* targets = labels.targets.data() + node * labels.target_stride;
    for (std::size_t c = 0; c < info.classes; ++c) {
      bytes[c] = static_cast<std::int8_t>(targets[c / 8] >> (c % 8) & 1);
      floats[c] = labels.labelled[node] != 0 ? bytes[c] : std::numeric_limits<float>::quiet_NaN();
    }
    if (gaps) {
      file.append<float>(floats);
    } else {
      file.append<std::int8_t>(bytes);
    }
  }
  file.commit();
}

void Exporter::splits() {
  for (const SplitInfo& split : store_.info().splits) {
    const Array<NodeId> nodes = store_.split(split.name, budget_);
    Array<std::int64_t> ids(budget_, nodes.size(), "ids of split " + split.name);
    for (std::size_t i = 0; i < nodes.size(); ++i) ids[i] = original_[nodes[i]];
    std::sort(ids.begin(), ids.end());
    NpyWriter file(target(split.name + ".npy"), npy_type<std::int64_t>(), {as_u64(ids.size())});
    file.append<std::int64_t>(ids.span());
    file.commit();
  }
}

// What the user's own files call the nodes that the other arrays count from 0; nothing when that is the same.
void Exporter::external_ids() {
  const Array<std::uint64_t> ids = store_.external_ids(budget_);
  if (ids.empty()) return;
  NpyWriter file(target("external_id.npy"), npy_type<std::uint64_t>(), {as_u64(ids.size())});
  file.append<std::uint64_t>(ids.span());
  file.commit();
}

}  // namespace

void export_store(const Store& store, const ExportOptions& options) {
  fs::create_directories(options.output);
  Exporter exporter(store, options);
  if (options.what.contains("graph")) {
    exporter.graph();
    exporter.external_ids();
  }
  if (options.what.contains("features")) exporter.features();
  if (options.what.contains("labels")) exporter.labels();
  if (options.what.contains("splits")) exporter.splits();
}

}  // namespace strata
