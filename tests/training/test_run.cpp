// Whole runs of strata-train on small stores: what they write, what they refuse, and that memory changes no bit.
#include <doctest/doctest.h>

#include <sys/file.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

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

using Words = std::vector<std::string>;

// A store of three chunks and two or three shards, and runs on it.
struct Runs {
  explicit Runs(bool multilabel = false) : original(make_reordered_store(directory / "store", 2500, multilabel)) {}

  [[nodiscard]] std::filesystem::path run(const std::string& name) const { return directory.path() / name; }
  // Options given in `more` take the place of these.
  [[nodiscard]] Words words(const std::string& name, const Words& more) const {
    Words all{"--store", (directory / "store").string(), "--run", run(name).string()};
    for (const auto& [option, value] : std::map<std::string, std::string>{
             {"--host-memory", "64MiB"}, {"--hidden", "16"}, {"--epochs", "4"}, {"--threads", "2"}}) {
      if (std::find(more.begin(), more.end(), option) != more.end()) continue;
      all.push_back(option);
      all.push_back(value);
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome go(const std::string& name, const Words& more = {}) { return train(directory.path(), words(name, more)); }

  TempDir directory;
  std::vector<NodeId> original;  // of reordered
};

nlohmann::json summary(const std::filesystem::path& run) {
  return nlohmann::json::parse(content(run / "summary.json"));
}

std::vector<std::int64_t> ids_in(const std::filesystem::path& file) {
  NpyReader reader(file);
  std::vector<std::int64_t> ids(reader.remaining());
  reader.read_as_int64(ids);
  return ids;
}

std::vector<float> floats_in(const std::filesystem::path& file, std::size_t rows, std::size_t cols) {
  NpyReader reader(file);
  REQUIRE(reader.header().shape == std::vector<std::uint64_t>{rows, cols});
  std::vector<float> values(rows * cols);
  reader.read_as_float(values);
  return values;
}

const std::vector<Words> kMethods = {
    {"--method", "full"},
    {"--method", "iglu", "--batch-size", "700"},
    {"--method", "iglu", "--model", "sage", "--classifier", "linear", "--dropout", "0.3"},
    {"--method", "full", "--model", "sage", "--layer-norm", "layer", "--dropout", "0.3"},
    {"--method", "full", "--model", "mlp", "--layers", "3"}};

TEST_CASE("a run leaves metrics, summary, model and predictions") {
  Runs runs;
  for (const Words& method : kMethods) {
    CAPTURE(method[1]);
    const Outcome outcome = runs.go("run", method);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
    const std::filesystem::path run = runs.run("run");
    const std::vector<std::string> metrics = lines(run / "metrics.jsonl");
    REQUIRE(metrics.size() == 4);
    double best = -1;
    for (std::size_t i = 0; i < metrics.size(); ++i) {
      const nlohmann::json line = nlohmann::json::parse(metrics[i]);
      CHECK(line["epoch"] == i + 1);
      for (const char* name : {"loss", "train", "val", "test", "lr", "steps", "node_visits", "seconds", "seconds_total",
                               "seconds_prepare", "seconds_sample", "seconds_io_wait", "seconds_compute",
                               "seconds_eval", "bytes_read", "bytes_written", "peak_host_bytes", "peak_gpu_bytes"}) {
        CAPTURE(name);
        CHECK(line[name].is_number());
      }
      CHECK(line["metric"] == "accuracy");
      CHECK(line["hits"]["host"].is_number());
      CHECK(line["peak_host_bytes"] > 0);
      CHECK(line["steps"] >= 1);
      CHECK_FALSE(line.contains("step_losses"));
      best = std::max(best, line["val"].get<double>());
    }
    const nlohmann::json report = summary(run);
    CHECK(report["schema_version"] == 1);
    CHECK(report["best"]["val"] == best);
    CHECK(report["totals"]["epochs"] == 4);
    CHECK(report["device"].get<std::string>().size() > 3);
    CHECK(report["plan"]["least_bytes"] <= report["measured"]["budget_bytes"]);
    CHECK(report["measured"]["peak_budget_bytes"] <= report["measured"]["budget_bytes"]);
    CHECK(read_safetensors(run / "model.safetensors").size() >= 4);
    CHECK_FALSE(std::filesystem::exists(run / "cache"));
    std::filesystem::remove_all(run);
  }
}

TEST_CASE("predictions lie in ascending original order and score what the summary says") {
  Runs runs;
  REQUIRE(runs.go("run").status == 0);
  const std::filesystem::path run = runs.run("run");
  const std::vector<std::int64_t> ids = ids_in(run / "prediction_ids.npy");
  const std::vector<float> logits = floats_in(run / "predictions.npy", ids.size(), 5);
  CHECK(std::is_sorted(ids.begin(), ids.end()));
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());

  MemoryBudget budget(std::uint64_t{1} << 26);
  const Store store(runs.directory / "store");
  const Labels labels = store.labels(budget);
  const Array<NodeId> reordered = store.reordered_ids(budget);
  std::size_t members = 0;
  for (const char* split : {"train", "valid", "test"}) {
    const Array<NodeId> nodes = store.split(split, budget);
    members += nodes.size();
    double right = 0, all = 0;
    for (std::size_t row = 0; row < ids.size(); ++row) {
      const NodeId node = reordered[static_cast<std::size_t>(ids[row])];
      if (!std::binary_search(nodes.begin(), nodes.end(), node) || labels.classes[node] == kUnlabelled) continue;
      const float* z = logits.data() + row * 5;
      right += std::max_element(z, z + 5) - z == labels.classes[node] ? 1 : 0;
      all += 1;
    }
    const std::string name = std::string(split) == "valid" ? "val" : split;
    CHECK(summary(run)["best"][name].get<double>() == doctest::Approx(right / all).epsilon(1e-12));
  }
  CHECK(members == ids.size());
}

TEST_CASE("the rows asked for are the rows written") {
  Runs runs;
  REQUIRE(runs.go("all", {"--predict", "all", "--embeddings", "all"}).status == 0);
  const std::vector<std::int64_t> all = ids_in(runs.run("all") / "prediction_ids.npy");
  REQUIRE(all.size() == 2500);
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == static_cast<std::int64_t>(i));
  const std::vector<float> logits = floats_in(runs.run("all") / "predictions.npy", 2500, 5);
  CHECK(ids_in(runs.run("all") / "embedding_ids.npy") == all);
  static_cast<void>(floats_in(runs.run("all") / "embeddings.npy", 2500, 16));

