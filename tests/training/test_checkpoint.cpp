// Checkpoints: what goes in comes out, and no flipped byte or cut goes unnoticed; the choice of the best epoch; metrics
// lines.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "engine/run/checkpoint.hpp"
#include "engine/run/metrics_log.hpp"
#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/training/program_runner.hpp"

namespace strata {
namespace {

using test::content;

void put(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::vector<TensorSpec> two_layers() {
  return {{"convs.0.lin.weight", {3, 2}, 0, Init::glorot, 0},
          {"convs.0.bias", {3}, 0, Init::zero, 0},
          {"convs.1.lin.weight", {2, 3}, 1, Init::glorot, 0}};
}

struct Fixture {
  explicit Fixture(std::vector<TensorSpec> specs = two_layers(), std::uint64_t seed = 1)
      : budget(std::uint64_t{1} << 24),
        parameters(std::move(specs), {"layer1", "layer2"}, seed, budget),
        best(parameters.size()) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters.first_moments()[i] = static_cast<float>(i) + 0.5f;
      parameters.second_moments()[i] = static_cast<float>(i) * 2;
      best[i] = -static_cast<float>(i);
    }
    parameters.steps() = {7, 9};
    state.epoch = 5;
    state.global_step = 16;
    state.seconds = 0.1;
    state.last_loss = std::nan("");
    state.last = EpochScores{SplitScore{0.5, 1.5, 10}, std::nullopt, SplitScore{0.25, 3, 4}};
    state.best = {true, 4, {SplitScore{1, 0, 10}, SplitScore{0.75, std::numeric_limits<double>::infinity(), 5}, {}}};
    state.has_reference = true;
    state.reference = 1.0 / 3;
    state.reference_epoch = 3;
    settings = {{"lr", "0.01"}, {"seed", "1"}};
  }
  void save() { Checkpoint::save(directory.path(), settings, state, parameters, best); }
  [[nodiscard]] std::filesystem::path file() const { return Checkpoint::path_in(directory.path()); }

  TempDir directory;
  MemoryBudget budget;
  Parameters<float> parameters;
  std::vector<float> best;
  RunState state;
  Settings settings;
};

std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }

TEST_CASE("a checkpoint gives back what was saved") {
  Fixture saved;
  CHECK_FALSE(Checkpoint::open(saved.directory.path()).has_value());
  saved.save();
  Fixture loaded(two_layers(), 2);
  loaded.parameters.steps() = {0, 0};
  std::fill(loaded.parameters.first_moments().begin(), loaded.parameters.first_moments().end(), 0.0f);
  std::fill(loaded.best.begin(), loaded.best.end(), 0.0f);
  const auto checkpoint = Checkpoint::open(saved.directory.path());
  REQUIRE(checkpoint.has_value());
  checkpoint->restore(loaded.parameters, loaded.best);
  CHECK(copy(loaded.parameters.values()) == copy(saved.parameters.values()));
  CHECK(copy(loaded.parameters.first_moments()) == copy(saved.parameters.first_moments()));
  CHECK(copy(loaded.parameters.second_moments()) == copy(saved.parameters.second_moments()));
  CHECK(loaded.best == saved.best);
  CHECK(loaded.parameters.steps() == saved.parameters.steps());
  CHECK(checkpoint->fingerprint() == saved.settings);
  const RunState& state = checkpoint->state();
  CHECK(state.epoch == 5);
  CHECK(state.global_step == 16);
  CHECK(state.seconds == 0.1);
  CHECK_FALSE(state.stopped_early);
  CHECK(std::isnan(state.last_loss));
  REQUIRE(state.last.has_value());
  CHECK(state.last->train->metric == 0.5);
  CHECK_FALSE(state.last->valid.has_value());
  CHECK(state.last->test->nodes == 4);
  CHECK(state.best.known);
  CHECK(state.best.epoch == 4);
  CHECK(std::isinf(state.best.scores.valid->loss));
  CHECK(state.reference == 1.0 / 3);
  CHECK(state.reference_epoch == 3);
}

TEST_CASE("a checkpoint without a best epoch") {
  Fixture saved;
  saved.state = RunState();
  saved.save();
  const auto checkpoint = Checkpoint::open(saved.directory.path());
  REQUIRE(checkpoint.has_value());
  CHECK_FALSE(checkpoint->state().best.known);
  CHECK_FALSE(checkpoint->state().last.has_value());
  std::vector<float> untouched(saved.parameters.size(), 3);
  checkpoint->restore(saved.parameters, untouched);
  CHECK(untouched[0] == 3);
}

TEST_CASE("every flipped byte of a checkpoint is found") {
  Fixture fixture;
  fixture.save();
  const std::string good = content(fixture.file());
  REQUIRE(good.size() > 8192);
  std::size_t step = 1;
  for (std::size_t at = 0; at < good.size(); at += step) {
    step = at < 64 || (at >= 4096 && at < 5200) || at + 200 > good.size() ? 1 : 37;  // padding: a sample
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    put(fixture.file(), bad);
    CAPTURE(at);
    CHECK_THROWS_AS(static_cast<void>(Checkpoint::open(fixture.directory.path())), DamagedError);
  }
  put(fixture.file(), good);
  CHECK(Checkpoint::open(fixture.directory.path()).has_value());
}

TEST_CASE("a checkpoint cut short or grown is found") {
  Fixture fixture;
  fixture.save();
  const std::string good = content(fixture.file());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096},
                                 std::size_t{8191}, good.size() - 4, good.size() - 1}) {
    put(fixture.file(), good.substr(0, size));
    CAPTURE(size);
    CHECK_THROWS_AS(static_cast<void>(Checkpoint::open(fixture.directory.path())), DamagedError);
  }
  put(fixture.file(), good + "x");
  CHECK_THROWS_AS(static_cast<void>(Checkpoint::open(fixture.directory.path())), DamagedError);
}

