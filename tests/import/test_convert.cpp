// Whole conversions: the same store whatever the memory, the threads and the spilling; the plan; the check that
// --verify makes; nothing left behind by failures.
#include <doctest/doctest.h>

#include <oneapi/tbb/global_control.h>
#include <algorithm>
#include <cmath>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/base/error.hpp"
#include "storage/store_writer.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class Recorder final : public ConvertListener {
 public:
  void begin_stage(const std::string& name, std::uint64_t, Unit) override {
    CHECK_FALSE(open);
    open = true;
    stages.push_back(name);
  }
  void advance(std::uint64_t) override { CHECK(open); }
  void end_stage() override { open = false; }
  void hint(const std::string& text) override { hints += text + "\n"; }
  bool open = false;
  std::vector<std::string> stages;
  std::string hints;
};

}  // namespace

TEST_CASE("the same bytes for every budget, thread count and run; conversions verify") {
  TempDir dir;
  for (const Partitioner partitioner : {Partitioner::metis, Partitioner::random, Partitioner::none}) {
    for (const bool undirected : {false, true}) {
      // More nodes than one feature window, more edges than the small budgets' spool.
      ImportOptions options = synthetic_options(dir / "a", 30000, 400000);
      options.synthetic.feature_dim = 64;
      options.synthetic.labelled = 0.7;
      options.partitioner = partitioner;
      options.undirected = undirected;
      options.shards = 7;
      options.memory = std::uint64_t{1} << 30;
      options.force = true;
      const ConvertReport large = convert_with(options);
      const auto expected = store_bytes(dir / "a");
      CHECK(large.shards == 7);
      if (partitioner != Partitioner::metis) {
        options.memory = 33 * kMiB;
        const ConversionPlan plan = plan_conversion(options, open_source(options)->facts());
        CHECK(plan.spool_on_disk);
        CHECK((plan.feature_windows > 1));
        CHECK(plan.temporary_bytes > 0);
      }
      {
        const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
        options.output = dir / "b";
        const ConvertReport small = convert_with(options);
        CHECK(small.peak_budget <= options.memory);
      }
      CHECK(store_bytes(dir / "b") == expected);
      const std::string verified = verify_conversion(*open_source(options), options, nullptr);
      CHECK(contains(verified, std::to_string(large.edges_out) + " edges"));
      CHECK(entries_of(dir.path()) ==
            (fs::exists(dir / "a") ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{}));
    }
  }
}

TEST_CASE("every codec, norm and compression verifies; another source, norm or edge does not") {
  TempDir dir;
  ImportOptions options = synthetic_options(dir / "s", 3000, 20000);
  options.synthetic.feature_dim = 40;
  options.force = true;
  for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8}) {
    for (const FeatureNorm norm : {FeatureNorm::none, FeatureNorm::row, FeatureNorm::standard}) {
      options.feature_codec = codec;
      options.feature_norm = norm;
      options.zstd_level = norm == FeatureNorm::row ? 1 : 0;
      convert_with(options);
      CHECK(contains(verify_conversion(*open_source(options), options, nullptr), "feature rows"));
      CHECK(load_store(dir / "s").info.feature_norm == feature_norm_name(norm));
    }
  }
  options.feature_norm = FeatureNorm::row;  // the store has standard
  CHECK_THROWS_AS(verify_conversion(*open_source(options), options, nullptr), DamagedError);
  options.feature_norm = FeatureNorm::standard;
  options.keep_self_loops = true;  // the store has dropped them
  CHECK_THROWS_AS(verify_conversion(*open_source(options), options, nullptr), DamagedError);
  options.keep_self_loops = false;
  options.seed = 2;
  CHECK_THROWS_AS(verify_conversion(*open_source(options), options, nullptr), DamagedError);
}

TEST_CASE("multi-label synthetic sets convert and verify") {
  TempDir dir;
  ImportOptions options = synthetic_options(dir / "s", 3000, 20000);
  options.synthetic.multi_label = true;
  options.synthetic.classes = 11;
  options.synthetic.labelled = 0.5;
  convert_with(options);
  const LoadedStore store = load_store(dir / "s");
  CHECK(store.info.task == Task::multilabel);
  CHECK(store.info.classes == 11);
  CHECK(contains(verify_conversion(*open_source(options), options, nullptr), "verified"));
}

TEST_CASE("standard: training rows have mean 0 and deviation 1") {
  TempDir dir;
  ImportOptions options = synthetic_options(dir / "s", 2500, 100);
  options.feature_norm = FeatureNorm::standard;
  convert_with(options);
  const LoadedStore store = load_store(dir / "s");
  for (std::size_t c = 0; c < 16; ++c) {
    double sum = 0, squares = 0;
    for (const NodeId node : store.splits.at("train")) {
      const auto value = static_cast<double>(store.features[node][c]);
      sum += value;
      squares += value * value;
    }
    const auto count = static_cast<double>(store.splits.at("train").size());
    CHECK(std::abs(sum / count) < 1e-5);
    CHECK(squares / count == doctest::Approx(1.0).epsilon(1e-4));
  }
}