  std::ofstream(runs.directory / "some.txt") << "2499\n3\n17\n3\n";
  REQUIRE(runs.go("some", {"--predict", (runs.directory / "some.txt").string()}).status == 0);
  const std::vector<std::int64_t> expected{3, 17, 2499};
  CHECK(ids_in(runs.run("some") / "prediction_ids.npy") == expected);
  const std::vector<float> some = floats_in(runs.run("some") / "predictions.npy", 3, 5);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t c = 0; c < 5; ++c)
      CHECK(some[row * 5 + c] == logits[static_cast<std::size_t>(expected[row]) * 5 + c]);
  }
  {
    NpyWriter writer(runs.directory / "some.npy", npy_type<std::int32_t>(), {2});
    writer.append(std::span<const std::int32_t>(std::vector<std::int32_t>{17, 3}));
    writer.commit();
  }
  REQUIRE(runs.go("npy", {"--predict", (runs.directory / "some.npy").string()}).status == 0);
  CHECK(ids_in(runs.run("npy") / "prediction_ids.npy") == std::vector<std::int64_t>{3, 17});
  REQUIRE(runs.go("none", {"--predict", "none"}).status == 0);
  CHECK_FALSE(std::filesystem::exists(runs.run("none") / "predictions.npy"));

  std::ofstream(runs.directory / "bad.txt") << "1\n2500\n";
  const Outcome outcome = runs.go("bad", {"--predict", (runs.directory / "bad.txt").string()});
  CHECK(outcome.status == 3);
  CHECK(outcome.error.find("line 2") != std::string::npos);
  CHECK(runs.go("absent", {"--predict", "no-such-file"}).status == 3);
}

// The number of bytes that --explain calls the least budget.
std::uint64_t least_budget(Runs& runs, const Words& more) {
  const Outcome outcome = runs.go("explained", [&] {
    Words words = more;
    words.push_back("--explain");
    return words;
  }());
  REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
  std::smatch match;
  REQUIRE(std::regex_search(outcome.out, match, std::regex("least budget .* ([0-9]+) bytes")));
  return std::stoull(match[1]);
}

void check_same_results(const std::filesystem::path& a, const std::filesystem::path& b) {
  CHECK(content(a / "model.safetensors") == content(b / "model.safetensors"));
  CHECK(content(a / "predictions.npy") == content(b / "predictions.npy"));
  CHECK(content(a / "prediction_ids.npy") == content(b / "prediction_ids.npy"));
  CHECK(lasting_metrics(a) == lasting_metrics(b));
}

