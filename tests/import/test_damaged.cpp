// Damaged arrays, archives and sets of OGB, GraphSAINT, GraphSAGE and MAG240M: message and exit status of each.
#include <cmath>

#include "tests/import/damaged_case.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;
using Prepare = std::function<std::string(const fs::path& folder)>;
using Ints = std::vector<std::int64_t>;

Files plain_arrays() {
  return {{"edge_index.npy", npy_bytes("<i8", "(2, 3)", Ints{0, 1, 2, 1, 2, 0})},
          {"node_feat.npy", npy_bytes("<f4", "(3, 2)", std::vector<float>{1, 2, 3, 4, 5, 6})},
          {"node_label.npy", npy_bytes("<i8", "(3,)", Ints{0, 1, 1})},
          {"train.npy", npy_bytes("<i8", "(1,)", Ints{0})},
          {"valid.npy", npy_bytes("<i8", "(1,)", Ints{1})},
          {"test.npy", npy_bytes("<i8", "(1,)", Ints{2})}};
}

// The plain arrays in a folder, with one replaced.
Prepare arrays(const std::string& name, const std::string& bytes, const std::string& more = "") {
  return [=](const fs::path& folder) {
    Files files = plain_arrays();
    files[name] = bytes;
    for (const auto& [file, content] : files) write_text(folder / file, content);
    return "--from npy --input " + quoted_path(folder) + more;
  };
}

// The plain arrays as an archive, with something done to its bytes.
Prepare archive(const std::function<void(std::string& bytes)>& change, bool deflated) {
  return [=](const fs::path& folder) {
    write_zip(folder / "x.npz", plain_arrays(), deflated);
    std::string bytes = file_contents(folder).at("x.npz");
    change(bytes);
    write_text(folder / "x.npz", bytes);
    return "--from npy --input " + quoted_path(folder / "x.npz");
  };
}

// Overwrites the 4 bytes at `at` of the last central directory entry's header.
void patch_directory(std::string& bytes, std::size_t at, std::uint32_t value) {
  const std::size_t entry = bytes.rfind("PK\x01\x02");
  for (int i = 0; i < 4; ++i) bytes[entry + at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * i));
}

Files saint_files() {
  Files files;
  return {{"role.json", "{\"tr\": [0], \"va\": [1], \"te\": [2]}"},
          {"class_map.json", "{\"0\": 0, \"1\": 1, \"2\": 1}"},
          {"feats.npy", npy_bytes("<f8", "(3, 1)", std::vector<double>{1, 2, 3})}};
}

Prepare saint(const std::string& name, const std::string& content, const Ints& indptr = {0, 1, 2, 2},
              const Ints& shape = {3, 3}) {
  return [=](const fs::path& folder) {
    Files files = saint_files();
    if (!name.empty()) files[name] = content;
    for (const auto& [file, text] : files) write_text(folder / file, text);
    write_zip(folder / "adj_full.npz",
              {{"indptr.npy", npy_bytes("<i8", "(" + std::to_string(indptr.size()) + ",)", indptr)},
               {"indices.npy", npy_bytes("<i4", "(2,)", std::vector<std::int32_t>{1, 2})},
               {"shape.npy", npy_bytes("<i8", "(2,)", shape)},
               {"format.npy", npy_bytes("|S3", "()", std::string("csr"))}});
    return "--from graphsaint --input " + quoted_path(folder);
  };
}

Prepare sage(const std::string& graph, const std::string& id_map = "") {
  return [=](const fs::path& folder) {
    write_text(folder / "x-G.json", graph);
    if (!id_map.empty()) write_text(folder / "x-id_map.json", id_map);
    return "--from graphsaint --input " + quoted_path(folder);
  };
}

// An OGB csv set in a zip archive, with something done to the archive.
Prepare zipped(const std::function<void(std::string& bytes)>& change) {
  return [=](const fs::path& folder) {
    write_ogb_csv(folder / "set", SixNodes());
    Files members;
    for (const char* file : {"edge", "num-node-list", "num-edge-list", "node-feat", "node-label"}) {
      const std::string name = std::string(file) + ".csv.gz";
      members["set/raw/" + name] = file_contents(folder / "set/raw").at(name);
    }
    write_zip(folder / "set.zip", members, true);
    std::string bytes = file_contents(folder).at("set.zip");
    change(bytes);
    write_text(folder / "set.zip", bytes);
    return "--from ogb --input " + quoted_path(folder / "set.zip");
  };
}

Prepare empty_with(const std::string& from, const std::string& file, const std::string& content) {
  return [=](const fs::path& folder) {
    write_text(folder / "set" / file, content);
    return "--from " + from + " --input " + quoted_path(folder / "set");
  };
}

}  // namespace

