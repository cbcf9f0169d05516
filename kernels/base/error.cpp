#include "kernels/base/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace strata {

InputError::InputError(const std::string& path, const std::string& where, const std::string& what)
    : Error(ExitStatus::input, path + (where.empty() ? "" : ": " + where) + ": " + what), path_(path) {}

DamagedError::DamagedError(const std::string& path, const std::string& block, const std::string& expected,
                           const std::string& found)
    : Error(ExitStatus::damaged, path + ": " + block + ": expected " + expected + ", found " + found),
      path_(path),
      block_(block) {}

void throw_system_error(int error_number, const std::string& path, const std::string& action) {
  const std::string message = "cannot " + action + ": " + std::strerror(error_number);
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == ENOMEM) {
    throw ResourceError(path + ": " + message);
  }
  throw InputError(path, "", message);
}

std::string format_bytes(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024.0 && unit < 5) {
    value /= 1024.0;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "strata: broken invariant: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace strata
