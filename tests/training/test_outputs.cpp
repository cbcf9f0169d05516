// What a run of strata-train leaves: metrics, summary, weights, rows of logits and embeddings.
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
    {"--method", "full", "--model", "mlp", "--layers", "3", "--residual", "add"},
    {"--method", "iglu", "--iglu-order", "backprop", "--iglu-refresh", "0.5", "--layers", "4", "--residual", "add2"}};

TEST_CASE("a run leaves metrics, summary, model and predictions") {
  StoreRuns runs;
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

TEST_CASE("metrics and summary show the learning rate of every epoch") {
  const StoreRuns runs;
  const Words rates{"--lr", "1e-2", "--lr-schedule", "0:x0.9/2,3:5e-4"};
  for (const char* method : {"full", "iglu"}) {
    Words words = rates;
    words.insert(words.end(), {"--method", method});
    REQUIRE(runs.go(method, words).status == 0);
    const std::vector<std::string> metrics = lines(runs.run(method) / "metrics.jsonl");
    REQUIRE(metrics.size() == 4);
    const double expected[] = {1e-2 * 0.9, 1e-2 * 0.9, 1e-2 * 0.9 * 0.9, 5e-4};
    for (std::size_t i = 0; i < 4; ++i) CHECK(nlohmann::json::parse(metrics[i])["lr"].get<double>() == expected[i]);
    CHECK(summary(runs.run(method))["configuration"]["lr-schedule"] == "0:x0.9/2,3:0.0005");
  }
}

TEST_CASE("predictions lie in ascending original order and score what the summary says") {
  StoreRuns runs;
  REQUIRE(runs.go("run").status == 0);
  const std::filesystem::path run = runs.run("run");
  const std::vector<std::int64_t> ids = ids_in(run / "prediction_ids.npy");
  const std::vector<float> logits = floats_in(run / "predictions.npy", ids.size(), 5);
  CHECK(std::is_sorted(ids.begin(), ids.end()));
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());

  MemoryBudget budget(std::uint64_t{1} << 26);
  const Store store(runs.store());
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

TEST_CASE("sgc predicts its splits as it predicts all nodes, and writes PyG's names") {
  StoreRuns runs;
  const Words sgc{"--method", "sgc", "--layers", "3"};
  Words everything = sgc;
  for (const char* word : {"--predict", "all", "--embeddings", "all"}) everything.push_back(word);
  REQUIRE(runs.go("splits", sgc).status == 0);
  REQUIRE(runs.go("all", everything).status == 0);
  const std::vector<std::int64_t> ids = ids_in(runs.run("splits") / "prediction_ids.npy");
  const std::vector<float> some = floats_in(runs.run("splits") / "predictions.npy", ids.size(), 5);
  const std::vector<float> all = floats_in(runs.run("all") / "predictions.npy", 2500, 5);
  std::size_t same = 0;
  for (std::size_t i = 0; i < some.size(); ++i)
    same += some[i] == all[static_cast<std::size_t>(ids[i / 5]) * 5 + i % 5];
  CHECK(same == some.size());
  CHECK(same > 0);
  CHECK(std::filesystem::exists(runs.run("all") / "embeddings.npy"));
  const auto tensors = read_safetensors(runs.run("all") / "model.safetensors");
  REQUIRE(tensors.size() == 2);
  CHECK(content(runs.run("all") / "model.safetensors").find("\"lin.weight\"") != std::string::npos);
  CHECK(summary(runs.run("all"))["configuration"]["method"] == "sgc");
}

TEST_CASE("the rows asked for are the rows written") {
  StoreRuns runs;
  REQUIRE(runs.go("all", {"--predict", "all", "--embeddings", "all"}).status == 0);
  const std::vector<std::int64_t> all = ids_in(runs.run("all") / "prediction_ids.npy");
  REQUIRE(all.size() == 2500);
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == static_cast<std::int64_t>(i));
  const std::vector<float> logits = floats_in(runs.run("all") / "predictions.npy", 2500, 5);
  CHECK(ids_in(runs.run("all") / "embedding_ids.npy") == all);
  static_cast<void>(floats_in(runs.run("all") / "embeddings.npy", 2500, 16));

  std::ofstream(runs.path() / "some.txt") << "2499\n3\n17\n3\n";
  REQUIRE(runs.go("some", {"--predict", (runs.path() / "some.txt").string()}).status == 0);
  const std::vector<std::int64_t> expected{3, 17, 2499};
  CHECK(ids_in(runs.run("some") / "prediction_ids.npy") == expected);
  const std::vector<float> some = floats_in(runs.run("some") / "predictions.npy", 3, 5);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t c = 0; c < 5; ++c)
      CHECK(some[row * 5 + c] == logits[static_cast<std::size_t>(expected[row]) * 5 + c]);
  }
  {
    NpyWriter writer(runs.path() / "some.npy", npy_type<std::int32_t>(), {2});
    writer.append(std::span<const std::int32_t>(std::vector<std::int32_t>{17, 3}));
    writer.commit();
  }
  REQUIRE(runs.go("npy", {"--predict", (runs.path() / "some.npy").string()}).status == 0);
  CHECK(ids_in(runs.run("npy") / "prediction_ids.npy") == std::vector<std::int64_t>{3, 17});
  REQUIRE(runs.go("none", {"--predict", "none"}).status == 0);
  CHECK_FALSE(std::filesystem::exists(runs.run("none") / "predictions.npy"));

  std::ofstream(runs.path() / "bad.txt") << "1\n2500\n";
  const Outcome outcome = runs.go("bad", {"--predict", (runs.path() / "bad.txt").string()});
  CHECK(outcome.status == 3);
  CHECK(outcome.error.find("line 2") != std::string::npos);
  CHECK(runs.go("absent", {"--predict", "no-such-file"}).status == 3);
}

