#include "bench/budget_cgroup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "kernels/base/error.hpp"

namespace strata::bench {

namespace {

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool has_word(const std::string& text, const std::string& word, char separator) {
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) {
    if (!part.empty() && part.back() == '\n') part.pop_back();
    if (part == word) return true;
  }
  return false;
}

// One write, as the files of cgroups want it; they are there or not, never made.
void write_control(const fs::path& file, const std::string& value) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) throw_system_error(errno, file.string(), "open");
  const ssize_t written = ::write(descriptor, value.data(), value.size());
  const int error = errno;
  ::close(descriptor);
  if (written != static_cast<ssize_t>(value.size())) throw_system_error(error, file.string(), "write " + value + " to");
}

std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;
}

// Lines "name value".
std::uint64_t named_number_in(const fs::path& file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  for (std::uint64_t value = 0; in >> word >> value;) {
    if (word == name) return value;
  }
  return 0;
}

struct Mount {
  std::string root, point, type, options;  // options of the file system
};

// "36 35 98:0 ROOT POINT options [tags ...] - TYPE SOURCE OPTIONS", proc(5)
std::vector<Mount> parse_mounts(const std::string& text) {
  std::vector<Mount> mounts;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string skipped;
    Mount mount;
    words >> skipped >> skipped >> skipped >> mount.root >> mount.point;
    while (words >> skipped && skipped != "-") {
    }
    if (words >> mount.type >> skipped >> mount.options) mounts.push_back(mount);
  }
  return mounts;
}

// Of the cgroup `name` below a mount that shows what is below mount.root.
fs::path directory_of(const Mount& mount, const std::string& name) {
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (name.compare(0, root.size(), root) != 0) return {};
  const std::string below = name.substr(root.size());
  return below.empty() || below == "/" ? fs::path(mount.point) : fs::path(mount.point + below);
}

CgroupPlace placed(int version, const std::string& name, const Mount& mount) {
  const fs::path directory = directory_of(mount, name);
  if (directory.empty() || !fs::is_directory(directory)) {
    return {0, name, {}, "the memory cgroup " + name + " cannot be seen below " + mount.point};
  }
  return {version, name, directory, {}};
}

bool is_delegated(const CgroupPlace& place) {
  if (place.name == "/") return true;
  for (const char* attribute : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::getxattr(place.directory.c_str(), attribute, &value, 1) == 1 && value == '1') return true;
  }
  struct stat status {};
  return ::geteuid() != 0 && ::stat(place.directory.c_str(), &status) == 0 && status.st_uid == ::geteuid();
}

}  // namespace

CgroupPlace find_memory_cgroup(const std::string& cgroups, const std::string& mounts) {
  std::string first, second;  // names by version
  std::istringstream in(cgroups);
  for (std::string line; std::getline(in, line);) {
    const std::size_t a = line.find(':');
    const std::size_t b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    if (controllers.empty()) second = line.substr(b + 1);
    if (has_word(controllers, "memory", ',')) first = line.substr(b + 1);
  }
  const std::vector<Mount> all = parse_mounts(mounts);
  for (const Mount& mount : all) {
    if (!first.empty() && mount.type == "cgroup" && has_word(mount.options, "memory", ',')) {
      return placed(1, first, mount);
    }
  }
  for (const Mount& mount : all) {
    if (second.empty() || !first.empty() || mount.type != "cgroup2") continue;
    CgroupPlace place = placed(2, second, mount);
    if (place.version == 0 || has_word(text_of(place.directory / "cgroup.controllers"), "memory", ' ')) return place;
    return {0, second, {}, "the cgroup " + second + " has no memory controller"};
  }
  return {0, {}, {}, "no memory cgroup is mounted"};
}

CgroupPlace own_memory_cgroup() {
  return find_memory_cgroup(text_of("/proc/self/cgroup"), text_of("/proc/self/mountinfo"));
}

