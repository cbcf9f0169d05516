// --edge-features mean, against means computed here.
#include <doctest/doctest.h>

#include "kernels/base/error.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kColumns = 3;

float edge_value(std::size_t edge, std::size_t column) {
  return static_cast<float>(edge * edge) / 8 - static_cast<float>(column);
}

// By node; an edge counts at its target, and at its source too when it goes both ways.
std::vector<std::vector<float>> expected_means(const SixNodes& set, bool both_ways) {
  std::vector<std::vector<double>> sums(SixNodes::kNodes, std::vector<double>(kColumns));
  std::vector<int> counts(SixNodes::kNodes);
  for (std::size_t e = 0; e < set.edges.size(); ++e) {
    const auto [source, target] = set.edges[e];
    for (const int node : both_ways ? std::vector<int>{source, target} : std::vector<int>{target}) {
      for (std::size_t c = 0; c < kColumns; ++c)
        sums[static_cast<std::size_t>(node)][c] += static_cast<double>(edge_value(e, c));
      ++counts[static_cast<std::size_t>(node)];
    }
  }
  std::vector<std::vector<float>> means(SixNodes::kNodes, std::vector<float>(kColumns));
  for (std::size_t n = 0; n < SixNodes::kNodes; ++n) {
    for (std::size_t c = 0; c < kColumns && counts[n] != 0; ++c)
      means[n][c] = static_cast<float>(sums[n][c] / counts[n]);
  }
  return means;
}

SixNodes set_without_features() {
  SixNodes set;
  set.features.clear();
  return set;
}

Lines edge_lines(const SixNodes& set) {
  Lines lines;
  for (std::size_t e = 0; e < set.edges.size(); ++e) {
    std::string line;
    for (std::size_t c = 0; c < kColumns; ++c) line += (c == 0 ? "" : ",") + std::to_string(edge_value(e, c));
    lines.push_back(line);
  }
  return lines;
}

LoadedStore convert_and_verify(const ImportOptions& options) {
  convert_with(options);
  CHECK(verify_conversion(*open_source(options), options, nullptr).find("verified") == 0);
  return load_store(options.output);
}

}  // namespace

TEST_CASE("edge features: means over in-edges, over both ends, over a set that stores edges once (112 tasks)") {
  SixNodes set = set_without_features();
  set.labels.clear();
  for (std::size_t n = 0; n < SixNodes::kNodes; ++n) {
    std::string line;
    for (int task = 0; task < 112; ++task)
      line += (task == 0 ? "" : ",") + std::to_string((static_cast<int>(n) + task) % 3 == 0);
    set.labels.push_back(line);
  }
  TempDir dir;
  for (const bool once : {false, true}) {
    const fs::path folder = dir / (once ? "once" : "directed");
    write_ogb_csv(folder / "proteins", set, "species");
    write_gz(folder / "proteins/raw/edge-feat.csv.gz", edge_lines(set));
    write_master(folder, "proteins", once, "rocauc", 112, 2, "species");
    write_text(folder / "master.csv", [&] {
      std::string text = file_contents(folder).at("master.csv");
      return text.replace(text.find("has_node_attr,True"), 18, "has_node_attr,False");
    }());
    for (const bool undirected : {false, true}) {
      for (const Partitioner order : {Partitioner::none, Partitioner::random}) {
        fs::remove_all(dir / "s");
        ImportOptions options = import_options(SourceKind::ogb, folder / "proteins", dir / "s");
        options.edge_feature_means = true;
        options.undirected = undirected;
        options.partitioner = order;
        const LoadedStore store = convert_and_verify(options);
        CHECK(store.features == expected_means(set, once || undirected));
        CHECK(store.info.classes == 112);
        CHECK(store.info.metric == "roc-auc");
      }
    }
    ImportOptions without = import_options(SourceKind::ogb, folder / "proteins", dir / "t");
    without.force = true;
    CHECK(convert_with(without).notes.size() == 1);
    CHECK(load_store(dir / "t").info.feature_dim == 0);
  }
}

TEST_CASE("edge features: of arrays, in the binary layout and in one's own") {
  const SixNodes set;
  std::vector<float> values;
  for (std::size_t e = 0; e < set.edges.size(); ++e) {
    for (std::size_t c = 0; c < kColumns; ++c) values.push_back(edge_value(e, c));
  }
  std::vector<std::int64_t> ids;
  for (const auto& edge : set.edges) ids.push_back(edge.first);
  for (const auto& edge : set.edges) ids.push_back(edge.second);
  const std::map<std::string, std::string> data = {
      {"edge_index.npy", npy_bytes("<i8", "(2, 7)", ids)},
      {"edge_feat.npy", npy_bytes("<f4", "(7, 3)", values)},
      {"num_nodes_list.npy", npy_bytes("<i8", "(1,)", std::vector<std::int64_t>{6})},
      {"num_edges_list.npy", npy_bytes("<i8", "(1,)", std::vector<std::int64_t>{7})}};
  TempDir dir;
  fs::create_directories(dir / "bin/raw");
  write_zip(dir / "bin/raw/data.npz", data);
  ImportOptions options = import_options(SourceKind::ogb, dir / "bin", dir / "s");
  options.edge_feature_means = true;
  CHECK(convert_and_verify(options).features == expected_means(set, false));
  write_zip(dir / "own.npz",
            {{"edge_index.npy", data.at("edge_index.npy")}, {"edge_attr.npy", data.at("edge_feat.npy")}});
  options = import_options(SourceKind::npy, dir / "own.npz", dir / "t");
  options.edge_feature_means = true;
  options.undirected = true;
  CHECK(convert_and_verify(options).features == expected_means(set, true));
}

TEST_CASE("edge features: too few, too many, and NaN") {
  const SixNodes set = set_without_features();
  TempDir dir;
  const auto message = [&](Lines lines, bool zero = false) {
    write_ogb_csv(dir / "x", set);
    write_gz(dir / "x/raw/edge-feat.csv.gz", lines);
    ImportOptions options = import_options(SourceKind::ogb, dir / "x", dir / "s");
    options.edge_feature_means = true;
    options.zero_nan_features = zero;
    return failing<InputError>(options);
  };
  Lines lines = edge_lines(set);
  lines[2] = "1,nan,3";
  CHECK(message(lines).find("edge-feat.csv.gz: line 3: column 1 is NaN or infinite") != std::string::npos);
  CHECK(message(lines, true).find("nothing was thrown") == 0);
  fs::remove_all(dir / "s");
  lines[2] = "1,2";
  CHECK(message(lines).find("line 3: the line ends after 2 columns") != std::string::npos);
  lines = edge_lines(set);
  lines.pop_back();
  CHECK(message(lines).find("the file has 6 lines, but num-edge-list.csv.gz says 7") != std::string::npos);
  lines = edge_lines(set);
  lines.push_back("1,2,3");
  CHECK(message(lines).find("line 8: more rows than the 7 edges") != std::string::npos);
}

}  // namespace strata::test
