// --inductive: the training graph beside the full one.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "storage/file.hpp"
#include "storage/store_edit.hpp"
#include "storage/store_manifest.hpp"
#include "tests/import/damaged_case.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Ints = std::vector<std::int64_t>;
constexpr std::uint32_t kNodes = 2500;

// A table with duplicates and self-loops; the last hundred nodes are in no edge. Two nodes of three train.
struct Table {
  std::vector<LoadedEdge> edges;
  std::vector<NodeId> train;
};

Table make_table(bool weighted) {
  Table table;
  CounterRng rng(5, Stream::synthetic);
  for (int i = 0; i < 9000; ++i) {
    const NodeId source = i % 9 == 0 ? 7 : rng.below(kNodes - 100), target = rng.below(kNodes - 100);
    const float weight = weighted ? static_cast<float>(rng.uniform()) : 1.0f;
    table.edges.push_back({source, i % 50 == 0 ? source : target, weight});
    if (i % 20 == 0) table.edges.push_back({source, table.edges.back().target, weighted ? weight + 1 : 1.0f});
  }
  for (NodeId id = 0; id < kNodes; ++id) {
    if (id % 3 != 1) table.train.push_back(id);
  }
  return table;
}

void write_table(const fs::path& folder, const Table& table, bool weighted) {
  Ints ends;
  for (const LoadedEdge& e : table.edges) ends.push_back(e.source);
  for (const LoadedEdge& e : table.edges) ends.push_back(e.target);
  write_text(folder / "edge_index.npy", npy_bytes("<i8", "(2, " + std::to_string(table.edges.size()) + ")", ends));
  if (weighted) {
    std::vector<float> weights;
    for (const LoadedEdge& e : table.edges) weights.push_back(e.weight);
    write_text(folder / "edge_weight.npy", npy_bytes("<f4", "(" + std::to_string(weights.size()) + ",)", weights));
  }
  write_text(folder / "num_nodes.npy", npy_bytes("<i8", "()", Ints{kNodes}));
  Ints labels(kNodes, 1), train(table.train.begin(), table.train.end()), valid, test;
  for (NodeId id = 0; id < kNodes; ++id) {
    if (!std::binary_search(table.train.begin(), table.train.end(), id)) (id % 2 == 0 ? valid : test).push_back(id);
  }
  write_text(folder / "node_label.npy", npy_bytes("<i8", "(" + std::to_string(kNodes) + ",)", labels));
  const std::pair<const char*, const Ints*> splits[] = {{"train", &train}, {"valid", &valid}, {"test", &test}};
  for (const auto& [name, nodes] : splits) {
    write_text(folder / (std::string(name) + ".npy"),
               npy_bytes("<i8", "(" + std::to_string(nodes->size()) + ",)", *nodes));
  }
}

