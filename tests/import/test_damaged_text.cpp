// Damaged edge lists, labels, tables and JSON: message and exit status of each.
#include "tests/import/damaged_case.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Prepare = std::function<std::string(const fs::path& folder)>;

std::string from_snap(const fs::path& input) { return "--from snap --input " + quoted_path(input); }

// One file.
Prepare edges(const std::string& text, const std::string& name = "g.txt") {
  return [=](const fs::path& folder) {
    write_text(folder / name, text);
    return from_snap(folder / name);
  };
}

// A folder with an edge list 0-1, 1-2 and another file.
Prepare beside(const std::string& name, const std::string& text) {
  return [=](const fs::path& folder) {
    write_text(folder / "g.txt", "0 1\n1 2\n");
    write_text(folder / name, text);
    return from_snap(folder);
  };
}

std::string gzip_bytes(const fs::path& folder, const Lines& lines) {
  write_gz(folder / "gz/x.gz", lines);
  const std::string bytes = file_contents(folder / "gz").at("x.gz");
  fs::remove_all(folder / "gz");
  return bytes;
}

Lines many_edges() {
  Lines lines;
  for (int i = 0; i < 20000; ++i) lines.push_back(std::to_string(i * 7919 % 10007) + " " + std::to_string(i % 9973));
  return lines;
}

// A gzip file with `change` done to its bytes.
Prepare packed(const std::function<void(std::string& bytes)>& change) {
  return [=](const fs::path& folder) {
    std::string bytes = gzip_bytes(folder, many_edges());
    change(bytes);
    write_text(folder / "g.txt.gz", bytes);
    return from_snap(folder / "g.txt.gz");
  };
}

std::string lines_of(std::size_t count, const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += line;
  return text;
}

}  // namespace

TEST_CASE("damaged edge lists: message and exit status") {
  check_damaged({
      {"missing file", [](const fs::path& folder) { return from_snap(folder / "none.txt"); }, 3,
       "there is no such file or directory"},
      {"empty file", edges(""), 3, "g.txt: holds no edges"},
      {"comments only", edges("# nothing\n% here\n"), 3, "holds no edges"},
      {"words", edges("0 1\nhello world\n"), 3, "line 2: expected two node ids, found 'hello world'"},
      {"words at first", edges("hello world\n0 1\n"), 3, "line 1: expected two node ids"},
      {"one column", edges("0 1\n7\n"), 3, "line 2: expected two node ids, found '7'"},
      {"negative id", edges("0 1\n3 -4\n"), 3, "line 2: node id -4 is negative"},
      {"negative id at first", edges("-3 4\n"), 3, "line 1: node id -3 is negative"},
      {"too large an id", edges("0 18446744073709551616\n"), 3, "line 1: '18446744073709551616' does not fit 64 bits"},
      {"a fraction", edges("0 1\n1.5 2\n"), 3, "line 2: expected two node ids"},
      {"two commas", edges("0,1\n1,,2\n"), 3, "line 2: expected two node ids"},
      {"quoted ids", edges("a,b\n\"1\",\"2\"\n", "g.csv"), 3, "line 2: expected two node ids"},
      {"a second header", edges("a,b\na,b\n0,1\n", "g.csv"), 3, "line 2: expected two node ids"},
      {"zero bytes", edges(std::string("0 1\n\0\0\0\n", 8)), 3, "line 2: expected two node ids"},
      {"MatrixMarket", edges("%%MatrixMarket matrix coordinate\n3 3 1\n1 2\n"), 3, "line 1: is a MatrixMarket file"},
      {"a line without end", edges("0 1\n" + std::string(70000, '7')), 3, "line 2: a line longer than 65536 bytes"},
      {"fewer edges than announced", edges("# Nodes: 3 Edges: 5\n0 1\n1 2\n"), 3,
       "line 1: announces 5 edges, but the file holds 2: it was cut short or changed"},
      {"more edges than announced", edges("# x\n# Nodes: 3 Edges: 1\n0 1\n1 2\n"), 3, "line 2: announces 1 edges"},
      {"truncated gzip", packed([](std::string& bytes) { bytes.resize(bytes.size() / 2); }), 3, "g.txt.gz: byte"},
      {"gzip without its last byte", packed([](std::string& bytes) { bytes.pop_back(); }), 3, "the file is truncated"},
      {"gzip with another checksum", packed([](std::string& bytes) { bytes[bytes.size() - 6] ^= 1; }), 3,
       "the data do not match their CRC-32"},
      {"gzip with a header only", packed([](std::string& bytes) { bytes.resize(2); }), 3, "g.txt.gz"},
      {"garbage behind gzip", packed([](std::string& bytes) { bytes += "garbage"; }), 3,
       "unknown data behind the end of the gzip data"},
      {"truncated zstd", edges(zstd_bytes(lines_of(5000, "0 1\n")).substr(0, 20), "g.txt.zst"), 3, "g.txt.zst"},
      {"a gzip bomb of one line",
       [](const fs::path& folder) {
         write_gz(folder / "g.txt.gz", {"0 1", std::string(std::size_t{64} << 20, '1')});
         return from_snap(folder / "g.txt.gz") + " --memory 64MiB";
       },
       3, "line 2: a line longer than 65536 bytes"},
      {"ids that do not fit the memory",
       [](const fs::path& folder) {
         std::string text;
         for (std::uint64_t i = 0; i < 700000; ++i) text += std::to_string((i << 40) + 1) + " 1\n";
         write_text(folder / "g.txt", text);
         return from_snap(folder / "g.txt") + " --memory 8MiB";
       },
       4, "the source's node ids"},
      {"spaces and UTF-8 in the name", edges("0 x\n", "mein gr\xc3\xa4ph \xe4\xb8\xad.txt"), 3,
       "mein gr\xc3\xa4ph \xe4\xb8\xad.txt: line 1: expected two node ids"},
  });
}

