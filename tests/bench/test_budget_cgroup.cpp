// Memory cgroups, on folders that look like them: nothing here touches the machine's own.
#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>

#include "bench/budget_cgroup.hpp"
#include "kernels/base/error.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

using namespace strata::bench;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

std::string mount_line(const std::string& root, const fs::path& point, const std::string& type,
                       const std::string& options) {
  return "36 35 0:30 " + root + " " + point.string() + " rw,relatime shared:1 - " + type + " source " + options + "\n";
}

TEST_CASE("memory cgroup: version 2, where it has the controller") {
  const TempDir root;
  fs::create_directories(root / "user/app");
  write(root / "user/app/cgroup.controllers", "cpu memory pids\n");
  const std::string mounts = mount_line("/", "/proc", "proc", "rw") + mount_line("/", root.path(), "cgroup2", "rw");
  const CgroupPlace place = find_memory_cgroup("0::/user/app\n", mounts);
  CHECK(place.version == 2);
  CHECK(place.name == "/user/app");
  CHECK(place.directory == root / "user/app");
  write(root / "user/app/cgroup.controllers", "cpu pids\n");
  CHECK(find_memory_cgroup("0::/user/app\n", mounts).reason == "the cgroup /user/app has no memory controller");
  CHECK(find_memory_cgroup("0::/elsewhere\n", mounts).version == 0);
  CHECK(find_memory_cgroup("0::/user/app\n", "").reason == "no memory cgroup is mounted");
  CHECK(find_memory_cgroup("", mounts).version == 0);
  // A mount that shows only what is below a cgroup.
  const std::string part = mount_line("/outer", root.path(), "cgroup2", "rw");
  write(root / "user/app/cgroup.controllers", "memory\n");
  CHECK(find_memory_cgroup("0::/outer/user/app\n", part).directory == root / "user/app");
  CHECK(find_memory_cgroup("0::/user/app\n", part).version == 0);
}

TEST_CASE("memory cgroup: version 1 wins where it has the controller") {
  const TempDir root;
  fs::create_directories(root / "memory/job");
  fs::create_directories(root / "unified");
  const std::string mounts = mount_line("/", root / "unified", "cgroup2", "rw") +
                             mount_line("/", root / "cpu", "cgroup", "rw,cpu") +
                             mount_line("/", root / "memory", "cgroup", "rw,memory");
  const CgroupPlace place = find_memory_cgroup("5:cpu:/\n4:hugetlb,memory:/job\n0::/\n", mounts);
  CHECK(place.version == 1);
  CHECK(place.directory == root / "memory/job");
}

TEST_CASE("memory cgroup: limits without swap, peaks and ends") {
  const TempDir two, one;
  const auto first_line = [](const fs::path& file) {
    std::string line;
    std::getline(std::ifstream(file) >> std::ws, line);
    return line;
  };
  write(two / "memory.max", "");
  write(two / "memory.swap.max", "");
  limit_cgroup(2, two.path(), 12345);
  CHECK(first_line(two / "memory.max") == "12345");
  CHECK(first_line(two / "memory.swap.max") == "0");
  CHECK(!cgroup_peak(2, two.path()).has_value());
  write(two / "memory.peak", "777\n");
  CHECK(cgroup_peak(2, two.path()) == 777);
  CHECK(!cgroup_out_of_memory(2, two.path()));
  write(two / "memory.events", "low 0\noom 1\noom_kill 0\n");
  CHECK(!cgroup_out_of_memory(2, two.path()));
  write(two / "memory.events", "low 0\noom 1\noom_kill 2\n");
  CHECK(cgroup_out_of_memory(2, two.path()));

  write(one / "memory.limit_in_bytes", "");
  write(one / "memory.swappiness", "");
  limit_cgroup(1, one.path(), 9);
  CHECK(first_line(one / "memory.limit_in_bytes") == "9");
  CHECK(first_line(one / "memory.swappiness") == "0");
  write(one / "memory.memsw.limit_in_bytes", "");
  limit_cgroup(1, one.path(), 9);
  CHECK(first_line(one / "memory.memsw.limit_in_bytes") == "9");
  write(one / "memory.max_usage_in_bytes", "8\n");
  CHECK(cgroup_peak(1, one.path()) == 8);
  write(one / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  CHECK(cgroup_out_of_memory(1, one.path()));
}

TEST_CASE("memory cgroup: what is none is refused, and nothing remains of the attempt") {
  const TempDir root;
  const CgroupPlace top{1, "/", root.path(), {}};
  CHECK_THROWS_AS(MemoryCgroup(top, "trial", 1), InputError);
  CHECK(fs::is_empty(root.path()));
  const CgroupMaker automatic(Enforce::automatic, top);
  CHECK(!automatic.enforcing());
  CHECK(automatic.reason().find("memory.limit_in_bytes") != std::string::npos);
  CHECK_THROWS_AS(CgroupMaker(Enforce::required, top), UsageError);
  CHECK(fs::is_empty(root.path()));
}

TEST_CASE("memory cgroup: only one that is delegated is used unasked") {
  const TempDir root;
  const CgroupPlace managed{1, "/manager/job", root.path(), {}};
  if (::geteuid() == 0) {
    CHECK(CgroupMaker(Enforce::automatic, managed).reason().find("is not delegated") != std::string::npos);
  } else {
    MESSAGE("not root: every folder of this user counts as delegated");
  }
  CHECK(CgroupMaker(Enforce::off, managed).reason() == "--enforce off");
  CHECK(CgroupMaker(Enforce::automatic, {0, "", {}, "none here"}).reason() == "none here");
  CHECK_THROWS_WITH_AS(CgroupMaker(Enforce::required, {0, "", {}, "none here"}), "--enforce cgroup: none here",
                       UsageError);
}

TEST_CASE("memory cgroup: version 2 is left as it was when its controller cannot be passed on") {
  const TempDir root;
  write(root / "cgroup.type", "domain\n");
  write(root / "cgroup.subtree_control", "");
  const CgroupMaker maker(Enforce::automatic, {2, "/", root.path(), {}});
  CHECK(!maker.enforcing());
  std::size_t folders = 0;
  for (const auto& entry : fs::directory_iterator(root.path())) folders += entry.is_directory() ? 1 : 0;
  CHECK(folders == 0);
}

}  // namespace
}  // namespace strata::test
