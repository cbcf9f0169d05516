#include "storage/store_files.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/array_file.hpp"
#include "storage/checksum.hpp"
#include "storage/file_header.hpp"
#include "storage/shard_layout.hpp"

namespace strata {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::uint32_t kAnyVersion = UINT32_MAX;  // what reads the content decides whether it can

struct HeaderKind {
  const char* kind;
  std::string_view magic;
};
constexpr std::array<HeaderKind, 3> kHeaderKinds = {
    {{"shard", kShardMagic}, {"rows", kRowsMagic}, {"array", kArrayMagic}}};

const HeaderKind* header_kind(const std::string& kind) {
  const auto* found =
      std::find_if(kHeaderKinds.begin(), kHeaderKinds.end(), [&](const HeaderKind& k) { return kind == k.kind; });
  return found == kHeaderKinds.end() ? nullptr : found;
}

std::uint64_t checksum_of_file(const File& file, std::uint64_t size,
                               const std::function<void(std::uint64_t)>& on_bytes) {
  ChecksumStream sum;
  std::vector<std::byte> piece(std::min<std::uint64_t>(kPiece, size));
  for (std::uint64_t at = 0; at < size; at += piece.size()) {
    const std::span to(piece.data(), std::min<std::uint64_t>(piece.size(), size - at));
    file.read_at(at, to);
    sum.update(to);
    if (on_bytes) on_bytes(to.size());
  }
  return sum.value();
}

File open_listed(const fs::path& path, std::uint64_t bytes) {
  std::error_code error;
  if (!fs::exists(path, error))
    throw DamagedError(path.string(), "file", std::to_string(bytes) + " bytes", "no such file");
  if (!fs::is_regular_file(path, error)) throw DamagedError(path.string(), "file", "a file", "something else");
  return {path, File::Mode::read};
}

// A shard is described by its own header, so it can be checked without the store it belongs to.
ShardInfo shard_info(const fs::path& directory, const StoreFile& entry) {
  using namespace shard_layout;
  const FileHeader header =
      FileHeader::read(File(directory / entry.file, File::Mode::read), kShardMagic, kVersion, kVersion);
  const std::size_t columns = kSectionTableAt + static_cast<std::size_t>(Section::columns) * kSectionEntryBytes;
  return {entry.file,
          static_cast<NodeId>(header.get<std::uint64_t>(kFirstRowAt)),
          static_cast<NodeId>(header.get<std::uint64_t>(kRowsAt)),
          header.get<std::uint64_t>(kEdgesAt),
          header.get<std::uint64_t>(kHaloAt),
          header.get<std::uint64_t>(kFileBytesAt),
          header.checksum(),
          header.get<std::uint64_t>(kLargestChunkAt),
          header.get<std::uint64_t>(columns + kBytesAt),
          header.get<std::uint32_t>(kColumnCodingAt) == 0 ? ColumnCoding::raw : ColumnCoding::gaps};
}

}  // namespace

StoreFile describe_file(const fs::path& directory, const std::string& file_name, const std::string& role) {
  const File file(directory / file_name, File::Mode::read);
  StoreFile entry{file_name, role, "plain", file.size(), 0};
  std::array<char, 8> magic{};
  if (entry.bytes >= kHeaderBytes) file.read_at(0, std::as_writable_bytes(std::span(magic)));
  for (const HeaderKind& known : kHeaderKinds) {
    if (std::string_view(magic.data(), magic.size()) != known.magic) continue;
    entry.kind = known.kind;
    entry.checksum = FileHeader::read(file, known.magic, kAnyVersion).checksum();
    return entry;
  }
  entry.checksum = checksum_of_file(file, entry.bytes, {});
  return entry;
}

void check_described_file(const fs::path& directory, const StoreFile& entry) {
  const fs::path path = directory / entry.file;
  const File file = open_listed(path, entry.bytes);
  require_file_size(path, entry.bytes, file.size());
  if (const HeaderKind* known = header_kind(entry.kind)) {
    require_checksum(path, "header (as the manifest has it)", entry.checksum,
                     FileHeader::read(file, known->magic, kAnyVersion).checksum());
  }
}

void verify_described_file(const fs::path& directory, const StoreFile& entry,
                           const std::function<void(std::uint64_t)>& on_bytes) {
  check_described_file(directory, entry);
  const fs::path path = directory / entry.file;
  MemoryBudget own(UINT64_MAX);  // one shard or one tile at a time
  if (entry.kind == "array") {
    verify_array(path, on_bytes);
  } else if (entry.kind == "rows") {
    RowFileReader(path, own).verify(on_bytes);
  } else if (entry.kind == "shard") {
    Shard(directory, shard_info(directory, entry), own).verify();
    if (on_bytes) on_bytes(entry.bytes);
  } else if (entry.kind == "plain") {
    const File file(path, File::Mode::read);
    require_checksum(path, "whole file", entry.checksum, checksum_of_file(file, entry.bytes, on_bytes));
  } else {
    throw DamagedError(path.string(), "kind in the manifest", "shard, rows, array or plain", entry.kind);
  }
}

void require_store(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::exists(directory, ignored)) {
    throw InputError(directory.string(), "", "no such store; make one with strata-convert");
  }
  if (!fs::exists(directory / "manifest.json", ignored)) {
    throw InputError(directory.string(), "", "holds no manifest.json, so it is no store; make one with strata-convert");
  }
}

bool is_plain_relative(const std::string& file) {
  const fs::path path(file);
  return !file.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".." || part == "."; });
}

}  // namespace strata
