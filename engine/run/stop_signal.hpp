// SIGINT and SIGTERM: the first asks the run to stop when it can, a second one ends the process at once.
#pragma once

namespace strata {

// While it lives, the two signals only set a flag. One at a time in a process.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  // The signal that came, or 0.
  [[nodiscard]] int received() const;
};

[[nodiscard]] const char* signal_name(int number);  // "SIGINT", "SIGTERM"

}  // namespace strata
