// The first page of every binary file Strata writes (FORMAT.md, "Header page"): magic, version, fields at fixed
// offsets, and a checksum over all of it. Fields are encoded one by one, little-endian.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>

#include "storage/file.hpp"

namespace strata {

static_assert(std::endian::native == std::endian::little, "sections are mapped as they are on disk: little-endian");

inline constexpr std::size_t kHeaderBytes = 4096;
inline constexpr std::string_view kShardMagic = "STRASHRD";
inline constexpr std::string_view kRowsMagic = "STRAROWS";
inline constexpr std::string_view kArrayMagic = "STRAARRY";

class FileHeader {
 public:
  FileHeader(std::string_view magic, std::uint32_t version);
  // DamagedError: too short, checksum, magic. InputError: a version above `newest` (written by a newer Strata) or below
  // `oldest` (by an older one).
  static FileHeader read(const File& file, std::string_view magic, std::uint32_t newest, std::uint32_t oldest = 1);
  static FileHeader parse(std::span<const std::byte> file, const fs::path& path, std::string_view magic,
                          std::uint32_t newest, std::uint32_t oldest = 1);

  template <class T>
  void put(std::size_t offset, T value) {
    std::memcpy(page_.data() + offset, &value, sizeof value);
  }
  template <class T>
  [[nodiscard]] T get(std::size_t offset) const {
    T value;
    std::memcpy(&value, page_.data() + offset, sizeof value);
    return value;
  }
  // Writes the checksum into the page and returns it. The last thing before the page is written.
  std::uint64_t seal();
  [[nodiscard]] std::uint64_t checksum() const;  // as stored
  [[nodiscard]] std::span<const std::byte> bytes() const { return page_; }

 private:
  FileHeader() = default;
  void check(const fs::path& path, std::string_view magic, std::uint32_t newest, std::uint32_t oldest) const;
  std::array<std::byte, kHeaderBytes> page_{};
};

// DamagedError unless the file has exactly this size.
void require_file_size(const fs::path& path, std::uint64_t expected, std::uint64_t found);
// DamagedError naming `block` unless the two checksums agree.
void require_checksum(const fs::path& path, const std::string& block, std::uint64_t expected, std::uint64_t found);
// DamagedError naming `block`: a number in a checksummed place contradicts another.
void require_field(const fs::path& path, const std::string& block, std::uint64_t expected, std::uint64_t found);

}  // namespace strata
