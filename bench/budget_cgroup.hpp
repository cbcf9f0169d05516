// A limit on a child's memory that the kernel enforces: a memory cgroup of its own, version 2 or 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/file.hpp"

namespace strata::bench {

// The memory cgroup of a process.
struct CgroupPlace {
  int version = 0;     // 0: there is none, and `reason` says why
  std::string name;    // as the kernel writes it: "/user.slice/..."
  fs::path directory;  // where it can be reached
  std::string reason;
};

// From the texts of /proc/self/cgroup and /proc/self/mountinfo. Version 1 wins where its memory controller is mounted:
// version 2 has none then.
[[nodiscard]] CgroupPlace find_memory_cgroup(const std::string& cgroups, const std::string& mounts);
[[nodiscard]] CgroupPlace own_memory_cgroup();

// The files of one cgroup. Throws Error when the kernel refuses.
void limit_cgroup(int version, const fs::path& directory, std::uint64_t bytes);
[[nodiscard]] std::optional<std::uint64_t> cgroup_peak(int version, const fs::path& directory);  // empty: not told
[[nodiscard]] bool cgroup_out_of_memory(int version, const fs::path& directory);  // a process was ended for the limit

// One cgroup with a limit; the destructor removes it (its processes have ended by then).
class MemoryCgroup {
 public:
  // Throws filesystem_error or Error when the directory cannot be made or a limit not be set; nothing remains then.
  MemoryCgroup(const CgroupPlace& parent, const std::string& name, std::uint64_t limit_bytes);
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;
  ~MemoryCgroup();
  [[nodiscard]] int join_descriptor() const { return join_; }
  [[nodiscard]] std::optional<std::uint64_t> peak_bytes() const { return cgroup_peak(version_, directory_); }
  [[nodiscard]] bool out_of_memory() const { return cgroup_out_of_memory(version_, directory_); }

 private:
  int version_;
  fs::path directory_;
  int join_ = -1;
};

enum class Enforce { automatic, required, off };

// Whether cgroups can be made below this process's own, and what has to be arranged for it while this object lives.
//
// `automatic` makes them only where this program may be taken to rule: in the topmost cgroup it can see, in one that
// systemd delegated (user.delegate, trusted.delegate), or in one given to this user by its owner. Others belong to a
// manager that may count or remove what is in them; `required` uses them all the same, and throws UsageError where even
// that does not work.
class CgroupMaker {
 public:
  CgroupMaker(Enforce mode, const CgroupPlace& own);
  CgroupMaker(const CgroupMaker&) = delete;
  CgroupMaker& operator=(const CgroupMaker&) = delete;
  ~CgroupMaker();
  [[nodiscard]] bool enforcing() const { return reason_.empty(); }
  [[nodiscard]] const std::string& reason() const { return reason_; }  // why not; empty when enforcing
  [[nodiscard]] const CgroupPlace& parent() const { return parent_; }

 private:
  void prepare();
  void enable_memory_below();
  void restore() noexcept;
  CgroupPlace parent_;
  std::string reason_;
  fs::path leaf_;         // version 2: where this process moved to, since a cgroup with children holds no processes
  bool moved_ = false;    // this process is in leaf_
  bool enabled_ = false;  // version 2: the memory controller is on for children because of us
};

}  // namespace strata::bench
