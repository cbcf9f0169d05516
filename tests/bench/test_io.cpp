// strata-bench io as a user runs it, at a toy size.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/support/temp_dir.hpp"
#include "tests/tools/run_command.hpp"

namespace strata::test {
namespace {

const std::string kProgram = STRATA_BENCH_PROGRAM;

std::string toy_run(const TempDir& dir, const std::string& more) {
  return kProgram + " io --quiet --path " + quoted((dir.path() / "disk").string()) +
         " --size 1MiB --units 4KiB,64KiB --depths 1,5 --without-fio " + more;
}

TEST_CASE("strata-bench io: every group is measured in every trial, and nothing stays on the disk") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "disk");
  const std::string output = " --output " + quoted((dir / "out").string());
  const CommandResult result = run_command(toy_run(dir, "--rounds 4" + output));
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(std::filesystem::is_empty(dir / "disk"));
  const auto root = nlohmann::json::parse(std::ifstream(dir.path() / "out" / "io.json"));
  CHECK(root["environment"]["file"].get<std::string>().starts_with("1.0 MiB"));
  std::set<std::string> groups, backends;
  std::size_t direct = 0;
  for (const auto& entry : root["measurements"]) {
    const auto name = entry["name"].get<std::string>();
    groups.insert(entry["group"].get<std::string>());
    backends.insert(name.substr(name.rfind(' ') + 1));
    direct += entry["group"] == "mmap" ? 0 : 1;
    CHECK(entry["trials_seconds"].size() == 4);
    CHECK(entry["trials_cpu_seconds"].size() == 4);
    CHECK(entry["bytes"] == 262'144);
    CHECK(entry["bytes_per_second"].get<double>() > 0);
    CHECK(!entry.contains("ratio"));
  }
  CHECK(groups == std::set<std::string>{"mixed", "mmap", "rand-read", "seq-read", "seq-write"});
  CHECK(backends.contains("threads"));
  CHECK(direct == (backends.contains("io_uring") ? 32 : 16));  // 4 groups, 2 units, 2 depths
  CHECK(run_command(toy_run(dir, output)).status == 2);        // io.json exists
}

TEST_CASE("strata-bench io: beside fio there are ratios to it") {
  if (run_command("fio --version").status != 0) {
    MESSAGE("no fio here");
    return;
  }
  const TempDir dir;
  const CommandResult result = run_command(kProgram + " io --quiet --path " + quoted(dir.path().string()) +
                                           " --size 4MiB --units 64KiB --depths 4 --only rand-read mixed --output " +
                                           quoted((dir / "out").string()));
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  if (result.output.find("fio failed") != std::string::npos) {
    MESSAGE("fio does not run here");
    return;
  }
  const auto root = nlohmann::json::parse(std::ifstream(dir.path() / "out" / "io.json"));
  for (const auto& entry : root["measurements"]) {
    const bool is_fio = entry["name"].get<std::string>().ends_with(" fio");
    CHECK(entry.contains("ratio") == !is_fio);
    if (!is_fio) CHECK(entry["ceiling"].get<std::string>().ends_with(" fio"));
  }
}

TEST_CASE("strata-bench io: what cannot be run is refused, with the reason") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "disk");
  const auto refused = [&](const std::string& more, int status, const std::string& reason) {
    const CommandResult result = run_command(toy_run(dir, more));
    CAPTURE(more);
    CAPTURE(result.output);
    CHECK(result.status == status);
    CHECK(result.output.find(reason) != std::string::npos);
  };
  refused("--rounds 2", 2, "--rounds");
  refused("--amount 2MiB", 2, "--amount");
  refused("--only nothing", 2, "--only");
  const std::string io = kProgram + " io --path " + quoted(dir.path().string());
  CHECK(run_command(io + " --units 1000").status == 2);
  CHECK(run_command(io + " --units 2MiB --size 1MiB").status == 2);
  CHECK(run_command(io + " --depths 0").status == 2);
  CHECK(run_command(io + " --depths ''").status == 2);
  CHECK(run_command(kProgram + " io").status == 2);
  CHECK(run_command(kProgram + " io --path " + quoted((dir / "absent").string())).status == 2);
  const CommandResult huge = run_command(io + " --size 1000000TiB");
  CHECK(huge.status == 4);
  CHECK(huge.output.find("are free") != std::string::npos);
}

}  // namespace
}  // namespace strata::test
