// The OGB layouts, whole and damaged.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <fstream>

#include "kernels/base/error.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Pairs = std::vector<std::pair<int, int>>;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// One set in a folder of its own, changed by a test and then converted.
struct OgbCase {
  TempDir dir;
  SixNodes set;
  fs::path input = dir / "tiny_set";
  ImportOptions options = import_options(SourceKind::ogb, input, dir / "tiny.store");

  OgbCase() { write_ogb_csv(input, set); }
  std::string input_error() { return failing<InputError>(options); }
};

void check_clean_directed(const LoadedStore& store) {
  CHECK(pairs_of(store.in) == Pairs{{0, 1}, {1, 2}, {2, 0}, {3, 4}, {4, 3}});
  CHECK(store.out == store.in);
  CHECK_FALSE(store.info.undirected);
  CHECK(store.info.has_reverse);
}

}  // namespace

TEST_CASE("ogb csv: a directed set is cleaned and keeps features, labels and split") {
  OgbCase c;
  const ConvertReport report = convert_with(c.options);
  CHECK(report.edges_in == 7);
  CHECK(report.edges_out == 5);
  CHECK(report.self_loops == 1);
  CHECK(report.duplicates == 1);
  const LoadedStore store = load_store(c.options.output);
  check_clean_directed(store);
  CHECK(store.features == c.set.features);
  CHECK(store.classes == std::vector<int>{0, 1, 2, 0, 1, 2});
  CHECK(store.info.classes == 3);
  CHECK(store.info.metric == "accuracy");
  CHECK(store.info.name == "tiny_set");
  CHECK(store.splits.at("train") == std::vector<NodeId>{0, 1, 4});
  CHECK(store.splits.at("valid") == std::vector<NodeId>{2});
  CHECK(store.splits.at("test") == std::vector<NodeId>{3, 5});
  CHECK(store.in_degrees == std::vector<std::uint32_t>{1, 1, 1, 1, 1, 0});
}

TEST_CASE("ogb npz: the same set in the binary layout gives the same store, NaN meaning unlabelled") {
  TempDir dir;
  SixNodes set;
  set.labels[5] = "";
  write_ogb_csv(dir / "a", set);
  write_ogb_npz(dir / "b", set);
  set.test = {"3"};
  for (const char* name : {"a", "b"}) write_gz(dir / name / "split/time/test.csv.gz", set.test);
  const ConvertReport a = convert_with(import_options(SourceKind::ogb, dir / "a", dir / "a.store"));
  const ConvertReport b = convert_with(import_options(SourceKind::ogb, dir / "b", dir / "b.store"));
  CHECK(a.unlabelled == 1);
  CHECK(b.unlabelled == 1);
  CHECK(store_bytes(dir / "a.store") == store_bytes(dir / "b.store"));
  check_clean_directed(load_store(dir / "b.store"));
  CHECK(load_store(dir / "b.store").classes == std::vector<int>{0, 1, 2, 0, 1, -1});
}

TEST_CASE("ogb: add_inverse_edge of master.csv, as OGB's loader: with everything kept a self-loop is doubled") {
  OgbCase c;
  write_master(c.dir.path(), "tiny-set", true, "rocauc");
  convert_with(c.options);
  LoadedStore store = load_store(c.options.output);
  CHECK(pairs_of(store.in) == Pairs{{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}, {3, 4}, {4, 3}});
  CHECK(store.info.undirected);
  CHECK(store.info.metric == "roc-auc");
  c.options.keep_self_loops = c.options.keep_duplicates = c.options.force = true;
  const ConvertReport report = convert_with(c.options);
  CHECK(report.edges_out == 14);
  CHECK(report.duplicates == 0);
  store = load_store(c.options.output);
  CHECK(std::count(store.in.begin(), store.in.end(), LoadedEdge{5, 5, 1.0f}) == 2);
  CHECK(std::count(store.in.begin(), store.in.end(), LoadedEdge{3, 4, 1.0f}) == 3);
}

TEST_CASE("ogb: self-loops kept, duplicates dropped; --undirected on equals add_inverse_edge; --reverse off") {
  OgbCase c;
  c.options.keep_self_loops = true;
  convert_with(c.options);
  CHECK(pairs_of(load_store(c.options.output).in) == Pairs{{0, 1}, {1, 2}, {2, 0}, {3, 4}, {4, 3}, {5, 5}});
  c.options.undirected = c.options.force = true;
  c.options.keep_self_loops = false;
  convert_with(c.options);
  const LoadedStore store = load_store(c.options.output);
  CHECK(store.info.undirected);
  CHECK(store.in.size() == 8);
  c.options.undirected = c.options.reverse = false;
  convert_with(c.options);
  CHECK_FALSE(load_store(c.options.output).info.has_reverse);
}