// What is to come out: of the table's edges those between training nodes, cleaned as the options say.
std::vector<LoadedEdge> expected_edges(const Table& table, const ImportOptions& options) {
  const std::set<NodeId> train(table.train.begin(), table.train.end());
  std::vector<LoadedEdge> kept;
  for (const LoadedEdge& e : table.edges) {
    if (train.count(e.source) == 0 || train.count(e.target) == 0) continue;
    if (e.source == e.target && !options.keep_self_loops) continue;
    kept.push_back(e);
    if (options.undirected) kept.push_back({e.target, e.source, e.weight});
  }
  const auto by_ends = [](const LoadedEdge& a, const LoadedEdge& b) {
    return std::pair(a.source, a.target) < std::pair(b.source, b.target);
  };
  std::stable_sort(kept.begin(), kept.end(), by_ends);
  if (!options.keep_duplicates) {
    const auto same = [](const LoadedEdge& a, const LoadedEdge& b) {
      return a.source == b.source && a.target == b.target;
    };
    kept.erase(std::unique(kept.begin(), kept.end(), same), kept.end());
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

ImportOptions table_options(const TempDir& dir) {
  ImportOptions options = import_options(SourceKind::npy, dir / "x", dir / "s");
  options.inductive = true;
  options.force = true;
  options.shards = 3;
  return options;
}

void check_training_graph(const Table& table, const ImportOptions& options) {
  const ConvertReport report = convert_with(options);
  const LoadedStore store = load_store(options.output);
  const std::vector<LoadedEdge> expected = expected_edges(table, options);
  const TrainGraphInfo& info = store.info.train_graph;
  REQUIRE(info.present);
  CHECK(info.origin == "split");
  CHECK(info.nodes == table.train.size());
  CHECK(info.edges == expected.size());
  CHECK(info.in_shards.size() == store.info.in_shards.size());
  CHECK(store.train_in == expected);
  CHECK(info.undirected == options.undirected);
  if (!options.undirected && options.reverse) CHECK(store.train_out == expected);
  CHECK(info.has_reverse == (options.undirected || options.reverse));
  std::vector<std::uint32_t> degrees(kNodes);
  for (const LoadedEdge& e : expected) ++degrees[e.target];
  CHECK(store.train_in_degrees == degrees);
  CHECK(std::count(degrees.begin(), degrees.end(), 0u) > 100);
  CHECK(report.train_graph.edges == expected.size());
  CHECK(report.peak_budget <= options.memory);
  const std::string verified = verify_conversion(*open_source(options), options, nullptr);
  CHECK(verified.find(std::to_string(expected.size()) + " edges of the training graph") != std::string::npos);
}

}  // namespace

TEST_CASE("inductive: the training graph is what a filter of the edges leaves") {
  for (const bool weighted : {false, true}) {
    TempDir dir;
    const Table table = make_table(weighted);
    write_table(dir / "x", table, weighted);
    ImportOptions options = table_options(dir);
    for (const bool undirected : {false, true}) {
      for (const bool keeps : {false, true}) {
        options.undirected = undirected;
        options.keep_self_loops = keeps;
        options.keep_duplicates = keeps;
        options.partitioner = keeps ? Partitioner::random : Partitioner::metis;
        options.reverse = !keeps || weighted;
        if (keeps && undirected) continue;  // self-loops twice, as in the full graph
        CAPTURE(weighted);
        CAPTURE(undirected);
        CAPTURE(keeps);
        check_training_graph(table, options);
      }
    }
  }
}

TEST_CASE("inductive: nothing else of the store changes") {
  TempDir dir;
  write_table(dir / "x", make_table(false), false);
  ImportOptions options = table_options(dir);
  convert_with(options);
  std::map<std::string, std::string> with = store_bytes(dir / "s");
  options.inductive = false;
  options.output = dir / "t";
  convert_with(options);
  CHECK(Store(dir / "t").info().format_version == kStoreFormatVersion);
  CHECK(Store(dir / "s").info().format_version == kInductiveFormatVersion);
  CHECK(std::erase_if(with, [](const auto& file) { return file.first.starts_with("train-"); }) == 8);
  CHECK(with == store_bytes(dir / "t"));
  options.inductive = true;  // the store has none
  CHECK_THROWS_AS((void)verify_conversion(*open_source(options), options, nullptr), DamagedError);
}

TEST_CASE("inductive: with all nodes for training it is the full graph; with lonely ones it has no edge") {
  TempDir dir;
  Table table = make_table(false);
  table.train = {};
  for (NodeId id = 0; id < kNodes; ++id) table.train.push_back(id);
  write_table(dir / "x", table, false);
  const ImportOptions options = table_options(dir);
  convert_with(options);
  LoadedStore store = load_store(options.output);
  CHECK(store.train_in == store.in);
  CHECK(store.train_out == store.out);
  CHECK(store.train_in_degrees == store.in_degrees);
  table.train = {kNodes - 1, kNodes - 2};  // in no edge
  std::sort(table.train.begin(), table.train.end());
  write_table(dir / "x", table, false);
  convert_with(options);
  store = load_store(options.output);
  CHECK(store.info.train_graph.present);
  CHECK(store.info.train_graph.edges == 0);
  CHECK(store.train_in.empty());
  CHECK(verify_conversion(*open_source(options), options, nullptr).find(" 0 edges of the training") !=
        std::string::npos);
}

TEST_CASE("inductive: the same bytes with little memory, and a report") {
  TempDir dir;
  ImportOptions options = synthetic_options(dir / "a", 30000, 400000);
  options.inductive = true;
  options.synthetic.labelled = 0.7;
  options.partitioner = Partitioner::random;
  options.shards = 7;
  options.memory = std::uint64_t{1} << 30;
  convert_with(options);
  options.memory = std::uint64_t{33} << 20;
  options.output = dir / "b";
  CHECK(plan_conversion(options, open_source(options)->facts()).spool_on_disk);
  const ConvertReport report = convert_with(options);
  CHECK(report.peak_budget <= options.memory);
  CHECK(store_bytes(dir / "a") == store_bytes(dir / "b"));
  CHECK(verify_conversion(*open_source(options), options, nullptr).find("training graph") != std::string::npos);
  const auto json = nlohmann::json::parse(read_file(dir / "b/convert.json"));
  CHECK(json["train_graph"]["origin"] == "split");
  CHECK(json["train_graph"]["edges_out"] == report.train_graph.edges);
  CHECK(report.train_graph.edges > 0);
  CHECK(report.train_graph.edges < report.edges_out);
}

TEST_CASE("inductive: damaged training shards and degrees are found; a changed training split is refused") {
  TempDir dir;
  write_table(dir / "x", make_table(false), false);
  convert_with(table_options(dir));
  std::size_t files = 0;
  const std::vector<StoreFile> listed = Store(dir / "s").listed_files();
  for (const StoreFile& file : listed) {
    if (!file.file.starts_with("train-")) continue;
    ++files;
    for (const std::uint64_t at : {std::uint64_t{30}, file.bytes / 2, file.bytes - 1}) {
      const fs::path path = dir / "s" / file.file;
      const std::string whole = read_file(path);
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      write_file_atomically(path, damaged);
      try {
        Store(dir / "s").verify([](const std::string&) {});
        FAIL("not found: byte " << at << " of " << file.file);
      } catch (const DamagedError& error) {
        CHECK(std::string(error.what()).find(file.file) != std::string::npos);
      }
      write_file_atomically(path, whole);
    }
  }
  CHECK(files == 8);
  StoreEditor editor(dir / "s");
  const std::vector<NodeId> nodes{1, 2};
  CHECK_THROWS_AS(editor.put_split("train", nodes), InputError);
  CHECK_NOTHROW(editor.put_split("mine", nodes));
  editor.commit();
}

TEST_CASE("inductive: manifests that contradict themselves") {
  TempDir dir;
  write_table(dir / "x", make_table(false), false);
  convert_with(table_options(dir));
  const StoreInfo good = Store(dir / "s").info();
  CHECK(contradiction_in(good).empty());
  const auto spoiled = [&](const auto& change) {
    StoreInfo info = good;
    change(info);
    return !contradiction_in(info).empty();
  };
  CHECK(spoiled([](StoreInfo& i) { ++i.train_graph.nodes; }));
  CHECK(spoiled([](StoreInfo& i) { ++i.train_graph.edges; }));
  CHECK(spoiled([](StoreInfo& i) { i.train_graph.undirected = true; }));
  CHECK(spoiled([](StoreInfo& i) { i.train_graph.has_reverse = false; }));
  CHECK(spoiled([](StoreInfo& i) { i.train_graph.in_shards.pop_back(); }));
  CHECK(spoiled([](StoreInfo& i) { i.splits.clear(); }));
}

namespace {

// 0-1, 1-2 and 2-3 both ways. adj_train is what a test says.
fs::path write_saint(const fs::path& folder, const Ints& train_indptr, const std::vector<std::int32_t>& train_indices,
                     const std::string& roles = "{\"tr\": [0, 1, 3], \"va\": [2], \"te\": [4]}") {
  const auto members = [](const Ints& indptr, const std::vector<std::int32_t>& indices) {
    return std::map<std::string, std::string>{
        {"indptr.npy", npy_bytes("<i8", "(" + std::to_string(indptr.size()) + ",)", indptr)},
        {"indices.npy", npy_bytes("<i4", "(" + std::to_string(indices.size()) + ",)", indices)},
        {"data.npy", npy_bytes("|b1", "(" + std::to_string(indices.size()) + ",)", std::string(indices.size(), '\1'))},
        {"shape.npy", npy_bytes("<i8", "(2,)", Ints{5, 5})},
        {"format.npy", npy_bytes("|S3", "()", std::string("csr"))}};
  };
  fs::create_directories(folder);
  write_zip(folder / "adj_full.npz", members({0, 1, 3, 5, 6, 6}, {1, 0, 2, 1, 3, 2}), true);
  write_zip(folder / "adj_train.npz", members(train_indptr, train_indices), true);
  write_text(folder / "class_map.json", R"({"0": 2, "2": 0, "1": 1, "3": 2, "4": 1})");
  write_text(folder / "role.json", roles);
  write_text(folder / "feats.npy", npy_bytes("<f8", "(5, 1)", std::vector<double>{1, 2, 3, 4, 5}));
  return folder;
}

}  // namespace

TEST_CASE("inductive: GraphSAINT's own training graph is taken, unless the split is another") {
  TempDir dir;
  write_saint(dir / "x", {0, 1, 2, 2, 2, 2}, {1, 0});
  ImportOptions options = import_options(SourceKind::graphsaint, dir / "x", dir / "s");
  options.inductive = true;
  options.force = true;
  convert_with(options);
  LoadedStore store = load_store(dir / "s");
  CHECK(store.info.train_graph.origin == "source");
  CHECK(store.info.train_graph.undirected);
  CHECK(pairs_of(store.train_in) == std::vector<std::pair<int, int>>{{0, 1}, {1, 0}});
  CHECK(verify_conversion(*open_source(options), options, nullptr).find("2 edges of the training graph") !=
        std::string::npos);
  // One way only: the full graph is undirected, this one is not, so its reverse is kept beside it.
  write_saint(dir / "x", {0, 1, 1, 1, 1, 1}, {1});
  convert_with(options);
  store = load_store(dir / "s");
  CHECK(store.info.undirected);
  CHECK_FALSE(store.info.train_graph.undirected);
  CHECK(store.info.train_graph.has_reverse);
  CHECK(pairs_of(store.train_in) == std::vector<std::pair<int, int>>{{0, 1}});
  CHECK(pairs_of(store.train_out) == std::vector<std::pair<int, int>>{{0, 1}});
  CHECK_NOTHROW((void)verify_conversion(*open_source(options), options, nullptr));
  options.split = "random";
  options.split_fractions = {1, 0, 0};
  convert_with(options);
  store = load_store(dir / "s");
  CHECK(store.info.train_graph.origin == "split");
  CHECK(store.train_in == store.in);
}

TEST_CASE("inductive: what cannot be is refused") {
  const auto saint = [](const Ints& indptr, const std::vector<std::int32_t>& indices, const std::string& roles) {
    return [=](const fs::path& folder) {
      write_saint(folder, indptr, indices, roles);
      return "--inductive --from graphsaint --input " + quoted_path(folder);
    };
  };
  const std::string roles = "{\"tr\": [0, 1, 3], \"va\": [2], \"te\": [4]}";
  const auto without_split = [](const fs::path& folder) {
    write_text(folder / "a.txt", "0 1\n1 2\n");
    return "--inductive --from snap --input " + quoted_path(folder / "a.txt");
  };
  check_damaged({
      {"an edge to a node that does not train", saint({0, 1, 2, 2, 2, 2}, {1, 2}, roles), 3,
       "edge 1 -> 2: node 2 is no training node"},
      {"an edge from one", saint({0, 0, 0, 1, 1, 1}, {1}, roles), 3, "edge 2 -> 1: node 2 is no training node"},
      {"more edges than the full graph", saint({0, 7, 7, 7, 7, 7}, {1, 1, 1, 1, 1, 1, 1}, roles), 3,
       "but adj_full.npz only 6"},
      {"no node trains", saint({0, 0, 0, 0, 0, 0}, {}, "{\"tr\": [], \"va\": [2], \"te\": [4]}"), 3,
       "has no training nodes, which --inductive needs"},
      {"no split", without_split, 2, "--inductive"},
  });
}

}  // namespace strata::test
