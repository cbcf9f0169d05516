// The figures, files and cgroups of strata-bench budget, without running anything.
#include <doctest/doctest.h>

#include <signal.h>

#include <fstream>
#include <sstream>

#include "bench/budget.hpp"
#include "bench/budget_cgroup.hpp"
#include "bench/budget_child.hpp"
#include "bench/budget_run.hpp"
#include "kernels/base/error.hpp"
#include "tests/bench/xml_check.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

using namespace strata::bench;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

BudgetTrial trial(std::uint64_t budget, std::size_t round, std::vector<double> seconds) {
  BudgetTrial t;
  t.budget = budget;
  t.round = round;
  t.nodes = 100;
  t.edges = t.edges_per_epoch = 1000;
  t.model_checksum = t.predictions_checksum = "aa";
  for (const double s : seconds) t.epochs.push_back({s, 0, 4096, 1024, 3, 1, 0});
  return t;
}

TEST_CASE("budget figures: the first epoch apart, medians of trials, ratios within rounds") {
  // The machine is twice as slow in round 1: ratios within rounds do not see it.
  const std::vector<BudgetTrial> trials = {trial(64, 0, {9, 1, 3, 2}), trial(16, 0, {9, 4, 4, 4}),
                                           trial(16, 1, {7, 8, 8, 8}), trial(64, 1, {8, 4, 4, 4}),
                                           trial(64, 2, {8, 2, 2, 2}), trial(16, 2, {5, 6, 6, 6})};
  CHECK(trials[0].later_seconds() == 2);
  CHECK(trial(1, 0, {5}).later_seconds() == 5);
  const std::vector<BudgetFigures> figures = summarise(trials);
  REQUIRE(figures.size() == 2);
  CHECK(figures[0].budget == 64);
  CHECK(figures[0].ratio == 1);
  CHECK(figures[0].seconds == 2);
  CHECK(figures[0].first_seconds == 8);
  CHECK(figures[1].seconds == 6);
  CHECK(figures[1].first_seconds == 7);
  CHECK(figures[1].ratio == 2);                              // of 4/2, 8/4, 6/2
  CHECK(figures[1].trials == std::vector<double>{4, 8, 6});  // by round
  CHECK(figures[1].edges_per_second == doctest::Approx(1000.0 / 6));
  CHECK(figures[1].nodes_per_second == doctest::Approx(100.0 / 6));
  CHECK(figures[1].hit_rate == 0.75);
  CHECK(figures[1].bytes_read == 4096);
  CHECK(!figures[1].disk_read.has_value());
  CHECK(summarise({}).empty());
  std::vector<BudgetTrial> counted = trials;
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i].disk_read_bytes = 10 * i;
  CHECK(summarise(counted)[0].disk_read == 30);  // of 0, 30, 40
  counted[3].disk_read_bytes.reset();
  CHECK(!summarise(counted)[0].disk_read.has_value());
  CHECK(summarise(counted)[1].disk_read == 20);  // of 10, 20, 50
}

TEST_CASE("budget: one differing checksum is seen") {
  std::vector<BudgetTrial> trials = {trial(2, 0, {1}), trial(1, 0, {1}), trial(1, 1, {1})};
  CHECK(same_bits(trials));
  trials[2].predictions_checksum = "ab";
  CHECK(!same_bits(trials));
  trials[2].predictions_checksum = "aa";
  trials[1].model_checksum.clear();
  CHECK(!same_bits(trials));
}

TEST_CASE("budget: halves of everything down to the least") {
  constexpr std::uint64_t kMiB = 1 << 20;
  CHECK(halving_budgets(64 * kMiB, 10 * kMiB) ==
        std::vector<std::uint64_t>{64 * kMiB, 32 * kMiB, 16 * kMiB, 10 * kMiB});
  CHECK(halving_budgets(64 * kMiB - 1, 15 * kMiB + 1) ==  // 16 MiB is almost the least
        std::vector<std::uint64_t>{64 * kMiB, 32 * kMiB, 15 * kMiB + 1});
  CHECK(halving_budgets(4 * kMiB, 4 * kMiB) == std::vector<std::uint64_t>{4 * kMiB});
  CHECK(halving_budgets(1, 4 * kMiB) == std::vector<std::uint64_t>{4 * kMiB});
}

TEST_CASE("budget: rounds hold every budget once and turn the order round") {
  CHECK(round_order(3, 0) == std::vector<std::size_t>{0, 1, 2});
  CHECK(round_order(3, 1) == std::vector<std::size_t>{2, 1, 0});
  CHECK(round_order(3, 2) == std::vector<std::size_t>{1, 2, 0});
  CHECK(round_order(1, 5) == std::vector<std::size_t>{0});
  CHECK(round_order(0, 1).empty());
  // Over pairs of rounds, every budget has the same mean place.
  for (std::size_t round = 0; round < 8; round += 2) {
    const auto there = round_order(4, round), back = round_order(4, round + 1);
    for (std::size_t i = 0; i < 4; ++i) CHECK(there[i] == back[3 - i]);
  }
}

