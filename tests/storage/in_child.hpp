// Running what may be killed in a process of its own, and failpoints that end with a scope.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>

#include "storage/file.hpp"

namespace strata::test {

class Failpoint {
 public:
  explicit Failpoint(const std::string& specification) { set_failpoint(specification); }
  Failpoint(const Failpoint&) = delete;
  Failpoint& operator=(const Failpoint&) = delete;
  ~Failpoint() { set_failpoint(""); }
};

enum class ChildEnd { done, threw, killed };

template <class Body>
ChildEnd in_child(Body&& body) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    try {
      body();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return ChildEnd::killed;
  return WEXITSTATUS(status) == 0 ? ChildEnd::done : ChildEnd::threw;
}

}  // namespace strata::test
