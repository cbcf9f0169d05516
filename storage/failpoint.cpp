#include "storage/failpoint.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/file.hpp"

namespace strata {

namespace {

struct Failpoint {
  std::string operation;
  std::uint64_t at = 0;  // the call that fails, from 1
  bool and_later = false;
  Fault fault = Fault::none;
  std::uint64_t calls = 0;  // so far
};

std::mutex failpoint_mutex;
Failpoint armed;  // guarded by failpoint_mutex
std::atomic<bool> is_armed{false};

Fault parse_fault(const std::string& text) {
  if (text == "enospc") return Fault::enospc;
  if (text == "eio") return Fault::eio;
  if (text == "eintr") return Fault::eintr;
  if (text == "short") return Fault::short_count;
  if (text == "kill") return Fault::kill;
  return Fault::none;
}

Failpoint parse_failpoint(const std::string& text) {
  Failpoint point;
  const std::size_t first = text.find(':');
  const std::size_t second = first == std::string::npos ? first : text.find(':', first + 1);
  if (second != std::string::npos) {
    point.operation = text.substr(0, first);
    std::string count = text.substr(first + 1, second - first - 1);
    if (!count.empty() && count.back() == '+') {
      point.and_later = true;
      count.pop_back();
    }
    if (!count.empty() && count.size() < 18 && count.find_first_not_of("0123456789") == std::string::npos) {
      point.at = std::stoull(count);
    }
    point.fault = parse_fault(text.substr(second + 1));
  }
  if (point.at == 0 || point.fault == Fault::none) {
    throw InputError("STRATA_FAILPOINT", "", "'" + text + "' is not OPERATION:N:ACTION");
  }
  return point;
}

// Reads the environment before main() runs anything; a wrong text must not go unnoticed, so it ends the process.
[[maybe_unused]] const bool environment_read = [] {
  const char* text = std::getenv("STRATA_FAILPOINT");
  if (text == nullptr || *text == '\0') return false;
  try {
    set_failpoint(text);
  } catch (const Error& error) {
    const std::string line = std::string("strata: ") + error.what() + "\n";
    const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(written < 0 ? static_cast<int>(ExitStatus::internal) : static_cast<int>(ExitStatus::usage));
  }
  return true;
}();

}  // namespace

void set_failpoint(const std::string& specification) {
  const Failpoint point = specification.empty() ? Failpoint{} : parse_failpoint(specification);
  const std::lock_guard lock(failpoint_mutex);
  armed = point;
  is_armed = !specification.empty();
}

Fault next_fault(const char* operation) {
  if (!is_armed.load(std::memory_order_relaxed)) [[likely]]
    return Fault::none;
  const std::lock_guard lock(failpoint_mutex);
  if (armed.operation != operation) return Fault::none;
  ++armed.calls;
  return armed.calls == armed.at || (armed.and_later && armed.calls > armed.at) ? armed.fault : Fault::none;
}

bool fails(Fault fault) {
  switch (fault) {
    case Fault::enospc: errno = ENOSPC; return true;
    case Fault::eio: errno = EIO; return true;
    case Fault::eintr: errno = EINTR; return true;
    default: return false;
  }
}

std::size_t shortened(std::size_t count, bool direct) {
  const std::size_t unit = direct ? kBlockAlignment : 1;
  return std::max(unit, count / 2 / unit * unit);
}

void kill_this_process() {
  ::kill(::getpid(), SIGKILL);
  std::abort();  // not reached: SIGKILL cannot be handled
}

void failpoint(const char* operation, const fs::path& path) {
  const Fault fault = next_fault(operation);
  if (fault == Fault::kill) kill_this_process();
  if (fault != Fault::eintr && fails(fault)) throw_system_error(errno, path.string(), operation);
}

}  // namespace strata
