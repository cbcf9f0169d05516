#include "storage/import/convert.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/import/compression_sample.hpp"
#include "storage/import/feature_writer.hpp"
#include "storage/import/graph_stage.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/stages.hpp"
#include "storage/import/temporary_directory.hpp"
#include "storage/store_writer.hpp"

namespace strata {
namespace {

class Conversion {
 public:
  Conversion(GraphSource& source, const ImportOptions& options, ConvertListener* listener)
      : source_(source),
        facts_(source.facts()),
        options_(options),
        budget_(options.memory),
        plan_(plan_conversion(options, facts_)),
        writer_(options.output, options.force, budget_),
        temporary_(options.tmp, options.output),
        stages_(listener, report_),
        source_charge_(budget_.reserve(facts_.held_bytes, "what the reader of the source holds")) {}

  ConvertReport run() {
    check_disk();
    report_.nodes = facts_.nodes;
    report_.partitioner = partitioner_name(plan_.partitioner);
    read_labels();
    {
      GraphStage graph(source_, options_, plan_, budget_, temporary_, stages_, report_);
      graph.read();
      graph.order();
      graph.write(writer_);
      if (options_.inductive) graph.write_train_graph(writer_, training_nodes("--inductive"));
      graph.release_edges();
      write_node_data(graph.node_order());
      write_features(graph.node_order());
    }
    checksum_sources();
    finish();
    return std::move(report_);
  }

 private:
  void check_disk() const;
  void read_labels();
  void write_node_data(const NodeOrder& order);
  void write_labels(const NodeOrder& order);
  void write_features(const NodeOrder& order);
  void clean_features(std::uint64_t first_row, MatrixView<float> rows);
  MatrixView<float> cleaned(const Array<float>& scratch, std::uint64_t first_row, MatrixView<const float> rows);
  [[nodiscard]] std::optional<ColumnStatistics> column_statistics(const Array<float>& scratch);
  void sample_compression(const fs::path& row_file);
  [[nodiscard]] std::span<const NodeId> training_nodes(const char* option) const;
  void checksum_sources();
  void finish();

