// --from npy: the three key layouts, as directories and as archives, whole and damaged.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/base/error.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Pairs = std::vector<std::pair<int, int>>;
using Members = std::map<std::string, std::string>;
using I64 = std::vector<std::int64_t>;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// 4 nodes, edges 0-1, 1-2, 2-3, 3-0, 0-2.
Members plain() {
  return {{"edge_index.npy", npy_bytes("<i8", "(2, 5)", I64{0, 1, 2, 3, 0, 1, 2, 3, 0, 2})},
          {"node_feat.npy", npy_bytes("<f8", "(4, 3)", std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})},
          {"node_label.npy", npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 1, -1, 1})},
          {"train.npy", npy_bytes("<i4", "(2,)", std::vector<std::int32_t>{3, 0})},
          {"valid.npy", npy_bytes("<i4", "(1,)", std::vector<std::int32_t>{1})},
          {"test.npy", npy_bytes("<i4", "(0,)", std::vector<std::int32_t>{})}};
}
const Pairs kPlainEdges = {{0, 1}, {0, 2}, {1, 2}, {2, 3}, {3, 0}};

void write_directory(const fs::path& path, const Members& members) {
  for (const auto& [name, bytes] : members) write_text(path / name, bytes);
}

}  // namespace

TEST_CASE("npy: a directory and an archive of the same arrays give the same store") {
  TempDir dir;
  write_directory(dir / "graph", plain());
  write_zip(dir / "graph.npz", plain());
  convert_with(import_options(SourceKind::npy, dir / "graph", dir / "a"));
  convert_with(import_options(SourceKind::npy, dir / "graph.npz", dir / "b"));
  CHECK(store_bytes(dir / "a") == store_bytes(dir / "b"));
  const LoadedStore store = load_store(dir / "b");
  CHECK(pairs_of(store.in) == kPlainEdges);
  CHECK(store.out == store.in);
  CHECK(store.features[3] == std::vector<float>{10, 11, 12});
  CHECK(store.classes == std::vector<int>{0, 1, -1, 1});
  CHECK(store.splits.at("train") == std::vector<NodeId>{0, 3});
  CHECK(store.splits.at("test").empty());
  CHECK(store.info.name == "graph");
  CHECK_FALSE(store.info.weighted);
}

TEST_CASE("npy: edges in every shape and order") {
  TempDir dir;
  Members members = plain();
  const I64 apart = {0, 1, 2, 3, 0, 1, 2, 3, 0, 2}, beside = {0, 1, 1, 2, 2, 3, 3, 0, 0, 2};
  std::string expected_bytes;
  SUBCASE("(2,E)") { members["edge_index.npy"] = npy_bytes("<i8", "(2, 5)", apart); }
  SUBCASE("(E,2)") { members["edge_index.npy"] = npy_bytes("<i8", "(5, 2)", beside); }
  SUBCASE("(2,E) in Fortran order") { members["edge_index.npy"] = npy_bytes("<i8", "(2, 5)", beside, true); }
  SUBCASE("(E,2) in Fortran order") { members["edge_index.npy"] = npy_bytes("<i8", "(5, 2)", apart, true); }
  SUBCASE("unsigned 16 bits") {
    members["edge_index.npy"] = npy_bytes("<u2", "(5, 2)", std::vector<std::uint16_t>(beside.begin(), beside.end()));
  }
  write_zip(dir / "graph.npz", members);
  convert_with(import_options(SourceKind::npy, dir / "graph.npz", dir / "s"));
  CHECK(pairs_of(load_store(dir / "s").in) == kPlainEdges);
}

TEST_CASE("npy: edges alone; num_nodes adds isolated nodes; no edges") {
  TempDir dir;
  Members members = {{"edge_index.npy", plain()["edge_index.npy"]}};
  write_directory(dir / "g", members);
  convert_with(import_options(SourceKind::npy, dir / "g", dir / "s"));
  LoadedStore store = load_store(dir / "s");
  CHECK(store.info.nodes == 4);
  CHECK(store.info.feature_dim == 0);
  CHECK(store.info.task == Task::none);
  write_text(dir / "g" / "num_nodes.npy", npy_bytes("<i8", "()", I64{9}));
  ImportOptions options = import_options(SourceKind::npy, dir / "g", dir / "s");
  options.force = true;
  convert_with(options);
  store = load_store(dir / "s");
  CHECK(store.info.nodes == 9);
  CHECK(store.in_degrees == std::vector<std::uint32_t>{1, 1, 2, 1, 0, 0, 0, 0, 0});
  write_text(dir / "g" / "edge_index.npy", npy_bytes("<i8", "(2, 0)", I64{}));
  CHECK(convert_with(options).edges_out == 0);
  CHECK(load_store(dir / "s").info.undirected);
}

