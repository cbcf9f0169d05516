#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "kernels/base/error.hpp"
#include "storage/little_endian.hpp"
#include "storage/npz.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/storage/numpy_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

using namespace strata;
using namespace strata::test;

namespace {

struct Content {
  std::vector<float> x;
  std::vector<std::int64_t> i;
};

Content read_content(const std::filesystem::path& path) {
  const NpzArchive archive(path);
  Content content;
  NpyReader x = archive.open_array("x");
  content.x.resize(x.remaining());
  x.read_as_float(content.x);
  NpyReader i = archive.open_array("i");
  content.i.resize(i.remaining());
  i.read_as_int64(content.i);
  return content;
}

// Reads every member whole.
void read_everything(const std::filesystem::path& path) {
  const NpzArchive archive(path);
  for (const ZipMember& member : archive.members()) {
    const std::size_t bytes = read_all(*archive.open(member.name)).size();
    CHECK(bytes == member.size);
  }
}

// Reads all arrays of numbers; how many there are.
int read_numbers(const std::filesystem::path& path) {
  const NpzArchive archive(path);
  int arrays = 0;
  for (const ZipMember& member : archive.members()) {
    const NpyType type = read_npy_header(*archive.open(member.name)).type;
    if (!type.is_integer() && !type.is_float()) continue;
    NpyReader reader(archive.open(member.name));
    std::vector<double> piece(10'007);
    while (reader.remaining() > 0) {
      reader.read_as_double(std::span(piece).first(std::min<std::uint64_t>(piece.size(), reader.remaining())));
    }
    ++arrays;
  }
  return arrays;
}

// The places of a record's signature.
std::vector<std::size_t> find_all(const Bytes& file, std::uint32_t signature) {
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at + 4 <= file.size(); ++at) {
    if (load_le<std::uint32_t>(&file[at]) == signature) places.push_back(at);
  }
  return places;
}

template <class T>
void put(Bytes& file, std::size_t at, T value) {
  std::memcpy(&file[at], &value, sizeof value);
}

}  // namespace

TEST_CASE("npz: stored and deflated archives written by numpy") {
  const TempDir dir;
  for (const char* hex : {fixtures::kNpzStored, fixtures::kNpzDeflated}) {
    const auto path = write_bytes(dir.path() / "a.npz", from_hex(hex));
    const NpzArchive archive(path);
    REQUIRE(archive.members().size() == 2);
    CHECK(archive.members()[0].name == "x.npy");
    CHECK(archive.members()[0].method == (hex == fixtures::kNpzStored ? 0 : 8));
    CHECK(archive.has_array("x"));
    CHECK_FALSE(archive.has_array("y"));
    const Content content = read_content(path);
    REQUIRE(content.x.size() == 12);
    for (std::size_t k = 0; k < 12; ++k) CHECK(content.x[k] == static_cast<float>(k) / 4 - 1);
    CHECK(content.i == std::vector<std::int64_t>{3, -7, std::int64_t{1} << 40, 0});
    CHECK(message_of<InputError>([&] { static_cast<void>(archive.open("y.npy")); }).find("member y.npy") !=
          std::string::npos);
  }
}

TEST_CASE("npz: two cursors on one member, which outlive the archive") {
  const TempDir dir;
  const auto path = write_bytes(dir.path() / "a.npz", from_hex(fixtures::kNpzDeflated));
  auto archive = std::make_unique<NpzArchive>(path);
  NpyReader first = archive->open_array("x"), second = archive->open_array("x");
  archive.reset();
  second.skip(6);
  for (int k = 0; k < 6; ++k) {
    float a = 0, b = 0;
    first.read_as_float({&a, 1});
    second.read_as_float({&b, 1});
    CHECK(b == a + 1.5f);
  }
}

