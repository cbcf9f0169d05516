// How a run shows itself on stderr: on a terminal one line, rewritten; elsewhere a plain line an epoch, at most one
// every two seconds, and always the last.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/run/run_state.hpp"

namespace strata {

class RunDisplay {
 public:
  RunDisplay(bool quiet, std::uint32_t epochs, std::string metric);
  RunDisplay(const RunDisplay&) = delete;
  RunDisplay& operator=(const RunDisplay&) = delete;
  ~RunDisplay();

  void note(const std::string& text);  // a line of its own; nothing when quiet
  void start_epoch(std::uint32_t epoch);
  void progress(double fraction);  // of the epoch
  void end_epoch(const RunState& state, const EpochScores& scores, double loss, double seconds);
  void finish();  // prints a line held back

 private:
  using Clock = std::chrono::steady_clock;
  void show(const std::string& line, bool last);
  void end_line();

  bool quiet_, terminal_;
  bool line_open_ = false;
  std::uint32_t epochs_, epoch_ = 0, epochs_here_ = 0;
  double seconds_here_ = 0;
  std::string metric_, last_line_, held_back_;
  Clock::time_point last_shown_;
};

}  // namespace strata
