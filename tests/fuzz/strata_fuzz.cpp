// strata_fuzz: mutated inputs for every reader of the project. See usage() below.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temp_dir.hpp"

// The sanitizers' runtime has it; without them it is null.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace strata::fuzz {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

void usage(std::FILE* to) {
  std::fputs(
      R"(usage: strata_fuzz [--target NAME ...] [--count N | --seconds S] [options]

Feeds mutated inputs to readers: what strata-convert reads, and the files that Strata writes. An input must be read well
or refused with a typed error, in the memory that a budget of 64 MiB allows. Anything else is a finding: its input goes to a file, a
line says how to replay it, and the exit status is 1. Input N of a seed is the same everywhere.

  --list            names of the targets
  --target NAME     only this one; several times for several (all)
  --count N         inputs a target (300)
  --seconds S       instead of a count: time a target
  --seed S          of the mutations (1)
  --from N          number of the first input (0)
  --memory MIB      above which memory is a finding (256); 0: not measured
  --timeout S       after which an input is a finding (60)
  --findings DIR    where their inputs go (.)
  --replay FILE     run the input of a finding (with --target)
  --write-seeds DIR the seeds as files, for libFuzzer's corpora: DIR/TARGET/N
)",
      to);
}

struct Options {
  std::vector<std::string> targets;
  std::uint64_t count = 300, seed = 1, from = 0, memory = 256, timeout = 60;
  double seconds = 0;
  std::string findings = ".", replay, write_seeds;
};

// What a crash leaves behind: set before each input, written by a signal handler.
struct Current {
  char path[1024] = "";
  char advice[2048] = "";
  const char* bytes = nullptr;
  std::size_t size = 0;
};
Current current;

// Async-signal-safe.
void write_current() {
  if (current.bytes == nullptr) return;
  const int file = ::open(current.path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  for (std::size_t done = 0; file >= 0 && done < current.size;) {
    const ssize_t wrote = ::write(file, current.bytes + done, current.size - done);
    if (wrote <= 0) break;
    done += static_cast<std::size_t>(wrote);
  }
  if (file >= 0) ::close(file);
  current.bytes = nullptr;
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, current.advice, std::strlen(current.advice));
}

void on_signal(int number) {
  write_current();
  if (number == SIGALRM) _exit(1);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void watch_crashes() {
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM}) ::signal(number, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(write_current);
}

std::string replay_line(const FuzzTarget& target, const std::string& path) {
  return "replay: strata_fuzz --target " + target.name + " --replay '" + path + "'\n";
}

struct Counts {
  std::uint64_t accepted = 0, refused = 0, findings = 0;
};

Counts run_target(const FuzzTarget& target, const Options& options, const fs::path& scratch) {
  constexpr std::uint64_t kMostFindings = 20;
  Counts counts;
  const Clock::time_point start = Clock::now();
  const auto goes_on = [&](std::uint64_t done) {
    if (options.seconds == 0) return done < options.count;
    return std::chrono::duration<double>(Clock::now() - start).count() < options.seconds;
  };
  for (std::uint64_t done = 0; goes_on(done) && counts.findings < kMostFindings; ++done) {
    const std::uint64_t number = options.from + done;
    const FuzzInput input = mutated(target, options.seed, number);
    const std::string bytes = join(input);
    const std::string path = (fs::absolute(options.findings) / (target.name + "-" + std::to_string(options.seed) + "-" +
                                                                std::to_string(number) + ".input"))
                                 .string();
    std::snprintf(current.path, sizeof current.path, "%s", path.c_str());
    std::snprintf(current.advice, sizeof current.advice, "finding: %s input %llu crashed or hung\n%s",
                  target.name.c_str(), static_cast<unsigned long long>(number), replay_line(target, path).c_str());
    current.size = bytes.size();
    current.bytes = bytes.data();
    ::alarm(static_cast<unsigned>(options.timeout));
    const CaseResult result = run_case(target, input, scratch / "case", options.memory << 20);
    ::alarm(0);
    current.bytes = nullptr;
    ++(result.verdict == Verdict::accepted  ? counts.accepted
       : result.verdict == Verdict::refused ? counts.refused
                                            : counts.findings);
    if (result.verdict != Verdict::finding) continue;
    write_file_atomically(path, bytes);
    std::printf("finding: %s input %llu: %s\n%s", target.name.c_str(), static_cast<unsigned long long>(number),
                result.message.c_str(), replay_line(target, path).c_str());
  }
  std::printf("%-18s %7llu accepted %7llu refused %3llu findings %7.1f s\n", target.name.c_str(),
              static_cast<unsigned long long>(counts.accepted), static_cast<unsigned long long>(counts.refused),
              static_cast<unsigned long long>(counts.findings),
              std::chrono::duration<double>(Clock::now() - start).count());
  std::fflush(stdout);
  return counts;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (i + 1 == argc) throw UsageError(name + ": no such option, or its value is missing; see --help");
    const std::string value = argv[++i];
    const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
    if (name == "--target")
      options.targets.push_back(value);
    else if (name == "--count")
      options.count = number();
    else if (name == "--seconds")
      options.seconds = std::strtod(value.c_str(), nullptr);
    else if (name == "--seed")
      options.seed = number();
    else if (name == "--from")
      options.from = number();
    else if (name == "--memory")
      options.memory = number();
    else if (name == "--timeout")
      options.timeout = number();
    else if (name == "--findings")
      options.findings = value;
    else if (name == "--replay")
      options.replay = value;
    else if (name == "--write-seeds")
      options.write_seeds = value;
    else
      throw UsageError(name + ": no such option; see --help");
  }
  if (options.targets.empty()) {
    for (const FuzzTarget& target : fuzz_targets()) options.targets.push_back(target.name);
  }
  return options;
}

void write_seeds(const FuzzTarget& target, const fs::path& folder) {
  fs::create_directories(folder / target.name);
  for (std::size_t i = 0; i < target.seeds.size(); ++i) {
    write_file_atomically(folder / target.name / std::to_string(i), join(target.seeds[i]));
  }
}

int run(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) return usage(stdout), 0;
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const FuzzTarget& target : fuzz_targets()) std::puts(target.name.c_str());
    return 0;
  }
  const Options options = parse(argc, argv);
  fs::create_directories(options.findings);
  const TempDir scratch;
  watch_crashes();
  std::uint64_t findings = 0;
  for (const std::string& name : options.targets) {
    const FuzzTarget* const target = find_target(name);
    if (target == nullptr) throw UsageError("--target " + name + ": no such target; see --list");
    if (!options.write_seeds.empty()) {
      write_seeds(*target, options.write_seeds);
    } else if (!options.replay.empty()) {
      const FuzzInput input = split(read_file(options.replay), target->files.size());
      const CaseResult result = run_case(*target, input, scratch / "case", options.memory << 20);
      const char* const verdicts[] = {"accepted", "refused", "finding"};
      std::printf("%s: %s\n", verdicts[static_cast<int>(result.verdict)], result.message.c_str());
      findings += result.verdict == Verdict::finding ? 1 : 0;
    } else {
      findings += run_target(*target, options, scratch.path()).findings;
    }
  }
  return findings == 0 ? 0 : 1;
}

}  // namespace
}  // namespace strata::fuzz

int main(int argc, char** argv) {
  strata::fuzz::use_memory_folder();
  try {
    return strata::fuzz::run(argc, argv);
  } catch (const strata::Error& error) {
    std::fprintf(stderr, "strata_fuzz: %s\n", error.what());
    return static_cast<int>(error.status());
  }
}
