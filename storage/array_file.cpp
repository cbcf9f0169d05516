#include "storage/array_file.hpp"

#include <algorithm>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/file.hpp"
#include "storage/file_header.hpp"

namespace strata {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kTypeAt = 16, kRowsAt = 24, kColsAt = 32, kFileBytesAt = 40, kValuesChecksumAt = 48;
constexpr std::size_t kPiece = std::size_t{1} << 20;

struct Parsed {
  ArrayInfo info;
  std::uint64_t values_checksum = 0;
};

Parsed parse(const File& file) {
  const FileHeader header = FileHeader::read(file, kArrayMagic, kVersion);
  Parsed parsed;
  const auto type = header.get<std::uint32_t>(kTypeAt);
  if (type > static_cast<std::uint32_t>(ArrayType::f64)) {
    throw DamagedError(file.path().string(), "header: type", "0 to 5", std::to_string(type));
  }
  ArrayInfo& info = parsed.info;
  info.type = static_cast<ArrayType>(type);
  info.rows = header.get<std::uint64_t>(kRowsAt);
  info.cols = header.get<std::uint64_t>(kColsAt);
  info.file_bytes = header.get<std::uint64_t>(kFileBytesAt);
  info.checksum = header.checksum();
  parsed.values_checksum = header.get<std::uint64_t>(kValuesChecksumAt);
  require_file_size(file.path(), info.file_bytes, file.size());
  const std::uint64_t bytes = info.file_bytes - kHeaderBytes;
  const bool small = info.rows <= bytes && info.cols <= bytes;  // then the product below cannot overflow
  const auto product = static_cast<unsigned __int128>(info.rows) * info.cols * array_type_bytes(info.type);
  if (info.rows == 0 || info.cols == 0 ? bytes != 0 : !small || product != bytes) {
    throw DamagedError(file.path().string(), "header: shape", std::to_string(bytes) + " bytes of values",
                       std::to_string(info.rows) + " x " + std::to_string(info.cols));
  }
  return parsed;
}

}  // namespace

std::size_t array_type_bytes(ArrayType type) {
  switch (type) {
    case ArrayType::u8: return 1;
    case ArrayType::i32:
    case ArrayType::u32:
    case ArrayType::f32: return 4;
    case ArrayType::u64:
    case ArrayType::f64: return 8;
  }
  return 0;
}

const char* array_type_name(ArrayType type) {
  switch (type) {
    case ArrayType::u8: return "u8";
    case ArrayType::i32: return "i32";
    case ArrayType::u32: return "u32";
    case ArrayType::f32: return "f32";
    case ArrayType::u64: return "u64";
    case ArrayType::f64: return "f64";
  }
  return "?";
}

ArrayInfo write_array_bytes(const fs::path& path, ArrayType type, std::uint64_t rows, std::uint64_t cols,
                            std::span<const std::byte> values) {
  ArrayInfo info{type, rows, cols, kHeaderBytes + values.size(), 0};
  STRATA_ASSERT(info.value_bytes() == values.size());
  FileHeader header(kArrayMagic, kVersion);
  header.put<std::uint32_t>(kTypeAt, static_cast<std::uint32_t>(type));
  header.put<std::uint64_t>(kRowsAt, rows);
  header.put<std::uint64_t>(kColsAt, cols);
  header.put<std::uint64_t>(kFileBytesAt, info.file_bytes);
  header.put<std::uint64_t>(kValuesChecksumAt, checksum(values));
  info.checksum = header.seal();
  AtomicFile file(path);
  file.append(header.bytes());
  file.append(values);
  file.commit();
  return info;
}

ArrayInfo read_array_info(const fs::path& path) { return parse(File(path, File::Mode::read)).info; }

void require_array(const fs::path& path, const ArrayInfo& info, ArrayType type, std::uint64_t rows,
                   std::uint64_t cols) {
  const bool fits = info.type == type && info.cols == cols && (rows == UINT64_MAX || info.rows == rows);
  if (fits) return;
  const auto shape = [](ArrayType t, const std::string& r, std::uint64_t c) {
    return r + " x " + std::to_string(c) + " values of type " + array_type_name(t);
  };
  throw DamagedError(path.string(), "header", shape(type, rows == UINT64_MAX ? "any" : std::to_string(rows), cols),
                     shape(info.type, std::to_string(info.rows), info.cols));
}

void read_array_bytes(const fs::path& path, const ArrayInfo& info, std::span<std::byte> to) {
  const File file(path, File::Mode::read);
  const Parsed parsed = parse(file);
  if (parsed.info.checksum != info.checksum || to.size() != info.value_bytes()) {
    throw DamagedError(path.string(), "header", checksum_text(info.checksum), checksum_text(parsed.info.checksum));
  }
  file.read_at(kHeaderBytes, to);
  require_checksum(path, "values", parsed.values_checksum, checksum(to));
}

void verify_array(const fs::path& path, const std::function<void(std::uint64_t)>& on_bytes) {
  const File file(path, File::Mode::read);
  const Parsed parsed = parse(file);
  ChecksumStream sum;
  std::vector<std::byte> piece(std::min<std::uint64_t>(kPiece, parsed.info.value_bytes()));
  for (std::uint64_t at = kHeaderBytes; at < parsed.info.file_bytes; at += piece.size()) {
    const std::span to(piece.data(), std::min<std::uint64_t>(piece.size(), parsed.info.file_bytes - at));
    file.read_at(at, to);
    sum.update(to);
    if (on_bytes) on_bytes(to.size());
  }
  require_checksum(path, "values", parsed.values_checksum, sum.value());
}

}  // namespace strata