TEST_CASE("nodes are called what the source calls them") {
  const StoreRuns dense, sparse(2500, false, true);
  REQUIRE(dense.go("all", {"--predict", "all"}).status == 0);
  REQUIRE(sparse.go("all", {"--predict", "all"}).status == 0);
  CHECK(content(sparse.run("all") / "predictions.npy") == content(dense.run("all") / "predictions.npy"));
  std::vector<std::int64_t> expected = ids_in(dense.run("all") / "prediction_ids.npy");
  for (std::int64_t& id : expected) id = sparse_id(id);
  CHECK(ids_in(sparse.run("all") / "prediction_ids.npy") == expected);

  std::ofstream(sparse.path() / "some.txt") << sparse_id(2499) << "\n" << sparse_id(3) << "\n";
  std::ofstream(dense.path() / "some.txt") << "3\n2499\n";
  REQUIRE(sparse.go("some", {"--predict", (sparse.path() / "some.txt").string()}).status == 0);
  REQUIRE(dense.go("some", {"--predict", (dense.path() / "some.txt").string()}).status == 0);
  CHECK(ids_in(sparse.run("some") / "prediction_ids.npy") == std::vector<std::int64_t>{sparse_id(3), sparse_id(2499)});
  CHECK(content(sparse.run("some") / "predictions.npy") == content(dense.run("some") / "predictions.npy"));
  for (const std::int64_t absent : {std::int64_t{0}, sparse_id(3) + 1, sparse_id(2500), std::int64_t{-3}}) {
    std::ofstream(sparse.path() / "bad.txt") << absent << "\n";
    const Outcome outcome = sparse.go("bad", {"--predict", (sparse.path() / "bad.txt").string()});
    CHECK(outcome.status == 3);
    CHECK(outcome.error.find("line 1: node " + std::to_string(absent) + " does not exist") != std::string::npos);
  }
}

