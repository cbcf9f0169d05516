#include "bench/budget_run.hpp"

#define FMT_HEADER_ONLY
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "kernels/base/error.hpp"
#include "tools/program.hpp"

namespace strata::bench {

namespace {

// Removes a run, whatever happened to it.
class RunDirectory {
 public:
  explicit RunDirectory(const fs::path& path) : path_(path) {}
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;
  ~RunDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

 private:
  const fs::path& path_;
};

std::string without_name(const std::string& line) {
  const std::string name = "strata-train: ";
  return line.starts_with(name) ? line.substr(name.size()) : line;
}

ExitStatus status_of(int status) {
  const bool known = status >= static_cast<int>(ExitStatus::usage) && status <= static_cast<int>(ExitStatus::damaged);
  return known ? static_cast<ExitStatus>(status) : ExitStatus::internal;
}

void require_done(const ChildResult& result, const std::string& what) {
  if (result.status == 0) return;
  const std::string end = result.status > 128 ? fmt::format("was ended by signal {}", result.status - 128)
                                              : fmt::format("ended with status {}", result.status);
  const std::string said = result.last_error.empty() ? "it said nothing" : without_name(result.last_error);
  throw Error(status_of(result.status), fmt::format("strata-train {} {}: {}", what, end, said));
}

// "  budget that keeps everything      55.0 MiB", "  least budget   4.2 MiB  4448348 bytes": whole bytes where the line
// has them, else the rounded figure with its last digit made larger by half. 0: no such line.
std::uint64_t explained_bytes(const std::string& text, const std::string& label) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos || line.compare(begin, label.size(), label) != 0) continue;
    std::istringstream in(line.substr(begin + label.size()));
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    if (words.size() < 2) continue;
    const bool exact = words.size() >= 4 && words[3].starts_with("bytes");
    if (exact) return parse_size(words[2]);
    if (words[1] == "B") return parse_size(words[0]);
    return static_cast<std::uint64_t>((std::stod(words[0]) + 0.05) * static_cast<double>(parse_size("1" + words[1])));
  }
  return 0;
}

}  // namespace

WorkDirectory::WorkDirectory(const fs::path& parent) {
  std::string name = (fs::absolute(parent) / "strata-bench-budget-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw_system_error(errno, name, "make the directory");
  path_ = name;
}

WorkDirectory::~WorkDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

TrainPlan parse_explain(const std::string& text) {
  const TrainPlan plan{explained_bytes(text, "least budget"), explained_bytes(text, "budget that keeps everything")};
  if (plan.least == 0 || plan.everything == 0) {
    throw Error(ExitStatus::internal,
                "strata-train --explain does not say which budgets it needs; is it of the same version?");
  }
  return plan;
}

TrainRunner::TrainRunner(fs::path store, std::vector<std::string> words, const fs::path& work,
                         const CgroupMaker& cgroups)
    : store_(std::move(store)), run_(work / "run"), words_(std::move(words)), cgroups_(cgroups) {
  program_ = fs::read_symlink("/proc/self/exe").parent_path() / "strata-train";
  if (::access(program_.c_str(), X_OK) != 0) {
    throw InputError(program_.string(), "", "no such program; build strata-train beside strata-bench");
  }
}

std::vector<std::string> TrainRunner::command(const std::vector<std::string>& more) const {
  std::vector<std::string> all{program_.string(), "--store", store_.string(), "--run", run_.string()};
  all.insert(all.end(), words_.begin(), words_.end());
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TrainPlan TrainRunner::plan(std::uint64_t budget) {
  const RunDirectory removed(run_);
  std::vector<std::string> more{"--explain"};
  if (budget > 0) more.insert(more.end(), {"--host-memory", std::to_string(budget)});
  const ChildResult result = run_child(command(more));
  require_done(result, "--explain");
  return parse_explain(result.output);
}

// What an earlier trial left in the page cache would be a gift to the next one, and no charge to its cgroup.
void TrainRunner::evict_store() const {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(store_)) {
    if (!entry.is_regular_file()) continue;
    const File file(entry.path(), File::Mode::read);
    ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

ChildResult TrainRunner::run_limited(BudgetTrial& trial, bool& out_of_memory) {
  const auto words = command({"--host-memory", std::to_string(trial.budget), "--quiet"});
  if (!cgroups_.enforcing()) return run_child(words);
  trial.limit_bytes = trial.budget + kLimitMargin;
  const std::string name = fmt::format("strata-bench-{}-trial-{}", ::getpid(), trial.order);
  const MemoryCgroup cgroup(cgroups_.parent(), name, *trial.limit_bytes);
  ChildResult result = run_child(words, cgroup.join_descriptor());
  trial.cgroup_peak_bytes = cgroup.peak_bytes();
  out_of_memory = cgroup.out_of_memory();
  return result;
}

void TrainRunner::run(BudgetTrial& trial) {
  const RunDirectory removed(run_);
  evict_store();
  bool out_of_memory = false;
  const ChildResult result = run_limited(trial, out_of_memory);
  if (out_of_memory) {
    throw ResourceError(
        fmt::format("strata-train with --host-memory {} was ended by the kernel: it needed more than "
                    "its budget and {} (use --enforce off to see how much)",
                    trial.budget, format_bytes(kLimitMargin)));
  }
  require_done(result, fmt::format("with --host-memory {}", trial.budget));
  trial.process_seconds = result.seconds;
  trial.disk_read_bytes = result.disk_read_bytes;
  trial.disk_write_bytes = result.disk_write_bytes;
  read_run(run_, trial);
}

}  // namespace strata::bench
