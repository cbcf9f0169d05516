#include "storage/store_manifest.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/sealed_json.hpp"
#include "storage/store_files.hpp"

namespace strata {

namespace {

using Json = nlohmann::ordered_json;  // members keep the order they are written in

constexpr const char* kStoreFormat = "strata-store";
constexpr const char* kDerivedFormat = "strata-derived";
constexpr int kDerivedVersion = 1;

// Names come from users' paths and need not be UTF-8.
std::string dumped(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

Json files_json(const std::vector<StoreFile>& files) {
  Json list = Json::array();
  for (const StoreFile& file : files) {
    Json entry;
    entry["file"] = file.file;
    if (!file.role.empty()) entry["role"] = file.role;
    entry["kind"] = file.kind;
    entry["bytes"] = file.bytes;
    entry["checksum"] = checksum_text(file.checksum);
    list.push_back(std::move(entry));
  }
  return list;
}

std::vector<StoreFile> parse_files(const Json& list) {
  std::vector<StoreFile> files;
  for (const Json& entry : list) {
    StoreFile file;
    entry.at("file").get_to(file.file);
    file.role = entry.value("role", "");
    entry.at("kind").get_to(file.kind);
    entry.at("bytes").get_to(file.bytes);
    file.checksum = std::stoull(entry.at("checksum").get<std::string>(), nullptr, 16);
    if (!is_plain_relative(file.file)) throw std::runtime_error("file name '" + file.file + "'");
    files.push_back(std::move(file));
  }
  return files;
}

Json shards_json(const std::vector<ShardInfo>& shards) {
  Json list = Json::array();
  for (const ShardInfo& shard : shards) {
    list.push_back(Json{{"file", shard.file},
                        {"first_row", shard.first_row},
                        {"rows", shard.rows},
                        {"edges", shard.edges},
                        {"halo", shard.halo},
                        {"largest_chunk", shard.largest_chunk},
                        {"columns", column_coding_name(shard.coding)},
                        {"column_bytes", shard.column_bytes}});
  }
  return list;
}

const StoreFile& listed(const std::vector<StoreFile>& files, const std::string& name) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const StoreFile& f) { return f.file == name; });
  if (found == files.end()) throw std::runtime_error("file '" + name + "' is not listed");
  return *found;
}

ColumnCoding parse_coding(const std::string& name) {
  for (const ColumnCoding coding : {ColumnCoding::raw, ColumnCoding::gaps}) {
    if (name == column_coding_name(coding)) return coding;
  }
  throw std::runtime_error("form of columns '" + name + "'");
}

std::vector<ShardInfo> parse_shards(const Json& list, const std::vector<StoreFile>& files) {
  std::vector<ShardInfo> shards;
  for (const Json& entry : list) {
    ShardInfo shard;
    entry.at("file").get_to(shard.file);
    entry.at("first_row").get_to(shard.first_row);
    entry.at("rows").get_to(shard.rows);
    entry.at("edges").get_to(shard.edges);
    entry.at("halo").get_to(shard.halo);
    entry.at("largest_chunk").get_to(shard.largest_chunk);
    entry.at("column_bytes").get_to(shard.column_bytes);
    shard.coding = parse_coding(entry.at("columns").get<std::string>());
    const StoreFile& file = listed(files, shard.file);
    shard.file_bytes = file.bytes;
    shard.checksum = file.checksum;
    shards.push_back(std::move(shard));
  }
  return shards;
}

std::vector<SplitInfo> parse_splits(const Json& list, const std::vector<StoreFile>& files) {
  std::vector<SplitInfo> splits;
  for (const Json& entry : list) {
    SplitInfo split;
    entry.at("name").get_to(split.name);
    entry.at("nodes").get_to(split.nodes);
    entry.at("file").get_to(split.file);
    split.checksum = listed(files, split.file).checksum;
    splits.push_back(std::move(split));
  }
  return splits;
}

Json train_graph_json(const TrainGraphInfo& graph) {
  return Json{{"origin", graph.origin},
              {"nodes", graph.nodes},
              {"edges", graph.edges},
              {"undirected", graph.undirected},
              {"has_reverse", graph.has_reverse},
              {"in_shards", shards_json(graph.in_shards)},
              {"out_shards", shards_json(graph.out_shards)}};
}

