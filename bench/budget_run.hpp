// Runs of strata-train for `strata-bench budget`: one after another, each in a directory of its own that goes again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/budget.hpp"
#include "bench/budget_cgroup.hpp"
#include "bench/budget_child.hpp"

namespace strata::bench {

// What a child may take beyond its budget before the kernel ends it: the program itself, its libraries and stacks.
inline constexpr std::uint64_t kLimitMargin = std::uint64_t{256} << 20;

// A directory with a name of its own below `parent`; removed with all that is in it.
class WorkDirectory {
 public:
  explicit WorkDirectory(const fs::path& parent);
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;
  ~WorkDirectory();
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct TrainPlan {
  std::uint64_t least = 0, everything = 0;  // bytes of budget
};
// From what strata-train --explain prints; Error where it says neither.
[[nodiscard]] TrainPlan parse_explain(const std::string& text);

class TrainRunner {
 public:
  // words: options of every run. InputError when there is no strata-train beside this program.
  TrainRunner(fs::path store, std::vector<std::string> words, const fs::path& work, const CgroupMaker& cgroups);
  // As strata-train sees it at that budget (reading ahead takes what there is); at its default when 0.
  [[nodiscard]] TrainPlan plan(std::uint64_t budget = 0);
  // trial: budget, round and order are given; the rest is filled in. Throws Error with the child's last line and the
  // child's exit status when it fails.
  void run(BudgetTrial& trial);

 private:
  [[nodiscard]] std::vector<std::string> command(const std::vector<std::string>& more) const;
  ChildResult run_limited(BudgetTrial& trial, bool& out_of_memory);
  void evict_store() const;
  fs::path program_, store_, run_;
  std::vector<std::string> words_;
  const CgroupMaker& cgroups_;
};

}  // namespace strata::bench
