#include "tests/import/import_fixtures.hpp"

#include <sys/wait.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "kernels/row_codec.hpp"
#include "storage/store.hpp"

namespace strata::test {

namespace fs = std::filesystem;

void write_gz(const fs::path& path, const Lines& lines) {
  fs::create_directories(path.parent_path());
  gzFile file = gzopen(path.c_str(), "wb");
  if (file == nullptr) throw std::runtime_error("cannot write " + path.string());
  for (const std::string& line : lines) {
    gzwrite(file, line.data(), static_cast<unsigned>(line.size()));
    gzputc(file, '\n');
  }
  gzclose(file);
}

void write_text(const fs::path& path, const std::string& text) {
  if (!path.parent_path().empty()) fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string npy_bytes(const std::string& type, const std::string& shape, const std::string& data, bool fortran) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

namespace {

void put(std::string& to, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(i < 8 ? value >> (8 * i) & 0xff : 0);
}

}  // namespace

namespace {

std::string raw_deflated(const std::string& data) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, data.size()), 0);
  std::string input = data;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

}  // namespace

std::string zstd_bytes(const std::string& text) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(text.size()), 0);
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

void write_zip(const fs::path& path, const std::map<std::string, std::string>& members, bool deflated) {
  std::string archive, directory;
  for (const auto& [name, data] : members) {
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size()));
    const std::string stored = deflated ? raw_deflated(data) : data;
    const std::uint64_t method = deflated ? 8 : 0;
    std::string common;  // version needed .. extra length, the part both headers share
    for (const auto& [value, bytes] : std::vector<std::pair<std::uint64_t, int>>{{20, 2},
                                                                                 {0, 2},
                                                                                 {method, 2},
                                                                                 {0, 4},
                                                                                 {crc, 4},
                                                                                 {stored.size(), 4},
                                                                                 {data.size(), 4},
                                                                                 {name.size(), 2},
                                                                                 {0, 2}}) {
      put(common, value, bytes);
    }
    const std::size_t offset = archive.size();
    archive += "PK\x03\x04" + common + name + stored;
    directory += "PK\x01\x02";
    put(directory, 20, 2);
    directory += common;
    put(directory, 0, 2 + 2 + 2 + 4);
    put(directory, offset, 4);
    directory += name;
  }
  const std::size_t begin = archive.size();
  archive += directory + "PK\x05\x06";
  put(archive, 0, 4);
  put(archive, members.size(), 2);
  put(archive, members.size(), 2);
  put(archive, directory.size(), 4);
  put(archive, begin, 4);
  put(archive, 0, 2);
  write_text(path, archive);
}

void write_ogb_csv(const fs::path& directory, const SixNodes& set, const std::string& split) {
  Lines edges, features;
  for (const auto& [u, v] : set.edges) edges.push_back(std::to_string(u) + "," + std::to_string(v));
  for (const auto& row : set.features) {
    std::ostringstream line;
    line.precision(9);
    for (std::size_t c = 0; c < row.size(); ++c) line << (c == 0 ? "" : ",") << row[c];
    features.push_back(line.str());
  }
  write_gz(directory / "raw/edge.csv.gz", edges);
  write_gz(directory / "raw/num-node-list.csv.gz", {std::to_string(SixNodes::kNodes)});
  write_gz(directory / "raw/num-edge-list.csv.gz", {std::to_string(set.edges.size())});
  if (!features.empty()) write_gz(directory / "raw/node-feat.csv.gz", features);
  write_gz(directory / "raw/node-label.csv.gz", set.labels);
  write_gz(directory / "split" / split / "train.csv.gz", set.train);
  write_gz(directory / "split" / split / "valid.csv.gz", set.valid);
  write_gz(directory / "split" / split / "test.csv.gz", set.test);
}

