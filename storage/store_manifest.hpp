// manifest.json of a store: its text, and what the text says (FORMAT.md, "Manifests").
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "storage/store.hpp"

namespace strata {

inline constexpr int kStoreFormatVersion = 2;  // 1: its shards are not read any more
// Of a store with a training graph: an older Strata, which would train on all edges, refuses it.
inline constexpr int kInductiveFormatVersion = 3;
inline constexpr const char* kManifestName = "manifest.json";

struct StoreManifest {
  StoreInfo info;  // total_bytes and the shards' and splits' sizes and checksums follow from `files`
  std::vector<StoreFile> files;
};

[[nodiscard]] int format_version_of(const StoreInfo& info);
[[nodiscard]] std::string manifest_text(const StoreManifest& manifest);
// DamagedError: changed or contradictory. InputError: of a newer Strata, or of something that is no store.
[[nodiscard]] StoreManifest parse_manifest(const std::filesystem::path& path, const std::string& text);

// The manifest of derived data: `about` is a JSON object of the caller's, as text.
[[nodiscard]] std::string derived_manifest_text(const std::string& about, const std::vector<StoreFile>& files);
struct DerivedManifest {
  std::string about;
  std::vector<StoreFile> files;
};
[[nodiscard]] DerivedManifest parse_derived_manifest(const std::filesystem::path& path, const std::string& text);

[[nodiscard]] const char* task_name(Task task);  // "none", "multiclass", "multilabel"
// The first pair of facts that cannot both be true, in words; empty when there is none.
[[nodiscard]] std::string contradiction_in(const StoreInfo& info);

}  // namespace strata