TEST_CASE("ogb: the directory under either name") {
  TempDir dir;
  write_ogb_csv(dir / "arxiv", SixNodes());
  for (const char* name : {"ogbn_arxiv", "ogbn-arxiv", "arxiv", "arxiv/"}) {
    const std::unique_ptr<GraphSource> source = open_source(import_options(SourceKind::ogb, dir / name, dir / "s"));
    CHECK(source->facts().edges == 7);
    CHECK(source->facts().split == "time");
  }
  CHECK_THROWS_AS(open_source(import_options(SourceKind::ogb, dir / "ogbn_products", dir / "s")), InputError);
}

TEST_CASE("ogb: multi-task 0/1 labels are multilabel") {
  OgbCase c;
  c.set.labels = {"1,0,0,1", "0,0,0,0", "1,1,1,1", "0,1,0,0", "nan,nan,nan,nan", "0,0,0,1"};
  c.set.train = {"0", "1"};
  write_ogb_csv(c.input, c.set);
  convert_with(c.options);
  const LoadedStore store = load_store(c.options.output);
  CHECK(store.info.task == Task::multilabel);
  CHECK(store.info.classes == 4);
  CHECK(store.info.metric == "micro-f1");
  CHECK(store.targets[0] == std::vector<int>{1, 0, 0, 1});
  CHECK(store.targets[2] == std::vector<int>{1, 1, 1, 1});
  CHECK(store.targets[4].empty());
  CHECK(store.info.labelled == 5);
  SUBCASE("a target that is neither 0 nor 1") { c.set.labels[3] = "0,2,0,0"; }
  SUBCASE("a row that is known in part") { c.set.labels[3] = "0,nan,0,0"; }
  SUBCASE("a row that is too short") { c.set.labels[3] = "0,1,0"; }
  SUBCASE("a row that is too long") { c.set.labels[3] = "0,1,0,0,0"; }
  write_ogb_csv(c.input, c.set);
  c.options.force = true;
  if (c.set.labels[3] == "0,1,0,0") return;
  const std::string message = c.input_error();
  CHECK(contains(message, "node-label.csv.gz: line 4"));
}

TEST_CASE("ogb: which split") {
  OgbCase c;
  const SixNodes other = [] {
    SixNodes set;
    set.train = {"5"};
    return set;
  }();
  write_gz(c.input / "split/alpha/train.csv.gz", {"5"});
  write_gz(c.input / "split/alpha/valid.csv.gz", {"0"});
  write_gz(c.input / "split/alpha/test.csv.gz", {"1"});
  CHECK(open_source(c.options)->facts().split == "alpha");  // the first by name
  write_master(c.dir.path(), "tiny-set", false, "acc");
  CHECK(open_source(c.options)->facts().split == "time");  // the catalogue's
  c.options.split = "alpha";
  convert_with(c.options);
  CHECK(load_store(c.options.output).splits.at("train") == std::vector<NodeId>{5});
  c.options.split = "beta";
  CHECK_THROWS_AS(open_source(c.options), InputError);
  c.options.split = "random";
  c.options.force = true;
  c.options.split_fractions = {1.0, 0.0, 0.0};
  convert_with(c.options);
  CHECK(load_store(c.options.output).splits.at("train").size() == 6);
}