  GraphSource& source_;
  const SourceFacts& facts_;
  const ImportOptions& options_;
  MemoryBudget budget_;
  ConversionPlan plan_;
  StoreWriter writer_;
  TemporaryDirectory temporary_;
  ConvertReport report_;
  Stages stages_;
  Reservation source_charge_;
  ImportedLabels labels_;
  std::vector<ImportedSplit> splits_;
  std::vector<Reservation> split_charges_;
  std::string first_nan_;
};

void Conversion::check_disk() const {
  const std::uint64_t needed = plan_.store_bytes + plan_.temporary_bytes;
  const std::uint64_t free = free_disk_bytes(writer_.path());
  if (needed > free) {
    throw ResourceError(options_.output.string() + ": the conversion needs about " + format_bytes(needed) +
                            " of disk, " + format_bytes(free) + " are free",
                        needed);
  }
}

void Conversion::read_labels() {
  stages_.begin("read labels and splits", facts_.nodes, Stages::Unit::items);
  labels_ = source_.read_labels(budget_);
  splits_ = facts_.random_split ? random_splits(labels_, facts_.nodes, options_.split_fractions, options_.seed)
                                : source_.read_splits();
  for (const ImportedSplit& split : splits_) {
    split_charges_.push_back(budget_.reserve(split.nodes.size() * sizeof(NodeId), "splits"));
  }
  report_.unlabelled_test = check_splits(splits_, labels_, facts_.nodes).unlabelled_test;
  report_.class_names = labels_.class_names;
  report_.notes = facts_.notes;
  for (const std::string& note : facts_.notes) stages_.hint(note);
  if (options_.inductive) static_cast<void>(training_nodes("--inductive"));  // before the graph is read
  report_.labelled = labels_.labelled_nodes;
  report_.unlabelled = facts_.nodes - labels_.labelled_nodes;
  if (labels_.task == Task::none) stages_.hint("no node has a label: the store can be used for inference only");
  if (splits_.empty()) stages_.hint("there is no split; --split random draws one among the labelled nodes");
  if (report_.unlabelled_test != 0) {
    stages_.hint(std::to_string(report_.unlabelled_test) + " nodes of the test split have no label");
  }
  stages_.end();
}

void Conversion::write_labels(const NodeOrder& order) {
  const auto original = [&order](std::size_t node) { return order.is_identity() ? node : order.original_of[node]; };
  if (labels_.task == Task::multiclass) {
    Array<std::int32_t> classes(budget_, facts_.nodes, "labels in the new order");
    for (std::size_t n = 0; n < classes.size(); ++n) classes[n] = labels_.classes_of[original(n)];
    writer_.write_labels(classes.span());
  } else if (labels_.task == Task::multilabel) {
    const std::size_t stride = labels_.target_stride;
    Array<std::uint8_t> targets(budget_, facts_.nodes * stride, "labels in the new order");
    Array<std::uint8_t> labelled(budget_, facts_.nodes, "labelled nodes in the new order");
    for (std::size_t n = 0; n < labelled.size(); ++n) {
      labelled[n] = labels_.labelled[original(n)];
      std::copy_n(labels_.targets.data() + original(n) * stride, stride, targets.data() + n * stride);
    }
    writer_.write_labels(targets.span(), stride, labelled.span());
  }
}

void Conversion::write_node_data(const NodeOrder& order) {
  stages_.begin("write labels and splits", facts_.nodes, Stages::Unit::items);
  if (order.is_identity()) {
    Array<NodeId> identity(budget_, facts_.nodes, "node order");
    std::iota(identity.begin(), identity.end(), NodeId{0});
    writer_.write_permutation(identity.span());
  } else {
    writer_.write_permutation(order.original_of.span());
  }
  const Array<std::uint64_t> external = source_.external_ids(budget_);
  if (!external.empty()) writer_.write_external_ids(external.span());
  write_labels(order);
  for (const ImportedSplit& split : splits_) {
    Array<NodeId> nodes(budget_, split.nodes.size(), "split");
    std::copy(split.nodes.begin(), split.nodes.end(), nodes.begin());
    if (!order.is_identity()) {
      for (NodeId& node : nodes) node = order.new_of[node];
      std::sort(nodes.begin(), nodes.end());
    }
    writer_.write_split(split.name, nodes.span());
  }
  stages_.end();
}

std::span<const NodeId> Conversion::training_nodes(const char* option) const {
  for (const ImportedSplit& split : splits_) {
    if (split.name == "train" && !split.nodes.empty()) return split.nodes;
  }
  throw InputError(facts_.name, "", std::string("has no training nodes, which ") + option + " needs");
}

void Conversion::clean_features(std::uint64_t first_row, MatrixView<float> rows) {
  for (std::size_t r = 0; r < rows.rows; ++r) {
    float* row = rows.row(r);
    std::size_t bad = 0;
    for (std::size_t c = 0; c < rows.cols; ++c) bad += std::isfinite(row[c]) ? 0 : 1;
    if (bad == 0) continue;
    for (std::size_t c = 0; c < rows.cols; ++c) {
      if (std::isfinite(row[c])) continue;
      if (report_.nan_features++ == 0) {
        first_nan_ = "row " + std::to_string(first_row + r) + ", column " + std::to_string(c);
      }
      row[c] = 0.0f;
    }
  }
}

// A block of the source's rows in `scratch`, free of NaN and infinities.
MatrixView<float> Conversion::cleaned(const Array<float>& scratch, std::uint64_t first_row,
                                      MatrixView<const float> rows) {
  std::copy_n(rows.data, rows.rows * rows.cols, scratch.data());
  const MatrixView<float> copy(scratch.data(), rows.rows, rows.cols);
  clean_features(first_row, copy);
  return copy;
}

std::optional<ColumnStatistics> Conversion::column_statistics(const Array<float>& scratch) {
  if (options_.feature_norm != FeatureNorm::standard) return std::nullopt;
  stages_.begin("column statistics", facts_.nodes, Stages::Unit::items);
  ColumnStatistics statistics(facts_.feature_dim, training_nodes("--feature-norm standard"));
  source_.read_features(budget_, [&](std::uint64_t first_row, MatrixView<const float> rows) {
    statistics.add(first_row, cleaned(scratch, first_row, rows));
    stages_.advance(rows.rows);
  });
  statistics.finish();
  report_.nan_features = 0;  // counted again when they are written
  stages_.end();
  return statistics;
}

void Conversion::write_features(const NodeOrder& order) {
  if (facts_.feature_dim == 0) return;
  const std::size_t columns = facts_.feature_dim;
  const Array<float> scratch(budget_, rows_per_block(columns) * columns, "features being cleaned");
  const std::optional<ColumnStatistics> statistics = column_statistics(scratch);
  stages_.begin("write features", facts_.nodes, Stages::Unit::items);
  const RowShape shape{facts_.nodes, facts_.feature_dim, options_.feature_codec};
  const bool spilled = !order.is_identity() && plan_.feature_windows > 1;
  const FeatureWriter::Target target{writer_.path() / StoreWriter::kFeatures, spilled ? temporary_.path() : fs::path(),
                                     options_.zstd_level};
  FeatureWriter features(target, shape, order.new_of.span(), plan_.feature_window_memory, budget_);
  source_.read_features(budget_, [&](std::uint64_t first_row, MatrixView<const float> rows) {
    const MatrixView<float> copy = cleaned(scratch, first_row, rows);
    normalise_rows(options_.feature_norm, statistics ? &*statistics : nullptr, copy);
    features.put(first_row, copy);
    stages_.advance(rows.rows);
  });
  if (report_.nan_features != 0 && !options_.zero_nan_features) {
    throw InputError(facts_.feature_place, first_nan_,
                     "is NaN or infinite; " + std::to_string(report_.nan_features) +
                         " feature values are (--nan-features zero would make them 0)");
  }
  features.commit();
  report_.feature_bytes = features.file_bytes();
  writer_.add_features(columns, options_.feature_codec, feature_norm_name(options_.feature_norm));
  sample_compression(target.file);
  stages_.end();
}

void Conversion::sample_compression(const fs::path& row_file) {
  if (options_.zstd_level != 0) return;
  report_.sampled_compression = sampled_compression(row_file, budget_);
  if (report_.sampled_compression >= 0.5) return;
  stages_.hint("--compress zstd would leave about " +
               std::to_string(static_cast<int>(std::ceil(100 * report_.sampled_compression))) + "% of the " +
               format_bytes(report_.feature_bytes) + " of features");
}

void Conversion::checksum_sources() {
  const std::vector<fs::path> files = source_.files();
  std::uint64_t total = 0;
  for (const fs::path& file : files) total += fs::file_size(file);
  stages_.begin("checksums of the sources", total, Stages::Unit::bytes);
  const Buffer piece(budget_, std::size_t{1} << 20, "a piece of a source");
  for (const fs::path& path : files) {
    const File file(path, File::Mode::read);
    const std::uint64_t bytes = file.size();
    ChecksumStream sum;
    for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
      const auto part = piece.bytes().first(std::min<std::uint64_t>(piece.size(), bytes - at));
      file.read_at(at, part);
      sum.update(part);
      stages_.advance(part.size());
    }
    report_.sources.push_back({path.string(), bytes, sum.value()});
  }
  stages_.end();
}

void Conversion::finish() {
  StoreInfo info;
  info.name = facts_.name;
  info.source = source_kind_name(options_.from);
  info.nodes = facts_.nodes;
  info.undirected = report_.undirected;
  info.weighted = facts_.weighted;
  info.classes = labels_.classes;
  info.metric = facts_.metric;
  if (info.metric.empty()) info.metric = labels_.task == Task::multilabel ? "micro-f1" : "accuracy";
  info.partitioner = report_.partitioner;
  report_.peak_budget = budget_.peak();
  writer_.finish(info, report_json(report_, options_, facts_));
}

}  // namespace

