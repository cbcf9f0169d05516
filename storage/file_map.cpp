#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/file.hpp"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14; older C libraries lack the name
#endif

namespace strata {

namespace {
// Small enough that nobody waits long for the lock of the address space, and that a signal is seen soon.
constexpr std::uint64_t kPopulateWindow = std::uint64_t{2} << 20;

void unmap(const std::byte* data, std::size_t size) {
  if (data != nullptr) ::munmap(const_cast<std::byte*>(data), size);
}

// Kernels without MADV_POPULATE_READ: one read a page.
void touch(const std::byte* data, std::size_t size) {
  for (std::size_t at = 0; at < size; at += kBlockAlignment) {
    static_cast<void>(*static_cast<const volatile std::byte*>(data + at));
  }
}
}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const File file(path, File::Mode::read);
  const std::uint64_t size = file.size();
  if (size == 0) return;
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (memory == MAP_FAILED) throw_system_error(errno, path.string(), "map");
  data_ = static_cast<const std::byte*>(memory);
  size_ = size;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap(data_, size_);
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(data_, size_); }

void MappedFile::populate(std::uint64_t offset, std::uint64_t bytes) const {
  if (offset >= size_) return;
  const std::uint64_t end = bytes < size_ - offset ? offset + bytes : size_;
  std::uint64_t at = offset / kBlockAlignment * kBlockAlignment;
  while (at < end) {
    const std::uint64_t next = std::min(end, at / kPopulateWindow * kPopulateWindow + kPopulateWindow);
    populate_window(at, next - at);
    at = next;
  }
}

void MappedFile::populate_window(std::uint64_t offset, std::uint64_t bytes) const {
  int result = 0;
  do {
    result = ::madvise(const_cast<std::byte*>(data_ + offset), bytes, MADV_POPULATE_READ);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  if (errno == EINVAL || errno == ENOSYS) return touch(data_ + offset, bytes);
  const std::string where = "byte " + std::to_string(offset);
  if (errno == EFAULT) {  // where touching the page would be SIGBUS
    throw InputError(path_.string(), where, "cannot be read: the device failed or the file became shorter");
  }
  throw_system_error(errno, path_.string(), "read ahead at " + where);
}

void MappedFile::drop(std::uint64_t offset, std::uint64_t bytes) const {
  if (offset >= size_) return;
  const bool to_the_end = bytes >= size_ - offset;
  const std::uint64_t first = round_up(offset, kBlockAlignment);
  const std::uint64_t end =
      to_the_end ? round_up(size_, kBlockAlignment) : (offset + bytes) / kBlockAlignment * kBlockAlignment;
  if (first >= end) return;
  // Both are advice: where they fail the pages stay until the system wants them. The page cache keeps what is mapped.
  ::madvise(const_cast<std::byte*>(data_ + first), end - first, MADV_DONTNEED);
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const std::uint64_t length = to_the_end ? 0 : end - first;  // 0: to the end of the file
  ::posix_fadvise(fd, static_cast<off_t>(first), static_cast<off_t>(length), POSIX_FADV_DONTNEED);
  ::close(fd);
}

}  // namespace strata
