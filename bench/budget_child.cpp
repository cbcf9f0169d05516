#include "bench/budget_child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>

#include "kernels/base/error.hpp"

namespace strata::bench {

namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "only lock-free atomics may be used in a signal handler");
struct sigaction previous_interrupt, previous_terminate;

extern "C" void on_interrupt(int number) { received = number; }

constexpr std::size_t kKept = 1 << 20;  // bytes of each stream

struct Pipe {
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_system_error(errno, "pipe", "make");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(std::size_t i) {
    if (ends[i] >= 0) ::close(ends[i]);
    ends[i] = -1;
  }
  std::array<int, 2> ends{-1, -1};  // to read, to write
};

// What failed in the child before the program started.
struct StartError {
  int number = 0;
  bool joining = false;
};

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(char* const* words, int join, pid_t parent, const Pipe& out, const Pipe& err,
                         const Pipe& failure) {
  StartError error;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  if (join >= 0 && ::write(join, "0", 1) != 1) {
    error.joining = true;
  } else {
    const int none = ::open("/dev/null", O_RDONLY);
    ::dup2(none, STDIN_FILENO);
    ::dup2(out.ends[1], STDOUT_FILENO);
    ::dup2(err.ends[1], STDERR_FILENO);
    ::execv(words[0], words);
  }
  error.number = errno;
  [[maybe_unused]] const ssize_t told = ::write(failure.ends[1], &error, sizeof error);
  ::_exit(127);
}

// Owns a child until it has been waited for: otherwise ends it.
class Child {
 public:
  explicit Child(pid_t process) : process_(process) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  // Until it has ended; it stays to be read in /proc.
  void await() const {
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOWAIT) != 0) {
      if (errno != EINTR) throw_system_error(errno, "child process", "wait for");
      Interrupts::check();
    }
  }
  int reap() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  [[nodiscard]] pid_t process() const { return process_; }

 private:
  pid_t process_;
};

// False at the end of the stream. Of standard error the end is kept, of standard output the beginning.
bool take(int from, std::string& text, bool keep_end) {
  std::array<char, 4096> piece{};
  const ssize_t got = ::read(from, piece.data(), piece.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) return false;
  if (keep_end || text.size() < kKept) text.append(piece.data(), static_cast<std::size_t>(got));
  if (keep_end && text.size() > 2 * kKept) text.erase(0, kKept);
  return true;
}

void collect(const Pipe& out, const Pipe& err, std::string& output, std::string& errors) {
  std::array<pollfd, 2> ends{{{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const int ready = ::poll(ends.data(), ends.size(), -1);
    Interrupts::check();
    if (ready < 0 && errno != EINTR) throw_system_error(errno, "child process", "read from");
    if (ready <= 0) continue;
    if (ends[0].revents != 0 && !take(ends[0].fd, output, false)) ends[0].fd = -1;
    if (ends[1].revents != 0 && !take(ends[1].fd, errors, true)) ends[1].fd = -1;
  }
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \r\n");
  if (end == std::string::npos) return {};
  const std::size_t before = text.find_last_of("\r\n", end);
  return text.substr(before == std::string::npos ? 0 : before + 1,
                     end - (before == std::string::npos ? 0 : before + 1) + 1);
}

void read_io(pid_t process, ChildResult& result) {
  std::ifstream file("/proc/" + std::to_string(process) + "/io");
  std::string name;
  for (std::uint64_t value = 0; file >> name >> value;) {
    if (name == "read_bytes:") result.disk_read_bytes = value;
    if (name == "write_bytes:") result.disk_write_bytes = value;
  }
}

}  // namespace

Interrupts::Interrupts() {
  received = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: poll returns
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &previous_interrupt);
  ::sigaction(SIGTERM, &action, &previous_terminate);
}

Interrupts::~Interrupts() {
  ::sigaction(SIGINT, &previous_interrupt, nullptr);
  ::sigaction(SIGTERM, &previous_terminate, nullptr);
}

void Interrupts::check() {
  if (const int number = received) throw Interrupted(number);
}

ChildResult run_child(const std::vector<std::string>& words, int join) {
  Interrupts::check();
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  Pipe out, err, failure;
  const pid_t self = ::getpid();
  const auto start = std::chrono::steady_clock::now();
  const pid_t process = ::fork();
  if (process < 0) throw_system_error(errno, words[0], "fork for");
  if (process == 0) become(arguments.data(), join, self, out, err, failure);
  Child child(process);
  for (Pipe* pipe : {&out, &err, &failure}) pipe->close_end(1);

  ChildResult result;
  std::string errors;
  collect(out, err, result.output, errors);
  child.await();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  read_io(process, result);
  result.status = child.reap();
  result.last_error = last_line(errors);
  StartError error;
  if (::read(failure.ends[0], &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    throw_system_error(error.number, words[0], error.joining ? "join a cgroup to run" : "run");
  }
  return result;
}

}  // namespace strata::bench
