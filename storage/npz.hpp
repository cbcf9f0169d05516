// Zip archives, and so NumPy's .npz: members stored or deflated, zip64. Read-only.
// PKWARE APPNOTE 6.3.9. Encrypted and multi-disk archives are refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/byte_source.hpp"
#include "storage/npy.hpp"

namespace strata {

class File;

struct ZipMember {
  std::string name;                   // as stored: "edge_index.npy"
  std::uint64_t size = 0;             // bytes when inflated, by the directory
  std::uint64_t compressed_size = 0;  // bytes in the archive
  std::uint64_t header_offset = 0;    // of its local header
  std::uint32_t crc32 = 0;
  std::uint16_t method = 0;  // 0 stored, 8 deflated
  std::uint16_t flags = 0;
};

// Opening reads and checks the central directory. Sources stay valid after the archive object is gone; several may be
// open at once, also on one member.
class NpzArchive {
 public:
  explicit NpzArchive(const std::filesystem::path& path);

  [[nodiscard]] const std::vector<ZipMember>& members() const { return members_; }  // in directory order
  [[nodiscard]] const std::string& path() const { return path_; }
  // The member of that very name, or null.
  [[nodiscard]] const ZipMember* find(std::string_view name) const;
  // Whether np.load(path) would have this key.
  [[nodiscard]] bool has_array(std::string_view key) const { return find(std::string(key) + ".npy") != nullptr; }

  // The member's bytes, inflated. A source that was read to its end has checked size and CRC-32. InputError: no such
  // member, a local header that contradicts the directory, or damaged data.
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view name) const;
  [[nodiscard]] NpyReader open_array(std::string_view key) const { return NpyReader(open(std::string(key) + ".npy")); }

 private:
  // Where the data of `member` start, behind its checked local header.
  [[nodiscard]] std::uint64_t data_offset(const ZipMember& member) const;

  std::string path_;
  std::shared_ptr<const File> file_;    // shared with the sources opened from it
  std::uint64_t directory_offset_ = 0;  // members end before it
  std::vector<ZipMember> members_;
};

}  // namespace strata