TrainGraphInfo parse_train_graph(const Json& json, const std::vector<StoreFile>& files) {
  TrainGraphInfo graph;
  graph.present = true;
  json.at("origin").get_to(graph.origin);
  json.at("nodes").get_to(graph.nodes);
  json.at("edges").get_to(graph.edges);
  json.at("undirected").get_to(graph.undirected);
  json.at("has_reverse").get_to(graph.has_reverse);
  graph.in_shards = parse_shards(json.at("in_shards"), files);
  graph.out_shards = parse_shards(json.at("out_shards"), files);
  return graph;
}

Task parse_task(const std::string& name) {
  for (const Task task : {Task::none, Task::multiclass, Task::multilabel}) {
    if (name == task_name(task)) return task;
  }
  throw std::runtime_error("task '" + name + "'");
}

StoreManifest parse_content(const Json& json) {
  StoreManifest manifest;
  manifest.files = parse_files(json.at("files"));
  StoreInfo& info = manifest.info;
  json.at("format_version").get_to(info.format_version);
  json.at("name").get_to(info.name);
  json.at("source").get_to(info.source);
  json.at("nodes").get_to(info.nodes);
  json.at("edges").get_to(info.edges);
  json.at("undirected").get_to(info.undirected);
  json.at("has_reverse").get_to(info.has_reverse);
  json.at("weighted").get_to(info.weighted);
  const Json& features = json.at("features");
  features.at("dim").get_to(info.feature_dim);
  if (!parse_codec(features.at("codec").get<std::string>().c_str(), info.feature_codec)) {
    throw std::runtime_error("codec " + features.at("codec").dump());
  }
  features.at("norm").get_to(info.feature_norm);
  const Json& labels = json.at("labels");
  info.task = parse_task(labels.at("task").get<std::string>());
  labels.at("classes").get_to(info.classes);
  labels.at("labelled").get_to(info.labelled);
  labels.at("metric").get_to(info.metric);
  json.at("partitioner").get_to(info.partitioner);
  info.in_shards = parse_shards(json.at("in_shards"), manifest.files);
  info.out_shards = parse_shards(json.at("out_shards"), manifest.files);
  if (json.contains("train_graph")) info.train_graph = parse_train_graph(json.at("train_graph"), manifest.files);
  info.splits = parse_splits(json.at("splits"), manifest.files);
  for (const StoreFile& file : manifest.files) info.total_bytes += file.bytes;
  const std::string contradiction = contradiction_in(info);
  if (!contradiction.empty()) throw std::runtime_error(contradiction);
  return manifest;
}

// Checks seal, format and version, then lets `read` take what it needs. What a sealed text lacks or contradicts is
// damage: this program would not have written it.
template <class Read>
auto parse_sealed(const fs::path& path, const std::string& text, const char* format, int newest, int oldest,
                  Read&& read) {
  check_sealed_json(path, text);
  try {
    const Json json = Json::parse(text);
    if (json.at("format").get<std::string>() != format) throw std::runtime_error("format " + json.at("format").dump());
    const int version = json.at("format_version").get<int>();
    if (version > newest) {
      throw InputError(path.string(), "",
                       "format version " + std::to_string(version) + ", this build reads up to " +
                           std::to_string(newest) + "; use the Strata that wrote it");
    }
    if (version < oldest) {
      throw InputError(path.string(), "",
                       "format version " + std::to_string(version) + " of an older Strata, this build reads from " +
                           std::to_string(oldest) + " on; convert the data set again");
    }
    return read(json);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw DamagedError(path.string(), "content", "a complete manifest", error.what());
  }
}

std::string shards_contradiction(const std::vector<ShardInfo>& shards, std::uint64_t all_nodes, std::uint64_t all_edges,
                                 const char* which) {
  std::uint64_t rows = 0, edges = 0;
  for (const ShardInfo& shard : shards) {
    if (shard.first_row != rows || shard.first_row % kChunkRows != 0) {
      return std::string(which) + "-shard " + shard.file + " starts at row " + std::to_string(shard.first_row) +
             ", expected " + std::to_string(rows) + ", a multiple of " + std::to_string(kChunkRows);
    }
    rows += shard.rows;
    edges += shard.edges;
  }
  if (rows != all_nodes || edges != all_edges) {
    return std::string(which) + "-shards hold " + std::to_string(rows) + " nodes and " + std::to_string(edges) +
           " edges of " + std::to_string(all_nodes) + " and " + std::to_string(all_edges);
  }
  return {};
}