TEST_CASE("damaged labels, tables and features of edge lists: message and exit status") {
  const auto table = [](const std::string& text) { return beside("x_target.csv", text); };
  const auto json = [](const std::string& text) { return beside("x_features.json", text); };
  check_damaged({
      {"no edge list", [](const fs::path& folder) { return from_snap(folder); }, 3, "holds no edge list"},
      {"two edge lists", beside("h.txt", "0 1\n"), 3, "may be the edge list (g.txt, h.txt): name one with --input"},
      {"labels missing",
       [](const fs::path& folder) {
         write_text(folder / "g.txt", "0 1\n");
         return from_snap(folder / "g.txt") + " --labels " + quoted_path(folder / "none");
       },
       3, "none: there is no such file"},
      {"a label without its value", beside("g-labels.txt", "0 1\n1\n"), 3, "line 2: expected a node id and its label"},
      {"a label of no node", beside("g-labels.txt", "0 1\nx 2\n"), 3, "line 2: expected a node id and its label"},
      {"labelled twice", beside("g-labels.txt", "0 1\n1 1\n0 2\n"), 3, "line 3: node 0 has a label already"},
      {"no labels", beside("g-labels.txt", "# none\n"), 3, "g-labels.txt: holds no labels"},
      {"a long label", beside("g-labels.txt", "0 " + std::string(300, 'x') + "\n"), 3, "a label longer than 256 bytes"},
      {"a community of strangers", beside("g.cmty.txt", "0 1\n1 77\n"), 3,
       "line 2: node id 77 is not in the edge list"},
      {"a member twice", beside("g.cmty.txt", "0 1 0\n"), 3, "line 1: a node occurs twice in one group"},
      {"no communities", beside("g.cmty.txt", "\n"), 3, "holds no communities"},
      {"a community of words", beside("g.cmty.txt", "0 one\n"), 3, "line 1: 'one' is not a node id"},
      {"a quoted comma unquoted", table("id,name,type\n0,a,b,c\n"), 3,
       "line 2: found 4 columns, expected the 3 of the header"},
      {"a quote never closed", table("id,name,type\n0,\"a,b\n1,c,d\n"), 3,
       "line 2: a quoted field that is never closed"},
      {"text behind a quote", table("id,name,type\n0,\"a\"b,c\n"), 3, "line 2: column 2: text behind a closing quote"},
      {"an id that is none", table("id,type\nzero,a\n"), 3, "line 2: column 1: 'zero' is not a node id"},
      {"a header alone", table("id,type\n"), 3, "holds no labels"},
      {"one column", table("id\n0\n"), 3, "the header names no column of labels"},
      {"an empty table", table(""), 3, "is empty, expected a table with a header line"},
      {"JSON cut short", json("{\"0\": [1, 2"), 3, "byte 11: the JSON text ends here"},
      {"a key that is no id", json("{\"a\": []}"), 3, "the key 'a' is not a node id"},
      {"a negative feature", json("{\"0\": [-1]}"), 3, "feature index -1 of node 0 is not in [0, "},
      {"a feature out of reach", json("{\"0\": [99999999999]}"), 3, "feature index 99999999999 of node 0"},
      {"a feature that is no index", json("{\"0\": [0.5]}"), 3, "'0.5' is not an integer"},
      {"a NaN feature", json("{\"0\": [NaN]}"), 3, "'NaN' is not an integer"},
      {"features twice", json("{\"0\": [1], \"0\": [2]}"), 3, "node 0 has features already"},
      {"a list instead of an object", json("[[1],[2]]"), 3, "byte 0: expected an object, found '['"},
      {"a split by name", [](const fs::path& folder) { return from_snap(folder) + " --split time"; }, 2,
       "these sets have no splits"},
      {"labels of another format",
       [](const fs::path& folder) { return "--from npy --labels x --input " + quoted_path(folder); }, 2,
       "--labels: is for --from snap only"},
  });
}

}  // namespace strata::test
