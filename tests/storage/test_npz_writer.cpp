// NpzWriter: bytes known from the format's description, and archives that NpzArchive (and numpy) reads back.
#include <doctest/doctest.h>

#include <numeric>

#include "storage/inflate.hpp"
#include "storage/npz.hpp"
#include "storage/npz_writer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace strata;

namespace {

std::string text_of(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

std::string little_endian(std::uint32_t value) {
  std::string text;
  for (int i = 0; i < 4; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

TEST_CASE("one array: every byte") {
  const TempDir dir;
  NpzWriter writer(dir / "a.npz");
  writer.begin("y", npy_type<std::int16_t>(), {3});
  writer.append(std::span<const std::int16_t>(std::vector<std::int16_t>{1, -2, 300}));
  writer.commit();

  std::string array("\x93NUMPY\x01\x00\x76\x00{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", 67);
  array.resize(127, ' ');
  array += '\n' + text_of({1, 0, 0xfe, 0xff, 0x2c, 1});
  const std::string crc = little_endian(crc32_update(0, std::as_bytes(std::span(array))));
  const std::string size = little_endian(134);
  const std::string both = text_of({0, 0, 0, 0, 0x21, 0}) + crc + size + size + text_of({5, 0, 0, 0});
  const std::string local = "PK\x03\x04" + text_of({20, 0, 0, 0}) + both + "y.npy" + array;
  const std::string entry =
      "PK\x01\x02" + text_of({20, 0, 20, 0, 0, 0}) + both + std::string(10, '\0') + little_endian(0) + "y.npy";
  const std::string end = "PK\x05\x06" + text_of({0, 0, 0, 0, 1, 0, 1, 0}) +
                          little_endian(static_cast<std::uint32_t>(entry.size())) +
                          little_endian(static_cast<std::uint32_t>(local.size())) + text_of({0, 0});
  CHECK(read_file(dir / "a.npz") == local + entry + end);
}

TEST_CASE("arrays of every size come back, with and without zip64 fields") {
  for (const std::uint64_t zip64_from : {std::uint64_t{UINT32_MAX}, std::uint64_t{500}, std::uint64_t{0}}) {
    CAPTURE(zip64_from);
    const TempDir dir;
    const std::filesystem::path path = dir / "a.npz";
    std::vector<float> values(3 * 50'000);
    std::iota(values.begin(), values.end(), -7.0f);
    {
      NpzWriter writer(path, zip64_from);
      writer.begin("none", npy_type<double>(), {0, 4});
      writer.begin("values", npy_type<float>(), {50'000, 3});
      writer.append(std::span<const float>(values).first(1));
      writer.append(std::span<const float>(values).subspan(1));
      writer.begin("one", npy_type<std::int64_t>(), {1, 1});
      const std::int64_t one = -1;
      writer.append(std::span<const std::int64_t>(&one, 1));
      CHECK_FALSE(std::filesystem::exists(path));
      writer.commit();
    }
    const NpzArchive archive(path);
    REQUIRE(archive.members().size() == 3);
    CHECK(archive.open_array("none").header().shape == std::vector<std::uint64_t>{0, 4});
    NpyReader reader = archive.open_array("values");
    CHECK(reader.header().shape == std::vector<std::uint64_t>{50'000, 3});
    std::vector<float> back(values.size());
    reader.read_as_float(back);  // its end checks the CRC-32
    CHECK(back == values);
    NpyReader one = archive.open_array("one");
    std::int64_t number = 0;
    one.read_as_int64({&number, 1});
    CHECK(number == -1);
  }
}

TEST_CASE("an archive without arrays, and one that was not committed") {
  const TempDir dir;
  NpzWriter(dir / "empty.npz").commit();
  CHECK(NpzArchive(dir / "empty.npz").members().empty());
  {
    NpzWriter writer(dir / "lost.npz");
    writer.begin("y", npy_type<float>(), {2});
  }
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

}  // namespace
