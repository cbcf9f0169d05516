// One damaged or contradictory input and what strata-convert must say of it.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/import/import_fixtures.hpp"

namespace strata::test {

struct DamagedCase {
  const char* name;
  // Writes the input into a folder of its own; returns what follows "strata-convert", without --output.
  std::function<std::string(const std::filesystem::path& folder)> prepare;
  int status;
  const char* says;
};

// Status, message in one line, nothing left behind.
inline void check_damaged(const std::vector<DamagedCase>& cases) {
  for (const DamagedCase& damaged : cases) {
    const std::string name = damaged.name;
    CAPTURE(name);
    TempDir input, outputs, logs;
    const std::string arguments = damaged.prepare(input.path());
    const Outcome outcome = run_tool(logs, arguments + " --quiet --output '" + (outputs / "s").string() + "'");
    CAPTURE(outcome.err);
    CHECK(outcome.status == damaged.status);
    CHECK(outcome.one_line());
    CHECK(outcome.says(damaged.says));
    CHECK(entries_of(outputs.path()).empty());
  }
}

inline std::string quoted_path(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

}  // namespace strata::test
