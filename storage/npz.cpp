#include "storage/npz.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"
#include "storage/inflate.hpp"
#include "storage/little_endian.hpp"

namespace strata {

namespace {

constexpr std::uint16_t kStored = 0, kDeflated = 8;
constexpr std::uint16_t kFlagEncrypted = 1 << 0, kFlagDescriptor = 1 << 3, kFlagMasked = 1 << 13;
constexpr std::size_t kLocalHeaderBytes = 30;
constexpr std::size_t kInputBytes = std::size_t{1} << 18;
// Deflate cannot do better than 258 bytes for two bits.
constexpr std::uint64_t kMaxRatio = 1032;

// A stretch of the archive as it lies there.
class RangeSource final : public ByteSource {
 public:
  RangeSource(ArchiveBytes archive, std::uint64_t offset, std::uint64_t bytes, std::string part)
      : archive_(std::move(archive)), part_(std::move(part)), offset_(offset), size_(bytes) {}
  std::size_t read(std::span<std::byte> to) override {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), size_ - position_));
    if (count > 0) archive_.read_at(offset_ + position_, to.first(count));
    position_ += count;
    return count;
  }
  std::optional<std::uint64_t> size() const override { return size_; }
  const std::string& path() const override { return archive_.path; }
  std::string part() const override { return part_; }

 private:
  ArchiveBytes archive_;
  std::string part_;
  std::uint64_t offset_, size_, position_ = 0;
};

// A member inflated; with its last byte, size and CRC-32 are compared with the directory's.
class MemberSource final : public ByteSource {
 public:
  MemberSource(const ArchiveBytes& archive, const ZipMember& member, std::uint64_t data_offset)
      : member_(member), raw_(archive, data_offset, member.compressed_size, "member " + member.name + " (compressed)") {
    if (member.method == kDeflated) {
      const std::uint64_t input = std::min<std::uint64_t>(kInputBytes, member.compressed_size + 1);
      inflater_ = std::make_unique<Inflater>(raw_, Inflater::Format::raw, static_cast<std::size_t>(input));
    }
  }
  std::size_t read(std::span<std::byte> to) override {
    const std::uint64_t left = member_.size - position_;
    const std::span<std::byte> wanted = to.first(static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), left)));
    const std::size_t got = inflater_ ? inflater_->read(wanted) : raw_.read(wanted);
    crc_ = crc32_update(crc_, wanted.first(got));
    position_ += got;
    if (got < wanted.size())
      fail(position_, "the member ends before the " + std::to_string(member_.size) + " bytes of the directory");
    if (position_ == member_.size && !checked_) check_end();
    return got;
  }
  std::optional<std::uint64_t> size() const override { return member_.size; }
  const std::string& path() const override { return raw_.path(); }
  std::string part() const override { return "member " + member_.name; }

 private:
  void check_end() {
    if (inflater_) {
      std::byte extra{};
      const bool more = inflater_->read({&extra, 1}) != 0;
      if (more || inflater_->consumed() != member_.compressed_size) {
        fail(position_, "the member does not end with the size in the directory");
      }
    }
    if (crc_ != member_.crc32) fail(position_, "the member's data do not match its CRC-32");
    checked_ = true;
  }

  ZipMember member_;
  RangeSource raw_;
  std::unique_ptr<Inflater> inflater_;  // null: stored
  std::uint64_t position_ = 0;
  std::uint32_t crc_ = 0;
  bool checked_ = false;
};

}  // namespace

const ZipMember* NpzArchive::find(std::string_view name) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const ZipMember& m) { return m.name == name; });
  return found == members_.end() ? nullptr : &*found;
}

const ZipMember& NpzArchive::readable(std::string_view name) const {
  const ZipMember* const member = find(name);
  if (member == nullptr) throw InputError(path(), "member " + std::string(name), "the archive has no such member");
  const auto require = [&](bool condition, const char* what) {
    if (!condition) throw InputError(path(), "member " + member->name, what);
  };
  require((member->flags & (kFlagEncrypted | kFlagMasked)) == 0, "the member is encrypted");
  require(member->method == kStored || member->method == kDeflated,
          "the member is neither stored nor deflated; write the archive with another compression");
  if (member->method == kStored) {
    require(member->size == member->compressed_size, "a stored member with two sizes");
  } else {
    require(member->size / kMaxRatio <= member->compressed_size, "the directory gives an impossible size");
  }
  return *member;
}

std::unique_ptr<ByteSource> NpzArchive::open(std::string_view name) const {
  const ZipMember& member = readable(name);
  return std::make_unique<MemberSource>(bytes_, member, data_offset(member));
}

std::optional<ArchiveBytes> NpzArchive::stored_bytes(std::string_view name) const {
  const ZipMember& member = readable(name);
  if (member.method != kStored) return std::nullopt;
  return ArchiveBytes{bytes_.file, bytes_.offset + data_offset(member), member.size, path() + "/" + member.name};
}

// Checks the local header against the directory's entry; the member's data follow it.
std::uint64_t NpzArchive::data_offset(const ZipMember& member) const {
  const auto require = [&](bool condition, const char* what) {
    if (!condition) {
      throw InputError(path(), "member " + member.name + ", byte " + std::to_string(member.header_offset), what);
    }
  };
  const std::uint64_t room = directory_offset_ - std::min(directory_offset_, member.header_offset);
  require(room >= kLocalHeaderBytes + member.name.size(), "the member starts behind the archive's data");
  std::vector<std::byte> header(kLocalHeaderBytes + member.name.size());
  bytes_.read_at(member.header_offset, header);
  require(load_le<std::uint32_t>(&header[0]) == 0x04034b50, "no local header here");
  const std::uint16_t flags = load_le<std::uint16_t>(&header[6]);
  const std::uint32_t crc = load_le<std::uint32_t>(&header[14]);
  const std::uint32_t compressed = load_le<std::uint32_t>(&header[18]);
  const std::uint32_t size = load_le<std::uint32_t>(&header[22]);
  const std::uint16_t name_bytes = load_le<std::uint16_t>(&header[26]);
  const std::uint64_t data = kLocalHeaderBytes + name_bytes + std::uint64_t{load_le<std::uint16_t>(&header[28])};
  require(load_le<std::uint16_t>(&header[8]) == member.method && flags == member.flags &&
              name_bytes == member.name.size() &&
              std::memcmp(&header[kLocalHeaderBytes], member.name.data(), name_bytes) == 0,
          "the local header contradicts the directory");
  if ((flags & kFlagDescriptor) == 0) {
    const auto agrees = [](std::uint32_t local, std::uint64_t full) { return local == UINT32_MAX || local == full; };
    require(crc == member.crc32 && agrees(compressed, member.compressed_size) && agrees(size, member.size),
            "the local header contradicts the directory");
  }
  require(room >= data && room - data >= member.compressed_size, "the member's data run into the directory");
  return member.header_offset + data;
}

}  // namespace strata
