// --from snap: edge lists in every dress, labels, communities, MUSAE's and ASU's tables, zip archives.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "kernels/base/error.hpp"
#include "storage/npy.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Pairs = std::vector<std::pair<int, int>>;

std::vector<std::uint64_t> external_ids(const fs::path& store) {
  MemoryBudget budget(std::uint64_t{64} << 20);
  const Array<std::uint64_t> ids = Store(store).external_ids(budget);
  return {ids.begin(), ids.end()};
}

LoadedStore convert_and_verify(const ImportOptions& options) {
  convert_with(options);
  CHECK(verify_conversion(*open_source(options), options, nullptr).find("verified") == 0);
  return load_store(options.output);
}

LoadedStore convert_text(const TempDir& dir, const std::string& text, const std::string& name = "graph.txt") {
  write_text(dir / name, text);
  fs::remove_all(dir / "s");
  return convert_and_verify(import_options(SourceKind::snap, dir / name, dir / "s"));
}

}  // namespace

TEST_CASE("snap: separators, comments, line ends, further columns and a header give the same edges") {
  const Pairs expected = {{0, 1}, {1, 2}, {2, 0}};
  for (const char* text : {
           "0 1\n1 2\n2 0\n",
           "0\t1\r\n1\t2\r\n2\t0",
           "# Directed graph: x\r\n# Nodes: 3 Edges: 3\r\n# FromNodeId\tToNodeId\r\n0\t1\r\n1\t2\r\n2\t0\r\n",
           "% a comment\n\n0,1\n1, 2\n  2 , 0\n",
           "0 1 1082040961\n1 2 5\n2 0 -1\n",
           "source,target\n0,1\n1,2\n2,0\n",
           "\xef\xbb\xbf"
           "0 1\n1 2\n2 0\n",
           "0 1\n# in between\n1 2\n2 0\n",
       }) {
    CAPTURE(text);
    TempDir dir;
    const LoadedStore store = convert_text(dir, text);
    CHECK(pairs_of(store.in) == expected);
    CHECK(store.info.nodes == 3);
    CHECK(external_ids(dir / "s").empty());
  }
}

TEST_CASE("snap: gzip and zstd of a file give the store of the file itself") {
  TempDir dir;
  const std::string text = "# Nodes: 4 Edges: 4\n10 20\n20 30\n30 10\n40 10\n";
  convert_text(dir, text);
  const auto plain = store_bytes(dir / "s");
  write_gz(dir / "z/graph.txt.gz", {"# Nodes: 4 Edges: 4", "10 20", "20 30", "30 10", "40 10"});
  convert_and_verify(import_options(SourceKind::snap, dir / "z/graph.txt.gz", dir / "g"));
  CHECK(store_bytes(dir / "g") == plain);
  write_text(dir / "z/graph.txt.zst", zstd_bytes(text));
  convert_and_verify(import_options(SourceKind::snap, dir / "z/graph.txt.zst", dir / "t"));
  CHECK(store_bytes(dir / "t") == plain);
}

TEST_CASE("snap: ids of any size are renumbered in their order and kept") {
  TempDir dir;
  const std::string big = "18446744073709551615", middle = "9000000000";
  const LoadedStore store = convert_text(dir, big + " 7\n7 " + middle + "\n" + middle + " 13\n13 " + big + "\n");
  CHECK(pairs_of(store.in) == Pairs{{0, 2}, {1, 3}, {2, 1}, {3, 0}});
  CHECK(external_ids(dir / "s") == std::vector<std::uint64_t>{7, 13, 9000000000u, UINT64_MAX});
}

TEST_CASE("snap: what says undirected and is listed once comes out both ways") {
  TempDir dir;
  const LoadedStore commented = convert_text(dir, "# Undirected graph: x\n0 1\n1 2\n1 1\n");
  CHECK(pairs_of(commented.in) == Pairs{{0, 1}, {1, 0}, {1, 2}, {2, 1}});
  CHECK(commented.info.undirected);
  CHECK(convert_text(dir, "0 1\n", "com-x.ungraph.txt").info.edges == 2);
  CHECK(convert_text(dir, "id_1,id_2\n0,1\n", "x_edges.csv").info.edges == 2);
  CHECK(convert_text(dir, "id1,id2\n0,1\n", "chameleon_edges.csv").info.edges == 1);
}

TEST_CASE("snap: label files, with nodes that have no edge and nodes without label") {
  TempDir dir;
  write_text(dir / "set/mail.txt", "5 6\n6 8\n");
  write_text(dir / "set/mail-department-labels.txt", "# node label\n5 20\r\n6 3\r\n8 -1\r\n9 20");
  write_text(dir / "set/README.txt", "not an edge list");
  const LoadedStore store = convert_and_verify(import_options(SourceKind::snap, dir / "set", dir / "s"));
  CHECK(store.info.nodes == 4);
  CHECK(store.info.classes == 2);
  CHECK(store.classes == std::vector<int>{1, 0, -1, 1});
  CHECK(external_ids(dir / "s") == std::vector<std::uint64_t>{5, 6, 8, 9});
}

