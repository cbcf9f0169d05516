// A program run as a child process: what it said, how it ended, and what the kernel counted of it.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace strata::bench {

// SIGINT or SIGTERM reached this program while Interrupts lived; what waits for children ends them and throws this.
struct Interrupted : std::exception {
  explicit Interrupted(int number) : signal(number) {}
  [[nodiscard]] const char* what() const noexcept override { return "stopped by a signal"; }
  int signal;
};

// While one lives, SIGINT and SIGTERM are noted instead of ending the program. One at a time.
class Interrupts {
 public:
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts();
  static void check();  // throws Interrupted when one came
};

struct ChildResult {
  int status = 0;          // exit status; 128 + number where a signal ended it
  double seconds = 0;      // from fork to exit
  std::string output;      // standard output, its first MiB
  std::string last_error;  // last line on standard error that is not empty
  // Bytes that the disk, not the page cache, gave and took: /proc/PID/io at the end; empty where it cannot be read.
  std::optional<std::uint64_t> disk_read_bytes, disk_write_bytes;
};

// Runs words[0] with the others as arguments and waits for it. `join`: an open cgroup.procs (or tasks) file that the
// child writes itself into before it starts the program; -1: none. The child ends when this process does. Throws
// InputError when it cannot be started.
[[nodiscard]] ChildResult run_child(const std::vector<std::string>& words, int join = -1);

}  // namespace strata::bench
