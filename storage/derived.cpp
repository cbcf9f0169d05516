#include "storage/derived.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "kernels/base/error.hpp"
#include "storage/store_files.hpp"
#include "storage/store_manifest.hpp"

namespace strata {

namespace {

const std::string& checked_key(const std::string& key) {
  const bool plain = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_';
  });
  if (!plain || key.empty() || key.front() == '.') throw UsageError("'" + key + "' is not the name of derived data");
  return key;
}

DerivedManifest read_manifest(const fs::path& directory) {
  const fs::path path = directory / kManifestName;
  return parse_derived_manifest(path, read_file(path));
}

// Everything below `directory`, relative, ascending: the manifest does not depend on the order the system lists it in.
std::vector<std::string> files_below(const fs::path& directory) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(directory).generic_string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool has_derived(const Store& store, const std::string& key) {
  const fs::path directory = store.derived_path(checked_key(key));
  if (!fs::exists(directory)) return false;
  for (const StoreFile& file : read_manifest(directory).files) check_described_file(directory, file);
  return true;
}

DerivedWriter::DerivedWriter(const Store& store, const std::string& key)
    : directory_(store.derived_path(checked_key(key))) {}

void DerivedWriter::finish(const std::string& about) {
  std::vector<StoreFile> files;
  for (const std::string& name : files_below(path())) files.push_back(describe_file(path(), name, ""));
  write_file_atomically(path() / kManifestName, derived_manifest_text(about, files));
  if (fs::exists(directory_.final_path())) return;
  directory_.publish();
}

std::vector<std::string> derived_keys(const fs::path& store) {
  std::vector<std::string> keys;
  const fs::path directory = store / "derived";
  if (!fs::is_directory(directory)) return keys;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name.front() != '.') keys.push_back(name);  // dots: being written or removed
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

DerivedInfo derived_info(const fs::path& store, const std::string& key) {
  const DerivedManifest manifest = read_manifest(store / "derived" / checked_key(key));
  DerivedInfo info{key, manifest.about, 0, manifest.files.size()};
  for (const StoreFile& file : manifest.files) info.bytes += file.bytes;
  return info;
}

void remove_derived(const fs::path& store, const std::string& key) {
  const DirectoryLock lock(store, DirectoryLock::Kind::exclusive);
  const fs::path directory = store / "derived" / checked_key(key);
  if (!fs::is_directory(directory)) throw InputError(directory.string(), "", "no such derived data");
  const fs::path removed = store / "derived" / ("." + key + ".removed");
  fs::remove_all(removed);
  failpoint("rename", removed);
  if (::rename(directory.c_str(), removed.c_str()) != 0) throw_system_error(errno, directory.string(), "rename");
  sync_directory(store / "derived");
  fs::remove_all(removed);
}

}  // namespace strata
