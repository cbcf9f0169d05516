#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/file.hpp"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14; older C libraries lack the name
#endif

namespace strata {

namespace {
constexpr std::size_t kPopulateWindow = std::size_t{16} << 20;

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

MappedFile::MappedFile(const fs::path& path) {
  const File file(path, File::Mode::read);
  size_ = file.size();
  if (size_ == 0) return;
  void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    size_ = 0;
    throw_system_error(error, path.string(), "map");
  }
  data_ = static_cast<const std::byte*>(memory);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(data_, size_); }

void MappedFile::populate() const {
  for (std::size_t at = 0; at < size_; at += kPopulateWindow) {
    const std::size_t length = std::min(kPopulateWindow, size_ - at);
    int result = 0;
    do {
      result = ::madvise(const_cast<std::byte*>(data_ + at), length, MADV_POPULATE_READ);
    } while (result != 0 && errno == EINTR);
    if (result == 0) continue;
    if (errno != EINVAL && errno != ENOSYS) throw_system_error(errno, "mapped file", "read ahead");
    touch(data_ + at, length);
  }
}

void MappedFile::drop() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

void MappedFile::drop(std::size_t offset, std::size_t bytes) const {
  const std::size_t begin = round_up(offset, kBlockAlignment);
  const std::size_t end = (offset + bytes) / kBlockAlignment * kBlockAlignment;
  if (end > begin) ::madvise(const_cast<std::byte*>(data_ + begin), end - begin, MADV_DONTNEED);
}

}  // namespace strata