TEST_CASE("damaged arrays and archives: message and exit status") {
  const auto edges = [](const std::string& type, const std::string& shape, const Ints& values) {
    return arrays("edge_index.npy", npy_bytes(type, shape, values));
  };
  check_damaged({
      {"an id out of range", edges("<i8", "(2, 2)", {0, 1, 1, 3}), 3,
       "edge_index.npy: edge 1: node id 3 is not in [0, 3)"},
      {"a negative id", edges("<i8", "(2, 2)", {0, -1, 1, 2}), 3, "edge 1: node id -1 is not in [0, 3)"},
      {"ids of floats", arrays("edge_index.npy", npy_bytes("<f8", "(2, 1)", std::vector<double>{0, 1})), 3,
       "holds <f8 values, expected integer node ids"},
      {"three rows of ids", edges("<i8", "(3, 3)", {0, 1, 2, 0, 1, 2, 0, 1, 2}), 3,
       "expected (2, edges) or (edges, 2)"},
      {"big-endian", edges(">i8", "(2, 1)", {0, 1}), 3, "edge_index.npy"},
      {"fewer bytes than the shape says", edges("<i8", "(2, 3)", {0, 1}), 3, "edge_index.npy"},
      {"a shape beyond all memory", edges("<i8", "(2, 999999999999999999)", {0, 1}), 3, "edge_index.npy"},
      {"a NaN feature", arrays("node_feat.npy", npy_bytes("<f4", "(3, 1)", std::vector<float>{1, NAN, 3})), 3,
       "node_feat.npy: row 1, column 0: is NaN or infinite"},
      {"features of other nodes", arrays("node_feat.npy", npy_bytes("<f4", "(2, 1)", std::vector<float>{1, 2})), 3,
       "node_label.npy: is about 3 nodes, but other arrays are about 2"},
      {"features of text", arrays("node_feat.npy", npy_bytes("|S2", "(3,)", std::string("aabbcc"))), 3,
       "S2 values, expected numbers"},
      {"a label of minus two", arrays("node_label.npy", npy_bytes("<i8", "(3,)", Ints{0, -2, 1})), 3,
       "node_label.npy: row 1: label -2 is not in [0, "},
      {"half a label", arrays("node_label.npy", npy_bytes("<f4", "(3,)", std::vector<float>{0, 0.5f, 1})), 3,
       "row 1: label 0.500000 is not a whole number"},
      {"targets of two", arrays("node_label.npy", npy_bytes("<i8", "(3, 2)", Ints{0, 1, 1, 2, 0, 0})), 3,
       "row 1: target 1 is 2.000000, expected 0 or 1"},
      {"splits that overlap", arrays("valid.npy", npy_bytes("<i8", "(2,)", Ints{1, 0})), 3,
       "valid.npy: element 1: node 0 is also in the train split"},
      {"a split out of range", arrays("test.npy", npy_bytes("<i8", "(1,)", Ints{3})), 3,
       "test.npy: element 0: node id 3 is not in [0, 3)"},
      {"a node twice in a split", arrays("test.npy", npy_bytes("<i8", "(2,)", Ints{2, 2})), 3, "node 2 occurs twice"},
      {"an array of objects", empty_with("npy", "adj_matrix.npy", npy_bytes("|O", "()", std::string("x"))), 3,
       "is a pickled Python object, which is not read: save its parts"},
      {"no array at all", empty_with("npy", "x.txt", "x"), 3, "holds no graph"},
      {"no npy in the file", arrays("edge_index.npy", "hello"), 3, "edge_index.npy"},
      {"a missing directory", [](const fs::path& folder) { return "--from npy --input " + quoted_path(folder / "no"); },
       3, "there is no such file or directory"},
      {"an archive cut in half", archive([](std::string& bytes) { bytes.resize(bytes.size() / 2); }, true), 3,
       "not a zip archive, or one cut short"},
      {"a changed byte in an archive",
       archive([](std::string& bytes) { bytes[bytes.find("NUMPY") + 140] ^= 1; }, false), 3, "do not match its CRC-32"},
      {"an archive's member too large (a bomb)",
       archive([](std::string& bytes) { patch_directory(bytes, 24, 0x7fffffff); }, true), 3,
       "the directory gives an impossible size"},
      {"a member elsewhere", archive([](std::string& bytes) { patch_directory(bytes, 42, 0x7ffffff); }, true), 3,
       "the member starts behind the archive's data"},
      {"edge features where there are none", arrays("x.npy", "", " --edge-features mean"), 2, "has no edge features"},
      {"means beside node features",
       arrays("edge_feat.npy", npy_bytes("<f4", "(3, 1)", std::vector<float>{1, 2, 3}), " --edge-features mean"), 2,
       "has node features, which it would replace"},
  });
}

