#include "engine/run/display.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <utility>

namespace strata {

namespace {

using namespace std::chrono_literals;

std::string duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

void add_score(std::string& line, const char* name, const std::optional<SplitScore>& score) {
  if (score) line += fmt::format("  {} {:.4f}", name, score->metric);
}

}  // namespace

RunDisplay::RunDisplay(bool quiet, std::uint32_t epochs, std::string metric)
    : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1), epochs_(epochs), metric_(std::move(metric)) {}

RunDisplay::~RunDisplay() { end_line(); }

void RunDisplay::note(const std::string& text) {
  if (quiet_) return;
  end_line();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void RunDisplay::start_epoch(std::uint32_t epoch) { epoch_ = epoch; }

void RunDisplay::progress(double fraction) {
  if (quiet_ || !terminal_ || Clock::now() - last_shown_ < 200ms) return;
  const std::string now = fmt::format("epoch {} {:3.0f}%", epoch_, 100 * fraction);
  show(last_line_.empty() ? now : last_line_ + "  | " + now, false);
}

void RunDisplay::end_epoch(const RunState& state, const EpochScores& scores, double loss, double seconds) {
  ++epochs_here_;
  seconds_here_ += seconds;
  if (quiet_) return;
  const double mean = seconds_here_ / epochs_here_;
  std::string line = fmt::format("epoch {}/{}  loss {:.4f}", state.epoch, epochs_, loss);
  add_score(line, "train", scores.train);
  add_score(line, "valid", scores.valid);
  add_score(line, "test", scores.test);
  if (scores.train) line += " " + metric_;
  line += fmt::format("  {:.3g} s/epoch, {} left", mean, duration(mean * (epochs_ - state.epoch)));
  last_line_ = line;
  const auto pause = terminal_ ? Clock::duration(100ms) : Clock::duration(2s);
  if (Clock::now() - last_shown_ < pause) {
    held_back_ = line;
    return;
  }
  held_back_.clear();
  show(line, false);
}

void RunDisplay::finish() {
  if (!held_back_.empty()) show(std::exchange(held_back_, {}), true);
  end_line();
}

void RunDisplay::show(const std::string& line, bool last) {
  last_shown_ = Clock::now();
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    line_open_ = true;
    if (last) end_line();
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void RunDisplay::end_line() {
  if (line_open_) std::fputc('\n', stderr);
  line_open_ = false;
}

}  // namespace strata