TEST_CASE("convert.json says what happened") {
  TempDir dir;
  const SixNodes set;
  write_ogb_csv(dir / "set", set);
  ImportOptions options = import_options(SourceKind::ogb, dir / "set", dir / "s");
  Recorder recorder;
  convert(*open_source(options), options, &recorder);
  std::ifstream file(dir / "s" / "convert.json");
  const auto json = nlohmann::json::parse(file);
  CHECK(json["nodes"] == 6);
  CHECK(json["edges_in"] == 7);
  CHECK(json["edges_out"] == 5);
  CHECK(json["self_loops"] == 1);
  CHECK(json["duplicates"] == 1);
  CHECK(json["unlabelled"] == 0);
  CHECK(json["nan_features"] == 0);
  CHECK(json["sources"].size() == 8);
  CHECK(json["sources"][0]["xxh3"].get<std::string>().size() == 16);
  CHECK(json["options"]["split"] == "time");
  REQUIRE(json["stages"].size() == recorder.stages.size());
  for (std::size_t i = 0; i < recorder.stages.size(); ++i) {
    CHECK(json["stages"][i]["name"] == recorder.stages[i]);
    CHECK(json["stages"][i]["seconds"].get<double>() >= 0);
    CHECK(json["stages"][i]["peak_memory_bytes"].get<std::uint64_t>() > 0);
  }
  CHECK(contains(recorder.hints, "the graph is directed"));
  CHECK_FALSE(recorder.open);
}

TEST_CASE("NaN features: zero on request, counted") {
  TempDir dir;
  SixNodes set;
  set.features[2][0] = NAN;
  set.features[5][1] = INFINITY;
  write_ogb_csv(dir / "set", set);
  ImportOptions options = import_options(SourceKind::ogb, dir / "set", dir / "s");
  CHECK(contains(failing<InputError>(options), "row 2, column 0: is NaN or infinite; 2 feature values are"));
  options.zero_nan_features = true;
  options.feature_norm = FeatureNorm::standard;
  CHECK(convert_with(options).nan_features == 2);
  CHECK(contains(verify_conversion(*open_source(options), options, nullptr), "verified"));
  options.feature_norm = FeatureNorm::none;
  options.force = true;
  convert_with(options);
  CHECK(load_store(dir / "s").features[2] == std::vector<float>{0, 3});
}

TEST_CASE("outputs: not overwritten without force, stale temporaries cleared, what is there survives a failure") {
  TempDir dir;
  write_ogb_csv(dir / "set", SixNodes());
  ImportOptions options = import_options(SourceKind::ogb, dir / "set", dir / "s");
  convert_with(options);
  const auto before = store_bytes(dir / "s");
  CHECK(contains(failing<UsageError>(options), "--force"));
  SixNodes damaged;
  damaged.edges[3] = {9, 9};
  write_ogb_csv(dir / "set", damaged);
  options.force = true;
  CHECK(contains(failing<InputError>(options), "edge.csv.gz: line 4"));
  CHECK(store_bytes(dir / "s") == before);
  ImportOptions spilling = synthetic_options(dir / "t", 30000, 400000);
  spilling.memory = 33 * kMiB;
  spilling.partitioner = Partitioner::random;
  write_text(dir / ".t.convert-tmp" / "edges.spool", "left by a killed run");
  convert_with(spilling);
  CHECK_FALSE(fs::exists(dir / ".t.convert-tmp"));
}

TEST_CASE("plans and refusals: too little memory names what would do, and that does") {
  TempDir dir;
  ImportOptions options = synthetic_options(dir / "s", 20000, 200000);
  for (const Partitioner partitioner :
       {Partitioner::automatic, Partitioner::none, Partitioner::random, Partitioner::metis}) {
    options.partitioner = partitioner;
    options.memory = kMiB;
    std::uint64_t least = 0;
    try {
      convert_with(options);
    } catch (const ResourceError& error) {
      least = error.least();
      CHECK(contains(error.what(), "at least"));
    }
    REQUIRE(least > 0);
    options.memory = least;
    options.force = true;
    const ConvertReport report = convert_with(options);
    CHECK(report.peak_budget <= least);
    options.memory = least - 1;
    CHECK_THROWS_AS(convert_with(options), ResourceError);
  }
  options.memory = 256 * kMiB;
  options.partitioner = Partitioner::automatic;
  const std::unique_ptr<GraphSource> source = open_source(options);
  CHECK(plan_conversion(options, source->facts()).partitioner == Partitioner::none);  // one shard
  options.shards = 4;
  ConversionPlan plan = plan_conversion(options, source->facts());
  CHECK(plan.partitioner == Partitioner::metis);
  CHECK(contains(explain(options, source->facts(), plan), "order         metis"));
  options.memory = plan.least_memory - 1;
  plan = plan_conversion(options, source->facts());
  CHECK(plan.partitioner == Partitioner::none);
  CHECK(contains(explain(options, source->facts(), plan), "METIS would need"));
  options.shards = 21;
  CHECK_THROWS_AS(plan_conversion(options, source->facts()), UsageError);
}

TEST_CASE("a star: one hub's shard decides the memory, and the error says so") {
  TempDir dir;
  std::vector<std::int64_t> edges;
  for (std::int64_t n = 0; n < 200000; ++n) edges.insert(edges.end(), {n % 100000, n < 100000 ? 0 : 99999});
  write_text(dir / "g" / "edge_index.npy", npy_bytes("<i8", "(200000, 2)", edges));
  ImportOptions options = import_options(SourceKind::npy, dir / "g", dir / "s");
  options.shards = 90;
  options.partitioner = Partitioner::none;
  const ConvertReport report = convert_with(options);
  CHECK(report.edges_out == 199998);
  const LoadedStore store = load_store(dir / "s");
  CHECK(store.in_degrees[0] == 99999);
  CHECK(store.in_degrees[99999] == 99999);
  CHECK(store.out == store.in);
}

}  // namespace strata::test