TEST_CASE("npy: weights; of repeats the first in the table stays, whichever the direction") {
  TempDir dir;
  Members members = {{"edge_index.npy", npy_bytes("<i8", "(5, 2)", I64{1, 0, 2, 0, 1, 0, 0, 1, 2, 2})},
                     {"edge_weight.npy", npy_bytes("<f4", "(5,)", std::vector<float>{0.5f, 2, 8, 3, 4})}};
  write_directory(dir / "g", members);
  ImportOptions options = import_options(SourceKind::npy, dir / "g", dir / "s");
  convert_with(options);
  LoadedStore store = load_store(dir / "s");
  const std::vector<LoadedEdge> expected = {{0, 1, 3.0f}, {1, 0, 0.5f}, {2, 0, 2.0f}};
  CHECK(store.info.weighted);
  CHECK(store.in == expected);
  CHECK(store.out == expected);
  CHECK_FALSE(store.info.undirected);
  {
    MemoryBudget budget(1 << 26);
    CHECK(Store(dir / "s").weighted_degrees(budget)[0] == 2.5f);
  }
  options.force = options.undirected = true;
  convert_with(options);
  store = load_store(dir / "s");
  CHECK(store.in == std::vector<LoadedEdge>{{0, 1, 0.5f}, {0, 2, 2.0f}, {1, 0, 0.5f}, {2, 0, 2.0f}});
  CHECK(store.info.undirected);
  options.keep_duplicates = true;
  options.undirected = false;
  convert_with(options);
  CHECK(load_store(dir / "s").in == std::vector<LoadedEdge>{{0, 1, 3.0f}, {1, 0, 0.5f}, {1, 0, 8.0f}, {2, 0, 2.0f}});
  // A symmetric pattern with unequal weights is a directed graph.
  write_text(dir / "g" / "edge_index.npy", npy_bytes("<i8", "(2, 2)", I64{0, 1, 1, 0}));
  write_text(dir / "g" / "edge_weight.npy", npy_bytes("<f4", "(2,)", std::vector<float>{1, 2}));
  CHECK_FALSE(convert_with(options).undirected);
  // Ones are no weights.
  write_text(dir / "g" / "edge_weight.npy", npy_bytes("<f4", "(2,)", std::vector<float>{1, 1}));
  CHECK(convert_with(options).undirected);
  CHECK_FALSE(load_store(dir / "s").info.weighted);
}

TEST_CASE("npy: masks, tables of masks in both orders, and --split-index") {
  TempDir dir;
  Members members = plain();
  members["node_label.npy"] = npy_bytes("<f4", "(4, 1)", std::vector<float>{0, 1, 0, 1});
  const std::string c_order("\1\0\0\0\0\1\0\0", 8), fortran("\1\0\0\1\0\0\0\0", 8), c_valid("\0\1\0\0\1\0\0\0", 8);
  for (const char* name : {"train.npy", "valid.npy", "test.npy"}) members.erase(name);
  bool table = true;
  SUBCASE("(S,N)") { members["train_mask.npy"] = npy_bytes("|b1", "(2, 4)", c_order); }
  SUBCASE("(S,N) in Fortran order") { members["train_mask.npy"] = npy_bytes("|b1", "(2, 4)", fortran, true); }
  SUBCASE("(N,)") {
    members["train_mask.npy"] = npy_bytes("|b1", "(4,)", c_order.substr(4));
    table = false;
  }
  write_zip(dir / "g.npz", members);
  ImportOptions options = import_options(SourceKind::npy, dir / "g.npz", dir / "s");
  options.split_index = 1;
  if (!table) {
    CHECK_THROWS_AS(open_source(options), UsageError);
    options.split_index.reset();
  }
  convert_with(options);
  CHECK(load_store(dir / "s").splits.at("train") == std::vector<NodeId>{1});
  if (!table) return;
  options.split_index = 2;
  options.output = dir / "t";
  CHECK(contains(failing<InputError>(options), "has 2 splits: --split-index 2"));
}

TEST_CASE("npy: the split may come from another archive") {
  TempDir dir;
  Members members = plain();
  Members split;
  for (const char* name : {"train.npy", "valid.npy", "test.npy"}) members.erase(name);
  split["train.npy"] = npy_bytes("<i8", "(1,)", I64{1});
  split["valid.npy"] = npy_bytes("<i8", "(1,)", I64{0});
  split["test.npy"] = npy_bytes("<i8", "(2,)", I64{3, 2});  // node 2 has no label: hidden test labels are allowed
  write_zip(dir / "g.npz", members);
  write_zip(dir / "g_split.npz", split);
  ImportOptions options = import_options(SourceKind::npy, dir / "g.npz", dir / "s");
  CHECK(convert_with(options).unlabelled_test == 0);
  CHECK(load_store(dir / "s").info.splits.empty());
  options.split = "g_split";
  options.force = true;
  CHECK(convert_with(options).unlabelled_test == 1);
  CHECK(load_store(dir / "s").splits.at("test") == std::vector<NodeId>{2, 3});
}

