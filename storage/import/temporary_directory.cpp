#include "storage/import/temporary_directory.hpp"

#include <system_error>

#include "kernels/base/error.hpp"

namespace strata {

TemporaryDirectory::TemporaryDirectory(const fs::path& parent, const fs::path& output) {
  fs::path target = fs::absolute(output).lexically_normal();
  if (target.filename().empty()) target = target.parent_path();
  const fs::path folder = parent.empty() ? target.parent_path() : parent;
  path_ = folder / ("." + target.filename().string() + ".convert-tmp");
  if (fs::exists(path_)) (void)path();  // a killed run's: cleared, and removed at the end
}

const fs::path& TemporaryDirectory::path() {
  if (made_) return path_;
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) throw_system_error(error.value(), path_.string(), "create the temporary directory");
  lock_ = DirectoryLock(path_, DirectoryLock::Kind::exclusive);
  made_ = true;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    if (entry.path().filename() != ".lock") fs::remove_all(entry.path());
  }
  return path_;
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!made_) return;
  std::error_code error;  // what cannot be removed is cleared by the next run
  fs::remove_all(path_, error);
}

}  // namespace strata
