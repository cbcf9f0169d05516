// strata-bench budget as a user runs it, on a small synthetic store.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/bench/xml_check.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/tools/run_command.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

const std::string kProgram = STRATA_BENCH_PROGRAM;
const std::string kTrain = " --train-options '--method iglu --model gcn --layers 2 --hidden 16 --codec fp16'";

std::string content(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A store beside which the runs go.
struct Bench {
  Bench() {
    const CommandResult made = run_command(std::string(STRATA_CONVERT_PROGRAM) +
                                           " --from synthetic --nodes 3000 --edges 15000 --classes 4 --feature-dim 24"
                                           " --labelled 0.5 --seed 1 --undirected on --quiet --output " +
                                           quoted((dir / "store").string()));
    CAPTURE(made.output);
    REQUIRE(made.status == 0);
    fs::create_directory(dir / "work");
  }
  [[nodiscard]] std::string command(const std::string& more) const {
    return kProgram + " budget --threads 2 --store " + quoted((dir / "store").string()) + " --work " +
           quoted((dir / "work").string()) + " " + more;
  }
  TempDir dir;
};

void check_trials(const nlohmann::json& root, std::size_t rounds, std::size_t epochs) {
  std::set<std::string> bits;
  for (const auto& trial : root["trials"]) {
    CHECK(trial["epochs"].size() == epochs);
    CHECK(trial["peak_host_bytes"].get<std::uint64_t>() > 0);
    CHECK(trial["process_seconds"].get<double>() > 0);
    CHECK(trial["val"].is_number());
    CHECK(trial["enforced"] == root["enforcement"].get<std::string>().starts_with("enforced"));
    bits.insert(trial["model_checksum"].get<std::string>() + trial["predictions_checksum"].get<std::string>());
  }
  CHECK(bits.size() == 1);
  CHECK(root["same_bits"] == true);
  CHECK(root["trials"].size() == root["budgets"].size() * rounds);
  CHECK(root["budgets"][0]["ratio_to_largest"] == 1.0);
}

TEST_CASE("strata-bench budget: two budgets, table, JSON and picture; nothing else remains") {
  const Bench bench;
  const std::string output = "--output " + quoted((bench.dir / "out").string());
  const std::string command = bench.command("--budgets 256MiB,1GiB --trials 3 --epochs 2 " + output + kTrain);
  const CommandResult result = run_command(command);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(result.output.find("trial 6 of 6") != std::string::npos);
  CHECK(result.output.find("the same in every trial") != std::string::npos);
  CHECK(fs::is_empty(bench.dir / "work"));
  const auto root = nlohmann::json::parse(content(bench.dir / "out/budget.json"));
  check_trials(root, 3, 2);
  CHECK(root["budgets"][0]["budget_bytes"] == 1u << 30);
  CHECK(root["budgets"][1]["budget_bytes"] == 1u << 28);
  std::vector<std::uint64_t> order;
  for (const auto& trial : root["trials"]) order.push_back(trial["budget_bytes"].get<std::uint64_t>() >> 28);
  CHECK(order == std::vector<std::uint64_t>{4, 1, 1, 4, 1, 4});
  CHECK(xml_problem(content(bench.dir / "out/budget.svg")).empty());
  CHECK(run_command(command).status == 2);  // budget.json exists
}

TEST_CASE("strata-bench budget: from everything to the least, by itself") {
  const Bench bench;
  const CommandResult result = run_command(
      bench.command("--quiet --trials 1 --epochs 1 --output " + quoted((bench.dir / "out").string()) + kTrain));
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  const auto root = nlohmann::json::parse(content(bench.dir / "out/budget.json"));
  check_trials(root, 1, 1);
  CHECK(root["budgets"].back()["budget_bytes"] == std::stoull(root["options"]["least_bytes"].get<std::string>()));
}

TEST_CASE("strata-bench budget: a signal leaves nothing behind") {
  const Bench bench;
  const std::string command = bench.command("--quiet --budgets 1GiB --epochs 10000000 --train-options '--hidden 16'");
  const CommandResult result = run_command("{ " + command + " & sleep 2; kill -TERM $!; wait $!; echo status $?; }");
  CAPTURE(result.output);
  CHECK(result.output.find("status 143") != std::string::npos);
  CHECK(result.output.find("stopped by signal 15") != std::string::npos);
  CHECK(fs::is_empty(bench.dir / "work"));
}

TEST_CASE("strata-bench budget: what cannot be run is refused, with the reason, in one line") {
  const Bench bench;
  const auto refused = [&](const std::string& command, int status, const std::string& reason) {
    const CommandResult result = run_command(command);
    CAPTURE(command);
    CAPTURE(result.output);
    CHECK(result.status == status);
    CHECK(result.output.find(reason) != std::string::npos);
    CHECK(std::count(result.output.begin(), result.output.end(), '\n') == 1);
  };
  refused(kProgram + " budget", 2, "--store");
  refused(kProgram + " budget --store " + quoted((bench.dir / "absent").string()), 3, "no such store");
  refused(kProgram + " budget --store " + quoted((bench.dir / "work").string()), 3, "strata-train --explain");
  refused(bench.command("--budgets 1GiB,many"), 2, "--budgets");
  refused(bench.command("--budgets 1GiB,1024MiB"), 2, "twice");
  refused(bench.command("--budgets ''"), 2, "--budgets");
  refused(bench.command("--budgets 1GiB,1MiB"), 4, "at least");
  refused(bench.command("--trials 0"), 2, "--trials");
  refused(bench.command("--epochs 0"), 2, "--epochs");
  refused(bench.command("--enforce maybe"), 2, "--enforce");
  refused(bench.command("--train-options '--host-memory 1GiB'"), 2, "use --budgets");
  refused(bench.command("--train-options '--run=x'"), 2, "--run");
  refused(bench.command("--train-options '--method nothing'"), 2, "ended with status 2: --method nothing");
  refused(kProgram + " budget --store " + quoted((bench.dir / "store").string()) + " --work " +
              quoted((bench.dir / "absent").string()),
          2, "--work");
  fs::copy_file(kProgram, bench.dir / "strata-bench");
  refused(quoted((bench.dir / "strata-bench").string()) + " budget --store " + quoted((bench.dir / "store").string()) +
              " --work " + quoted((bench.dir / "work").string()),
          3, "no such program");
  CHECK(fs::is_empty(bench.dir / "work"));
}

}  // namespace
}  // namespace strata::test
