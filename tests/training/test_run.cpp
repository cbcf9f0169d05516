// Whole runs of strata-train on small stores: what they refuse, what they continue, and that memory changes no bit.
#include <doctest/doctest.h>

#include <sys/file.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "engine/active_sets.hpp"
#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/file.hpp"
#include "storage/npy.hpp"
#include "storage/safetensors.hpp"
#include "storage/store.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/training/program_runner.hpp"

namespace strata::test {
namespace {

nlohmann::json summary(const std::filesystem::path& run) {
  return nlohmann::json::parse(content(run / "summary.json"));
}

const std::vector<Words> kMethods = {
    {"--method", "full"},
    {"--method", "iglu", "--batch-size", "700"},
    {"--method", "iglu", "--model", "sage", "--classifier", "linear", "--dropout", "0.3"},
    {"--method", "full", "--model", "sage", "--layer-norm", "layer", "--dropout", "0.3"},
    {"--method", "full", "--model", "mlp", "--layers", "3"},
    {"--method", "iglu", "--model", "mlp", "--layers", "3", "--residual", "add", "--iglu-order", "backprop"},
    {"--method", "iglu", "--iglu-order", "backprop", "--iglu-refresh", "0.5", "--layers", "4", "--residual", "add2"},
    {"--method", "sgc", "--layers", "2"}};

TEST_CASE("the least budget gives the same bits; a byte less is refused with what would do") {
  StoreRuns runs(kSpillingNodes);
  for (const Words& method : {kMethods[0], kMethods[2]}) {
    const std::uint64_t least = runs.least_budget(method);
    const auto with_budget = [&](const std::string& name, std::uint64_t bytes, const std::string& threads) {
      Words words = method;
      words.insert(words.end(), {"--host-memory", std::to_string(bytes), "--threads", threads});
      return runs.go(name, words);
    };
    REQUIRE(with_budget("plenty", std::uint64_t{64} << 20, "1").status == 0);
    const Outcome tight = with_budget("tight", least, "2");
    REQUIRE_MESSAGE(tight.status == 0, tight.error);
    check_same_results(runs.run("plenty"), runs.run("tight"));
    CHECK(summary(runs.run("plenty"))["totals"]["bytes_written_this_process"] == 0);
    CHECK(summary(runs.run("tight"))["totals"]["bytes_written_this_process"] > 0);
    const Outcome less = with_budget("less", least - 1, "2");
    CHECK(less.status == 4);
    CHECK(less.error.find(std::to_string(least) + " bytes") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(runs.run("less")));
    std::filesystem::remove_all(runs.run("plenty"));
    std::filesystem::remove_all(runs.run("tight"));
  }
}

TEST_CASE("rows packed on disk give the files of fp16, and fewer bytes to the disk") {
  StoreRuns runs(kSpillingNodes);
  const auto words = [](const std::string& codec, const Words& more) {
    Words all = {"--method", "iglu", "--model", "sage", "--hidden", "64", "--codec", codec, "--alpha-codec", codec};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  // Packing takes memory of its own: with the least budget of each, both have the same for blocks.
  const auto least = [&](const std::string& codec) { return std::to_string(runs.least_budget(words(codec, {}))); };
  for (const char* codec : {"fp16", "bitmap"}) {
    const Outcome outcome = runs.go(codec, words(codec, {"--host-memory", least(codec)}));
    REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
    CHECK(summary(runs.run(codec))["configuration"]["codec"] == codec);
  }
  check_same_results(runs.run("fp16"), runs.run("bitmap"));
  const auto written = [&](const char* codec) {
    return summary(runs.run(codec))["totals"]["bytes_written_this_process"].get<std::uint64_t>();
  };
  CHECK(written("bitmap") > 0);
  CHECK(written("bitmap") < written("fp16"));
  // The same bits, so one may go on as the other.
  std::filesystem::rename(runs.run("bitmap"), runs.run("was bitmap"));
  std::filesystem::rename(runs.run("fp16"), runs.run("bitmap"));
  const Outcome resumed = runs.go("bitmap", words("bitmap", {"--host-memory", least("bitmap"), "--resume"}));
  CHECK(resumed.status == 0);
  CHECK(resumed.out.find("complete") != std::string::npos);
}

TEST_CASE("a cache directory of the user's gets a corner of this run's own, empty at the end") {
  StoreRuns runs(kSpillingNodes);
  const std::filesystem::path cache = runs.path() / "scratch";
  std::filesystem::create_directories(cache);
  std::ofstream(cache / "strata-1-0-X1.scratch") << "another run's";
  const std::string least = std::to_string(runs.least_budget({}));
  REQUIRE(runs.go("run", {"--host-memory", least, "--cache-dir", cache.string()}).status == 0);
  CHECK(summary(runs.run("run"))["totals"]["bytes_written_this_process"] > 0);
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(cache)) left.push_back(entry.path().filename().string());
  CHECK(left == std::vector<std::string>{"strata-1-0-X1.scratch"});
}

TEST_CASE("a run that cannot begin leaves no directory behind") {
  StoreRuns runs;
  CHECK(runs.go("run", {"--init", "absent.safetensors"}).status == 3);
  CHECK_FALSE(std::filesystem::exists(runs.run("run")));
  std::ofstream(runs.path() / "ids.txt") << "1\nx\n";
  const Outcome outcome = runs.go("run", {"--predict", (runs.path() / "ids.txt").string(), "--epochs", "100000"});
  CHECK(outcome.status == 3);  // at once, not after the last epoch
  CHECK_FALSE(std::filesystem::exists(runs.run("run")));
}

TEST_CASE("evaluating more or less often changes no weight") {
  StoreRuns runs;
  for (const Words& method : kMethods) {
    std::string last;
    for (const char* every : {"1", "2", "0"}) {
      Words words = method;
      for (const char* word : {"--eval-every", every, "--save-steps", "1"}) words.push_back(word);
      REQUIRE(runs.go("run", words).status == 0);
      const auto steps = summary(runs.run("run"))["totals"]["steps"].get<int>();
      char name[64];
      std::snprintf(name, sizeof name, "%06d.safetensors", steps);
      const std::string weights = content(runs.run("run") / "steps" / name);
      REQUIRE_FALSE(weights.empty());
      if (!last.empty()) CHECK(weights == last);
      last = weights;
      std::filesystem::remove_all(runs.run("run"));
    }
  }
}

// Of these original ids, those that layer k of two has rows of in training.
std::size_t active(const std::filesystem::path& path, std::size_t k, const std::vector<NodeId>& original) {
  const Store store(path);
  MemoryBudget budget(std::uint64_t{1} << 26);
  Workers workers(1);
  const Array<NodeId> train = store.split("train", budget), valid = store.split("valid", budget),
                      test = store.split("test", budget), reordered = store.reordered_ids(budget);
  const ActiveSets sets(store, {true, true}, {train.span(), valid.span(), test.span()}, workers, budget);
  const auto known = [&](NodeId id) { return sets.layer(k).part(RowPart::train).contains(reordered[id]); };
  return static_cast<std::size_t>(std::count_if(original.begin(), original.end(), known));
}

TEST_CASE("explicit batches are taken in their order; other epochs keep the method's own") {
  StoreRuns runs;
  std::ofstream file(runs.path() / "batches.jsonl");
  file << "{\"epoch\": 2, \"group\": \"layer1\", \"nodes\": [1, 2, 3]}\n"
       << "{\"epoch\": 2, \"group\": \"layer1\", \"nodes\": [4, 5]}\n"
       << "{\"epoch\": 2, \"group\": \"layer2\", \"nodes\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n";
  file.close();
  const Words words{"--method", "iglu", "--batch-file", (runs.path() / "batches.jsonl").string()};
  REQUIRE(runs.go("run", words).status == 0);
  const std::vector<std::string> metrics = lines(runs.run("run") / "metrics.jsonl");
  CHECK(nlohmann::json::parse(metrics[1])["steps"] == 3);
  const std::size_t of_top = active(runs.store(), 2, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(of_top > 0);
  CHECK(of_top < 9);  // the others are no training nodes
  CHECK(nlohmann::json::parse(metrics[1])["node_visits"] == active(runs.store(), 1, {1, 2, 3, 4, 5}) + of_top);
  CHECK(nlohmann::json::parse(metrics[0])["node_visits"] > 2500);
  CHECK(nlohmann::json::parse(metrics[1])["step_losses"].size() == 3);

  std::ofstream(runs.path() / "batches.jsonl") << "{\"epoch\": 1, \"group\": \"layer9\", \"nodes\": [1]}\n";
  const Outcome outcome = runs.go("bad", words);
  CHECK(outcome.status == 3);
  CHECK(outcome.error.find("layer9") != std::string::npos);
}

TEST_CASE("several explicit steps of the full batch in an epoch") {
  StoreRuns runs;
  std::string nodes = "0";
  for (int id = 1; id < 2500; ++id) nodes += "," + std::to_string(id);
  std::ofstream file(runs.path() / "batches.jsonl");
  for (const int epoch : {1, 2, 2, 2, 4}) {
    file << "{\"epoch\": " << epoch << ", \"group\": \"all\", \"nodes\": [" << nodes << "]}\n";
  }
  file.close();
  for (const Words& method : {kMethods[0], kMethods[3]}) {
    std::string last;
    for (const char* every : {"1", "2", "0"}) {
      Words words = method;
      for (const std::string& word :
           {std::string("--batch-file"), (runs.path() / "batches.jsonl").string(), std::string("--eval-every"),
            std::string(every), std::string("--save-steps"), std::string("6")}) {
        words.push_back(word);
      }
      const Outcome outcome = runs.go("run", words);
      REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
      CHECK(nlohmann::json::parse(lines(runs.run("run") / "metrics.jsonl")[1])["steps"] == 3);
      const std::string weights = content(runs.run("run") / "steps" / "000006.safetensors");
      REQUIRE_FALSE(weights.empty());
      if (!last.empty()) CHECK(weights == last);
      last = weights;
      std::filesystem::remove_all(runs.run("run"));
    }
  }
}

TEST_CASE("early stopping stops, keeps the best epoch, and is over when resumed") {
  StoreRuns runs;
  const Words words{"--epochs", "60", "--patience", "3", "--min-delta", "0.5"};
  REQUIRE(runs.go("run", words).status == 0);
  CHECK(lines(runs.run("run") / "metrics.jsonl").size() == 4);
  CHECK(summary(runs.run("run"))["stopped_early"] == true);
  Words again = words;
  again.push_back("--resume");
  const Outcome outcome = runs.go("run", again);
  CHECK(outcome.status == 0);
  CHECK(outcome.out.find("complete") != std::string::npos);
}

TEST_CASE("an existing run is kept unless told otherwise; a finished one is complete") {
  StoreRuns runs;
  REQUIRE(runs.go("run").status == 0);
  const std::string model = content(runs.run("run") / "model.safetensors");
  std::ofstream(runs.run("run") / "notes.txt") << "mine";
  const Outcome again = runs.go("run");
  CHECK(again.status == 2);
  CHECK(again.error.find("--resume") != std::string::npos);
  CHECK(std::count(again.error.begin(), again.error.end(), '\n') == 1);
  const Outcome resumed = runs.go("run", {"--resume"});
  CHECK(resumed.status == 0);
  CHECK(resumed.out.find("complete") != std::string::npos);
  CHECK(content(runs.run("run") / "model.safetensors") == model);
  const Outcome other = runs.go("run", {"--resume", "--lr", "0.5"});
  CHECK(other.status == 2);
  CHECK(other.error.find("lr (0.01, now 0.5)") != std::string::npos);
  CHECK(runs.go("run", {"--resume", "--epochs", "2"}).status == 2);
  REQUIRE(runs.go("run", {"--force", "--seed", "9"}).status == 0);
  CHECK(content(runs.run("run") / "model.safetensors") != model);
  CHECK(content(runs.run("run") / "notes.txt") == "mine");
}

TEST_CASE("more epochs go on where a finished run ended") {
  StoreRuns runs;
  REQUIRE(runs.go("long", {"--epochs", "7"}).status == 0);
  REQUIRE(runs.go("grown", {"--epochs", "3"}).status == 0);
  REQUIRE(runs.go("grown", {"--epochs", "7", "--resume"}).status == 0);
  check_same_results(runs.run("long"), runs.run("grown"));
}

TEST_CASE("a directory in use is refused") {
  StoreRuns runs;
  std::filesystem::create_directories(runs.run("run"));
  const DirectoryLock lock(runs.run("run"), DirectoryLock::Kind::exclusive);
  const Outcome outcome = runs.go("run");
  CHECK(outcome.status == 2);
  CHECK_FALSE(std::filesystem::exists(runs.run("run") / "metrics.jsonl"));
}

TEST_CASE("a store being written is refused, one being read is shared") {
  StoreRuns runs;
  {
    const DirectoryLock lock(runs.store(), DirectoryLock::Kind::exclusive);
    CHECK(runs.go("run").status == 2);
  }
  const DirectoryLock lock(runs.store(), DirectoryLock::Kind::shared);
  CHECK(runs.go("run").status == 0);
}

TEST_CASE("--explain shows the plan and leaves nothing") {
  StoreRuns runs;
  const Outcome outcome = runs.go("run", {"--explain", "--layers", "3", "--codec", "fp16"});
  CHECK(outcome.status == 0);
  for (const char* part : {"features", "X1", "logits", "alpha", "fp16", "least budget", "cache", "fits in memory"}) {
    CAPTURE(part);
    CHECK(outcome.out.find(part) != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(runs.run("run")));
  const Outcome packed = runs.go("run", {"--explain", "--codec", "bitmap"});
  CHECK(packed.status == 0);
  CHECK(packed.out.find("bitmap") != std::string::npos);
  const Outcome little = runs.go("run", {"--explain", "--host-memory", "100kB"});
  CHECK(little.status == 0);
  CHECK(little.out.find("too little") != std::string::npos);
}

TEST_CASE("--product-way changes no result; the summary and --explain say which was taken and what each would take") {
  StoreRuns runs(kSpillingNodes);
  const std::uint64_t least = std::max(runs.least_budget({}), runs.least_budget({"--product-way", "tiles"}));
  const std::string memory = std::to_string(least);
  for (const char* way : {"columns", "tiles", "auto"}) {
    CAPTURE(way);
    REQUIRE(runs.go(way, {"--host-memory", memory, "--product-way", way}).status == 0);
    const nlohmann::json plan = summary(runs.run(way))["plan"];
    if (std::string(way) != "auto") CHECK(plan["product_way"] == way);
    CHECK(plan["product_ways"].size() == (std::string(way) == "auto" ? 3 : 1));
    CHECK(plan["product_ways"][0]["epoch_seconds"] > 0);
    check_same_results(runs.run("columns"), runs.run(way));
  }
  const Outcome explained = runs.go("none", {"--explain", "--host-memory", memory});
  CHECK(explained.status == 0);
  for (const char* part : {"columns of all rows", "tiles: sums of some rows", "each product by", "an epoch"}) {
    CAPTURE(part);
    CHECK(explained.out.find(part) != std::string::npos);
  }
}

TEST_CASE("disk space is checked before the start") {
  StoreRuns runs(kSpillingNodes);
  const std::uint64_t least = runs.least_budget({});
  const Outcome outcome = runs.go("run", {"--host-memory", std::to_string(least), "--disk-limit", "100kB"});
  CHECK(outcome.status == 4);
  CHECK(outcome.error.find("--disk-limit") != std::string::npos);
  CHECK(outcome.error.find("bytes") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(runs.run("run")));
}

TEST_CASE("quiet runs print their result only; faults are one line") {
  StoreRuns runs;
  const Outcome quiet = runs.go("quiet", {"--quiet"});
  CHECK(quiet.error.empty());
  CHECK(quiet.out.find("results in") != std::string::npos);
  CHECK(std::count(quiet.out.begin(), quiet.out.end(), '\n') == 1);
  CHECK(runs.go("loud").error.find("epoch 4/4") != std::string::npos);
  const Outcome no_store = train(runs.path(), {"--store", "absent", "--run", runs.run("x").string()});
  CHECK(no_store.status == 3);
  CHECK(no_store.error.starts_with("strata-train: "));
  CHECK(std::count(no_store.error.begin(), no_store.error.end(), '\n') == 1);
  CHECK_FALSE(std::filesystem::exists(runs.run("x")));
}

TEST_CASE("every option that should change the weights does") {
  StoreRuns runs;
  std::map<std::string, std::string> models;
  const std::vector<Words> variants = {{},
                                       {"--optimizer", "sgd"},
                                       {"--optimizer", "adam-tf"},
                                       {"--weight-decay", "0.1"},
                                       {"--weight-decay", "0.1", "--decay-first-layer-only"},
                                       {"--lr-schedule", "0:0.01,2:0.1"},
                                       {"--clip", "0.0001"},
                                       {"--seed", "5"},
                                       {"--activation", "gelu"},
                                       {"--input-dropout", "0.2"},
                                       {"--codec", "bf16"},
                                       {"--alpha-codec", "fp16"},
                                       {"--aggregation-norm", "row"},
                                       {"--model", "gcnii"},
                                       {"--model", "gcnii", "--gcnii-alpha", "0.2"},
                                       {"--model", "gcnii", "--gcnii-theta", "1"},
                                       {"--model", "gcnii", "--gcnii-shared", "off"}};
  for (const Words& variant : variants) {
    std::string name = "v";
    for (const std::string& word : variant) name += word;
    std::replace(name.begin(), name.end(), ':', '_');
    CAPTURE(name);
    Words words = variant;
    words.insert(words.end(), {"--eval-every", "0"});
    REQUIRE(runs.go(name, words).status == 0);
    const std::string model = content(runs.run(name) / "model.safetensors");
    for (const auto& [other, bytes] : models) {
      CAPTURE(other);
      CHECK(bytes != model);
    }
    models[name] = model;
  }
}

}  // namespace
}  // namespace strata::test