TEST_CASE("npz: archives written without seeking have sizes behind the data") {
  const TempDir dir;
  const NpzArchive archive(write_bytes(dir.path() / "a.zip", from_hex(fixtures::kZipDescriptors)));
  CHECK(text_of(read_all(*archive.open("a.txt"))) == "hello hello hello");
  CHECK(read_all(*archive.open("d/b.txt")).empty());
}

TEST_CASE("npz: methods and kinds of archive that are not read are refused") {
  const TempDir dir;
  const auto path = dir.path() / "a.zip";
  write_bytes(path, from_hex(fixtures::kZipBzip2));
  CHECK_THROWS_AS(read_everything(path), InputError);
  Bytes encrypted = from_hex(fixtures::kNpzDeflated);
  for (const std::size_t at : find_all(encrypted, 0x02014b50)) encrypted[at + 8] |= std::byte{1};
  write_bytes(path, encrypted);
  CHECK(message_of<InputError>([&] { read_everything(path); }).find("encrypted") != std::string::npos);
  Bytes disks = from_hex(fixtures::kNpzDeflated);
  disks[find_all(disks, 0x06054b50).at(0) + 4] = std::byte{1};
  write_bytes(path, disks);
  CHECK(message_of<InputError>([&] { read_everything(path); }).find("several disks") != std::string::npos);
  Bytes twice = from_hex(fixtures::kNpzDeflated);
  for (const std::size_t at : find_all(twice, 0x02014b50)) twice[at + 46] = std::byte{'x'};
  write_bytes(path, twice);
  CHECK(message_of<InputError>([&] { read_everything(path); }).find("two members") != std::string::npos);
  CHECK_THROWS_AS(NpzArchive(write_bytes(path, {})), InputError);
  CHECK_THROWS_AS(NpzArchive(dir.path()), InputError);
  CHECK_THROWS_AS(NpzArchive(dir.path() / "absent.npz"), InputError);
}