void write_ogb_npz(const fs::path& directory, const SixNodes& set) {
  std::vector<std::int64_t> edges;
  for (const auto& edge : set.edges) edges.push_back(edge.first);
  for (const auto& edge : set.edges) edges.push_back(edge.second);
  std::vector<float> features, labels;
  for (const auto& row : set.features) features.insert(features.end(), row.begin(), row.end());
  for (const std::string& label : set.labels) labels.push_back(label.empty() ? NAN : std::stof(label));
  const std::string count = std::to_string(set.edges.size());
  fs::create_directories(directory / "raw");
  write_zip(directory / "raw/data.npz",
            {{"edge_index.npy", npy_bytes("<i8", "(2, " + count + ")", edges)},
             {"num_nodes_list.npy", npy_bytes("<i8", "(1,)", std::vector<std::int64_t>{6})},
             {"num_edges_list.npy",
              npy_bytes("<i8", "(1,)", std::vector<std::int64_t>{static_cast<std::int64_t>(set.edges.size())})},
             {"node_feat.npy", npy_bytes("<f4", "(6, 2)", features)}});
  write_zip(directory / "raw/node-label.npz", {{"node_label.npy", npy_bytes("<f4", "(6, 1)", labels)}});
  write_gz(directory / "split/time/train.csv.gz", set.train);
  write_gz(directory / "split/time/valid.csv.gz", set.valid);
  write_gz(directory / "split/time/test.csv.gz", set.test);
}

void write_master(const fs::path& parent, const std::string& name, bool add_inverse, const std::string& metric,
                  int tasks, int classes, const std::string& split) {
  write_text(parent / "master.csv", "," + name + "\nnum tasks," + std::to_string(tasks) + "\nnum classes," +
                                        std::to_string(classes) + "\neval metric," + metric + "\ndownload_name," +
                                        name + "\nadd_inverse_edge," + (add_inverse ? "True" : "False") +
                                        "\nhas_node_attr,True\nsplit," + split + "\nis hetero,False\nbinary,False\n");
}

namespace {

std::vector<LoadedEdge> load_edges(const Store& store, Direction direction, std::span<const NodeId> original,
                                   MemoryBudget& budget) {
  std::vector<LoadedEdge> edges;
  for (std::size_t s = 0; s < store.shards(direction).size(); ++s) {
    const Shard shard = store.open_shard(direction, s, budget);
    shard.verify();
    EdgeSpace space(budget);
    const SparseRows rows = shard.rows(0, shard.info().rows, space);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      for (EdgeId e = rows.offsets[r]; e < rows.offsets[r + 1]; ++e) {
        const NodeId row = original[rows.first_row + r], column = original[rows.to_row[rows.columns[e]]];
        const float weight = rows.edge_weight == nullptr ? 1.0f : rows.edge_weight[e];
        edges.push_back(direction == Direction::in ? LoadedEdge{column, row, weight} : LoadedEdge{row, column, weight});
      }
    }
  }
  std::sort(edges.begin(), edges.end());
  return edges;
}

std::vector<std::uint32_t> load_degrees(const Store& store, std::span<const NodeId> original, MemoryBudget& budget) {
  const Array<std::uint32_t> degrees = store.degrees(Direction::in, budget);
  std::vector<std::uint32_t> loaded(original.size());
  for (std::size_t n = 0; n < original.size(); ++n) loaded[original[n]] = degrees[n];
  return loaded;
}

std::vector<std::vector<float>> load_features(const Store& store, std::span<const NodeId> original,
                                              MemoryBudget& budget) {
  const RowFileReader reader = store.features(budget);
  const RowShape& shape = reader.shape();
  std::vector<std::vector<float>> rows(shape.rows, std::vector<float>(shape.cols));
  const Buffer tile(budget, round_up(kChunkRows * panel_row_bytes(shape.codec, kPanelColumns), kBlockAlignment),
                    "tile");
  std::vector<float> values(kChunkRows * kPanelColumns);
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
      const std::size_t width = panel_width(shape.cols, panel), count = shape.chunk_rows(chunk);
      reader.read_tile(chunk, panel, tile.bytes());
      ref::decode_panel<float>(shape.codec, tile.data(), panel_row_bytes(shape.codec, width),
                               {values.data(), count, width});
      for (std::size_t r = 0; r < count; ++r) {
        std::copy_n(values.data() + r * width, width,
                    rows[original[chunk * kChunkRows + r]].data() + panel * kPanelColumns);
      }
    }
  }
  return rows;
}

}  // namespace

