// Runs a program as a user would and keeps what it said.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace strata::test {

struct CommandResult {
  int status = -1;     // exit status; -1 when a signal ended it
  std::string output;  // stdout and stderr in one
};

inline CommandResult run_command(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  CommandResult result;
  char piece[4096];
  while (const std::size_t got = std::fread(piece, 1, sizeof piece, pipe)) result.output.append(piece, got);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

inline std::string quoted(const std::string& argument) { return "'" + argument + "'"; }

}  // namespace strata::test
