// Runs that are stopped, killed, or meet a failing disk: resumed, they end in the same bytes as a run left alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "kernels/base/rng.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/training/program_runner.hpp"

namespace strata::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = 120s;  // on a busy machine

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Until the run has written so many metrics lines, or ended.
void wait_for_epochs(Program& program, const std::filesystem::path& run, std::size_t epochs) {
  const Clock::time_point give_up = Clock::now() + kPatience;
  while (program.running() && lines(run / "metrics.jsonl").size() < epochs && Clock::now() < give_up) {
    std::this_thread::sleep_for(2ms);
  }
}

const Words kStandard{"--dropout", "0.2", "--checkpoint-every", "2"};
const std::vector<Words> kMethods = {kStandard + Words{"--method", "full", "--epochs", "60"},
                                     kStandard + Words{"--method", "iglu", "--batch-size", "800", "--epochs", "25"}};

TEST_CASE("SIGINT and SIGTERM: the epoch is finished, a checkpoint written, and the run goes on to the same bytes") {
  StoreRuns runs;
  for (const Words& method : kMethods) {
    REQUIRE(runs.go("whole", method).status == 0);
    for (const int signal : {SIGINT, SIGTERM}) {
      Program program(runs.path(), runs.words("stopped", method));
      wait_for_epochs(program, runs.run("stopped"), 3);
      program.send(signal);
      const Outcome outcome = program.wait();
      CAPTURE(outcome.error);
      CHECK(outcome.status == 128 + signal);
      CHECK(outcome.error.find("--resume") != std::string::npos);
      CHECK_FALSE(std::filesystem::exists(runs.run("stopped") / "summary.json"));
      const std::size_t before = lines(runs.run("stopped") / "metrics.jsonl").size();
      CHECK(before >= 3);
      const Outcome resumed = runs.go("stopped", method + Words{"--resume"});
      REQUIRE_MESSAGE(resumed.status == 0, resumed.error);
      CHECK(resumed.error.find("after epoch " + std::to_string(before)) != std::string::npos);
      check_same_results(runs.run("stopped"), runs.run("whole"));
      std::filesystem::remove_all(runs.run("stopped"));
    }
    std::filesystem::remove_all(runs.run("whole"));
  }
}

// Until the run has written a checkpoint, or ended.
void wait_for_checkpoint(Program& program, const std::filesystem::path& run) {
  const Clock::time_point give_up = Clock::now() + kPatience;
  const std::filesystem::path file = run / "checkpoint" / "state.bin";
  while (program.running() && !std::filesystem::exists(file) && Clock::now() < give_up) {
    std::this_thread::sleep_for(1ms);
  }
}

// IGLU with refresh 0.5: what an odd epoch refreshed serves the even one after it and is in no checkpoint.
TEST_CASE("stopped between refreshes, a run goes back to the last boundary and ends in the same bytes") {
  StoreRuns runs(kSpillingNodes);  // epochs that last
  for (const char* order : {"inverted", "backprop"}) {
    const Words endless{"--method",       "iglu", "--iglu-order",       order, "--batch-size", "5000",
                        "--iglu-refresh", "0.5",  "--checkpoint-every", "0"};
    const Words method = endless + Words{"--epochs", "25"};
    REQUIRE(runs.go("whole", method).status == 0);
    bool between = false;
    for (int attempt = 0; attempt < 8 && !between; ++attempt) {
      Program program(runs.path(), runs.words("stopped", method));
      wait_for_checkpoint(program, runs.run("stopped"));  // of epoch 2: it trains the third
      program.send(SIGTERM);
      const Outcome outcome = program.wait();
      CHECK(outcome.status == 128 + SIGTERM);
      const std::size_t done = lines(runs.run("stopped") / "metrics.jsonl").size();
      between = done % 2 == 1;
      const std::string boundary = "after epoch " + std::to_string(done - done % 2);
      if (between) CHECK(outcome.error.find("--resume goes on " + boundary) != std::string::npos);
      const Outcome resumed = runs.go("stopped", method + Words{"--resume"});
      REQUIRE_MESSAGE(resumed.status == 0, resumed.error);
      CHECK(resumed.error.find("going on " + boundary) != std::string::npos);
      check_same_results(runs.run("stopped"), runs.run("whole"));
      std::filesystem::remove_all(runs.run("stopped"));
    }
    CHECK(between);
    // 25 epochs end between refreshes: the run is complete all the same, and a longer one goes back to epoch 24.
    CHECK(runs.go("whole", method + Words{"--resume"}).out.find("complete") != std::string::npos);
    CHECK(runs.go("whole", endless + Words{"--resume", "--epochs", "24"}).status == 2);
    const Outcome longer = runs.go("whole", endless + Words{"--resume", "--epochs", "28"});
    REQUIRE_MESSAGE(longer.status == 0, longer.error);
    CHECK(longer.error.find("going on after epoch 24") != std::string::npos);
    REQUIRE(runs.go("alone", endless + Words{"--epochs", "28"}).status == 0);
    check_same_results(runs.run("whole"), runs.run("alone"));
    std::filesystem::remove_all(runs.run("whole"));
    std::filesystem::remove_all(runs.run("alone"));
  }
}

TEST_CASE("a second signal ends the run at once") {
  StoreRuns runs;
  Program program(runs.path(), runs.words("run", {"--epochs", "1000000"}));
  wait_for_epochs(program, runs.run("run"), 1);
  // Between two signals the program may have noticed the first and stopped by itself: both end with 130.
  program.send(SIGINT);
  program.send(SIGINT);
  CHECK(program.wait().status == 130);
}