TEST_CASE("sizes in a header whose sum wraps around to the file's are found, however well sealed") {
  Fixture fixture;
  fixture.save();
  std::string bytes = content(fixture.file());
  const auto put_at = [&](std::size_t at, std::uint64_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  put_at(16, UINT64_MAX - 4095);  // bytes of JSON, after which the arrays begin at 2^64
  put_at(24, bytes.size() / 4);   // values
  put_at(32, 1);                  // arrays
  put_at(4088, checksum(std::as_bytes(std::span(bytes).first(4088))));
  put(fixture.file(), bytes);
  CHECK_THROWS_AS(static_cast<void>(Checkpoint::open(fixture.directory.path())), DamagedError);
}

TEST_CASE("a checkpoint of another model is refused") {
  Fixture saved;
  saved.save();
  std::vector<TensorSpec> other = two_layers();
  other[1].name = "convs.0.offset";
  Fixture loaded(other);
  const auto checkpoint = Checkpoint::open(saved.directory.path());
  REQUIRE(checkpoint.has_value());
  CHECK_THROWS_AS(checkpoint->restore(loaded.parameters, loaded.best), DamagedError);
}

TEST_CASE("differences name what changed") {
  CHECK(differences({{"lr", "1"}, {"seed", "2"}}, {{"lr", "1"}, {"seed", "2"}}).empty());
  CHECK(differences({{"lr", "1"}, {"seed", "2"}}, {{"lr", "3"}, {"seed", "2"}}) == "lr (1, now 3)");
  CHECK(differences({{"lr", "1"}}, {{"seed", "2"}}) == "lr (1, now absent), seed (absent, now 2)");
}

EpochScores valid(double metric, double loss) { return {std::nullopt, SplitScore{metric, loss, 10}, std::nullopt}; }

TEST_CASE("the best epoch: highest metric, then lowest loss, then first") {
  RunState state;
  CHECK_FALSE(update_best(state, 1, EpochScores{}));
  CHECK_FALSE(update_best(state, 1, valid(std::nan(""), 1)));
  CHECK(update_best(state, 2, valid(0.5, 1)));
  CHECK_FALSE(update_best(state, 3, valid(0.5, 1)));
  CHECK_FALSE(update_best(state, 4, valid(0.4, 0.1)));
  CHECK(update_best(state, 5, valid(0.5, 0.9)));
  CHECK(update_best(state, 6, valid(0.6, 5)));
  CHECK_FALSE(update_best(state, 7, valid(0.6, std::nan(""))));
  CHECK(state.best.epoch == 6);
}

TEST_CASE("patience counts epochs since the metric last rose by more than min-delta") {
  RunState state;
  CHECK_FALSE(out_of_patience(state, 1, valid(0.5, 1), 3, 0.1));
  CHECK_FALSE(out_of_patience(state, 2, valid(0.55, 1), 3, 0.1));
  CHECK_FALSE(out_of_patience(state, 3, valid(0.6, 1), 3, 0.1));  // 0.6 - 0.5 is not more than 0.1
  CHECK(out_of_patience(state, 4, valid(0.59, 1), 3, 0.1));
  CHECK_FALSE(out_of_patience(state, 5, valid(0.7, 1), 3, 0.1));
  CHECK_FALSE(out_of_patience(state, 7, EpochScores{}, 3, 0.1));
  CHECK_FALSE(out_of_patience(state, 7, valid(0.7, 1), 3, 0.1));
  CHECK(out_of_patience(state, 8, valid(0.7, 1), 3, 0.1));
  CHECK_FALSE(out_of_patience(state, 1000, valid(0.7, 1), 0, 0.1));  // 0: never
}

EpochMetrics metrics_of(std::uint32_t epoch) {
  EpochMetrics metrics;
  metrics.epoch = epoch;
  metrics.loss = 1.0 / epoch;
  return metrics;
}

TEST_CASE("metrics lines beyond the checkpoint, torn ones too, are cut off") {
  const TempDir directory;
  const std::filesystem::path path = directory / "metrics.jsonl";
  {
    MetricsLog log(path, 0);
    for (std::uint32_t epoch = 1; epoch <= 4; ++epoch) log.append(metrics_of(epoch));
  }
  const std::string whole = content(path);
  put(path, whole + "{\"epoch\": 5, \"lo");
  {
    MetricsLog log(path, 2);
    log.append(metrics_of(3));
    log.append(metrics_of(4));
  }
  CHECK(content(path) == whole);
  { const MetricsLog log(path, 0); }
  CHECK(content(path).empty());
}

TEST_CASE("metrics that a checkpoint speaks of must be there") {
  const TempDir directory;
  const std::filesystem::path path = directory / "metrics.jsonl";
  const std::string one = metrics_line(metrics_of(1)) + "\n";
  const auto open = [&](const std::string& text) {
    put(path, text);
    const MetricsLog log(path, 2);
  };
  CHECK_THROWS_AS(open(""), DamagedError);
  CHECK_THROWS_AS(open(one), DamagedError);
  CHECK_THROWS_AS(open(one + one), DamagedError);
  CHECK_THROWS_AS(open(one + "nonsense\n"), DamagedError);
  CHECK_THROWS_AS(open(one + metrics_line(metrics_of(2))), DamagedError);  // no line end
  CHECK_NOTHROW(open(one + metrics_line(metrics_of(2)) + "\n"));
}

}  // namespace
}  // namespace strata
