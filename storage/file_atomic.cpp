#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/file.hpp"

namespace strata {

namespace {

constexpr std::size_t kAppendBuffer = std::size_t{1} << 20;

fs::path without_trailing_slash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

fs::path partial_name(const fs::path& final_path) {
  return folder_of(final_path) / ("." + final_path.filename().string() + ".partial");
}

// False: someone else holds it.
bool try_lock(const File& file, int kind) {
  int result = 0;
  do {
    result = ::flock(file.descriptor(), kind | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return true;
  if (errno != EWOULDBLOCK) throw_system_error(errno, file.path().string(), "lock");
  return false;
}

// Whether `path` still names the open file: a lock on a file that was renamed or removed meanwhile protects nothing.
bool still_named(const File& file, const fs::path& path) {
  struct stat opened {
  }, named{};
  if (::fstat(file.descriptor(), &opened) != 0 || ::stat(path.c_str(), &named) != 0) return false;
  return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

[[noreturn]] void throw_being_written(const fs::path& final_path) {
  throw UsageError(final_path.string() + ": is being written by another process; wait for it or choose another place");
}

// Opens and locks the temporary file or directory, whoever may be renaming or removing it at the same time.
template <class Open>
File open_locked(const fs::path& temporary, const fs::path& final_path, Open&& open) {
  for (;;) {
    File file = open();
    if (!try_lock(file, LOCK_EX)) throw_being_written(final_path);
    if (still_named(file, temporary)) return file;
  }
}

void rename_path(const fs::path& from, const fs::path& to) {
  failpoint("rename", to);
  if (::rename(from.c_str(), to.c_str()) != 0) throw_system_error(errno, to.string(), "rename to");
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

long rename2(const fs::path& from, const fs::path& to, unsigned flags) {
  return ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& final_path) : final_path_(final_path) {
  const fs::path temporary = partial_name(final_path);
  file_ = open_locked(temporary, final_path, [&] { return File(temporary, File::Mode::update); });
  file_.truncate(0);
  buffer_.reserve(kAppendBuffer);
}

AtomicFile::~AtomicFile() {
  if (!committed_ && file_.is_open()) remove_quietly(file_.path());
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kAppendBuffer) flush();
  if (bytes.size() >= kAppendBuffer) {
    file_.write_at(position_, bytes);
  } else {
    buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  position_ += bytes.size();
}

void AtomicFile::append(std::string_view text) { append(std::as_bytes(std::span(text))); }

void AtomicFile::flush() {
  if (buffer_.empty()) return;
  const std::uint64_t start = position_ - buffer_.size();
  file_.write_at(start, std::as_bytes(std::span(buffer_)));
  // Start the disk on it now, so that commit() does not wait for all of it at once.
  ::sync_file_range(file_.descriptor(), static_cast<off_t>(start), static_cast<off_t>(buffer_.size()),
                    SYNC_FILE_RANGE_WRITE);
  buffer_.clear();
}

void AtomicFile::patch(std::uint64_t offset, std::span<const std::byte> bytes) {
  STRATA_ASSERT(offset + bytes.size() <= position_);
  flush();
  file_.write_at(offset, bytes);
}

void AtomicFile::commit() {
  STRATA_ASSERT(!committed_);
  flush();
  file_.sync();
  rename_path(file_.path(), final_path_);
  committed_ = true;
  file_.close();
  sync_directory(folder_of(final_path_));
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.append(content);
  file.commit();
}

void sync_directory(const fs::path& path) {
  const File directory(path, File::Mode::read);
  directory.sync();
}

AtomicDirectory::AtomicDirectory(const fs::path& final_path)
    : final_path_(without_trailing_slash(final_path)), temporary_(partial_name(final_path_)) {
  std::error_code failed;  // a store that cannot be written is an Error that callers can tell from others
  fs::create_directories(folder_of(final_path_), failed);
  if (failed) throw_system_error(failed.value(), folder_of(final_path_).string(), "create the directory");
  lock_ = open_locked(temporary_, final_path_, [&] {
    if (::mkdir(temporary_.c_str(), 0777) != 0 && errno != EEXIST) {
      throw_system_error(errno, temporary_.string(), "create the directory");
    }
    return File(temporary_, File::Mode::read);
  });
  for (const fs::directory_entry& left_over : fs::directory_iterator(temporary_)) fs::remove_all(left_over.path());
}

AtomicDirectory::~AtomicDirectory() {
  if (!published_) remove_quietly(temporary_);
}

void AtomicDirectory::publish(IfExists if_exists) {
  sync_directory(temporary_);
  failpoint("rename", final_path_);
  const bool exchange = if_exists == IfExists::replace && fs::exists(fs::symlink_status(final_path_));
  if (rename2(temporary_, final_path_, exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY) {
      throw UsageError(final_path_.string() + ": already exists; choose another place or pass --force");
    }
    if (errno != EINVAL && errno != ENOSYS) throw_system_error(errno, final_path_.string(), "rename to");
    // A file system without these flags: the name is vacant for a moment, never half written.
    if (exchange) {
      const fs::path aside = folder_of(final_path_) / ("." + final_path_.filename().string() + ".replaced");
      remove_quietly(aside);
      rename_path(final_path_, aside);
      rename_path(temporary_, final_path_);
      remove_quietly(aside);
    } else if (fs::exists(fs::symlink_status(final_path_))) {
      throw UsageError(final_path_.string() + ": already exists; choose another place or pass --force");
    } else {
      rename_path(temporary_, final_path_);
    }
  }
  published_ = true;
  sync_directory(folder_of(final_path_));
  if (exchange) remove_quietly(temporary_);
}

DirectoryLock::DirectoryLock(const fs::path& directory, Kind kind) {
  const fs::path path = directory / ".lock";
  try {
    file_ = File(path, File::Mode::update);
  } catch (const InputError&) {
    if (kind == Kind::exclusive || !fs::is_directory(directory)) throw;
    if (!fs::exists(path)) return;
    file_ = File(path, File::Mode::read);
  }
  if (!try_lock(file_, kind == Kind::exclusive ? LOCK_EX : LOCK_SH)) {
    throw UsageError(directory.string() + ": is in use by another process; wait for it or choose another place");
  }
}

}  // namespace strata