TEST_CASE("damaged sets of GraphSAINT, GraphSAGE, MAG240M and OGB: message and exit status") {
  const std::string nodes = "{\"nodes\": [{\"id\": 0}, {\"id\": 1}], ";
  check_damaged({
      {"neither layout", empty_with("graphsaint", "x.json", "{}"), 3, "holds neither adj_full.npz"},
      {"a role out of range", saint("role.json", "{\"tr\": [3], \"va\": [], \"te\": []}"), 3,
       "role.json: byte 9: node id 3 is not in [0, 3)"},
      {"a role missing", saint("role.json", "{\"tr\": [], \"va\": []}"), 3, "there is no list \"te\""},
      {"roles that overlap", saint("role.json", "{\"tr\": [0, 1], \"va\": [2, 1], \"te\": []}"), 3,
       "role.json: \"va\", element 1: node 1 is also in the train split"},
      {"a role of text", saint("role.json", "{\"tr\": [\"0\"], \"va\": [], \"te\": []}"), 3, "expected an integer"},
      {"a class of a stranger", saint("class_map.json", "{\"0\": 0, \"9\": 1}"), 3, "node id '9' is not in [0, 3)"},
      {"half a class", saint("class_map.json", "{\"0\": 0.5}"), 3, "is not a whole number"},
      {"a class twice", saint("class_map.json", "{\"0\": 0, \"0\": 1}"), 3, "node 0 has a label already"},
      {"classes and lists", saint("class_map.json", "{\"0\": 0, \"1\": [0, 1]}"), 3, "some nodes have a single class"},
      {"lists of two lengths", saint("class_map.json", "{\"0\": [0, 1], \"1\": [0, 1, 1]}"), 3,
       "node 1 has 3 targets, expected 2"},
      {"JSON cut short", saint("class_map.json", "{\"0\": 0,"), 3, "class_map.json: byte 8: the JSON text ends here"},
      {"features of other nodes", saint("feats.npy", npy_bytes("<f8", "(2, 1)", std::vector<double>{1, 2})), 3,
       "expected 3 rows of features"},
      {"a NaN feature", saint("feats.npy", npy_bytes("<f8", "(3, 1)", std::vector<double>{1, NAN, 2})), 3,
       "feats.npy: row 1, column 0: is NaN or infinite"},
      {"offsets that fall", saint("", "", {0, 2, 1, 2}), 3, "member indptr.npy, element 2: is 1, expected 2 to 2"},
      {"offsets beyond the end", saint("", "", {0, 1, 2, 9}), 3, "member indptr.npy, element 3: is 9"},
      {"a matrix that is not square", saint("", "", {0, 1, 2, 2}, {3, 4}), 3, "the matrix is not square"},
      {"a matrix of no rows", saint("", "", {0}, {0, 0}), 3, "expected positive sizes"},
      {"no nodes", sage("{\"nodes\": [], \"links\": []}"), 3, "holds no nodes"},
      {"a node without id", sage("{\"nodes\": [{\"val\": true}], \"links\": []}"), 3, "has no \"id\""},
      {"a node twice", sage("{\"nodes\": [{\"id\": 1}, {\"id\": 1}], \"links\": []}"), 3, "have the same id"},
      {"val and test", sage("{\"nodes\": [{\"id\": 1, \"val\": true, \"test\": true}], \"links\": []}"), 3,
       "node 1 is in both val and test"},
      {"a link to a stranger", sage(nodes + "\"links\": [{\"source\": 0, \"target\": 5}]}"), 3,
       "node id '5' is not among the known nodes"},
      {"a link of one end", sage(nodes + "\"links\": [{\"source\": 0}]}"), 3, "lacks its source or target"},
      {"an id map of other nodes", sage(nodes + "\"links\": []}", "{\"0\": 0}"), 3, "holds 1 ids"},
      {"an id map with a row twice", sage(nodes + "\"links\": []}", "{\"0\": 0, \"1\": 0}"), 3,
       "row 0 is given to two ids"},
      {"no MAG240M", empty_with("mag240m", "x.txt", "x"), 3, "this is no MAG240M directory"},
      {"MAG240M given as OGB", empty_with("ogb", "processed/paper/x.npy", "x"), 3, "use --from mag240m"},
      {"heterogeneous", empty_with("ogb", "raw/triplet-type-list.csv.gz", "x"), 3,
       "write one relation between nodes of one type"},
      {"heterogeneous by its folders", empty_with("ogb", "raw/relations/a___b___a/edge.csv.gz", "x"), 3,
       "is a heterogeneous set"},
      {"no OGB set", empty_with("ogb", "x.txt", "x"), 3, "this is no OGB node set"},
      {"a zip cut short", zipped([](std::string& bytes) { bytes.resize(bytes.size() - 30); }), 3, "set.zip: byte"},
      {"a changed byte in a zip", zipped([](std::string& bytes) { bytes[100] ^= 0x10; }), 3, "set.zip"},
      {"an encrypted zip", zipped([](std::string& bytes) {
         for (std::size_t at = bytes.find("PK\x01\x02"); at != std::string::npos;
              at = bytes.find("PK\x01\x02", at + 4)) {
           bytes[at + 8] |= 1;
         }
       }),
       3, "the member is encrypted"},
      {"an empty zip",
       [](const fs::path& folder) {
         write_zip(folder / "e.zip", {});
         return "--from ogb --input " + quoted_path(folder / "e.zip");
       },
       3, "this is no OGB node set"},
      {"nowhere to unpack",
       [](const fs::path& folder) {
         write_zip(folder / "inner.npz", plain_arrays());
         write_zip(folder / "outer.zip", {{"x/inner.npz", file_contents(folder).at("inner.npz")}}, true);
         return "--from npy --input " + quoted_path(folder / "outer.zip") + " --tmp " +
                quoted_path(folder / "inner.npz/below");
       },
       3, "inner.npz/below: "},
  });
}

}  // namespace strata::test
