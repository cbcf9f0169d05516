// strata-convert as a user meets it: exit statuses, one line on stderr, nothing left behind.
#include <doctest/doctest.h>

#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSmall = "--from synthetic --nodes 3000 --edges 20k --feature-dim 8 --quiet --output ";

}  // namespace

TEST_CASE("strata-convert --help teaches and --explain writes nothing") {
  TempDir dir, logs;
  Outcome help = run_tool(logs, "--help");
  CHECK(help.status == 0);
  for (const char* text : {"Examples", "--partitioner", "--labelled-clustered", "ogbn_arxiv"}) {
    CHECK(help.out.find(text) != std::string::npos);
  }
  CHECK(run_tool(logs, "--version").status == 0);
  const Outcome plan = run_tool(logs, kSmall + (dir / "s").string() + " --explain");
  CHECK(plan.status == 0);
  CHECK(plan.out.find("disk") != std::string::npos);
  CHECK(entries_of(dir.path()).empty());
}

TEST_CASE("strata-convert: wrong usage is status 2 and one line") {
  TempDir dir, logs;
  const std::string small = kSmall + (dir / "s").string();
  for (const std::string& arguments : std::vector<std::string>{"",
                                                               "--from ogb --output x",
                                                               "--from nonsense --output x --input y",
                                                               "--from snap --output x --input y --split time",
                                                               "--from synthetic --nodes 10 --output x",
                                                               small + " --partitioner stream",
                                                               small + " --partitioner x",
                                                               small + " --undirected maybe",
                                                               small + " --feature-codec sparse",
                                                               small + " --compress gzip",
                                                               small + " --compress zstd:99",
                                                               small + " --shards 0",
                                                               small + " --shards 99",
                                                               small + " --nodes -5",
                                                               small + " --edges 1.5",
                                                               small + " --memory lots",
                                                               small + " --split-fractions 0.9,0.2,0.2",
                                                               small + " --split-fractions 0.9",
                                                               small + " --nosuch",
                                                               small + " --input x",
                                                               small + " --split time",
                                                               "--from npy --input x --output y --homophily 0.3",
                                                               "--from ogb --input x --output y --split-index 1"}) {
    CAPTURE(arguments);
    const Outcome outcome = run_tool(logs, arguments);
    CAPTURE(outcome.err);
    CHECK(outcome.status == 2);
    CHECK(outcome.one_line());
  }
  CHECK(run_tool(logs, small + " --partitioner stream")
            .says("the stream partitioner is not part of this version; use metis, random or none"));
  CHECK(entries_of(dir.path()).empty());
}

TEST_CASE("strata-convert: statuses 0, 2, 3, 4 and --verify, --force, --restart, --config") {
  TempDir dir, logs;
  const std::string small = kSmall + (dir / "s").string();
  CHECK(run_tool(logs, small + " --verify").status == 0);
  CHECK(run_tool(logs, small).status == 2);
  CHECK(run_tool(logs, small + " --force --restart").status == 0);
  const Outcome missing =
      run_tool(logs, "--from npy --input '" + (dir / "none").string() + "' --output '" + (dir / "t").string() + "'");
  CHECK(missing.status == 3);
  CHECK(missing.one_line());
  const Outcome memory = run_tool(logs, kSmall + (dir / "t").string() + " --memory 1MiB");
  CHECK(memory.status == 4);
  CHECK(memory.one_line());
  CHECK(memory.says("at least"));
  write_text(logs / "options", "from = synthetic\nnodes = 2000  # a comment\nedges = 4000\nfeature-dim = 4\n");
  const Outcome config =
      run_tool(logs, "--config '" + (logs / "options").string() + "' --output '" + (dir / "c").string() + "'");
  CHECK(config.status == 0);
  CHECK(config.out.find("2000 nodes") != std::string::npos);
  CHECK(entries_of(dir.path()) == std::vector<std::string>{"c", "s"});
}

TEST_CASE("strata-convert: a disk that fills and a kill leave no store, and the next run clears up") {
  TempDir dir, logs;
  const std::string arguments =
      "--from synthetic --nodes 20k --edges 200k --feature-dim 64 --partitioner random --memory 33MiB "
      "--shards 5 --quiet --output " +
      (dir / "s").string();
  for (const int nth : {1, 2, 5, 12, 20, 30}) {
    const Outcome full = run_tool(logs, arguments, "STRATA_FAILPOINT=write:" + std::to_string(nth) + ":enospc");
    CAPTURE(nth);
    CAPTURE(full.err);
    CHECK(full.status == 4);
    CHECK(full.one_line());
    CHECK(entries_of(dir.path()).empty());
  }
  for (const char* point : {"write:1:kill", "write:8:kill", "write:25:kill", "rename:1:kill", "rename:9:kill"}) {
    CAPTURE(point);
    CHECK(run_tool(logs, arguments, std::string("STRATA_FAILPOINT=") + point).status != 0);
    CHECK_FALSE(fs::exists(dir / "s"));
  }
  CHECK(run_tool(logs, arguments).status == 0);
  CHECK(entries_of(dir.path()) == std::vector<std::string>{"s"});
}

}  // namespace strata::test
