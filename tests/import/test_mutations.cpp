// Whatever stands in the files: every reader ends with a store that verifies or with a typed error, and leaves nothing.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "kernels/base/error.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

struct Sample {
  const char* name;
  SourceKind from;
  Files files;
};

std::vector<Sample> samples() {
  const std::string edges = npy_bytes("<i8", "(2, 3)", std::vector<std::int64_t>{0, 1, 2, 1, 2, 0});
  const std::string features = npy_bytes("<f4", "(3, 2)", std::vector<float>{1, 2, 3, 4, 5, 6});
  const std::string labels = npy_bytes("<f4", "(3,)", std::vector<float>{0, NAN, 1});
  const Files csr = {{"indptr.npy", npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 1, 2, 3})},
                     {"indices.npy", npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{1, 2, 0})},
                     {"shape.npy", npy_bytes("<i8", "(2,)", std::vector<std::int64_t>{3, 3})}};
  TempDir dir;
  write_zip(dir / "adj_full.npz", csr, true);
  static constexpr std::string_view kMeta(
      "\x80\x02}q\x00(X\x05\x00\x00\x00paperq\x01K\x03X\x0b\x00\x00\x00num_classesq\x02K\x02u.", 42);
  static_assert(kMeta.back() == '.');
  write_zip(dir / "meta.pt", {{"meta/data.pkl", std::string(kMeta)}});
  const Files archives = file_contents(dir.path());
  return {
      {"edge list",
       SourceKind::snap,
       {{"g.txt", "# Nodes: 3 Edges: 3\n5\t7\r\n7\t90\n90 5 1\n"}, {"g-labels.txt", "5 a\n7 b\n90 -1\n"}}},
      {"MUSAE",
       SourceKind::snap,
       {{"x_edges.csv", "id_1,id_2\n0,1\n1,2\n"},
        {"x_target.csv", "id,name,type\n0,\"a, \"\"b\"\"\",x\n1,c,y\n2,\"d\ne\",x\n"},
        {"x_features.json", "{\"0\": [1, 2], \"2\":[ ], \"1\" : [0]}"}}},
      {"communities", SourceKind::snap, {{"g.ungraph", "0 1\n1 2\n"}, {"g.cmty", "0\t1\n1\t2\n"}}},
      {"GraphSAINT",
       SourceKind::graphsaint,
       {{"adj_full.npz", archives.at("adj_full.npz")},
        {"feats.npy", features},
        {"class_map.json", "{\"0\": [1, 0], \"1\": [0, 0], \"2\": [1, 1]}"},
        {"role.json", "{\"tr\": [0], \"va\": [1], \"te\": [2]}"}}},
      {"GraphSAGE",
       SourceKind::graphsaint,
       {{"x-G.json",
         "{\"directed\": false, \"nodes\": [{\"id\": \"a\", \"val\": false, \"test\": true}, {\"id\": \"\\u00e4\"}], "
         "\"links\": [{\"source\": 0, \"target\": 1}], \"graph\": {\"n\": [null, 1.5e3]}}"},
        {"x-id_map.json", "{\"\\u00e4\": 0, \"a\": 1}"},
        {"x-class_map.json", "{\"a\": 1, \"\\u00e4\": 0}"}}},
      {"MAG240M",
       SourceKind::mag240m,
       {{"processed/paper/node_feat.npy", features},
        {"processed/paper/node_label.npy", labels},
        {"processed/paper___cites___paper/edge_index.npy", edges},
        {"meta.pt", archives.at("meta.pt")}}},
      {"arrays", SourceKind::npy, {{"edge_index.npy", edges}, {"node_feat.npy", features}, {"node_label.npy", labels}}},
  };
}

// A byte changed, removed, doubled, or the end cut off.
void mutate(std::string& bytes, std::mt19937_64& random) {
  const std::size_t at = random() % bytes.size();
  static constexpr std::string_view kTelling = "0-9,\"{}[]:.#%\n\r\t e\\";
  switch (random() % 6) {
    case 0: bytes[at] = static_cast<char>(random()); break;
    case 1: bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8); break;
    case 2: bytes.erase(at, 1 + random() % 3); break;
    case 3: bytes.insert(at, bytes.substr(at, 1 + random() % 8)); break;
    case 4: bytes.resize(at); break;
    default: bytes[at] = kTelling[random() % kTelling.size()]; break;
  }
}

// "" for a store that verifies, else the error; anything that is not typed fails the test.
std::string outcome_of(const ImportOptions& options) {
  try {
    const std::unique_ptr<GraphSource> source = open_source(options);
    convert(*source, options, nullptr);
    CHECK(verify_conversion(*source, options, nullptr).find("verified") == 0);
  } catch (const Error& error) {
    CHECK(error.status() != ExitStatus::internal);
    CHECK(error.status() != ExitStatus::damaged);
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("mutated inputs of every reader: a store or a typed error, in a folder and in a zip") {
  std::mt19937_64 random(20240229);
  for (const Sample& sample : samples()) {
    const std::string name = sample.name;
    CAPTURE(name);
    int failures = 0;
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      Files files = sample.files;
      if (round != 0) {
        mutate(std::next(files.begin(), static_cast<std::ptrdiff_t>(random() % files.size()))->second, random);
      }
      TempDir input, output;
      fs::path place = input.path();
      if (round % 3 == 2) {
        place /= "x.zip";
        write_zip(place, files, round % 2 == 0);
      } else {
        for (const auto& [file, bytes] : files) write_text(input / file, bytes);
      }
      const std::string error = outcome_of(import_options(sample.from, place, output / "s"));
      CAPTURE(error);
      CHECK(entries_of(output.path()) == (error.empty() ? std::vector<std::string>{"s"} : std::vector<std::string>{}));
      if (round == 0) CHECK(error.empty());
      failures += error.empty() ? 0 : 1;
    }
    CHECK(failures > 10);  // the mutations do reach what is read
  }
}

}  // namespace strata::test
