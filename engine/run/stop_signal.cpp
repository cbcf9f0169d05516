#include "engine/run/stop_signal.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace strata {

namespace {

std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "only lock-free atomics may be used in a signal handler");

struct sigaction previous_interrupt, previous_terminate;

extern "C" void on_stop_signal(int number) {
  int none = 0;
  if (!received_signal.compare_exchange_strong(none, number)) ::_exit(128 + number);
}

}  // namespace

StopSignal::StopSignal() {
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &previous_interrupt);
  ::sigaction(SIGTERM, &action, &previous_terminate);
}

StopSignal::~StopSignal() {
  ::sigaction(SIGINT, &previous_interrupt, nullptr);
  ::sigaction(SIGTERM, &previous_terminate, nullptr);
}

int StopSignal::received() const { return received_signal; }

const char* signal_name(int number) { return number == SIGINT ? "SIGINT" : "SIGTERM"; }

}  // namespace strata
