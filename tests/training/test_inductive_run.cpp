// strata-train on a store with a training graph.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/training/program_runner.hpp"

namespace strata::test {
namespace {

class InductiveRuns {
 public:
  InductiveRuns() {
    TinyStoreOptions o;
    o.nodes = 2500;
    o.edges = 6000;
    o.features = 12;
    o.shard_rows = 1024;
    o.inductive = true;
    (void)make_tiny_store(directory_.path() / "store", o);
  }
  [[nodiscard]] std::filesystem::path run(const std::string& name) const { return directory_.path() / name; }
  [[nodiscard]] Outcome go(const std::string& name, const Words& more) const {
    Words words{"--store", (directory_.path() / "store").string(), "--run", run(name).string(), "--hidden", "16"};
    words.insert(words.end(), {"--threads", "2", "--host-memory", "64MiB"});
    words.insert(words.end(), more.begin(), more.end());
    return train(directory_.path(), words);
  }
  [[nodiscard]] nlohmann::json summary(const std::string& name) const {
    return nlohmann::json::parse(content(run(name) / "summary.json"));
  }

 private:
  TempDir directory_;
};

TEST_CASE("inductive: the run says so, and --inductive off trains on the full graph") {
  const InductiveRuns runs;
  const Outcome on = runs.go("on", {"--epochs", "3"});
  REQUIRE_MESSAGE(on.status == 0, on.error);
  CHECK(on.error.find("plan (inductive)") != std::string::npos);
  CHECK(runs.summary("on")["inductive"] == true);
  CHECK(runs.summary("on")["configuration"]["inductive"] == "auto");
  CHECK(runs.summary("on")["store"]["train_graph"]["origin"] == "split");
  REQUIRE(runs.go("off", {"--epochs", "3", "--inductive", "off"}).status == 0);
  CHECK(runs.summary("off")["inductive"] == false);
  CHECK(runs.summary("off")["configuration"]["inductive"] == "off");
  CHECK(content(runs.run("on") / "model.safetensors") != content(runs.run("off") / "model.safetensors"));
  CHECK(runs.go("bad", {"--inductive", "on"}).status == 2);
}

TEST_CASE("inductive: --explain names the passes over the full graph") {
  const InductiveRuns runs;
  const Outcome plan = runs.go("plan", {"--method", "iglu", "--explain"});
  REQUIRE(plan.status == 0);
  for (const char* text :
       {"inductive: training on the training graph (", "inductive: training sees", "active rows of evaluation",
        "forward 1 (full graph)", "multiply 2 (full graph)", "Z1 of the full graph"}) {
    CHECK_MESSAGE(plan.out.find(text) != std::string::npos, text);
  }
  const Outcome off = runs.go("plan", {"--inductive", "off", "--explain"});
  CHECK(off.out.find("inductive") == std::string::npos);
  CHECK(off.out.find("full graph") == std::string::npos);
}

TEST_CASE("inductive: predictions and scores are those of the same weights in a run that only predicts") {
  const InductiveRuns runs;
  REQUIRE(runs.go("a", {"--epochs", "3", "--predict", "all", "--method", "iglu"}).status == 0);
  const std::string model = (runs.run("a") / "model.safetensors").string();
  for (const std::string name : {"auto", "off"}) {
    const Words words{"--epochs", "0", "--init", model, "--predict", "all", "--method", "iglu", "--inductive", name};
    REQUIRE(runs.go(name, words).status == 0);
    CHECK(content(runs.run(name) / "predictions.npy") == content(runs.run("a") / "predictions.npy"));
    for (const char* score : {"train", "val", "test"}) {
      CHECK(runs.summary(name)["last"][score] == runs.summary("a")["best"][score]);
    }
  }
}

TEST_CASE("inductive: a run that goes on ends in the same bits; with the other graph it does not go on") {
  const InductiveRuns runs;
  for (const char* method : {"full", "iglu"}) {
    const Words base{"--method", method, "--dropout", "0.3", "--checkpoint-every", "1"};
    const auto with = [&](const Words& more) {
      Words words = base;
      words.insert(words.end(), more.begin(), more.end());
      return words;
    };
    const std::string whole = std::string("whole-") + method, parts = std::string("parts-") + method;
    REQUIRE(runs.go(whole, with({"--epochs", "4"})).status == 0);
    REQUIRE(runs.go(parts, with({"--epochs", "2"})).status == 0);
    CHECK(runs.go(parts, with({"--epochs", "4", "--resume", "--inductive", "off"})).status == 2);
    REQUIRE(runs.go(parts, with({"--epochs", "4", "--resume"})).status == 0);
    check_same_results(runs.run(whole), runs.run(parts));
  }
}

}  // namespace
}  // namespace strata::test
