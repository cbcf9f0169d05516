// strata-store as a user runs it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "storage/derived.hpp"
#include "storage/npy.hpp"
#include "storage/store.hpp"
#include "tests/storage/full_store.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/tools/run_command.hpp"

namespace strata::test {
namespace {

struct Fixture {
  Fixture() { full.write(path); }
  CommandResult run(const std::string& arguments) const {
    return run_command(std::string(STRATA_STORE_PROGRAM) + " " + arguments);
  }
  [[nodiscard]] std::string store() const { return quoted(path.string()); }
  FullStore full;
  TempDir dir;
  fs::path path = dir / "a store";
};

template <class T>
std::vector<T> read_npy(const fs::path& path, std::vector<std::uint64_t> shape) {
  NpyReader reader(path);
  CHECK(reader.header().type == npy_type<T>());
  CHECK(reader.header().shape == shape);
  std::vector<T> values(reader.header().elements());
  reader.read_raw(std::as_writable_bytes(std::span(values)));
  return values;
}

bool one_line(const std::string& text) { return std::count(text.begin(), text.end(), '\n') == 1; }

TEST_CASE("strata-store: help, version, info, verify") {
  const Fixture f;
  CHECK(f.run("--help").status == 0);
  CHECK(f.run("--help").output.find("--remove") != std::string::npos);
  CHECK(f.run("--version").output.find("features:") != std::string::npos);
  const CommandResult info = f.run("info " + f.store());
  CHECK(info.status == 0);
  CHECK(info.output.find("nodes       2100") != std::string::npos);
  CHECK(f.run("info --json " + f.store()).output.find("\"nodes\": 2100") != std::string::npos);
  const CommandResult verify = f.run("verify " + f.store());
  CHECK(verify.status == 0);
  CHECK(verify.output.find("all as written") != std::string::npos);
  CHECK(f.run("verify --quiet " + f.store()).output.empty());
}

TEST_CASE("strata-store: failures have their exit status and one line") {
  const Fixture f;
  const std::string out = " --output " + quoted((f.dir / "out").string());
  const std::map<std::string, int> cases = {
      {"", 2},
      {"info", 2},
      {"destroy " + f.store(), 2},
      {"verify " + f.store() + " --unknown", 2},
      {"export " + f.store(), 2},
      {"export " + f.store() + " --what everything" + out, 2},
      {"export " + f.store() + " --what graph --memory lots" + out, 2},
      {"add " + f.store(), 2},
      {"add " + f.store() + " --split train", 2},
      {"add " + f.store() + " --split x=absent.npy", 3},
      {"info " + quoted((f.dir / "absent").string()), 3},
      {"info " + quoted(f.dir.path().string()), 3},
      {"add " + f.store() + " --labels absent.npy", 3},
      {"derived " + f.store() + " --remove absent", 3},
      {"export " + f.store() + " --what features --memory 20KiB" + out, 4},
  };
  for (const auto& [arguments, status] : cases) {
    CAPTURE(arguments);
    const CommandResult result = f.run(arguments);
    CAPTURE(result.output);
    CHECK(result.status == status);
    CHECK(one_line(result.output));
    CHECK(result.output.starts_with("strata-store: "));
  }
  CHECK(f.run("verify " + f.store()).status == 0);
}

TEST_CASE("strata-store verify: names the damaged file and block with exit status 5") {
  const Fixture f;
  const fs::path path = f.path / "features.rows";
  std::string content = read_file(path);
  content.back() = static_cast<char>(content.back() ^ 1);
  write_file_atomically(path, content);
  const CommandResult result = f.run("verify " + f.store());
  CHECK(result.status == 5);
  CHECK(one_line(result.output));
  CHECK(result.output.find("features.rows: tile (chunk 2, panel 1): expected checksum ") != std::string::npos);
}

TEST_CASE("strata-store: a store being changed is refused") {
  const Fixture f;
  const DirectoryLock lock(f.path, DirectoryLock::Kind::exclusive);
  const CommandResult result = f.run("verify " + f.store());
  CHECK(result.status == 2);
  CHECK(result.output.find("in use") != std::string::npos);
}

TEST_CASE("strata-store export: arrays in the original order, whatever the memory") {
  const Fixture f;
  const FullStore& full = f.full;
  for (const char* memory : {"2GiB", "260KiB"}) {
    CAPTURE(memory);
    const fs::path out = f.dir / "out";
    fs::remove_all(out);
    const std::string command = "export --what graph,features --what labels --what splits --memory " +
                                std::string(memory) + " --output " + quoted(out.string()) + " ";
    const CommandResult result = f.run(command + f.store());
    CAPTURE(result.output);
    REQUIRE(result.status == 0);
    CHECK(f.run(command + f.store()).status == 2);  // existing files stay
    CHECK(f.run(command + "--force " + f.store()).status == 0);

    const std::uint64_t edges = Store(f.path).info().edges;
    const auto index = read_npy<std::int64_t>(out / "edge_index.npy", {2, edges});
    const auto weights = read_npy<float>(out / "edge_weight.npy", {edges});
    std::size_t e = 0;
    for (NodeId target = 0; target < FullStore::kNodes; ++target) {
      for (const NodeId source : full.in[target]) {
        CHECK(index[e] == full.original[source]);
        CHECK(index[edges + e] == full.original[target]);
        CHECK(weights[e++] == FullStore::weight(source, target));
      }
    }
    const auto features = read_npy<float>(out / "node_feat.npy", {FullStore::kNodes, FullStore::kColumns});
    const auto labels = read_npy<float>(out / "node_label.npy", {FullStore::kNodes, FullStore::kClasses});
    for (NodeId node = 0; node < FullStore::kNodes; ++node) {
      for (std::size_t c = 0; c < FullStore::kColumns; ++c) {  // int8: exact up to half a step of 2 / 127
        CHECK(std::abs(features[full.original[node] * FullStore::kColumns + c] -
                       full.features[node * FullStore::kColumns + c]) < 0.01f);
      }
      for (std::size_t c = 0; c < FullStore::kClasses; ++c) {
        const float label = labels[full.original[node] * FullStore::kClasses + c];
        CHECK((full.labelled[node] != 0 ? label == static_cast<float>(full.targets[node][c]) : std::isnan(label)));
      }
    }
    const auto train = read_npy<std::int64_t>(out / "train.npy", {full.train.size()});
    CHECK(std::is_sorted(train.begin(), train.end()));
    std::vector<std::int64_t> expected;
    for (const NodeId node : full.train) expected.push_back(full.original[node]);
    CHECK(std::is_permutation(train.begin(), train.end(), expected.begin()));
  }
}

TEST_CASE("strata-store add: what was exported goes back in and is the same") {
  const Fixture f;
  const fs::path out = f.dir / "out";
  REQUIRE(f.run("export " + f.store() + " --what labels,splits --output " + quoted(out.string())).status == 0);
  std::vector<std::uint8_t> bits;
  MemoryBudget budget(std::uint64_t{16} << 20);
  {
    const Labels before = Store(f.path).labels(budget);
    bits.assign(before.targets.begin(), before.targets.end());
  }
  NpyWriter mask(f.dir / "mask.npy", npy_type<bool>(), {FullStore::kNodes});
  std::vector<char> bytes(FullStore::kNodes);
  for (const NodeId node : f.full.valid) bytes[f.full.original[node]] = 1;
  mask.append_raw(std::as_bytes(std::span(bytes)), npy_type<bool>());
  mask.commit();
  const CommandResult result = f.run("add " + f.store() + " --labels " + quoted((out / "node_label.npy").string()) +
                                     " --split again=" + quoted((out / "train.npy").string()) +
                                     " --split train=" + quoted((f.dir / "mask.npy").string()));
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(f.run("verify " + f.store()).status == 0);
  const Store store(f.path);
  const Labels after = store.labels(budget);
  CHECK(std::equal(after.targets.begin(), after.targets.end(), bits.begin(), bits.end()));
  CHECK(std::equal(after.labelled.begin(), after.labelled.end(), f.full.labelled.begin(), f.full.labelled.end()));
  const Array<NodeId> again = store.split("again", budget), train = store.split("train", budget);
  CHECK(std::equal(again.begin(), again.end(), f.full.train.begin(), f.full.train.end()));
  CHECK(std::equal(train.begin(), train.end(), f.full.valid.begin(), f.full.valid.end()));
}

TEST_CASE("strata-store add: bad arrays change nothing") {
  const Fixture f;
  const auto write = [&](const std::string& name, const std::vector<std::int64_t>& values) {
    NpyWriter file(f.dir / name, npy_type<std::int64_t>(), {values.size()});
    file.append<std::int64_t>(values);
    file.commit();
    return quoted((f.dir / name).string());
  };
  const std::string beyond = write("beyond.npy", {0, 2100}), twice = write("twice.npy", {4, 4}),
                    negative = write("neg.npy", {-1});
  const std::string before = read_file(f.path / "manifest.json");
  for (const std::string& file : {beyond, twice, negative}) {
    const CommandResult result = f.run("add " + f.store() + " --split train=" + file);
    CHECK(result.status == 3);
    CHECK(one_line(result.output));
  }
  CHECK(f.run("add " + f.store() + " --labels " + beyond).status == 3);  // labels for two nodes
  std::vector<std::int64_t> labels(FullStore::kNodes, 1);
  labels[7] = -2;
  CHECK(f.run("add " + f.store() + " --labels " + write("labels.npy", labels)).status == 3);
  CHECK(read_file(f.path / "manifest.json") == before);
  CHECK(f.run("verify " + f.store()).status == 0);
}

TEST_CASE("strata-store derived: lists and removes") {
  const Fixture f;
  FullStore::write_derived(f.path, "first-aggregate");
  const CommandResult list = f.run("derived " + f.store());
  CHECK(list.status == 0);
  CHECK(list.output.find("first-aggregate") != std::string::npos);
  {
    const Store store(f.path);
    DerivedWriter writer(store, "parts");
    writer.finish(R"({"what": "parts of a graph", "part_sizes": [12, 30], "seed": 7})");
  }
  CHECK(f.run("derived " + f.store()).output.find("parts of a graph; part sizes 12, 30; seed 7") != std::string::npos);
  CHECK(f.run("derived --remove parts " + f.store()).status == 0);
  CHECK(f.run("info --json " + f.store()).output.find("first-aggregate") != std::string::npos);
  CHECK(f.run("derived --remove first-aggregate " + f.store()).status == 0);
  CHECK(derived_keys(f.path).empty());
  CHECK(f.run("derived " + f.store()).output.empty());
}

}  // namespace
}  // namespace strata::test