TEST_CASE("npy: the key layout of gnn-benchmark, sparse and dense attributes") {
  TempDir dir;
  const Members members = {
      {"adj_data.npy", npy_bytes("<f4", "(3,)", std::vector<float>{1, 1, 1})},
      {"adj_indices.npy", npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{1, 2, 0})},
      {"adj_indptr.npy", npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 2, 2, 3})},
      {"adj_shape.npy", npy_bytes("<i8", "(2,)", I64{3, 3})},
      {"attr_data.npy", npy_bytes("<f4", "(3,)", std::vector<float>{0.5f, 2, 3})},
      {"attr_indices.npy", npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{4, 0, 2})},
      {"attr_indptr.npy", npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 1, 1, 3})},
      {"attr_shape.npy", npy_bytes("<i8", "(2,)", I64{3, 5})},
      {"labels.npy", npy_bytes("<i8", "(3,)", I64{1, 0, 1})},
  };
  ImportOptions options = import_options(SourceKind::npy, dir / "g.npz", dir / "s");
  write_zip(dir / "g.npz", members);
  convert_with(options);
  const LoadedStore store = load_store(dir / "s");
  CHECK(pairs_of(store.in) == Pairs{{0, 1}, {0, 2}, {2, 0}});
  CHECK(store.features == std::vector<std::vector<float>>{{0, 0, 0, 0, 0.5f}, {0, 0, 0, 0, 0}, {2, 0, 3, 0, 0}});
  CHECK(store.info.classes == 2);
  CHECK_FALSE(store.info.weighted);
  Members damaged = members;
  options.output = dir / "t";
  std::string expected;
  SUBCASE("column of the adjacency") {
    damaged["adj_indices.npy"] = npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{1, 3, 0});
    expected = "member adj_indices.npy, row 0: column 3 is not in [0, 3)";
  }
  SUBCASE("column of the attributes") {
    damaged["attr_indices.npy"] = npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{4, 0, 5});
    expected = "member attr_indices.npy, row 2: column 5";
  }
  SUBCASE("offsets that fall") {
    damaged["adj_indptr.npy"] = npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 2, 1, 3});
    expected = "member adj_indptr.npy, element 2: is 1, expected 2 to 3";
  }
  SUBCASE("offsets that end early") {
    damaged["adj_indptr.npy"] = npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 2, 2, 2});
    expected = "member adj_indptr.npy, last element: is 2, expected 3";
  }
  SUBCASE("offsets beyond the end") {
    damaged["attr_indptr.npy"] = npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 1, 1, 9});
    expected = "member attr_indptr.npy, element 3: is 9";
  }
  SUBCASE("offsets that start late") {
    damaged["adj_indptr.npy"] = npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{1, 2, 2, 3});
    expected = "member adj_indptr.npy, element 0: expected 0";
  }
  SUBCASE("length of the offsets") {
    damaged["adj_indptr.npy"] = npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{0, 2, 3});
    expected = "member adj_indptr.npy: has 3 elements, expected 4";
  }
  SUBCASE("not square") {
    damaged["adj_shape.npy"] = npy_bytes("<i8", "(2,)", I64{3, 4});
    expected = "not square";
  }
  SUBCASE("attributes of other nodes") {
    damaged["attr_shape.npy"] = npy_bytes("<i8", "(2,)", I64{2, 5});
    expected = "member attr_indptr.npy: has 4 elements, expected 3";
  }
  REQUIRE_FALSE(expected.empty());
  write_zip(dir / "g.npz", damaged);
  const std::string message = failing<InputError>(options);
  CAPTURE(message);
  CHECK(contains(message, expected));
  CHECK_FALSE(contains(message, "left behind"));
}

TEST_CASE("npy: the heterophilous layout is undirected but for sets named _directed") {
  TempDir dir;
  const Members members = {
      {"edges.npy", npy_bytes("<i8", "(3, 2)", I64{0, 1, 1, 2, 0, 2})},
      {"node_features.npy", npy_bytes("<f4", "(3, 1)", std::vector<float>{1, 2, 3})},
      {"node_labels.npy", npy_bytes("<i8", "(3,)", I64{0, 1, 1})},
      {"train_masks.npy", npy_bytes("|b1", "(1, 3)", std::string("\1\0\0", 3))},
      {"val_masks.npy", npy_bytes("|b1", "(1, 3)", std::string("\0\1\0", 3))},
      {"test_masks.npy", npy_bytes("|b1", "(1, 3)", std::string("\0\0\1", 3))},
  };
  write_zip(dir / "set.npz", members);
  write_zip(dir / "set_directed.npz", members);
  convert_with(import_options(SourceKind::npy, dir / "set.npz", dir / "a"));
  convert_with(import_options(SourceKind::npy, dir / "set_directed.npz", dir / "b"));
  CHECK(load_store(dir / "a").in.size() == 6);
  CHECK(load_store(dir / "b").in.size() == 3);
  CHECK(load_store(dir / "a").splits.at("valid") == std::vector<NodeId>{1});
}

