// Writes NumPy's .npz: a zip archive whose stored members are .npy arrays, one after the other, each streamed. The same
// arrays give the same bytes. PKWARE APPNOTE 6.3.9; zip64 only where a size or an offset needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.hpp"
#include "storage/npy.hpp"

namespace strata {

class NpzWriter {
 public:
  // The file appears under its name with commit(). zip64_from: the first size and offset that go into zip64 fields
  // (tests lower it; at most UINT32_MAX).
  explicit NpzWriter(const std::filesystem::path& path, std::uint64_t zip64_from = UINT32_MAX);
  // Starts the array that np.load(path)[key] will be; the one before must be complete.
  void begin(std::string_view key, NpyType type, std::vector<std::uint64_t> shape);
  // The next elements of the array begun last, in C order.
  template <class T>
  void append(std::span<const T> values) {
    append_raw(std::as_bytes(values), npy_type<T>());
  }
  void append_raw(std::span<const std::byte> bytes, NpyType type);  // `type` must be the array's
  void commit();

 private:
  struct Member {
    std::string name;
    std::uint64_t size = 0, offset = 0;
    std::uint32_t crc32 = 0;
  };
  void take(std::span<const std::byte> bytes);
  void end_member();
  void append_entry(const Member& member);
  void append_end(std::uint64_t directory_offset);

  AtomicFile file_;
  const std::uint64_t zip64_from_;
  std::vector<Member> members_;
  NpyType type_;
  std::uint64_t remaining_ = 0;  // bytes of the array begun last
};

}  // namespace strata