TEST_CASE("the least budget gives the same bits; a byte less is refused with what would do") {
  Runs runs;
  for (const Words& method : {kMethods[0], kMethods[2]}) {
    const std::uint64_t least = least_budget(runs, method);
    CHECK_FALSE(std::filesystem::exists(runs.run("explained")));
    const auto with_budget = [&](const std::string& name, std::uint64_t bytes, const std::string& threads) {
      Words words = method;
      words.insert(words.end(), {"--host-memory", std::to_string(bytes), "--threads", threads});
      return runs.go(name, words);
    };
    REQUIRE(with_budget("plenty", std::uint64_t{64} << 20, "1").status == 0);
    const Outcome tight = with_budget("tight", least, "2");
    REQUIRE_MESSAGE(tight.status == 0, tight.error);
    check_same_results(runs.run("plenty"), runs.run("tight"));
    const Outcome less = with_budget("less", least - 1, "2");
    CHECK(less.status == 4);
    CHECK(less.error.find(std::to_string(least) + " bytes") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(runs.run("less")));
    std::filesystem::remove_all(runs.run("plenty"));
    std::filesystem::remove_all(runs.run("tight"));
  }
}

TEST_CASE("evaluating more or less often changes no weight") {
  Runs runs;
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

TEST_CASE("--save-steps writes the initial weights and every n-th step's, and the losses of all") {
  Runs runs;
  REQUIRE(runs.go("run", {"--method", "iglu", "--batch-size", "1024", "--save-steps", "3"}).status == 0);
  std::uint64_t steps = 0;
  for (const std::string& line : lines(runs.run("run") / "metrics.jsonl")) {
    const nlohmann::json metrics = nlohmann::json::parse(line);
    CHECK(metrics["step_losses"].size() == metrics["steps"]);
    steps += metrics["steps"].get<std::uint64_t>();
  }
  CHECK(steps >= 12);
  std::size_t files = 0;
  for (std::uint64_t step = 0; step <= steps; ++step) {
    char name[64];
    std::snprintf(name, sizeof name, "%06d.safetensors", static_cast<int>(step));
    const bool exists = std::filesystem::exists(runs.run("run") / "steps" / name);
    CHECK(exists == (step % 3 == 0));
    files += exists ? 1 : 0;
  }
  CHECK(files == steps / 3 + 1);
}

TEST_CASE("explicit batches are taken in their order; other epochs keep the method's own") {
  Runs runs;
  std::ofstream file(runs.directory / "batches.jsonl");
  file << "{\"epoch\": 2, \"group\": \"layer1\", \"nodes\": [1, 2, 3]}\n"
       << "{\"epoch\": 2, \"group\": \"layer1\", \"nodes\": [4, 5]}\n"
       << "{\"epoch\": 2, \"group\": \"layer2\", \"nodes\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n";
  file.close();
  const Words words{"--method", "iglu", "--batch-file", (runs.directory / "batches.jsonl").string()};
  REQUIRE(runs.go("run", words).status == 0);
  const std::vector<std::string> metrics = lines(runs.run("run") / "metrics.jsonl");
  CHECK(nlohmann::json::parse(metrics[1])["steps"] == 3);
  CHECK(nlohmann::json::parse(metrics[1])["node_visits"] == 14);
  CHECK(nlohmann::json::parse(metrics[0])["node_visits"] > 2500);
  CHECK(nlohmann::json::parse(metrics[1])["step_losses"].size() == 3);

  std::ofstream(runs.directory / "batches.jsonl") << "{\"epoch\": 1, \"group\": \"layer9\", \"nodes\": [1]}\n";
  const Outcome outcome = runs.go("bad", words);
  CHECK(outcome.status == 3);
  CHECK(outcome.error.find("layer9") != std::string::npos);
}

TEST_CASE("weights go out and come back in: inference alone predicts the same") {
  Runs runs;
  REQUIRE(runs.go("trained", {"--model", "sage"}).status == 0);
  const std::string model = (runs.run("trained") / "model.safetensors").string();
  const Outcome outcome = runs.go("inferred", {"--model", "sage", "--epochs", "0", "--init", model});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
  CHECK(content(runs.run("inferred") / "predictions.npy") == content(runs.run("trained") / "predictions.npy"));
  CHECK(content(runs.run("inferred") / "model.safetensors") == content(runs.run("trained") / "model.safetensors"));
  CHECK(summary(runs.run("inferred"))["best"]["test"] == summary(runs.run("trained"))["best"]["test"]);
  CHECK(content(runs.run("inferred") / "metrics.jsonl").empty());

  const Outcome other_model = runs.go("other", {"--model", "gcn", "--init", model});
  CHECK(other_model.status == 3);
  CHECK(other_model.error.find("tensor") != std::string::npos);
  const Outcome other_width = runs.go("other", {"--model", "sage", "--hidden", "8", "--init", model});
  CHECK(other_width.status == 3);
  CHECK(other_width.error.find("shape") != std::string::npos);
  CHECK(runs.go("other", {"--init", "absent.safetensors"}).status == 3);
}

TEST_CASE("early stopping stops, keeps the best epoch, and is over when resumed") {
  Runs runs;
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
  Runs runs;
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
  Runs runs;
  REQUIRE(runs.go("long", {"--epochs", "7"}).status == 0);
  REQUIRE(runs.go("grown", {"--epochs", "3"}).status == 0);
  REQUIRE(runs.go("grown", {"--epochs", "7", "--resume"}).status == 0);
  check_same_results(runs.run("long"), runs.run("grown"));
}

TEST_CASE("a directory in use is refused") {
  Runs runs;
  std::filesystem::create_directories(runs.run("run"));
  const DirectoryLock lock(runs.run("run"), DirectoryLock::Kind::exclusive);
  const Outcome outcome = runs.go("run");
  CHECK(outcome.status == 2);
  CHECK_FALSE(std::filesystem::exists(runs.run("run") / "metrics.jsonl"));
}

TEST_CASE("a store being written is refused, one being read is shared") {
  Runs runs;
  {
    const DirectoryLock lock(runs.directory / "store", DirectoryLock::Kind::exclusive);
    CHECK(runs.go("run").status == 2);
  }
  const DirectoryLock lock(runs.directory / "store", DirectoryLock::Kind::shared);
  CHECK(runs.go("run").status == 0);
}

TEST_CASE("--explain shows the plan and leaves nothing") {
  Runs runs;
  const Outcome outcome = runs.go("run", {"--explain", "--layers", "3", "--codec", "fp16"});
  CHECK(outcome.status == 0);
  for (const char* part : {"features", "X1", "logits", "alpha", "fp16", "least budget", "cache", "fits in memory"}) {
    CAPTURE(part);
    CHECK(outcome.out.find(part) != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(runs.run("run")));
  const Outcome little = runs.go("run", {"--explain", "--host-memory", "100kB"});
  CHECK(little.status == 0);
  CHECK(little.out.find("too little") != std::string::npos);
}

TEST_CASE("disk space is checked before the start") {
  Runs runs;
  const std::uint64_t least = least_budget(runs, {});
  const Outcome outcome = runs.go("run", {"--host-memory", std::to_string(least), "--disk-limit", "100kB"});
  CHECK(outcome.status == 4);
  CHECK(outcome.error.find("--disk-limit") != std::string::npos);
  CHECK(outcome.error.find("bytes") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(runs.run("run")));
}

TEST_CASE("multi-label stores") {
  Runs runs(true);
  REQUIRE(runs.go("f1").status == 0);
  CHECK(summary(runs.run("f1"))["metric"] == "micro-f1");
  REQUIRE(runs.go("auc", {"--metric", "roc-auc", "--method", "iglu"}).status == 0);
  CHECK(summary(runs.run("auc"))["metric"] == "roc-auc");
  CHECK(runs.go("bad", {"--metric", "accuracy"}).status == 2);
}

TEST_CASE("quiet runs print their result only; faults are one line") {
  Runs runs;
  const Outcome quiet = runs.go("quiet", {"--quiet"});
  CHECK(quiet.error.empty());
  CHECK(quiet.out.find("results in") != std::string::npos);
  CHECK(std::count(quiet.out.begin(), quiet.out.end(), '\n') == 1);
  CHECK(runs.go("loud").error.find("epoch 4/4") != std::string::npos);
  const Outcome no_store = train(runs.directory.path(), {"--store", "absent", "--run", runs.run("x").string()});
  CHECK(no_store.status == 3);
  CHECK(no_store.error.starts_with("strata-train: "));
  CHECK(std::count(no_store.error.begin(), no_store.error.end(), '\n') == 1);
  CHECK_FALSE(std::filesystem::exists(runs.run("x")));
}

TEST_CASE("every option that should change the weights does") {
  Runs runs;
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
                                       {"--aggregation-norm", "row"}};
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
