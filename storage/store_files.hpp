// Files as manifests list them: what is recorded of a file, and whether the file still is what was recorded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "storage/store.hpp"

namespace strata {

// Reads what the manifest has to say about directory / file; the kind follows from the magic.
[[nodiscard]] StoreFile describe_file(const std::filesystem::path& directory, const std::string& file,
                                      const std::string& role);
// DamagedError naming file and block unless every byte is as recorded. on_bytes may be empty.
void verify_described_file(const std::filesystem::path& directory, const StoreFile& entry,
                           const std::function<void(std::uint64_t)>& on_bytes);
// Cheaper: DamagedError unless the file is there, has the recorded size, and (all but plain ones) the recorded header.
void check_described_file(const std::filesystem::path& directory, const StoreFile& entry);

// InputError unless the directory is there and holds a manifest.json.
void require_store(const std::filesystem::path& directory);

// Whether a name from a manifest stays below its directory.
[[nodiscard]] bool is_plain_relative(const std::string& file);

}  // namespace strata
