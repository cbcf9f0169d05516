#include "storage/file_header.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kHeaderBytesAt = 12;
constexpr std::size_t kChecksumAt = kHeaderBytes - 8;

[[noreturn]] void throw_short(const fs::path& path, std::uint64_t size) {
  throw DamagedError(path.string(), "header", "at least " + std::to_string(kHeaderBytes) + " bytes",
                     std::to_string(size) + " bytes");
}

// Magic words are ASCII; anything else is shown in hex digits.
std::string shown(std::span<const std::byte> magic) {
  std::string text;
  for (const std::byte b : magic) {
    const auto c = static_cast<unsigned char>(b);
    if (c >= 32 && c < 127) {
      text += static_cast<char>(c);
    } else {
      text += "\\x" + checksum_text(c).substr(14);
    }
  }
  return text;
}

}  // namespace

FileHeader::FileHeader(std::string_view magic, std::uint32_t version) {
  STRATA_ASSERT(magic.size() == kMagicBytes);
  std::memcpy(page_.data(), magic.data(), kMagicBytes);
  put<std::uint32_t>(kVersionAt, version);
  put<std::uint32_t>(kHeaderBytesAt, kHeaderBytes);
}

FileHeader FileHeader::read(const File& file, std::string_view magic, std::uint32_t newest, std::uint32_t oldest) {
  const std::uint64_t size = file.size();
  if (size < kHeaderBytes) throw_short(file.path(), size);
  alignas(kBlockAlignment) std::array<std::byte, kHeaderBytes> page;  // aligned: the file may be open for direct I/O
  file.read_at(0, page);
  return parse(page, file.path(), magic, newest, oldest);
}

FileHeader FileHeader::parse(std::span<const std::byte> file, const fs::path& path, std::string_view magic,
                             std::uint32_t newest, std::uint32_t oldest) {
  if (file.size() < kHeaderBytes) throw_short(path, file.size());
  FileHeader header;
  std::copy_n(file.begin(), kHeaderBytes, header.page_.begin());
  header.check(path, magic, newest, oldest);
  return header;
}

void FileHeader::check(const fs::path& path, std::string_view magic, std::uint32_t newest, std::uint32_t oldest) const {
  const std::span<const std::byte> found = bytes().first(kMagicBytes);
  if (std::memcmp(found.data(), magic.data(), kMagicBytes) != 0) {
    throw DamagedError(path.string(), "header: magic", std::string(magic), shown(found));
  }
  require_checksum(path, "header", strata::checksum(bytes().first(kChecksumAt)), checksum());
  const auto version = get<std::uint32_t>(kVersionAt);
  if (version > newest) {
    throw InputError(path.string(), "header",
                     "format version " + std::to_string(version) + ", this build reads up to " +
                         std::to_string(newest) + "; use the Strata that wrote it");
  }
  if (version < oldest) {
    throw InputError(path.string(), "header",
                     "format version " + std::to_string(version) + " of an older Strata, this build reads from " +
                         std::to_string(oldest) + " on; convert the data set again");
  }
  require_field(path, "header: size", kHeaderBytes, get<std::uint32_t>(kHeaderBytesAt));
}

std::uint64_t FileHeader::seal() {
  put<std::uint64_t>(kChecksumAt, strata::checksum(bytes().first(kChecksumAt)));
  return checksum();
}

std::uint64_t FileHeader::checksum() const { return get<std::uint64_t>(kChecksumAt); }

void require_file_size(const fs::path& path, std::uint64_t expected, std::uint64_t found) {
  if (expected != found) {
    throw DamagedError(path.string(), "size", std::to_string(expected) + " bytes", std::to_string(found) + " bytes");
  }
}

void require_checksum(const fs::path& path, const std::string& block, std::uint64_t expected, std::uint64_t found) {
  if (expected != found) {
    throw DamagedError(path.string(), block, "checksum " + checksum_text(expected), checksum_text(found));
  }
}

void require_field(const fs::path& path, const std::string& block, std::uint64_t expected, std::uint64_t found) {
  if (expected != found) throw DamagedError(path.string(), block, std::to_string(expected), std::to_string(found));
}

}  // namespace strata
