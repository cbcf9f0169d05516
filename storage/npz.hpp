// Zip archives, and so NumPy's .npz: members stored or deflated, zip64. Read-only.
// PKWARE APPNOTE 6.3.9. Encrypted and multi-disk archives are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
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

// Where an archive lies: a whole file, or a stretch of one (an archive that is a stored member of another).
struct ArchiveBytes {
  std::shared_ptr<const File> file;
  std::uint64_t offset = 0, size = 0;
  std::string path;  // for messages: "set.zip/raw/data.npz" for a member

  void read_at(std::uint64_t at, std::span<std::byte> to) const;  // `at` from the start of the archive
};

// Opening reads and checks the central directory. Sources stay valid after the archive object is gone; several may be
// open at once, also on one member.
class NpzArchive {
 public:
  explicit NpzArchive(const std::filesystem::path& path);
  explicit NpzArchive(ArchiveBytes bytes);

  [[nodiscard]] const std::vector<ZipMember>& members() const { return members_; }  // in directory order
  [[nodiscard]] const std::string& path() const { return bytes_.path; }
  // The member of that very name, or null.
  [[nodiscard]] const ZipMember* find(std::string_view name) const;
  // Whether np.load(path) would have this key.
  [[nodiscard]] bool has_array(std::string_view key) const { return find(std::string(key) + ".npy") != nullptr; }

  // The member's bytes, inflated. A source that was read to its end has checked size and CRC-32. InputError: no such
  // member, a local header that contradicts the directory, or damaged data.
  [[nodiscard]] std::unique_ptr<ByteSource> open(std::string_view name) const;
  // Where a stored member lies, for reading it as an archive of its own; empty for a deflated one.
  [[nodiscard]] std::optional<ArchiveBytes> stored_bytes(std::string_view name) const;
  [[nodiscard]] NpyReader open_array(std::string_view key) const { return NpyReader(open(std::string(key) + ".npy")); }

 private:
  // The member of that name, checked to be one that can be read; InputError otherwise.
  [[nodiscard]] const ZipMember& readable(std::string_view name) const;
  // Where the data of `member` start in the archive, behind its checked local header.
  [[nodiscard]] std::uint64_t data_offset(const ZipMember& member) const;

  ArchiveBytes bytes_;                  // its file is shared with the sources opened from it
  std::uint64_t directory_offset_ = 0;  // members end before it
  std::vector<ZipMember> members_;
};

}  // namespace strata