// A run killed at random moments up to `most` times, resumed each time. Returns how often.
int run_with_kills(const StoreRuns& runs, const Words& words, int most, std::uint32_t longest_microseconds) {
  CounterRng rng(20240607, Stream::synthetic);
  for (int kills = 0;;) {
    Program program(runs.path(), runs.words("killed", words + Words{"--resume"}));
    std::this_thread::sleep_for(std::chrono::microseconds(rng.below(longest_microseconds + 1)));
    if (kills < most && program.running()) {
      program.send(SIGKILL);
      CHECK(program.wait().status == 128 + SIGKILL);
      ++kills;
      continue;
    }
    const Outcome outcome = program.wait();
    REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
    return kills;
  }
}

void check_kills(const StoreRuns& runs, const Words& words) {
  const Clock::time_point begin = Clock::now();
  REQUIRE(runs.go("whole", words).status == 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
  // Up to a third of a whole run: time for some epochs, or for none.
  CHECK(run_with_kills(runs, words, 12, static_cast<std::uint32_t>(whole / 3)) > 0);
  check_same_results(runs.run("killed"), runs.run("whole"));
  std::filesystem::remove_all(runs.run("killed"));
  std::filesystem::remove_all(runs.run("whole"));
}

TEST_CASE("kill -9 at any moment, resumed until done, ends in the same bytes") {
  StoreRuns runs;
  for (const Words& method : kMethods) check_kills(runs, method);
  const Words iglu =
      kStandard + Words{"--method", "iglu", "--batch-size", "800", "--epochs", "21", "--residual", "add"};
  check_kills(runs, iglu + Words{"--iglu-refresh", "0.5"});
  check_kills(runs, iglu + Words{"--iglu-order", "backprop", "--iglu-refresh", "0.5", "--layers", "3"});
  check_kills(runs, {"--method", "sgc", "--epochs", "60", "--checkpoint-every", "2"});
}

TEST_CASE("so does a run that spills: what it leaves in the cache is cleared") {
  StoreRuns runs(kSpillingNodes);
  const Words words = kStandard + Words{"--method", "iglu", "--epochs", "8"};
  check_kills(runs, words + Words{"--host-memory", std::to_string(runs.least_budget(words))});
}

TEST_CASE("killed in any write, rename or sync, resumed, it ends in the same bytes") {
  StoreRuns runs;
  const Words words{"--method", "full", "--epochs", "6", "--save-steps", "2"};
  REQUIRE(runs.go("whole", words).status == 0);
  for (const char* operation : {"write", "rename", "sync"}) {
    bool fired = true;
    for (int call = 1; fired && call < 200; call += call < 12 ? 1 : 5) {
      const std::string failpoint = std::string(operation) + ":" + std::to_string(call) + ":kill";
      CAPTURE(failpoint);
      const Outcome killed = runs.go("killed", words, {"STRATA_FAILPOINT=" + failpoint});
      fired = killed.status != 0;
      if (fired) CHECK(killed.status == 128 + SIGKILL);
      const Outcome resumed = runs.go("killed", words + Words{"--resume"});
      REQUIRE_MESSAGE(resumed.status == 0, resumed.error);
      check_same_results(runs.run("killed"), runs.run("whole"));
      for (const char* name :
           {"000000.safetensors", "000002.safetensors", "000004.safetensors", "000006.safetensors"}) {
        CHECK(content(runs.run("killed") / "steps" / name) == content(runs.run("whole") / "steps" / name));
      }
      std::filesystem::remove_all(runs.run("killed"));
    }
    CHECK_FALSE(fired);  // the last failpoint lay beyond the run's last call
  }
}

TEST_CASE("a full disk ends with status 4, and the run goes on once there is room") {
  StoreRuns runs;
  const Words words{"--method", "full", "--epochs", "6"};
  REQUIRE(runs.go("whole", words).status == 0);
  for (const int call : {2, 5, 9}) {
    const std::string failpoint = "write:" + std::to_string(call) + "+:enospc";
    CAPTURE(failpoint);
    const Outcome full = runs.go("full", words, {"STRATA_FAILPOINT=" + failpoint});
    CHECK(full.status == 4);
    const Outcome resumed = runs.go("full", words + Words{"--resume"});
    REQUIRE_MESSAGE(resumed.status == 0, resumed.error);
    check_same_results(runs.run("full"), runs.run("whole"));
    std::filesystem::remove_all(runs.run("full"));
  }
}

TEST_CASE("without a checkpoint a resumed run starts over and says so") {
  StoreRuns runs;
  const Words plain{"--store", runs.store().string(), "--run", runs.run("run").string(), "--hidden", "16"};
  Program program(runs.path(), plain + Words{"--epochs", "100000", "--checkpoint-every", "0"});
  wait_for_epochs(program, runs.run("run"), 2);
  program.send(SIGKILL);
  static_cast<void>(program.wait());
  const Outcome resumed = train(runs.path(), plain + Words{"--epochs", "5", "--resume"});
  CHECK(resumed.status == 0);
  CHECK(resumed.error.find("starting over") != std::string::npos);
  CHECK(lines(runs.run("run") / "metrics.jsonl").size() == 5);
}

TEST_CASE("a damaged checkpoint ends with status 5, naming file and block") {
  StoreRuns runs;
  const Words words{"--method", "full", "--epochs", "4"};
  REQUIRE(runs.go("run", words).status == 0);
  std::filesystem::remove(runs.run("run") / "summary.json");
  const std::filesystem::path file = runs.run("run") / "checkpoint" / "state.bin";
  std::string bytes = content(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  const Outcome outcome = runs.go("run", words + Words{"--resume"});
  CHECK(outcome.status == 5);
  CHECK(outcome.error.find("state.bin") != std::string::npos);
  CHECK(outcome.error.find("checksum") != std::string::npos);
  CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
}

}  // namespace
}  // namespace strata::test
