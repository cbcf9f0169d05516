#include "storage/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/failpoint.hpp"

namespace strata {

namespace {

int open_flags(File::Mode mode) {
  switch (mode) {
    case File::Mode::read: return O_RDONLY;
    case File::Mode::read_write: return O_RDWR;
    case File::Mode::create: return O_RDWR | O_CREAT | O_TRUNC;
    case File::Mode::update: return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

int open_retrying(const fs::path& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

File::File(const fs::path& path, Mode mode, bool direct) : path_(path) {
  const int flags = open_flags(mode);
  if (direct) {
    fd_ = open_retrying(path, flags | O_DIRECT);
    direct_ = fd_ >= 0;
  }
  if (fd_ < 0) fd_ = open_retrying(path, flags);
  if (fd_ < 0) throw_system_error(errno, path.string(), mode == Mode::read ? "open" : "open for writing");
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), direct_(other.direct_) {}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
    direct_ = other.direct_;
  }
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

void File::read_at(std::uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    std::size_t count = to.size();
    const Fault fault = next_fault("read");
    if (fault == Fault::kill) kill_this_process();
    if (fault == Fault::short_count) count = shortened(count, direct_);
    const ssize_t got = fails(fault) ? -1 : ::pread(fd_, to.data(), count, static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw_system_error(errno, path_.string(), "read at byte " + std::to_string(offset));
    }
    const auto moved = static_cast<std::size_t>(got);
    if (got == 0 || (direct_ && moved < to.size() && moved % kBlockAlignment != 0)) {
      throw DamagedError(path_.string(), "byte " + std::to_string(offset), std::to_string(to.size()) + " more bytes",
                         "the end of the file");
    }
    offset += moved;
    to = to.subspan(moved);
  }
}

void File::write_at(std::uint64_t offset, std::span<const std::byte> from) const {
  while (!from.empty()) {
    std::size_t count = from.size();
    const Fault fault = next_fault("write");
    if (fault == Fault::short_count || fault == Fault::kill) count = shortened(count, direct_);
    const ssize_t put = fails(fault) ? -1 : ::pwrite(fd_, from.data(), count, static_cast<off_t>(offset));
    if (fault == Fault::kill) kill_this_process();
    if (put < 0) {
      if (errno == EINTR) continue;
      throw_system_error(errno, path_.string(), "write at byte " + std::to_string(offset));
    }
    offset += static_cast<std::uint64_t>(put);
    from = from.subspan(static_cast<std::size_t>(put));
  }
}

std::uint64_t File::size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) throw_system_error(errno, path_.string(), "get the size");
  return static_cast<std::uint64_t>(status.st_size);
}

void File::truncate(std::uint64_t bytes) const {
  int result = 0;
  do {
    result = ::ftruncate(fd_, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw_system_error(errno, path_.string(), "set the size");
}

void File::sync() const {
  failpoint("sync", path_);
  static const bool skipped = std::getenv("STRATA_SKIP_SYNC") != nullptr;
  if (skipped) return;
  int result = 0;
  do {
    result = ::fsync(fd_);
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw_system_error(errno, path_.string(), "sync");
}

void File::close() {
  if (fd_ < 0) return;
  const int result = ::close(std::exchange(fd_, -1));
  if (result != 0 && errno != EINTR) throw_system_error(errno, path_.string(), "close");
}

std::string read_file(const fs::path& path) {
  const File file(path, File::Mode::read);
  struct stat status {};
  if (::fstat(file.descriptor(), &status) == 0 && S_ISDIR(status.st_mode)) {
    throw InputError(path.string(), "", "is a directory, expected a file");
  }
  std::string content(file.size(), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(content)));
  return content;
}

std::uint64_t free_disk_bytes(const fs::path& directory) {
  fs::path existing = directory.empty() ? fs::path(".") : fs::absolute(directory);
  std::error_code ignored;
  while (!fs::exists(existing, ignored) && existing.has_parent_path() && existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  struct statvfs status {};
  if (::statvfs(existing.c_str(), &status) != 0) throw_system_error(errno, existing.string(), "get the free space");
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

}  // namespace strata
