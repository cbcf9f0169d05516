// Failures that end an operation. Three kinds are kept apart: bad input or a failing device is one of these exceptions;
// an expected outcome is a [[nodiscard]] return value; a broken invariant is STRATA_ASSERT.
//
// Every exception says what, where and what to do, in one line, and knows the exit status of the programs.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace strata {

enum class ExitStatus : int { done = 0, internal = 1, usage = 2, input = 3, resources = 4, damaged = 5 };

class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& message) : std::runtime_error(message), status_(status) {}
  [[nodiscard]] ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

// The command line, a configuration file, or a combination of options that does not exist.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitStatus::usage, message) {}
};

// A file the user gave is missing, malformed or contradictory. `where` names the position inside the file
// ("line 7", "byte 128", "member edge_index.npy"); empty when the whole file is meant.
class InputError : public Error {
 public:
  InputError(const std::string& path, const std::string& where, const std::string& what);
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Memory or disk space (or a device) does not suffice. Sizes are bytes; `least` is what would do, 0 if unknown.
class ResourceError : public Error {
 public:
  explicit ResourceError(const std::string& message, std::uint64_t least = 0)
      : Error(ExitStatus::resources, message), least_(least) {}
  [[nodiscard]] std::uint64_t least() const { return least_; }

 private:
  std::uint64_t least_;
};

// A store, checkpoint or cache file that Strata wrote is not what was written.
class DamagedError : public Error {
 public:
  DamagedError(const std::string& path, const std::string& block, const std::string& expected,
               const std::string& found);
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& block() const { return block_; }

 private:
  std::string path_;
  std::string block_;
};

// The operating system refused: message with errno's text. ENOSPC and EDQUOT become ResourceError, the rest InputError.
[[noreturn]] void throw_system_error(int error_number, const std::string& path, const std::string& action);

std::string format_bytes(std::uint64_t bytes);  // "12.5 MiB"

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace strata

// A broken invariant of ours. On in every build; the expression must have no side effects.
#define STRATA_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::strata::assertion_failed(#expression, __FILE__, __LINE__))
