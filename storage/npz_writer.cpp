#include "storage/npz_writer.hpp"

#include <utility>

#include "kernels/base/error.hpp"
#include "storage/inflate.hpp"

namespace strata {

namespace {

constexpr std::uint64_t kCrcAt = 14;         // in a local header
constexpr std::uint16_t kFirstDay = 0x0021;  // 1980-01-01, which np.savez writes too
constexpr std::uint16_t kPlainVersion = 20, kZip64Version = 45;

// Little-endian fields one after the other.
class Record {
 public:
  Record& u16(std::uint64_t value) { return put(value, 2); }
  Record& u32(std::uint64_t value) { return put(value, 4); }
  Record& u64(std::uint64_t value) { return put(value, 8); }
  Record& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  Record& put(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xff);
    return *this;
  }
  std::string bytes_;
};

// Field 1 of the extra data with `values`; nothing for no values.
std::string zip64_extra(const std::vector<std::uint64_t>& values) {
  if (values.empty()) return {};
  Record extra;
  extra.u16(1).u16(8 * values.size());
  for (const std::uint64_t value : values) extra.u64(value);
  return extra.bytes();
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

NpzWriter::NpzWriter(const std::filesystem::path& path, std::uint64_t zip64_from)
    : file_(path), zip64_from_(zip64_from) {
  STRATA_ASSERT(zip64_from <= UINT32_MAX);
}

void NpzWriter::begin(std::string_view key, NpyType type, std::vector<std::uint64_t> shape) {
  end_member();
  NpyHeader header;
  header.shape = shape;
  const std::string prefix = npy_prefix(type, std::move(shape));
  Member member{std::string(key) + ".npy", prefix.size() + header.elements() * type.bytes, file_.position(), 0};
  const bool wide = member.size >= zip64_from_;
  const std::string extra = wide ? zip64_extra({member.size, member.size}) : "";
  const std::uint64_t size = wide ? UINT32_MAX : member.size;
  Record local;
  local.u32(0x04034b50).u16(wide ? kZip64Version : kPlainVersion).u16(0).u16(0).u16(0).u16(kFirstDay);
  local.u32(0).u32(size).u32(size).u16(member.name.size()).u16(extra.size()).text(member.name).text(extra);
  file_.append(local.bytes());
  type_ = type;
  remaining_ = member.size;
  members_.push_back(std::move(member));
  take(bytes_of(prefix));
}

void NpzWriter::append_raw(std::span<const std::byte> bytes, NpyType type) {
  STRATA_ASSERT(type == type_);
  take(bytes);
}

void NpzWriter::take(std::span<const std::byte> bytes) {
  STRATA_ASSERT(bytes.size() <= remaining_);
  remaining_ -= bytes.size();
  members_.back().crc32 = crc32_update(members_.back().crc32, bytes);
  file_.append(bytes);
}

// The local header's checksum is known only now.
void NpzWriter::end_member() {
  STRATA_ASSERT(remaining_ == 0);
  if (members_.empty()) return;
  Record crc;
  crc.u32(members_.back().crc32);
  file_.patch(members_.back().offset + kCrcAt, bytes_of(crc.bytes()));
}

void NpzWriter::append_entry(const Member& member) {
  const bool wide_size = member.size >= zip64_from_, wide_offset = member.offset >= zip64_from_;
  std::vector<std::uint64_t> wide;
  if (wide_size) wide.insert(wide.end(), 2, member.size);
  if (wide_offset) wide.push_back(member.offset);
  const std::string extra = zip64_extra(wide);
  const std::uint16_t version = wide.empty() ? kPlainVersion : kZip64Version;
  const std::uint64_t size = wide_size ? UINT32_MAX : member.size;
  Record entry;
  entry.u32(0x02014b50).u16(version).u16(version).u16(0).u16(0).u16(0).u16(kFirstDay);
  entry.u32(member.crc32).u32(size).u32(size).u16(member.name.size()).u16(extra.size());
  entry.u16(0).u16(0).u16(0).u32(0).u32(wide_offset ? UINT32_MAX : member.offset).text(member.name).text(extra);
  file_.append(entry.bytes());
}

void NpzWriter::append_end(std::uint64_t directory_offset) {
  const std::uint64_t end = file_.position(), bytes = end - directory_offset;
  const bool wide = directory_offset >= zip64_from_;
  Record record;
  if (wide) {
    record.u32(0x06064b50).u64(44).u16(kZip64Version).u16(kZip64Version).u32(0).u32(0);
    record.u64(members_.size()).u64(members_.size()).u64(bytes).u64(directory_offset);
    record.u32(0x07064b50).u32(0).u64(end).u32(1);
  }
  record.u32(0x06054b50).u16(0).u16(0).u16(members_.size()).u16(members_.size());
  record.u32(bytes).u32(wide ? UINT32_MAX : directory_offset).u16(0);
  file_.append(record.bytes());
}

void NpzWriter::commit() {
  end_member();
  STRATA_ASSERT(members_.size() < UINT16_MAX);
  const std::uint64_t directory_offset = file_.position();
  for (const Member& member : members_) append_entry(member);
  append_end(directory_offset);
  file_.commit();
}

}  // namespace strata
