// STORE/derived/<key>: data computed from a store and kept for later runs (layer-1 aggregates, active sets, parts).
// Each key is a directory with its own manifest; it appears as a whole or not at all, and verify checks it like the
// rest of the store.
//
//   if (!has_derived(store, key)) {
//     DerivedWriter writer(store, key);
//     ... write files below writer.path() with AtomicFile, RowFileWriter, write_array ...
//     writer.finish(R"({"what": "first aggregate", "norm": "sym"})");
//   }
//   RowFileReader z(store.derived_path(key) / "z.rows", budget);
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/file.hpp"
#include "storage/store.hpp"

namespace strata {

// True when the key is there with a manifest that is whole and the files it lists with their sizes and headers;
// DamagedError when it is there and is not so.
[[nodiscard]] bool has_derived(const Store& store, const std::string& key);

class DerivedWriter {
 public:
  // UsageError when another process is computing the same key. key: letters, digits, '.', '-', '_', not starting with
  // '.'.
  DerivedWriter(const Store& store, const std::string& key);
  [[nodiscard]] const std::filesystem::path& path() const { return directory_.path(); }
  // about: a JSON object, as text (may be empty). If the key has appeared meanwhile, that one stays.
  void finish(const std::string& about);

 private:
  AtomicDirectory directory_;
};

struct DerivedInfo {
  std::string key;
  std::string about;  // JSON
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
};
[[nodiscard]] std::vector<std::string> derived_keys(const std::filesystem::path& store);  // ascending
[[nodiscard]] DerivedInfo derived_info(const std::filesystem::path& store, const std::string& key);
// The directory disappears as a whole. The store must not be in use (UsageError); InputError when there is no such key.
void remove_derived(const std::filesystem::path& store, const std::string& key);

}  // namespace strata
