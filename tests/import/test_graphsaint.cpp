// --from graphsaint: the layouts of GraphSAINT and GraphSAGE.
#include <doctest/doctest.h>

#include "kernels/base/error.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Pairs = std::vector<std::pair<int, int>>;

// 0-1, 1-2 both ways and a self-loop at 3, as scipy.sparse.save_npz writes it.
std::map<std::string, std::string> csr_members() {
  return {{"indptr.npy", npy_bytes("<i4", "(5,)", std::vector<std::int32_t>{0, 1, 3, 4, 5})},
          {"indices.npy", npy_bytes("<i4", "(5,)", std::vector<std::int32_t>{1, 0, 2, 1, 3})},
          {"data.npy", npy_bytes("|b1", "(5,)", std::string(5, '\1'))},
          {"shape.npy", npy_bytes("<i8", "(2,)", std::vector<std::int64_t>{4, 4})},
          {"format.npy", npy_bytes("|S3", "()", std::string("csr"))}};
}

void write_graphsaint(const fs::path& folder, bool many = false) {
  fs::create_directories(folder);
  write_zip(folder / "adj_full.npz", csr_members(), true);
  write_zip(folder / "adj_train.npz", csr_members());
  write_text(folder / "class_map.json", many ? "{\"0\":[1,0,1],\"2\":[0,0,0],\"3\":[0,1,0],\"1\":[1,1,1]}"
                                             : "{\"0\": 2, \"2\": 0, \"1\": 1, \"3\": 2}");
  write_text(folder / "role.json", "{\"te\": [3], \"tr\": [2, 0], \"va\": [1]}");
  write_text(folder / "feats.npy", npy_bytes("<f8", "(4, 2)", std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8.5}));
}

LoadedStore convert_and_verify(const ImportOptions& options) {
  convert_with(options);
  CHECK(verify_conversion(*open_source(options), options, nullptr).find("verified") == 0);
  return load_store(options.output);
}

std::string sage_graph(bool text_ids) {
  const std::string a = text_ids ? "\"a\"" : "10", b = text_ids ? "\"b\"" : "11", c = text_ids ? "\"c\"" : "12";
  const std::string zero = text_ids ? "0" : "10", one = text_ids ? "1" : "11", two = text_ids ? "2" : "12";
  return "{\"directed\": false, \"graph\": {\"name\": \"x()\"}, \"nodes\": [{\"test\": false, \"id\": " + a +
         ", \"val\": false, \"feature\": [1, 2]}, {\"id\": " + b + ", \"val\": true, \"test\": false}, {\"id\": " + c +
         ", \"test\": true, \"val\": false}], \"links\": [{\"source\": " + zero + ", \"target\": " + one +
         ", \"train_removed\": false}, {\"target\": " + two + ", \"source\": " + one + "}], \"multigraph\": false}";
}

}  // namespace

TEST_CASE("graphsaint: graph, features, classes and roles; in a folder and in archives") {
  TempDir dir;
  write_graphsaint(dir / "ppi");
  const LoadedStore store = convert_and_verify(import_options(SourceKind::graphsaint, dir / "ppi", dir / "s"));
  CHECK(pairs_of(store.in) == Pairs{{0, 1}, {1, 0}, {1, 2}, {2, 1}});
  CHECK(store.info.undirected);
  CHECK(store.info.source == "graphsaint");
  CHECK(store.features == std::vector<std::vector<float>>{{1, 2}, {3, 4}, {5, 6}, {7, 8.5f}});
  CHECK(store.classes == std::vector<int>{2, 1, 0, 2});
  CHECK(store.splits == std::map<std::string, std::vector<NodeId>>{{"train", {0, 2}}, {"valid", {1}}, {"test", {3}}});
  std::map<std::string, std::string> members;
  for (const auto& [name, bytes] : file_contents(dir / "ppi")) members["ppi/" + name] = bytes;
  for (const bool deflated : {false, true}) {  // an archive within an archive, in place and unpacked
    write_zip(dir / "ppi.zip", members, deflated);
    fs::remove_all(dir / "t");
    convert_and_verify(import_options(SourceKind::graphsaint, dir / "ppi.zip", dir / "t"));
    CHECK(store_bytes(dir / "t") == store_bytes(dir / "s"));
    CHECK(entries_of(dir.path()) == std::vector<std::string>{"ppi", "ppi.zip", "s", "t"});
  }
}

TEST_CASE("graphsaint: several labels a node") {
  TempDir dir;
  write_graphsaint(dir / "x", true);
  const LoadedStore store = convert_and_verify(import_options(SourceKind::graphsaint, dir / "x", dir / "s"));
  CHECK(store.targets == std::vector<std::vector<int>>{{1, 0, 1}, {1, 1, 1}, {0, 0, 0}, {0, 1, 0}});
}

TEST_CASE("graphsage: ids of text with positions in links, ids of numbers, with and without an id map") {
  for (const bool text : {true, false}) {
    CAPTURE(text);
    TempDir dir;
    const std::string a = text ? "a" : "10", b = text ? "b" : "11", c = text ? "c" : "12";
    write_text(dir / "x/toy-G.json", sage_graph(text));
    write_text(dir / "x/toy-class_map.json", "{\"" + a + "\": 0, \"" + b + "\": 1, \"" + c + "\": 1}");
    write_text(dir / "x/toy-feats.npy", npy_bytes("<f4", "(3, 1)", std::vector<float>{1, 2, 3}));
    write_text(dir / "x/toy-walks.txt", "0 1\n");
    const LoadedStore plain = convert_and_verify(import_options(SourceKind::graphsaint, dir / "x", dir / "s"));
    CHECK(pairs_of(plain.in) == Pairs{{0, 1}, {1, 0}, {1, 2}, {2, 1}});
    CHECK(plain.classes == std::vector<int>{0, 1, 1});
    CHECK(plain.splits == std::map<std::string, std::vector<NodeId>>{{"train", {0}}, {"valid", {1}}, {"test", {2}}});
    write_text(dir / "x/toy-id_map.json", "{\"" + c + "\": 0, \"" + a + "\": 2, \"" + b + "\": 1}");
    for (const char* input : {"x", "x/toy", "x/toy-G.json"}) {
      fs::remove_all(dir / "t");
      const LoadedStore mapped = convert_and_verify(import_options(SourceKind::graphsaint, dir / input, dir / "t"));
      CHECK(pairs_of(mapped.in) == Pairs{{0, 1}, {1, 0}, {1, 2}, {2, 1}});
      CHECK(mapped.classes == std::vector<int>{1, 1, 0});
      CHECK(mapped.features == std::vector<std::vector<float>>{{1}, {2}, {3}});
      CHECK(mapped.splits == std::map<std::string, std::vector<NodeId>>{{"train", {2}}, {"valid", {1}}, {"test", {0}}});
    }
  }
}

}  // namespace strata::test
