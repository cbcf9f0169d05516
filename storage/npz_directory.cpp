// The central directory of a zip archive: found from the end, read, and checked.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"
#include "storage/little_endian.hpp"
#include "storage/npz.hpp"

namespace strata {

namespace {

constexpr std::size_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kEntryBytes = 46;
constexpr std::uint64_t kMaxDirectoryBytes = std::uint64_t{1} << 26;

struct Directory {
  std::uint64_t offset = 0, bytes = 0, entries = 0;
  std::uint64_t end = 0;  // where the records behind it start
};

class DirectoryReader {
 public:
  explicit DirectoryReader(const ArchiveBytes& archive) : archive_(archive), file_size_(archive.size) {}

  Directory locate() const {
    if (file_size_ < kEndBytes) fail(0, "not a zip archive: too short");
    // The end record is followed by a comment of up to 65,535 bytes.
    const std::uint64_t tail_bytes = std::min<std::uint64_t>(file_size_, kEndBytes + UINT16_MAX);
    const std::uint64_t tail_offset = file_size_ - tail_bytes;
    const std::vector<std::byte> tail = read(tail_offset, tail_bytes);
    for (std::size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
      const std::byte* const end = tail.data() + at;
      if (load_le<std::uint32_t>(end) != 0x06054b50) continue;
      if (load_le<std::uint16_t>(end + 20) != tail.size() - at - kEndBytes) continue;
      return from_end_record(end, tail_offset + at);
    }
    fail(file_size_, "not a zip archive, or one cut short: there is no end record");
  }

  std::vector<ZipMember> members(const Directory& directory) const {
    const std::vector<std::byte> bytes = read(directory.offset, directory.bytes);
    std::vector<ZipMember> members;
    std::set<std::string> names;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::uint64_t where = directory.offset + at;
      const std::span<const std::byte> rest = std::span(bytes).subspan(at);
      if (rest.size() < kEntryBytes || load_le<std::uint32_t>(rest.data()) != 0x02014b50) {
        fail(where, "a damaged zip directory");
      }
      const std::size_t name = load_le<std::uint16_t>(&rest[28]), extra = load_le<std::uint16_t>(&rest[30]);
      const std::size_t entry = kEntryBytes + name + extra + load_le<std::uint16_t>(&rest[32]);
      if (rest.size() < entry) fail(where, "a damaged zip directory");
      members.push_back(member(rest.first(entry), name, extra, where));
      if (!names.insert(members.back().name).second) fail(where, "two members named " + members.back().name);
      at += entry;
    }
    if (members.size() != directory.entries) {
      fail(directory.end, "the zip directory holds " + std::to_string(members.size()) +
                              " entries, its end record says " + std::to_string(directory.entries));
    }
    return members;
  }

 private:
  [[noreturn]] void fail(std::uint64_t position, const std::string& what) const {
    throw InputError(archive_.path, "byte " + std::to_string(position), what);
  }

  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t bytes) const {
    std::vector<std::byte> result(static_cast<std::size_t>(bytes));
    if (bytes > 0) archive_.read_at(offset, result);
    return result;
  }

  Directory from_end_record(const std::byte* end, std::uint64_t end_offset) const {
    Directory directory{load_le<std::uint32_t>(end + 16), load_le<std::uint32_t>(end + 12),
                        load_le<std::uint16_t>(end + 10), end_offset};
    const std::uint16_t disk = load_le<std::uint16_t>(end + 4), first_disk = load_le<std::uint16_t>(end + 6);
    const bool zip64 = directory.offset == UINT32_MAX || directory.bytes == UINT32_MAX ||
                       directory.entries == UINT16_MAX || disk == UINT16_MAX;
    if (zip64 && !read_zip64(directory)) fail(end_offset, "a zip archive without its zip64 record");
    const bool several = disk != first_disk || (disk != 0 && disk != UINT16_MAX) ||
                         load_le<std::uint16_t>(end + 8) != load_le<std::uint16_t>(end + 10);
    if (several) fail(end_offset, "a zip archive of several disks");
    if (directory.bytes > directory.end || directory.offset > directory.end - directory.bytes) {
      fail(end_offset, "the zip directory does not fit the file: it is cut short or damaged");
    }
    if (directory.bytes > kMaxDirectoryBytes) {
      fail(end_offset, "a zip directory of " + format_bytes(directory.bytes) + " (at most " +
                           format_bytes(kMaxDirectoryBytes) + " is read)");
    }
    return directory;
  }

