// --predict-format ogb: the arrays that OGB's evaluators are given, against predictions.npy of the same run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/evaluation.hpp"
#include "storage/npz.hpp"
#include "storage/store.hpp"
#include "tests/training/program_runner.hpp"

namespace strata::test {
namespace {

using Shape = std::vector<std::uint64_t>;

std::vector<std::int64_t> whole_numbers(NpyReader reader) {
  std::vector<std::int64_t> values(reader.remaining());
  reader.read_as_int64(values);
  return values;
}

std::vector<float> logits_of(const std::filesystem::path& run) {
  NpyReader reader(run / "predictions.npy");
  std::vector<float> values(reader.remaining());
  reader.read_as_float(values);
  return values;
}

// numpy's argmax of every row of five.
std::vector<std::int64_t> classes_of(const std::vector<float>& logits) {
  std::vector<std::int64_t> classes;
  for (auto row = logits.begin(); row != logits.end(); row += 5) {
    classes.push_back(std::max_element(row, row + 5) - row);
  }
  return classes;
}

// The one array of an archive for the leaderboard.
std::vector<std::int64_t> submission(const std::filesystem::path& path, std::size_t rows) {
  const NpzArchive archive(path);
  REQUIRE(archive.members().size() == 1);
  NpyReader reader = archive.open_array("y_pred");
  CHECK(reader.header().type == npy_type<std::int16_t>());
  CHECK(reader.header().shape == Shape{rows});
  return whole_numbers(std::move(reader));
}

// Original ids.
std::vector<std::int64_t> test_nodes(const std::filesystem::path& directory) {
  MemoryBudget budget(std::uint64_t{1} << 26);
  const Store store(directory);
  const Array<NodeId> original = store.original_ids(budget);
  std::vector<std::int64_t> nodes;
  for (const NodeId node : store.split("test", budget)) nodes.push_back(original[node]);
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

TEST_CASE("the predicted class is the lowest of the largest logits, none where all are NaN") {
  const auto predicted = [](std::vector<float> logits) { return predicted_class<float>(logits); };
  CHECK(predicted({1, 3, 3, 2}) == 1);
  CHECK(predicted({-INFINITY, -INFINITY}) == 0);
  CHECK(predicted({NAN, -5, NAN}) == 1);
  CHECK(predicted({NAN, NAN}) == -1);
  CHECK(predicted({}) == -1);
}

TEST_CASE("one class a node: y_pred is a column of the classes, whatever the budget") {
  const StoreRuns runs;
  const Words ogb{"--predict-format", "ogb"};
  REQUIRE(runs.go("npy").status == 0);
  CHECK_FALSE(std::filesystem::exists(runs.run("npy") / "ogb_predictions.npz"));
  REQUIRE(runs.go("ogb", ogb).status == 0);
  Words tight = ogb;
  tight.insert(tight.end(), {"--host-memory", std::to_string(runs.least_budget(ogb))});
  REQUIRE(runs.go("tight", tight).status == 0);
  const std::filesystem::path run = runs.run("ogb");
  CHECK(content(run / "predictions.npy") == content(runs.run("npy") / "predictions.npy"));
  CHECK(content(run / "ogb_predictions.npz") == content(runs.run("tight") / "ogb_predictions.npz"));

  const NpzArchive archive(run / "ogb_predictions.npz");
  CHECK(archive.members().size() == 2);
  const std::vector<std::int64_t> ids = whole_numbers(NpyReader(run / "prediction_ids.npy"));
  NpyReader y_pred = archive.open_array("y_pred");
  CHECK(y_pred.header().type == npy_type<std::int64_t>());
  CHECK(y_pred.header().shape == Shape{ids.size(), 1});
  CHECK(whole_numbers(std::move(y_pred)) == classes_of(logits_of(run)));
  NpyReader node_ids = archive.open_array("node_ids");
  CHECK(node_ids.header().shape == Shape{ids.size()});
  CHECK(whole_numbers(std::move(node_ids)) == ids);
  CHECK(nlohmann::json::parse(content(run / "summary.json"))["configuration"]["predict-format"] == "ogb");

  REQUIRE(runs.go("ogb", {"--force"}).status == 0);
  CHECK_FALSE(std::filesystem::exists(run / "ogb_predictions.npz"));
}

TEST_CASE("several labels a node: y_pred holds the scores; nodes are called what the source calls them") {
  const StoreRuns runs(2500, true, true);
  std::ofstream(runs.path() / "some.txt") << sparse_id(2499) << "\n" << sparse_id(3) << "\n";
  const std::string some = (runs.path() / "some.txt").string();
  REQUIRE(runs.go("run", {"--predict-format", "ogb", "--predict", some}).status == 0);
  const NpzArchive archive(runs.run("run") / "ogb_predictions.npz");
  NpyReader y_pred = archive.open_array("y_pred");
  CHECK(y_pred.header().type == npy_type<float>());
  CHECK(y_pred.header().shape == Shape{2, 5});
  std::vector<float> scores(10);
  y_pred.read_as_float(scores);
  CHECK(scores == logits_of(runs.run("run")));
  CHECK(whole_numbers(archive.open_array("node_ids")) == std::vector<std::int64_t>{sparse_id(3), sparse_id(2499)});
}

TEST_CASE("MAG240M: y_pred has one dimension, and the test nodes' classes lie ready for the leaderboard") {
  const TempDir dir;
  const std::filesystem::path store = dir.path() / "store", run = dir.path() / "run";
  make_reordered_store(store, 2500, false, false, "mag240m");
  Words words{"--store",  store.string(), "--run",   run.string(),       "--epochs", "2",
              "--hidden", "16",           "--force", "--predict-format", "ogb",      "--predict"};
  words.emplace_back("all");
  REQUIRE(train(dir.path(), words).status == 0);
  const std::vector<std::int64_t> classes = classes_of(logits_of(run));
  {
    const NpzArchive archive(run / "ogb_predictions.npz");
    CHECK(archive.open_array("y_pred").header().shape == Shape{2500});
    CHECK(whole_numbers(archive.open_array("y_pred")) == classes);
  }
  std::vector<std::int64_t> whole, dev, challenge;
  for (const std::int64_t node : test_nodes(store)) {
    (whole.size() % 5 < 3 ? dev : challenge).push_back(classes[static_cast<std::size_t>(node)]);
    whole.push_back(classes[static_cast<std::size_t>(node)]);
  }
  CHECK(whole.size() > 100);
  CHECK(submission(run / "y_pred_mag240m.npz", whole.size()) == whole);
  CHECK(submission(run / "y_pred_mag240m_test-dev.npz", dev.size()) == dev);
  CHECK(submission(run / "y_pred_mag240m_test-challenge.npz", challenge.size()) == challenge);
  const std::string from_all = content(run / "y_pred_mag240m.npz");
  for (const char* what : {"splits", "test"}) {
    words.back() = what;
    REQUIRE(train(dir.path(), words).status == 0);
    CHECK(content(run / "y_pred_mag240m.npz") == from_all);
  }
  // Some of the test nodes are no submission.
  std::ofstream(dir.path() / "some.txt") << test_nodes(store).front() << "\n";
  words.back() = (dir.path() / "some.txt").string();
  REQUIRE(train(dir.path(), words).status == 0);
  CHECK(std::filesystem::exists(run / "ogb_predictions.npz"));
  CHECK_FALSE(std::filesystem::exists(run / "y_pred_mag240m.npz"));
}

}  // namespace
}  // namespace strata::test
