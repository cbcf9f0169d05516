#include <nlohmann/json.hpp>

#include "storage/checksum.hpp"
#include "storage/import/convert.hpp"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

Json options_json(const ImportOptions& o, const SourceFacts& facts) {
  Json json = {{"from", source_kind_name(o.from)},
               {"input", o.input.string()},
               {"memory", o.memory},
               {"shards", o.shards},
               {"partitioner", partitioner_name(o.partitioner)},
               {"undirected", o.undirected},
               {"self_loops", o.keep_self_loops ? "keep" : "drop"},
               {"duplicates", o.keep_duplicates ? "keep" : "drop"},
               {"reverse", o.reverse},
               {"feature_codec", codec_name(o.feature_codec)},
               {"compress", o.zstd_level == 0 ? "none" : "zstd:" + std::to_string(o.zstd_level)},
               {"feature_norm", feature_norm_name(o.feature_norm)},
               {"edge_features", o.edge_feature_means ? "mean" : "none"},
               {"split", facts.split},
               {"inductive", o.inductive},
               {"seed", o.seed}};
  if (facts.random_split) json["split_fractions"] = o.split_fractions;
  if (o.from != SourceKind::synthetic) return json;
  const SyntheticOptions& s = o.synthetic;
  json["synthetic"] = {{"nodes", s.nodes},
                       {"edges", s.edges},
                       {"classes", s.classes},
                       {"communities", s.communities},
                       {"feature_dim", s.feature_dim},
                       {"signal", s.signal},
                       {"homophily", s.homophily},
                       {"power_law", s.power_law},
                       {"multi_label", s.multi_label},
                       {"labelled", s.labelled},
                       {"labelled_clustered", s.labelled_clustered}};
  return json;
}

}  // namespace

std::string report_json(const ConvertReport& report, const ImportOptions& options, const SourceFacts& facts) {
  Json json = {{"schema_version", 1},
               {"name", facts.name},
               {"nodes", report.nodes},
               {"edges_in", report.edges_in},
               {"edges_out", report.edges_out},
               {"self_loops", report.self_loops},
               {"duplicates", report.duplicates},
               {"undirected", report.undirected},
               {"labelled", report.labelled},
               {"unlabelled", report.unlabelled},
               {"unlabelled_test", report.unlabelled_test},
               {"nan_features", report.nan_features},
               {"shards", report.shards},
               {"partitioner", report.partitioner}};
  if (!report.train_graph.origin.empty()) {
    json["train_graph"] = {{"origin", report.train_graph.origin},
                           {"nodes", report.train_graph.nodes},
                           {"edges_out", report.train_graph.edges},
                           {"duplicates", report.train_graph.duplicates},
                           {"undirected", report.train_graph.undirected}};
  }
  if (!report.class_names.empty()) json["class_names"] = report.class_names;
  if (!report.notes.empty()) json["notes"] = report.notes;
  if (report.parts != 0) {
    json["parts"] = report.parts;
    json["cut_entries"] = report.cut_entries;
  }
  json["feature_file_bytes"] = report.feature_bytes;
  if (options.zstd_level == 0 && facts.feature_dim != 0) json["sampled_zstd_ratio"] = report.sampled_compression;
  json["peak_budget_bytes"] = report.peak_budget;
  json["options"] = options_json(options, facts);
  json["sources"] = Json::array();
  for (const ConvertReport::SourceFile& file : report.sources) {
    json["sources"].push_back({{"path", file.path}, {"bytes", file.bytes}, {"xxh3", checksum_text(file.checksum)}});
  }
  json["stages"] = Json::array();
  double seconds = 0;
  for (const StageReport& stage : report.stages) {
    seconds += stage.seconds;
    json["stages"].push_back({{"name", stage.name},
                              {"seconds", stage.seconds},
                              {"bytes_read", stage.bytes_read},
                              {"bytes_written", stage.bytes_written},
                              {"peak_memory_bytes", stage.peak_memory}});
  }
  json["seconds"] = seconds;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace strata
