#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "kernels/base/error.hpp"
#include "tools/program.hpp"

namespace strata {

namespace {

constexpr double kTerminalInterval = 0.2;  // seconds
constexpr double kPlainInterval = 10.0;

std::string duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(std::max(seconds, 0.0)));
  char text[64];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lluh%02llum", static_cast<unsigned long long>(whole / 3600),
                  static_cast<unsigned long long>(whole / 60 % 60));
  } else if (whole >= 60) {
    std::snprintf(text, sizeof text, "%llum%02llus", static_cast<unsigned long long>(whole / 60),
                  static_cast<unsigned long long>(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%llus", static_cast<unsigned long long>(whole));
  }
  return text;
}

}  // namespace

Progress::Progress(std::string stage, std::uint64_t total, Unit unit, bool quiet)
    : stage_(std::move(stage)),
      total_(total),
      unit_(unit),
      quiet_(quiet),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_shown_(start_) {}

Progress::~Progress() {
  const std::lock_guard lock(mutex_);
  if (shown_) show(std::chrono::steady_clock::now(), true);
}

void Progress::add(std::uint64_t amount) {
  const std::lock_guard lock(mutex_);
  done_ += amount;
  if (quiet_) return;
  const auto now = std::chrono::steady_clock::now();
  const double waited = std::chrono::duration<double>(now - last_shown_).count();
  if (waited >= (terminal_ ? kTerminalInterval : kPlainInterval)) show(now, false);
}

void Progress::note(std::string detail) {
  const std::lock_guard lock(mutex_);
  detail_ = std::move(detail);
}

void Progress::show(std::chrono::steady_clock::time_point now, bool last) {
  const std::string text = line(std::chrono::duration<double>(now - start_).count());
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", text.c_str(), last ? "\n" : "");
  } else if (!last) {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
  shown_ = true;
  last_shown_ = now;
}

std::string Progress::line(double seconds) const {
  const auto amount = [this](std::uint64_t value) {
    return unit_ == Unit::bytes ? format_bytes(value) : std::to_string(value);
  };
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0.0;
  std::string text = stage_ + ": " + amount(done_);
  if (total_ > 0) {
    const double part = std::min(100.0, 100.0 * static_cast<double>(done_) / static_cast<double>(total_));
    char percent[16];
    std::snprintf(percent, sizeof percent, " (%.0f%%)", part);
    text += " of " + amount(total_) + percent;
  }
  text += ", " + amount(static_cast<std::uint64_t>(rate)) + "/s, " + duration(seconds);
  if (total_ > done_ && rate > 0) text += ", " + duration(static_cast<double>(total_ - done_) / rate) + " left";
  return detail_.empty() ? text : text + ", " + detail_;
}

}  // namespace strata