TEST_CASE("npy: contradictions and damage name array and position, and leave nothing") {
  TempDir dir;
  Members members = plain();
  std::string expected;
  SUBCASE("id too large") {
    members["edge_index.npy"] = npy_bytes("<i8", "(5, 2)", I64{0, 1, 1, 2, 2, 4, 3, 0, 0, 2});
    expected = "edge_index.npy: edge 2: node id 4 is not in [0, 4)";
  }
  SUBCASE("negative id") {
    members["edge_index.npy"] = npy_bytes("<i8", "(5, 2)", I64{0, 1, 1, 2, -2, 3, 3, 0, 0, 2});
    expected = "edge_index.npy: edge 2: node id -2";
  }
  SUBCASE("id beyond 32 bits") {
    members["edge_index.npy"] = npy_bytes("<i8", "(5, 2)", I64{0, 1, 1, 2, 4294967296, 3, 3, 0, 0, 2});
    expected = "edge_index.npy: edge 2: node id 4294967296";
  }
  SUBCASE("edges in three columns") {
    members["edge_index.npy"] = npy_bytes("<i8", "(3, 3)", I64(9, 0));
    expected = "edge_index.npy: has shape (3, 3), expected (2, edges)";
  }
  SUBCASE("labels of other nodes") {
    members["node_label.npy"] = npy_bytes("<i8", "(5,)", I64(5, 0));
    expected = "node_label.npy: is about 5 nodes, but other arrays are about 4";
  }
  SUBCASE("label below -1") {
    members["node_label.npy"] = npy_bytes("<i8", "(4,)", I64{0, -2, 1, 1});
    expected = "node_label.npy: row 1: label -2";
  }
  SUBCASE("multilabel target of 2") {
    members["node_label.npy"] = npy_bytes("<i8", "(4, 2)", I64{0, 1, 1, 0, 0, 2, 0, 0});
    expected = "node_label.npy: row 2: target 1 is 2";
  }
  SUBCASE("features by columns") {
    members["node_feat.npy"] = npy_bytes("<f4", "(4, 2)", std::vector<float>(8), true);
    expected = "node_feat.npy: is stored column by column";
  }
  SUBCASE("split id too large") {
    members["train.npy"] = npy_bytes("<i8", "(2,)", I64{0, 4});
    expected = "train.npy: element 1: node id 4";
  }
  SUBCASE("split overlap") {
    members["test.npy"] = npy_bytes("<i8", "(2,)", I64{2, 3});
    expected = "test.npy: element 1: node 3 is also in the train split";
  }
  SUBCASE("a validation node without label") {
    members["valid.npy"] = npy_bytes("<i8", "(2,)", I64{1, 2});
    expected = "valid.npy: element 1: node 2 of the valid split has no label";
  }
  SUBCASE("mask of other nodes") {
    members["train.npy"] = npy_bytes("|b1", "(3,)", std::string("\1\0\0", 3));
    expected = "train.npy: has shape (3,), expected masks of 4";
  }
  SUBCASE("float split") {
    members["train.npy"] = npy_bytes("<f4", "(1,)", std::vector<float>{0});
    expected = "train.npy: holds <f4";
  }
  SUBCASE("number of weights") {
    members["edge_weight.npy"] = npy_bytes("<f4", "(4,)", std::vector<float>{2, 2, 2, 2});
    expected = "edge_weight.npy: has 4 weights for 5 edges";
  }
  SUBCASE("NaN weight") {
    members["edge_weight.npy"] = npy_bytes("<f4", "(5,)", std::vector<float>{2, 2, NAN, 2, 2});
    expected = "edge_weight.npy: edge 2: the weight is not finite";
  }
  SUBCASE("a cut array") {
    members["node_feat.npy"].resize(members["node_feat.npy"].size() - 1);
    expected = "node_feat.npy";
  }
  SUBCASE("no graph") {
    members.erase("edge_index.npy");
    expected = "holds no graph";
  }
  REQUIRE_FALSE(expected.empty());
  write_directory(dir / "g", members);
  const std::string message = failing<InputError>(import_options(SourceKind::npy, dir / "g", dir / "s"));
  CAPTURE(message);
  CHECK(contains(message, expected));
  CHECK_FALSE(contains(message, "left behind"));
}

}  // namespace strata::test
