// What the machine has and what this process took of it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace strata {

// Of the machine, or of the control group (version 2) the process runs in when that allows less.
[[nodiscard]] std::uint64_t usable_memory_bytes();
// The largest resident size so far (VmHWM), file-backed pages included.
[[nodiscard]] std::uint64_t peak_resident_bytes();
// Free space where `path` is or will be created.
[[nodiscard]] std::uint64_t free_bytes_for(const std::filesystem::path& path);

}  // namespace strata
