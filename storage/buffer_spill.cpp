// The disk side of scratch stores: one file a store in the cache directory.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "kernels/base/error.hpp"
#include "storage/buffer_state.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

void allocate(const File& file, std::uint64_t bytes) {
  failpoint("allocate", file.path());
  int result = 0;
  do {
    result = ::fallocate(file.descriptor(), 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EOPNOTSUPP) {
    throw_system_error(errno, file.path().string(), "take " + format_bytes(bytes) + " of disk space");
  }
  if (result != 0) file.truncate(bytes);
}

}  // namespace

SpillFile::~SpillFile() {
  if (!file_.is_open()) return;
  std::error_code ignored;
  std::filesystem::remove(file_.path(), ignored);
  directory_->give_back(bytes_);
}

void SpillFile::ensure(const std::string& name, const RowShape& shape, SpillDirectory& directory) {
  const std::lock_guard lock(mutex_);
  if (file_.is_open()) return;
  const std::uint64_t bytes = shape.total_slot_bytes();
  directory.take(bytes, name);
  const std::filesystem::path path = directory.new_file_path(name);
  try {
    File file(path, File::Mode::create, true);
    allocate(file, bytes);
    file_ = std::move(file);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    directory.give_back(bytes);
    throw;
  }
  directory_ = &directory;
  bytes_ = bytes;
}

// All chunks but the last have full tiles, all panels but the last have one width.
std::uint64_t SpillFile::offset(const RowShape& shape, std::size_t tile) {
  const std::size_t last = shape.panels() - 1;
  const std::size_t chunk = tile / shape.panels(), panel = tile % shape.panels();
  const std::uint64_t before_chunk = chunk == 0 ? 0 : chunk * (last * shape.tile_slot(0, 0) + shape.tile_slot(0, last));
  return before_chunk + panel * shape.tile_slot(chunk, 0);
}

void SpillFile::check(const RowShape& shape, std::size_t tile, std::uint64_t expected,
                      std::span<const std::byte> content, std::uint64_t offset, std::size_t moved) const {
  const std::size_t chunk = tile / shape.panels(), panel = tile % shape.panels();
  if (!file_.is_direct()) {
    ::posix_fadvise(file_.descriptor(), static_cast<off_t>(offset), static_cast<off_t>(moved), POSIX_FADV_DONTNEED);
  }
  const std::uint64_t found = checksum(content);
  if (found != expected) {
    throw DamagedError(file_.path().string(), "chunk " + std::to_string(chunk) + ", panel " + std::to_string(panel),
                       "checksum " + checksum_text(expected), checksum_text(found));
  }
}

void SpillDirectory::take(std::uint64_t bytes, const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (bytes > limit_ - used_) {
    throw ResourceError("not enough disk space for " + name + ": wanted " + format_bytes(bytes) + ", in use " +
                            format_bytes(used_) + " of a limit of " + format_bytes(limit_) + "; at least " +
                            format_bytes(used_ + bytes) + " would be needed here",
                        used_ + bytes);
  }
  std::error_code error;
  created_ |= std::filesystem::create_directories(path_, error);
  if (error) throw_system_error(error.value(), path_.string(), "create the cache directory");
  const std::uint64_t available = free_disk_bytes(path_);
  if (bytes > available) {
    throw ResourceError(path_.string() + ": not enough disk space for " + name + ": wanted " + format_bytes(bytes) +
                            ", free " + format_bytes(available),
                        used_ + bytes);
  }
  used_ += bytes;
}

void SpillDirectory::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
}

std::filesystem::path SpillDirectory::new_file_path(const std::string& name) const {
  static std::atomic<unsigned> count{0};
  std::string safe = name;
  for (char& c : safe) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!plain) c = '-';
  }
  return path_ / ("strata-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + "-" + safe + ".scratch");
}

SpillDirectory::~SpillDirectory() {
  std::error_code ignored;
  if (created_) std::filesystem::remove(path_, ignored);  // fails when it is not empty
}

}  // namespace strata