  // Replaces the fields by those of the zip64 record, when there is one.
  bool read_zip64(Directory& directory) const {
    if (directory.end < kLocatorBytes) return false;
    const std::uint64_t locator_offset = directory.end - kLocatorBytes;
    const std::vector<std::byte> locator = read(locator_offset, kLocatorBytes);
    if (load_le<std::uint32_t>(&locator[0]) != 0x07064b50) return false;
    const std::uint64_t offset = load_le<std::uint64_t>(&locator[8]);
    if (locator_offset < kEnd64Bytes || offset > locator_offset - kEnd64Bytes) return false;
    const std::vector<std::byte> record = read(offset, kEnd64Bytes);
    if (load_le<std::uint32_t>(&record[0]) != 0x06064b50) return false;
    if (load_le<std::uint32_t>(&record[16]) != 0 || load_le<std::uint32_t>(&record[20]) != 0) {
      fail(offset, "a zip archive of several disks");
    }
    directory = {load_le<std::uint64_t>(&record[48]), load_le<std::uint64_t>(&record[40]),
                 load_le<std::uint64_t>(&record[32]), offset};
    return true;
  }

  ZipMember member(std::span<const std::byte> entry, std::size_t name, std::size_t extra, std::uint64_t where) const {
    ZipMember result;
    result.flags = load_le<std::uint16_t>(&entry[8]);
    result.method = load_le<std::uint16_t>(&entry[10]);
    result.crc32 = load_le<std::uint32_t>(&entry[16]);
    result.compressed_size = load_le<std::uint32_t>(&entry[20]);
    result.size = load_le<std::uint32_t>(&entry[24]);
    result.header_offset = load_le<std::uint32_t>(&entry[42]);
    result.name.assign(reinterpret_cast<const char*>(entry.data()) + kEntryBytes, name);
    if (!apply_zip64_extra(entry.subspan(kEntryBytes + name, extra), result)) fail(where, "a damaged zip64 field");
    return result;
  }

  // Field 1 of the extra data holds, in this order, those of the three values that do not fit 32 bits.
  static bool apply_zip64_extra(std::span<const std::byte> extra, ZipMember& member) {
    std::uint64_t* const wide[] = {&member.size, &member.compressed_size, &member.header_offset};
    const bool needed = std::any_of(std::begin(wide), std::end(wide), [](auto* value) { return *value == UINT32_MAX; });
    while (needed && extra.size() >= 4) {
      const std::uint16_t id = load_le<std::uint16_t>(&extra[0]);
      const std::size_t bytes = load_le<std::uint16_t>(&extra[2]);
      if (extra.size() - 4 < bytes) return false;
      std::span<const std::byte> field = extra.subspan(4, bytes);
      extra = extra.subspan(4 + bytes);
      if (id != 1) continue;
      for (std::uint64_t* const value : wide) {
        if (*value != UINT32_MAX) continue;
        if (field.size() < 8) return false;
        *value = load_le<std::uint64_t>(field.data());
        field = field.subspan(8);
      }
      return true;
    }
    return !needed;
  }

  const ArchiveBytes& archive_;
  std::uint64_t file_size_;
};

ArchiveBytes whole_file(const std::filesystem::path& path) {
  auto file = std::make_shared<const File>(path, File::Mode::read);
  if (std::filesystem::is_directory(path)) throw InputError(path.string(), "", "is a directory, not a zip archive");
  const std::uint64_t size = file->size();
  return {std::move(file), 0, size, path.string()};
}

}  // namespace

void ArchiveBytes::read_at(std::uint64_t at, std::span<std::byte> to) const { file->read_at(offset + at, to); }

NpzArchive::NpzArchive(const std::filesystem::path& path) : NpzArchive(whole_file(path)) {}

NpzArchive::NpzArchive(ArchiveBytes bytes) : bytes_(std::move(bytes)) {
  const DirectoryReader reader(bytes_);
  const Directory directory = reader.locate();
  directory_offset_ = directory.offset;
  members_ = reader.members(directory);
}

}  // namespace strata