LoadedStore load_store(const fs::path& path) {
  MemoryBudget budget(std::uint64_t{4} << 30);
  const Store store(path);
  store.verify([](const std::string&) {});
  const Array<NodeId> original = store.original_ids(budget);
  LoadedStore loaded;
  loaded.info = store.info();
  loaded.in = load_edges(store, Direction::in, original.span(), budget);
  if (!loaded.info.undirected && loaded.info.has_reverse) {
    loaded.out = load_edges(store, Direction::out, original.span(), budget);
  }
  loaded.in_degrees = load_degrees(store, original.span(), budget);
  if (loaded.info.train_graph.present) {
    const Store training = store.train_graph();
    loaded.train_in = load_edges(training, Direction::in, original.span(), budget);
    if (!training.info().undirected && training.info().has_reverse) {
      loaded.train_out = load_edges(training, Direction::out, original.span(), budget);
    }
    loaded.train_in_degrees = load_degrees(training, original.span(), budget);
  }
  if (loaded.info.feature_dim != 0) loaded.features = load_features(store, original.span(), budget);
  if (loaded.info.task != Task::none) {
    const Labels labels = store.labels(budget);
    loaded.classes.resize(original.size());
    loaded.targets.resize(original.size());
    for (std::size_t n = 0; n < original.size(); ++n) {
      if (labels.task == Task::multiclass) loaded.classes[original[n]] = labels.classes[n];
      if (labels.task != Task::multilabel || labels.labelled[n] == 0) continue;
      for (std::size_t c = 0; c < loaded.info.classes; ++c) {
        loaded.targets[original[n]].push_back(labels.targets[n * labels.target_stride + c / 8] >> (c % 8) & 1);
      }
    }
  }
  for (const SplitInfo& split : loaded.info.splits) {
    for (const NodeId node : store.split(split.name, budget)) loaded.splits[split.name].push_back(original[node]);
    std::sort(loaded.splits[split.name].begin(), loaded.splits[split.name].end());
  }
  return loaded;
}

std::vector<std::pair<int, int>> pairs_of(const std::vector<LoadedEdge>& edges) {
  std::vector<std::pair<int, int>> pairs;
  for (const LoadedEdge& edge : edges) pairs.emplace_back(static_cast<int>(edge.source), static_cast<int>(edge.target));
  return pairs;
}

ImportOptions import_options(SourceKind from, const fs::path& input, const fs::path& output) {
  ImportOptions options;
  options.from = from;
  options.input = input;
  options.output = output;
  options.memory = std::uint64_t{64} << 20;
  return options;
}

ImportOptions synthetic_options(const fs::path& output, std::uint64_t nodes, std::uint64_t edges) {
  ImportOptions options = import_options(SourceKind::synthetic, {}, output);
  options.synthetic.nodes = nodes;
  options.synthetic.edges = edges;
  options.synthetic.feature_dim = 16;
  return options;
}

ConvertReport convert_with(const ImportOptions& options) {
  const std::unique_ptr<GraphSource> source = open_source(options);
  return convert(*source, options, nullptr);
}

std::map<std::string, std::string> store_bytes(const fs::path& store) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(store)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name == "convert.json" || name == "manifest.json") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[name] = std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }
  return files;
}

std::map<std::string, std::string> file_contents(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    if (!entry.is_regular_file()) continue;
    contents[entry.path().filename().string()] =
        std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  }
  return contents;
}

namespace {

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

bool Outcome::one_line() const {
  return std::count(err.begin(), err.end(), '\n') == 1 && err.rfind("strata-convert: ", 0) == 0;
}

Outcome run_tool(const TempDir& logs, const std::string& arguments, const std::string& environment) {
  const fs::path out = logs / "out.txt", err = logs / "err.txt";
  const std::string command =
      environment + " '" STRATA_CONVERT_PROGRAM "' " + arguments + " >'" + out.string() + "' 2>'" + err.string() + "'";
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = content(out);
  outcome.err = content(err);
  return outcome;
}

std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace strata::test