TEST_CASE("ogb csv: contradictions and damage name file and line, and leave nothing") {
  OgbCase c;
  std::string expected;
  SUBCASE("id too large") {
    c.set.edges[2] = {2, 6};
    expected = "edge.csv.gz: line 3: node id 6 is not in [0, 6)";
  }
  SUBCASE("negative id") {
    c.set.edges[2] = {-1, 0};
    expected = "edge.csv.gz: line 3: node id -1";
  }
  SUBCASE("label outside the catalogue's classes") {
    c.set.labels[3] = "3";
    write_master(c.dir.path(), "tiny-set", false, "acc");
    expected = "node-label.csv.gz: line 4: label 3 is not in [0, 3)";
  }
  SUBCASE("negative label") {
    c.set.labels[1] = "-2";
    expected = "node-label.csv.gz: line 2";
  }
  SUBCASE("label that is no whole number") {
    c.set.labels[1] = "1.5";
    expected = "node-label.csv.gz: line 2";
  }
  SUBCASE("too few labels") {
    c.set.labels.pop_back();
    expected = "node-label.csv.gz: line 5: the file has 5 lines";
  }
  SUBCASE("too many labels") {
    c.set.labels.push_back("0");
    expected = "node-label.csv.gz: line 7";
  }
  SUBCASE("split id too large") {
    c.set.valid = {"2", "6"};
    expected = "valid.csv.gz: line 2: node id 6";
  }
  SUBCASE("split overlap") {
    c.set.test = {"5", "4"};
    expected = "test.csv.gz: line 2: node 4 is also in the train split";
  }
  SUBCASE("a node twice in a split") {
    c.set.train = {"0", "1", "0"};
    expected = "train.csv.gz: line 3: node 0 occurs twice";
  }
  SUBCASE("a training node without label") {
    c.set.labels[4] = "nan";
    expected = "train.csv.gz: line 1: node 4 of the train split has no label";
  }
  SUBCASE("NaN feature") {
    c.set.features[4][1] = NAN;
    expected = "node-feat.csv.gz: row 4, column 1: is NaN or infinite";
  }
  SUBCASE("a feature row that is too short") {
    c.set.features[4].pop_back();
    expected = "node-feat.csv.gz: line 5";
  }
  SUBCASE("a feature row that is too long") {
    c.set.features[4].push_back(1);
    expected = "node-feat.csv.gz: line 5: found 3 columns, expected 2";
  }
  SUBCASE("too few feature rows") {
    c.set.features.pop_back();
    expected = "node-feat.csv.gz: line 5: the file has 5 lines";
  }
  REQUIRE_FALSE(expected.empty());
  write_ogb_csv(c.input, c.set);
  const std::string message = c.input_error();
  CAPTURE(message);
  CHECK(contains(message, expected));
  CHECK_FALSE(contains(message, "left behind"));
}