ConvertReport convert(GraphSource& source, const ImportOptions& options, ConvertListener* listener) {
  return Conversion(source, options, listener).run();
}

Array<std::uint64_t> GraphSource::external_ids(MemoryBudget&) { return {}; }
void GraphSource::read_train_edges(MemoryBudget&, const EdgeSink&) {}

std::unique_ptr<GraphSource> open_source(const ImportOptions& options) {
  switch (options.from) {
    case SourceKind::ogb: return open_ogb_source(options);
    case SourceKind::npy: return open_npy_source(options);
    case SourceKind::snap: return open_snap_source(options);
    case SourceKind::graphsaint: return open_graphsaint_source(options);
    case SourceKind::mag240m: return open_mag240m_source(options);
    case SourceKind::synthetic: return open_synthetic_source(options);
  }
  throw UsageError("--from: unknown kind of source");
}

fs::path scratch_folder(const ImportOptions& options) {
  if (!options.tmp.empty()) return options.tmp;
  const fs::path output = fs::absolute(options.output).lexically_normal();
  return output.filename().empty() ? output.parent_path().parent_path() : output.parent_path();  // a trailing slash
}

std::size_t rows_per_block(std::uint64_t feature_dim) {
  constexpr std::uint64_t kBlockBytes = std::uint64_t{2} << 20;
  return std::clamp<std::uint64_t>(kBlockBytes / sizeof(float) / std::max<std::uint64_t>(feature_dim, 1), 1, 1 << 16);
}

const char* source_kind_name(SourceKind kind) {
  switch (kind) {
    case SourceKind::ogb: return "ogb";
    case SourceKind::npy: return "npy";
    case SourceKind::snap: return "snap";
    case SourceKind::graphsaint: return "graphsaint";
    case SourceKind::mag240m: return "mag240m";
    case SourceKind::synthetic: return "synthetic";
  }
  return "";
}

const char* partitioner_name(Partitioner partitioner) {
  switch (partitioner) {
    case Partitioner::automatic: return "auto";
    case Partitioner::metis: return "metis";
    case Partitioner::random: return "random";
    case Partitioner::none: return "none";
  }
  return "";
}

const char* feature_norm_name(FeatureNorm norm) {
  switch (norm) {
    case FeatureNorm::none: return "none";
    case FeatureNorm::row: return "row";
    case FeatureNorm::standard: return "standard";
  }
  return "";
}

}  // namespace strata
