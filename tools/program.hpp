// What every program shares: exit statuses, common options, sizes, progress.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace boost::program_options {
class options_description;
class positional_options_description;
class variables_map;
}  // namespace boost::program_options

namespace strata {

// Runs body(argc, argv) and turns what it throws into one line on stderr, "name: what, where, what to do", and the exit
// status of its kind (error.hpp); 4 for std::bad_alloc, 1 for anything else. Also fails when standard output does.
int run_program(const char* name, int argc, char** argv, const std::function<int(int, char**)>& body);

// "512MiB", "1.5GB", "2GiB", "4096": bytes, decimal (kB MB GB TB) or binary (KiB MiB GiB TiB). UsageError otherwise.
[[nodiscard]] std::uint64_t parse_size(const std::string& text);

// "strata-store 0.1.0" and the build's features, several lines.
[[nodiscard]] std::string version_text(const char* program);

// --help, --version, --threads N, --config FILE, --quiet, --verbose.
void add_common_options(boost::program_options::options_description& options);

struct CommonOptions {
  unsigned threads = 0;  // 0: as many as the machine has
  bool quiet = false;
  bool verbose = false;
};

// Parses the command line, then --config FILE ("name = value" lines, # comments), the command line winning. Abbreviated
// names are refused. Answers --help (usage, then the options) and --version itself and returns false then: the program
// ends with status 0. UsageError for what is wrong. `positional` may be null. argv[0] is skipped.
[[nodiscard]] bool parse_options(const char* program, const std::string& usage, int argc, char** argv,
                                 const boost::program_options::options_description& options,
                                 const boost::program_options::positional_options_description* positional,
                                 boost::program_options::variables_map& values, CommonOptions& common);

// Progress of one stage on stderr: on a terminal one rewritten line with rate and time left, at most five times a
// second; elsewhere a plain line every ten seconds. Thread-safe.
class Progress {
 public:
  enum class Unit { items, bytes };
  // total 0: unknown. quiet: prints nothing.
  Progress(std::string stage, std::uint64_t total, Unit unit, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  // ends the line
  void add(std::uint64_t amount);
  void note(std::string detail);  // shown after the figures, e.g. the current file

 private:
  void show(std::chrono::steady_clock::time_point now, bool last);
  std::string line(double seconds) const;

  std::mutex mutex_;
  std::string stage_, detail_;
  std::uint64_t done_ = 0, total_;
  Unit unit_;
  bool quiet_, terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_, last_shown_;
};

}  // namespace strata