// Of one edge set: the shards, the edges in them, and what is said of their directions.
std::string edges_contradiction(std::uint64_t nodes, std::uint64_t edges, bool undirected, bool has_reverse,
                                const std::vector<ShardInfo>& in, const std::vector<ShardInfo>& out) {
  std::string found = shards_contradiction(in, nodes, edges, "in");
  if (found.empty() && !out.empty()) found = shards_contradiction(out, nodes, edges, "out");
  if (!found.empty()) return found;
  if (undirected && !out.empty()) return "an undirected graph with out-shards";
  if (has_reverse != (undirected || !out.empty() || nodes == 0)) return "has_reverse contradicts the shards";
  return {};
}

std::string train_graph_contradiction(const StoreInfo& info) {
  const TrainGraphInfo& graph = info.train_graph;
  const std::string found = edges_contradiction(info.nodes, graph.edges, graph.undirected, graph.has_reverse,
                                                graph.in_shards, graph.out_shards);
  if (!found.empty()) return "training graph: " + found;
  const auto train = std::find_if(info.splits.begin(), info.splits.end(),
                                  [](const SplitInfo& split) { return split.name == "train"; });
  if (train == info.splits.end()) return "a training graph without a split train";
  if (train->nodes != graph.nodes) {
    return "a training graph of " + std::to_string(graph.nodes) + " nodes, " + std::to_string(train->nodes) +
           " are in split train";
  }
  return {};
}

}  // namespace

const char* task_name(Task task) {
  switch (task) {
    case Task::none: return "none";
    case Task::multiclass: return "multiclass";
    case Task::multilabel: return "multilabel";
  }
  return "?";
}

std::string contradiction_in(const StoreInfo& info) {
  if (info.nodes > UINT32_MAX) return std::to_string(info.nodes) + " nodes, ids have 32 bits";
  std::string found =
      edges_contradiction(info.nodes, info.edges, info.undirected, info.has_reverse, info.in_shards, info.out_shards);
  if (found.empty() && info.train_graph.present) found = train_graph_contradiction(info);
  if (!found.empty()) return found;
  if ((info.task == Task::none) != (info.classes == 0)) {
    return std::to_string(info.classes) + " classes for task " + task_name(info.task);
  }
  if (info.labelled > info.nodes) return "more labelled nodes than nodes";
  for (const SplitInfo& split : info.splits) {
    if (split.nodes > info.nodes) return "split " + split.name + " has more nodes than the graph";
  }
  return {};
}

int format_version_of(const StoreInfo& info) {
  return info.train_graph.present ? kInductiveFormatVersion : kStoreFormatVersion;
}

std::string manifest_text(const StoreManifest& manifest) {
  const StoreInfo& info = manifest.info;
  Json json;
  json["format"] = kStoreFormat;
  json["format_version"] = format_version_of(info);
  json["name"] = info.name;
  json["source"] = info.source;
  json["nodes"] = info.nodes;
  json["edges"] = info.edges;
  json["undirected"] = info.undirected;
  json["has_reverse"] = info.has_reverse;
  json["weighted"] = info.weighted;
  json["features"] =
      Json{{"dim", info.feature_dim}, {"codec", codec_name(info.feature_codec)}, {"norm", info.feature_norm}};
  json["labels"] = Json{
      {"task", task_name(info.task)}, {"classes", info.classes}, {"labelled", info.labelled}, {"metric", info.metric}};
  json["partitioner"] = info.partitioner;
  json["in_shards"] = shards_json(info.in_shards);
  json["out_shards"] = shards_json(info.out_shards);
  if (info.train_graph.present) json["train_graph"] = train_graph_json(info.train_graph);
  json["splits"] = Json::array();
  for (const SplitInfo& split : info.splits) {
    json["splits"].push_back(Json{{"name", split.name}, {"nodes", split.nodes}, {"file", split.file}});
  }
  json["files"] = files_json(manifest.files);
  return seal_json(dumped(json));
}

StoreManifest parse_manifest(const fs::path& path, const std::string& text) {
  return parse_sealed(path, text, kStoreFormat, kInductiveFormatVersion, kStoreFormatVersion, parse_content);
}

std::string derived_manifest_text(const std::string& about, const std::vector<StoreFile>& files) {
  Json json;
  json["format"] = kDerivedFormat;
  json["format_version"] = kDerivedVersion;
  json["about"] = about.empty() ? Json::object() : Json::parse(about);
  json["files"] = files_json(files);
  return seal_json(dumped(json));
}

DerivedManifest parse_derived_manifest(const fs::path& path, const std::string& text) {
  return parse_sealed(path, text, kDerivedFormat, kDerivedVersion, 1, [](const Json& json) {
    return DerivedManifest{json.at("about").dump(), parse_files(json.at("files"))};
  });
}

}  // namespace strata