TEST_CASE("--save-steps writes the initial weights and every n-th step's, and the losses of all") {
  StoreRuns runs;
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

TEST_CASE("weights go out and come back in: inference alone predicts the same") {
  StoreRuns runs;
  REQUIRE(runs.go("trained", {"--model", "sage"}).status == 0);
  const std::string model = (runs.run("trained") / "model.safetensors").string();
  const Outcome outcome = runs.go("inferred", {"--model", "sage", "--epochs", "0", "--init", model});
  REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
  CHECK(content(runs.run("inferred") / "predictions.npy") == content(runs.run("trained") / "predictions.npy"));
  CHECK(content(runs.run("inferred") / "model.safetensors") == content(runs.run("trained") / "model.safetensors"));
  CHECK(summary(runs.run("inferred"))["best"]["test"] == summary(runs.run("trained"))["best"]["test"]);
  CHECK(content(runs.run("inferred") / "metrics.jsonl").empty());

  const Words gcnii = {"--model", "gcnii", "--layers", "3", "--gcnii-shared", "off", "--method", "iglu"};
  REQUIRE(runs.go("gcnii", gcnii).status == 0);
  Words only_predict = gcnii;
  for (const std::string& word : {std::string("--epochs"), std::string("0"), std::string("--init"),
                                  (runs.run("gcnii") / "model.safetensors").string()}) {
    only_predict.push_back(word);
  }
  REQUIRE(runs.go("gcnii again", only_predict).status == 0);
  CHECK(content(runs.run("gcnii again") / "predictions.npy") == content(runs.run("gcnii") / "predictions.npy"));

  const Outcome other_model = runs.go("other", {"--model", "gcn", "--init", model});
  CHECK(other_model.status == 3);
  CHECK(other_model.error.find("tensor") != std::string::npos);
  const Outcome other_width = runs.go("other", {"--model", "sage", "--hidden", "8", "--init", model});
  CHECK(other_width.status == 3);
  CHECK(other_width.error.find("shape") != std::string::npos);
  CHECK(runs.go("other", {"--init", "absent.safetensors"}).status == 3);
}

TEST_CASE("running statistics and saint's tensors go out and come back in, also through a checkpoint") {
  StoreRuns runs;
  const std::vector<Words> models = {{"--method", "iglu", "--model", "saint", "--layer-norm", "batch"},
                                     {"--model", "vrgcn", "--layer-norm", "batch", "--activation", "elu"},
                                     {"--model", "saint", "--saint-combine", "sum"}};
  const auto with = [](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  for (const Words& model : models) {
    REQUIRE(runs.go("whole", with(model, {"--force"})).status == 0);
    const std::string file = (runs.run("whole") / "model.safetensors").string();
    const Outcome inferred = runs.go("inferred", with(model, {"--force", "--epochs", "0", "--init", file}));
    REQUIRE_MESSAGE(inferred.status == 0, inferred.error);
    CHECK(content(runs.run("inferred") / "predictions.npy") == content(runs.run("whole") / "predictions.npy"));
    CHECK(content(runs.run("inferred") / "model.safetensors") == content(file));
    REQUIRE(runs.go("parts", with(model, {"--force", "--epochs", "2"})).status == 0);
    REQUIRE(runs.go("parts", with(model, {"--resume"})).status == 0);
    check_same_results(runs.run("parts"), runs.run("whole"));
  }
}

TEST_CASE("a store with nothing to validate or test by trains, and predicts what is asked for") {
  const TempDir dir;
  TinyStoreOptions o;
  o.labelled = 0.5;
  o.all_train = true;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  for (const Words& method : kMethods) {
    Words words{"--store", (dir.path() / "store").string(), "--run", (dir.path() / "run").string(), "--epochs", "3"};
    words.insert(words.end(), method.begin(), method.end());
    const Outcome outcome = train(dir.path(), words);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
    const std::filesystem::path run = dir.path() / "run";
    CHECK(summary(run)["best"]["train"].is_number());
    CHECK_FALSE(summary(run)["best"]["val"].is_number());
    const std::vector<std::int64_t> ids = ids_in(run / "prediction_ids.npy");
    CHECK(std::equal(ids.begin(), ids.end(), graph.train.begin(), graph.train.end(),
                     [](std::int64_t a, NodeId b) { return a == static_cast<std::int64_t>(b); }));
    const std::vector<float> some = floats_in(run / "predictions.npy", ids.size(), o.classes);
    std::filesystem::remove_all(run);
    for (const char* word : {"--predict", "all"}) words.push_back(word);
    REQUIRE(train(dir.path(), words).status == 0);
    const std::vector<float> all = floats_in(run / "predictions.npy", o.nodes, o.classes);
    std::size_t same = 0;
    for (std::size_t i = 0; i < some.size(); ++i) {
      same += some[i] == all[static_cast<std::size_t>(ids[i / o.classes]) * o.classes + i % o.classes];
    }
    CHECK(same == graph.train.size() * o.classes);
    std::filesystem::remove_all(run);
  }
}

TEST_CASE("multi-label stores") {
  StoreRuns runs(true);
  REQUIRE(runs.go("f1").status == 0);
  CHECK(summary(runs.run("f1"))["metric"] == "micro-f1");
  REQUIRE(runs.go("auc", {"--metric", "roc-auc", "--method", "iglu"}).status == 0);
  CHECK(summary(runs.run("auc"))["metric"] == "roc-auc");
  CHECK(runs.go("bad", {"--metric", "accuracy"}).status == 2);
}

}  // namespace
}  // namespace strata::test