TEST_CASE("budget: words of --train-options") {
  using Words = std::vector<std::string>;
  CHECK(split_words("").empty());
  CHECK(split_words("  --a  1\t--b=2 ") == Words{"--a", "1", "--b=2"});
  CHECK(split_words("--a 'b c' \"d'e\" f'g h'i ''") == Words{"--a", "b c", "d'e", "fg hi", ""});
  CHECK_THROWS_AS(static_cast<void>(split_words("--a 'b")), UsageError);
}

TEST_CASE("budget: what --explain says, exact where it can be") {
  const TrainPlan plan = parse_explain(
      "memory\n  least budget        4.2 MiB  4448348 bytes\n"
      "  budget that keeps everything       55.0 MiB\n"
      "  budget (--host-memory)      1.0 GiB\n");
  CHECK(plan.least == 4448348);
  CHECK(plan.everything == static_cast<std::uint64_t>(55.05 * (1 << 20)));
  CHECK(parse_explain("least budget 512 B\nbudget that keeps everything 1.0 KiB 1000 bytes").everything == 1000);
  CHECK(parse_explain("least budget 512 B\nbudget that keeps everything 1.0 KiB 1000 bytes").least == 512);
  CHECK_THROWS_AS(static_cast<void>(parse_explain("least budget 4.2 MiB\n")), Error);
}

TEST_CASE("budget: a run is read, with the keys that it has") {
  const TempDir run;
  write(run / "metrics.jsonl",
        R"({"epoch":1,"seconds":2,"seconds_eval":0.5,"bytes_read":10,"bytes_written":4,"hits":{"host":3,"disk":2}})"
        "\n"
        R"({"epoch":2,"seconds":1,"node_visits":7})"
        "\n");
  write(run / "summary.json", R"({"store":{"nodes":5,"edges":9},"metric":"accuracy","last":{"val":0.5,"test":null},
    "plan":{"predicted_seconds_per_epoch":3,"bytes_read_per_epoch":5,"bytes_written_per_epoch":6},
    "measured":{"peak_host_bytes":123,"entries":8,"products":4}})");
  write(run / "model.safetensors", "abc");
  BudgetTrial t;
  read_run(run.path(), t);
  REQUIRE(t.epochs.size() == 2);
  CHECK(t.epochs[0].misses == 2);
  CHECK(t.epochs[1].node_visits == 7);
  CHECK(t.edges_per_epoch == 32);
  CHECK(t.peak_host_bytes == 123);
  CHECK(t.valid == 0.5);
  CHECK(!t.test.has_value());
  CHECK(t.predicted_seconds == 3);
  CHECK(t.predicted_bytes == 11);
  CHECK(t.model_checksum.size() == 16);
  CHECK(t.predictions_checksum.empty());

  write(run / "summary.json", "{}");
  BudgetTrial bare;
  read_run(run.path(), bare);
  CHECK(!bare.predicted_seconds.has_value());
  CHECK(!bare.peak_host_bytes.has_value());
  BudgetTrial none;
  write(run / "summary.json", "[");
  CHECK_THROWS_AS(read_run(run.path(), none), InputError);
  write(run / "metrics.jsonl", "");
  CHECK_THROWS_AS(read_run(run.path(), none), InputError);
}

TEST_CASE("budget: the picture is well-formed and has every trial") {
  BudgetReport report;
  report.options = {{"store", "/x/a & b"}, {"train-options", "--config '<'"}};
  report.trials = {trial(64u << 20, 0, {3, 2}), trial(16u << 20, 0, {3, 4}), trial(16u << 20, 1, {3, 5})};
  const std::string svg = budget_svg(report);
  CHECK(xml_problem(svg).empty());
  std::size_t dots = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) ++dots;
  CHECK(dots == 9);  // throughput, bytes read and bytes written of three trials
  CHECK(svg.find("a &amp; b") != std::string::npos);
  report.trials = {trial(1, 0, {1})};
  report.trials[0].epochs[0].bytes_read = report.trials[0].epochs[0].bytes_written = 0;
  CHECK(xml_problem(budget_svg(report)).empty());
  std::ostringstream table;
  print_budget_table(table, report);
  CHECK(table.str().find("the same in every trial") != std::string::npos);
}

TEST_CASE("budget: a child's words, ends and failures") {
  const ChildResult fine = run_child({"/bin/sh", "-c", "echo out; echo one >&2; printf 'two\\n\\n' >&2; exit 3"});
  CHECK(fine.status == 3);
  CHECK(fine.output == "out\n");
  CHECK(fine.last_error == "two");
  CHECK(run_child({"/bin/sh", "-c", "kill -9 $$"}).status == 137);
  CHECK(run_child({"/bin/sh", "-c", "exit 0"}).last_error.empty());
  CHECK_THROWS_AS(static_cast<void>(run_child({"/nonexistent/program"})), InputError);
}

TEST_CASE("budget: a signal ends the child and is told") {
  const Interrupts interrupts;
  ::raise(SIGTERM);
  try {
    static_cast<void>(run_child({"/bin/sleep", "60"}));
    FAIL("a child ran in spite of the signal");
  } catch (const Interrupted& stop) {
    CHECK(stop.signal == SIGTERM);
  }
}

}  // namespace
}  // namespace strata::test