TEST_CASE("ogb csv: damaged files") {
  OgbCase c;
  std::string expected;
  SUBCASE("more edges than listed") {
    write_gz(c.input / "raw/num-edge-list.csv.gz", {"6"});
    expected = "edge.csv.gz: line 7: more edges";
  }
  SUBCASE("fewer edges than listed") {
    write_gz(c.input / "raw/num-edge-list.csv.gz", {"8"});
    expected = "edge.csv.gz: line 7: the file has 7 lines, but num-edge-list.csv.gz says 8";
  }
  SUBCASE("several graphs") {
    write_gz(c.input / "raw/num-node-list.csv.gz", {"3", "3"});
    expected = "num-node-list.csv.gz: line 2: lists more than one graph";
  }
  SUBCASE("a count that is no number") {
    write_gz(c.input / "raw/num-node-list.csv.gz", {"six"});
    expected = "num-node-list.csv.gz: line 1";
  }
  SUBCASE("an empty count file") {
    write_gz(c.input / "raw/num-node-list.csv.gz", {});
    expected = "num-node-list.csv.gz: is empty";
  }
  SUBCASE("an edge with one end") {
    write_gz(c.input / "raw/edge.csv.gz", {"0,1", "1"});
    expected = "edge.csv.gz: line 2: the line ends";
  }
  SUBCASE("an edge with three columns") {
    write_gz(c.input / "raw/edge.csv.gz", {"0,1", "1,2,3"});
    expected = "edge.csv.gz: line 2: found 3 columns";
  }
  SUBCASE("a header") {
    write_gz(c.input / "raw/edge.csv.gz", {"source,target", "1,2"});
    expected = "edge.csv.gz: line 1: column 1: 'source' is not an integer";
  }
  SUBCASE("an id beyond 64 bits") {
    write_gz(c.input / "raw/edge.csv.gz", {"0,1", "99999999999999999999,2"});
    expected = "edge.csv.gz: line 2: '99999999999999999999' does not fit";
  }
  SUBCASE("an id beyond 32 bits does not wrap around") {
    write_gz(c.input / "raw/edge.csv.gz", {"0,1", "4294967297,2"});
    expected = "edge.csv.gz: line 2: node id 4294967297";
  }
  SUBCASE("a cut gzip file") {
    fs::resize_file(c.input / "raw/edge.csv.gz", fs::file_size(c.input / "raw/edge.csv.gz") - 9);
    expected = "edge.csv.gz";
  }
  SUBCASE("a gzip file with a flipped bit") {
    std::fstream file(c.input / "raw/node-feat.csv.gz", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(20);
    const int byte = file.get();
    file.seekp(20);
    file.put(static_cast<char>(byte ^ 16));
    expected = "node-feat.csv.gz";
  }
  SUBCASE("a missing file of the split") {
    fs::remove(c.input / "split/time/valid.csv.gz");
    expected = "valid.csv.gz: the split lacks this file";
  }
  SUBCASE("missing features that the catalogue promises") {
    write_master(c.dir.path(), "tiny-set", false, "acc");
    fs::remove(c.input / "raw/node-feat.csv.gz");
    expected = "node-feat.csv.gz: the set lacks this file, but";
  }
  SUBCASE("missing edge counts") {
    fs::remove(c.input / "raw/num-edge-list.csv.gz");
    expected = "num-edge-list.csv.gz: the set lacks this file";
  }
  SUBCASE("a heterogeneous set") {
    write_gz(c.input / "raw/triplet-type-list.csv.gz", {"paper,cites,paper"});
    expected = "heterogeneous";
  }
  SUBCASE("no OGB set at all") {
    fs::remove_all(c.input / "raw");
    expected = "neither raw/edge.csv.gz nor raw/data.npz";
  }
  SUBCASE("a number of tasks that the labels do not have") {
    c.set.labels = {"1,0", "0,0", "1,1", "0,1", "0,0", "1,0"};
    write_ogb_csv(c.input, c.set);
    write_master(c.dir.path(), "tiny-set", false, "rocauc", 3, 2);
    expected = "have 2 columns, but";
  }
  REQUIRE_FALSE(expected.empty());
  const std::string message = c.input_error();
  CAPTURE(message);
  CHECK(contains(message, expected));
  CHECK_FALSE(contains(message, "left behind"));
}

TEST_CASE("ogb npz: contradictions and damage") {
  TempDir dir;
  SixNodes set;
  const fs::path input = dir / "tiny-bin";
  const ImportOptions options = import_options(SourceKind::ogb, input, dir / "tiny.store");
  std::string expected;
  const std::vector<std::int64_t> one = {6}, seven = {7};
  std::vector<std::int64_t> edges = {0, 1, 2, 3, 4, 3, 5, 1, 2, 0, 4, 3, 4, 5};
  std::map<std::string, std::string> data = {
      {"edge_index.npy", npy_bytes("<i8", "(2, 7)", edges)},
      {"num_nodes_list.npy", npy_bytes("<i8", "(1,)", one)},
      {"num_edges_list.npy", npy_bytes("<i8", "(1,)", seven)},
  };
  write_ogb_npz(input, set);
  SUBCASE("edge count") {
    data["num_edges_list.npy"] = npy_bytes("<i8", "(1,)", one);
    expected = "member edge_index.npy: holds 7 edges, but num_edges_list says 6";
  }
  SUBCASE("several graphs") {
    data["num_nodes_list.npy"] = npy_bytes("<i8", "(2,)", std::vector<std::int64_t>{3, 3});
    expected = "member num_nodes_list.npy: lists 2 graphs";
  }
  SUBCASE("target out of range") {
    edges[9] = 6;
    data["edge_index.npy"] = npy_bytes("<i8", "(2, 7)", edges);
    expected = "member edge_index.npy, edge 2: node id 6";
  }
  SUBCASE("float ids") {
    data["edge_index.npy"] = npy_bytes("<f4", "(2, 1)", std::vector<float>{0, 1});
    expected = "member edge_index.npy: holds <f4 values";
  }
  SUBCASE("shape") {
    data["edge_index.npy"] = npy_bytes("<i8", "(14,)", edges);
    expected = "has shape (14,)";
  }
  SUBCASE("missing key") {
    data.erase("num_edges_list.npy");
    expected = "lacks the array num_edges_list";
  }
  SUBCASE("unknown key") {
    data["weights.npy"] = npy_bytes("<i8", "(1,)", one);
    expected = "member weights.npy: is not part";
  }
  SUBCASE("rows of features") {
    data["node_feat.npy"] = npy_bytes("<f4", "(5, 1)", std::vector<float>(5));
    expected = "member node_feat.npy: has shape (5, 1), expected 6 rows";
  }
  SUBCASE("rows of labels") {
    write_zip(input / "raw/node-label.npz", {{"node_label.npy", npy_bytes("<f4", "(5, 1)", std::vector<float>(5))}});
    expected = "member node_label.npy: has shape (5, 1), expected labels of 6";
  }
  SUBCASE("infinite feature") {
    std::vector<float> features(12, 1.0f);
    features[7] = INFINITY;
    features[9] = NAN;
    data["node_feat.npy"] = npy_bytes("<f4", "(6, 2)", features);
    expected = "member node_feat.npy: row 3, column 1: is NaN or infinite; 2 feature values are";
  }
  REQUIRE_FALSE(expected.empty());
  write_zip(input / "raw/data.npz", data);
  const std::string message = failing<InputError>(options);
  CAPTURE(message);
  CHECK(contains(message, expected));
  CHECK_FALSE(contains(message, "left behind"));
}

}  // namespace strata::test
