#include "engine/run/machine.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "storage/file.hpp"

namespace strata {

std::uint64_t usable_memory_bytes() {
  std::uint64_t bytes =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream limit("/sys/fs/cgroup/memory.max");
  std::uint64_t group_limit = 0;
  if (limit >> group_limit) bytes = std::min(bytes, group_limit);  // "max" is no number
  return bytes;
}

std::uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::uint64_t kibibytes = 0;
  while (status >> word) {
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

std::uint64_t free_bytes_for(const fs::path& path) {
  fs::path existing = fs::absolute(path);
  while (!fs::exists(existing) && existing.has_relative_path()) existing = existing.parent_path();
  return free_disk_bytes(existing);
}

}  // namespace strata