TEST_CASE("snap: communities and groups are several labels a node") {
  TempDir dir;
  write_text(dir / "a/g.ungraph.txt", "1 2\n2 3\n3 4\n");
  write_text(dir / "a/g.cmty.txt", "1\t2\n2\t3\t\n3\n");
  const LoadedStore communities = convert_and_verify(import_options(SourceKind::snap, dir / "a", dir / "s"));
  CHECK(communities.info.task == Task::multilabel);
  CHECK(communities.targets == std::vector<std::vector<int>>{{1, 0, 0}, {1, 1, 0}, {0, 1, 1}, {}});
  write_text(dir / "b/edges.csv", "1,2\n2,3\n");
  write_text(dir / "b/nodes.csv", "1\n2\n3\n");
  write_text(dir / "b/groups.csv", "7\n10\n");
  write_text(dir / "b/group-edges.csv", "1,10\n2,7\n2,10\n");
  const LoadedStore groups = convert_and_verify(import_options(SourceKind::snap, dir / "b", dir / "t"));
  CHECK(groups.targets == std::vector<std::vector<int>>{{0, 1}, {1, 1}, {}});
}

TEST_CASE("snap: MUSAE's tables and JSON, in a folder and in a zip, stored and deflated") {
  TempDir dir;
  const std::map<std::string, std::string> files = {
      {"m/m_edges.csv", "id_1,id_2\n0,1\n1,2\n"},
      {"m/m_target.csv",
       "id,page_name,page_type\n2,\"a, \"\"quoted\"\" name\",tv\n0,\"two\nlines\",company\n1,\xe4\xb8\xad,tv\n"},
      {"m/m_features.json", "{\"2\": [0, 3], \"0\" : [], \"1\": [1,1]}"},
      {"m/README.txt", "text"}};
  for (const auto& [name, text] : files) write_text(dir / name, text);
  const LoadedStore plain = convert_and_verify(import_options(SourceKind::snap, dir / "m", dir / "s"));
  CHECK(plain.classes == std::vector<int>{0, 1, 1});
  CHECK(plain.features == std::vector<std::vector<float>>{{0, 0, 0, 0}, {0, 1, 0, 0}, {1, 0, 0, 1}});
  CHECK(pairs_of(plain.in) == Pairs{{0, 1}, {1, 0}, {1, 2}, {2, 1}});
  for (const bool deflated : {false, true}) {
    fs::remove_all(dir / "t");
    write_zip(dir / "m.zip", files, deflated);
    convert_and_verify(import_options(SourceKind::snap, dir / "m.zip", dir / "t"));
    CHECK(store_bytes(dir / "t") == store_bytes(dir / "s"));
  }
}

TEST_CASE("snap: Twitch tables are keyed by new_id, their label is `mature`") {
  TempDir dir;
  write_text(dir / "x/x_edges.csv", "from,to\n0,1\n");
  write_text(dir / "x/x_target.csv", "id,days,mature,views,partner,new_id\n77,1,True,5,False,1\n78,2,False,6,True,0\n");
  const LoadedStore store = convert_and_verify(import_options(SourceKind::snap, dir / "x", dir / "s"));
  CHECK(store.classes == std::vector<int>{0, 1});
  CHECK(store.info.nodes == 2);
}

TEST_CASE("snap: files named one by one; a split is drawn among the labelled") {
  TempDir dir;
  std::string edges, labels;
  for (int i = 0; i < 300; ++i) {
    edges += std::to_string(3 * i) + " " + std::to_string(3 * ((i + 1) % 300)) + "\n";
    labels += std::to_string(3 * i) + " " + std::to_string(i % 2) + "\n";
  }
  write_text(dir / "a name with spaces \xc3\xa4.txt", edges);
  write_text(dir / "l", labels);
  ImportOptions options = import_options(SourceKind::snap, dir / "a name with spaces \xc3\xa4.txt", dir / "s");
  options.labels = dir / "l";
  options.split = "random";
  options.partitioner = Partitioner::random;
  const LoadedStore store = convert_and_verify(options);
  CHECK(store.info.labelled == 300);
  CHECK(store.splits.at("train").size() + store.splits.at("valid").size() + store.splits.at("test").size() == 300);
  CHECK(store.info.name == "a name with spaces \xc3\xa4");
  write_text(dir / "x.cmty.txt", "0 3\n6\n");
  options.split.clear();
  options.labels = dir / "x.cmty.txt";
  options.output = dir / "u";
  convert_and_verify(options);
  CHECK(load_store(dir / "u").info.task == Task::multilabel);
  options.labels = dir / "none";
  options.output = dir / "t";
  CHECK(failing<InputError>(options).find("there is no such file") != std::string::npos);
}

// Ids far apart, in a budget that cannot hold one bit for each number between them.
TEST_CASE("snap: many sparse ids within a small budget; the store does not depend on it") {
  TempDir dir;
  std::string text;
  std::uint64_t state = 1;
  for (int i = 0; i < 60000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t source = (state >> 33) % 30000 * 0x200000003u;
    state = state * 6364136223846793005u + 1442695040888963407u;
    text += std::to_string(source) + " " + std::to_string((state >> 33) % 30000 * 0x200000003u) + "\n";
  }
  write_text(dir / "g.txt", text);
  ImportOptions options = import_options(SourceKind::snap, dir / "g.txt", dir / "s");
  options.memory = std::uint64_t{40} << 20;
  const ConvertReport report = convert_with(options);
  CHECK(report.peak_budget <= options.memory);
  options.memory = std::uint64_t{1} << 30;
  options.output = dir / "t";
  convert_and_verify(options);
  CHECK(store_bytes(dir / "s") == store_bytes(dir / "t"));
  const std::vector<std::uint64_t> ids = external_ids(dir / "s");
  CHECK(ids.size() == report.nodes);
  CHECK(std::is_sorted(ids.begin(), ids.end()));
}

}  // namespace strata::test