TEST_CASE("npz: lies about sizes are found before anything is allocated for them") {
  const TempDir dir;
  const auto path = dir.path() / "a.npz";
  const auto with_directory_size = [&](const char* hex, std::uint32_t size, std::uint32_t compressed) {
    Bytes file = from_hex(hex);
    const std::size_t at = find_all(file, 0x02014b50).at(0);
    if (size != 0) put(file, at + 24, size);
    if (compressed != 0) put(file, at + 20, compressed);
    return write_bytes(path, file);
  };
  for (const char* hex : {fixtures::kNpzStored, fixtures::kNpzDeflated}) {
    for (const std::uint32_t size : {1u, 175u, 177u, 100'000u, 0x7fffffffu, 0xfffffffeu}) {
      CHECK_THROWS_AS(read_everything(with_directory_size(hex, size, 0)), InputError);
      CHECK_THROWS_AS(read_content(with_directory_size(hex, size, 0)), InputError);
      CHECK_THROWS_AS(read_everything(with_directory_size(hex, 0, size)), InputError);
    }
  }
}

TEST_CASE("npz: a zip64 directory") {
  // The stored archive with its sizes, offsets and end record moved to zip64 fields.
  Bytes file = from_hex(fixtures::kNpzStored);
  const std::vector<std::size_t> entries = find_all(file, 0x02014b50);
  const std::size_t directory = entries.at(0), end = find_all(file, 0x06054b50).at(0);
  Bytes wide(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(directory));
  for (std::size_t e = 0; e < entries.size(); ++e) {
    const std::size_t stop = e + 1 < entries.size() ? entries[e + 1] : end;
    Bytes entry(file.begin() + static_cast<std::ptrdiff_t>(entries[e]),
                file.begin() + static_cast<std::ptrdiff_t>(stop));
    REQUIRE(load_le<std::uint16_t>(&entry[30]) == 0);
    Bytes extra(4 + 24);
    put<std::uint16_t>(extra, 0, 1);
    put<std::uint16_t>(extra, 2, 24);
    put<std::uint64_t>(extra, 4, load_le<std::uint32_t>(&entry[24]));
    put<std::uint64_t>(extra, 12, load_le<std::uint32_t>(&entry[20]));
    put<std::uint64_t>(extra, 20, load_le<std::uint32_t>(&entry[42]));
    for (const std::size_t at : {20, 24, 42}) put<std::uint32_t>(entry, at, UINT32_MAX);
    put<std::uint16_t>(entry, 30, 28);
    wide.insert(wide.end(), entry.begin(), entry.end());
    wide.insert(wide.end(), extra.begin(), extra.end());
  }
  const std::uint64_t end64 = wide.size();
  Bytes tail(56 + 20 + 22);
  put<std::uint32_t>(tail, 0, 0x06064b50);
  put<std::uint64_t>(tail, 4, 44);
  for (const std::size_t at : {24, 32}) put<std::uint64_t>(tail, at, entries.size());
  put<std::uint64_t>(tail, 40, end64 - directory);
  put<std::uint64_t>(tail, 48, directory);
  put<std::uint32_t>(tail, 56, 0x07064b50);
  put<std::uint64_t>(tail, 64, end64);
  put<std::uint32_t>(tail, 72, 1);
  put<std::uint32_t>(tail, 76, 0x06054b50);
  for (const std::size_t at : {84, 86}) put<std::uint16_t>(tail, at, UINT16_MAX);
  for (const std::size_t at : {88, 92}) put<std::uint32_t>(tail, at, UINT32_MAX);
  wide.insert(wide.end(), tail.begin(), tail.end());

  const TempDir dir;
  const auto path = write_bytes(dir.path() / "a.npz", wide);
  CHECK(read_content(path).x.size() == 12);
  read_everything(path);
  put<std::uint64_t>(wide, end64 + 48, directory + 1);
  CHECK_THROWS_AS(read_everything(write_bytes(path, wide)), InputError);
}

TEST_CASE("npz: every truncation is an InputError") {
  const TempDir dir;
  const auto path = dir.path() / "a.npz";
  for (const char* hex : {fixtures::kNpzStored, fixtures::kNpzDeflated, fixtures::kZipDescriptors}) {
    const Bytes file = from_hex(hex);
    for (std::size_t length = 0; length < file.size(); ++length) {
      write_bytes(path, std::span(file).first(length));
      CHECK_THROWS_AS(read_everything(path), InputError);
    }
  }
}

TEST_CASE("npz: any changed byte leaves the values as they were or is an InputError") {
  const TempDir dir;
  const auto path = dir.path() / "a.npz";
  for (const char* hex : {fixtures::kNpzStored, fixtures::kNpzDeflated}) {
    const Bytes file = from_hex(hex);
    const Content expected = read_content(write_bytes(path, file));
    int refused = 0;
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {1, 0x80, 0xff}) {
        Bytes changed = file;
        changed[at] ^= static_cast<std::byte>(flip);
        write_bytes(path, changed);
        try {
          const Content content = read_content(path);
          CHECK(content.x == expected.x);
          CHECK(content.i == expected.i);
        } catch (const InputError&) {
          ++refused;
        }
      }
    }
    CHECK(refused > static_cast<int>(file.size()));  // most bytes matter
  }
}

TEST_CASE("npz: the files of STRATA_DATA read to their end") {
  const char* const data = std::getenv("STRATA_DATA");
  if (data == nullptr) {
    std::cout << "SKIPPED: STRATA_DATA is not set\n";
    return;
  }
  int files = 0, arrays = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    if (entry.path().extension() != ".npz" || entry.file_size() > (std::uintmax_t{64} << 20)) continue;
    CAPTURE(entry.path());
    CHECK_NOTHROW(read_everything(entry.path()));  // sizes and CRCs
    CHECK_NOTHROW(arrays += read_numbers(entry.path()));
    ++files;
  }
  CHECK(files > 0);
  CHECK(arrays > files);
}
