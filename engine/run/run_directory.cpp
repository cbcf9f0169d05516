#include "engine/run/run_directory.hpp"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

constexpr std::array<const char*, 13> kEntries = {"metrics.jsonl",
                                                  "summary.json",
                                                  "model.safetensors",
                                                  "predictions.npy",
                                                  "prediction_ids.npy",
                                                  "ogb_predictions.npz",
                                                  "y_pred_mag240m.npz",
                                                  "y_pred_mag240m_test-dev.npz",
                                                  "y_pred_mag240m_test-challenge.npz",
                                                  "embeddings.npy",
                                                  "embedding_ids.npy",
                                                  "steps",
                                                  "checkpoint"};

// True when it was not there.
bool make_directory(const fs::path& path) {
  std::error_code error;
  const bool created = fs::create_directories(path, error);
  if (error) throw_system_error(error.value(), path.string(), "create the directory");
  if (!fs::is_directory(path)) throw UsageError(path.string() + ": is not a directory; choose another --run");
  return created;
}

bool is_partial(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') && name.ends_with(".partial");
}

}  // namespace

bool RunDirectory::holds_run(const fs::path& path) {
  for (const char* entry : kEntries) {
    if (fs::exists(path / entry)) return true;
  }
  return false;
}

RunDirectory::RunDirectory(const fs::path& path, Start start) : path_(path) {
  created_ = make_directory(path);
  lock_ = DirectoryLock(path, DirectoryLock::Kind::exclusive);
  if (start == Start::fresh && holds_run(path)) {
    throw UsageError(path.string() +
                     ": holds a run; continue it with --resume, replace it with --force, or choose another");
  }
  if (start == Start::replace) clear();
  remove_partial_files();
}

RunDirectory::~RunDirectory() {
  if (!created_ || holds_run(path_)) return;
  std::error_code ignored;
  fs::remove(path_ / ".lock", ignored);
  fs::remove(path_, ignored);  // fails when it is not empty
}

fs::path RunDirectory::step(std::uint64_t step) const {
  return path_ / "steps" / fmt::format("{:06}.safetensors", step);
}

void RunDirectory::clear() const {
  for (const char* entry : kEntries) {
    std::error_code error;
    fs::remove_all(path_ / entry, error);
    if (error) throw_system_error(error.value(), (path_ / entry).string(), "remove");
  }
  sync_directory(path_);
}

// What a killed process was writing; nobody else writes here now.
void RunDirectory::remove_partial_files() const {
  std::vector<fs::path> found;
  for (const fs::path& folder : {path_, path_ / "steps", path_ / "checkpoint"}) {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
      if (is_partial(entry.path())) found.push_back(entry.path());
    }
  }
  for (const fs::path& path : found) {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
}

}  // namespace strata