void limit_cgroup(int version, const fs::path& directory, std::uint64_t bytes) {
  const std::string text = std::to_string(bytes);
  if (version == 2) {
    write_control(directory / "memory.max", text);
    if (fs::exists(directory / "memory.swap.max")) write_control(directory / "memory.swap.max", "0");
    return;
  }
  write_control(directory / "memory.limit_in_bytes", text);
  // Memory and swap together; without this file swap is not accounted for, and the kernel is asked not to use it.
  const fs::path both = directory / "memory.memsw.limit_in_bytes";
  if (fs::exists(both)) {
    write_control(both, text);
  } else if (fs::exists(directory / "memory.swappiness")) {
    write_control(directory / "memory.swappiness", "0");
  }
}

std::optional<std::uint64_t> cgroup_peak(int version, const fs::path& directory) {
  return number_in(directory / (version == 2 ? "memory.peak" : "memory.max_usage_in_bytes"));
}

bool cgroup_out_of_memory(int version, const fs::path& directory) {
  return named_number_in(directory / (version == 2 ? "memory.events" : "memory.oom_control"), "oom_kill") > 0;
}

MemoryCgroup::MemoryCgroup(const CgroupPlace& parent, const std::string& name, std::uint64_t limit_bytes)
    : version_(parent.version), directory_(parent.directory / name) {
  fs::create_directory(directory_);
  try {
    limit_cgroup(version_, directory_, limit_bytes);
    join_ = ::open((directory_ / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    if (join_ < 0) throw_system_error(errno, (directory_ / "cgroup.procs").string(), "open");
  } catch (...) {
    ::rmdir(directory_.c_str());
    throw;
  }
}

MemoryCgroup::~MemoryCgroup() {
  if (join_ >= 0) ::close(join_);
  // An ended process leaves its cgroup a moment after it could be waited for.
  for (int attempt = 0; ::rmdir(directory_.c_str()) != 0 && errno == EBUSY && attempt < 100; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

CgroupMaker::CgroupMaker(Enforce mode, const CgroupPlace& own) : parent_(own) {
  if (mode == Enforce::off) {
    reason_ = "--enforce off";
    return;
  }
  reason_ = own.reason;
  if (reason_.empty() && mode == Enforce::automatic && !is_delegated(own)) {
    reason_ = "the memory cgroup " + own.name +
              " is not delegated to this program; start it in one that is (systemd-run --scope -p Delegate=yes ...) or "
              "insist with --enforce cgroup";
  }
  if (reason_.empty()) prepare();
  if (!reason_.empty() && mode == Enforce::required) throw UsageError("--enforce cgroup: " + reason_);
}

CgroupMaker::~CgroupMaker() { restore(); }

void CgroupMaker::prepare() {
  try {
    if (parent_.version == 2) enable_memory_below();
    const MemoryCgroup trial(parent_, "strata-bench-" + std::to_string(::getpid()) + "-try", 1u << 30);
  } catch (const std::exception& error) {
    reason_ = error.what();
    restore();
  }
}

void CgroupMaker::enable_memory_below() {
  const fs::path control = parent_.directory / "cgroup.subtree_control";
  if (has_word(text_of(control), "memory", ' ')) return;
  // A cgroup that has controllers on for its children may hold no processes, the topmost one excepted.
  if (fs::exists(parent_.directory / "cgroup.type")) {
    const fs::path leaf = parent_.directory / ("strata-bench-" + std::to_string(::getpid()));
    fs::create_directory(leaf);
    leaf_ = leaf;
    write_control(leaf / "cgroup.procs", "0");
    moved_ = true;
  }
  write_control(control, "+memory");
  enabled_ = true;
}

void CgroupMaker::restore() noexcept {
  try {
    if (enabled_) write_control(parent_.directory / "cgroup.subtree_control", "-memory");
    enabled_ = false;
    if (moved_) write_control(parent_.directory / "cgroup.procs", "0");
    moved_ = false;
  } catch (const std::exception&) {  // somebody else now needs the controller; the leaf stays, with this process in it
    return;
  }
  if (!leaf_.empty()) ::rmdir(leaf_.c_str());
  leaf_.clear();
}

}  // namespace strata::bench
