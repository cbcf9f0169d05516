#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "kernels/base/error.hpp"
#include "storage/npy.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/storage/numpy_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

using namespace strata;
using namespace strata::test;

namespace {

NpyReader reader_of(const Bytes& bytes, bool knows_size = true) {
  return NpyReader(std::make_unique<MemorySource>(bytes, knows_size));
}
NpyReader reader_of(const char* hex) { return reader_of(from_hex(hex)); }

Bytes with_header(const std::string& dictionary, const Bytes& data = {}) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(dictionary.size() & 0xff);
  text += static_cast<char>(dictionary.size() >> 8);
  text += dictionary;
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

std::vector<float> floats(NpyReader reader) {
  std::vector<float> values(reader.remaining());
  reader.read_as_float(values);
  return values;
}

std::vector<std::int64_t> integers(NpyReader reader, std::optional<std::int64_t> if_nan = std::nullopt) {
  std::vector<std::int64_t> values(reader.remaining());
  reader.read_as_int64(values, if_nan);
  return values;
}

}  // namespace

TEST_CASE("npy: arrays written by numpy") {
  NpyReader x = reader_of(fixtures::kNpyFloat);
  CHECK(x.header().shape == std::vector<std::uint64_t>{3, 4});
  CHECK(x.header().type == npy_type<float>());
  CHECK_FALSE(x.header().fortran_order);
  CHECK(x.header().data_offset == 128);
  CHECK(x.header().rows() == 3);
  CHECK(x.header().row_elements() == 4);
  std::vector<float> expected(12);
  for (std::size_t k = 0; k < 12; ++k) expected[k] = static_cast<float>(k) / 4 - 1;
  CHECK(floats(std::move(x)) == expected);
  CHECK(integers(reader_of(fixtures::kNpyInt64)) == std::vector<std::int64_t>{3, -7, std::int64_t{1} << 40, 0});
  CHECK(integers(reader_of(fixtures::kNpyBool)) == std::vector<std::int64_t>{1, 0, 1});
  CHECK(integers(reader_of(fixtures::kNpyVersion2)) == std::vector<std::int64_t>{1, 2, 3});
  CHECK(integers(reader_of(fixtures::kNpyVersion3)) == std::vector<std::int64_t>{1, -128});
  CHECK(floats(reader_of(fixtures::kNpyVersion3)) == std::vector<float>{1, -128});
  NpyReader fortran = reader_of(fixtures::kNpyFortran);
  CHECK(fortran.header().fortran_order);
  CHECK(floats(std::move(fortran)) == std::vector<float>{0, 3, 1, 4, 2, 5});  // as stored
  NpyReader scalar = reader_of(fixtures::kNpyScalar);
  CHECK(scalar.header().shape.empty());
  CHECK(floats(std::move(scalar)) == std::vector<float>{2.5f});
  NpyReader empty = reader_of(fixtures::kNpyEmpty);
  CHECK(empty.header().shape == std::vector<std::uint64_t>{0, 3});
  CHECK(empty.remaining() == 0);
  CHECK(integers(std::move(empty)).empty());
}

TEST_CASE("npy: half precision is exact") {
  const std::vector<float> half = floats(reader_of(fixtures::kNpyHalf));
  REQUIRE(half.size() == 7);
  CHECK(half[0] == 1.5f);
  CHECK(half[1] == -2.0f);
  CHECK(half[2] == 0x1p-24f);  // 6e-8 rounds to the smallest subnormal
  CHECK(std::isnan(half[3]));
  CHECK(half[4] == std::numeric_limits<float>::infinity());
  CHECK(half[5] == 65504.0f);
  CHECK((half[6] == 0.0f && std::signbit(half[6])));
}

TEST_CASE("npy: conversions refuse what does not fit and name the element") {
  CHECK(message_of<InputError>([] { integers(reader_of(fixtures::kNpyUint64)); }) ==
        "memory: byte 136: element 1 is not a whole number of 64 bits");
  CHECK(floats(reader_of(fixtures::kNpyUint64)) == std::vector<float>{1.0f, 0x1p63f});
  const float values[] = {1.0f, -3.0f, std::nanf(""), 0x1p62f};
  Bytes data(sizeof values);
  std::memcpy(data.data(), values, sizeof values);
  const Bytes labels = with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1)}", data);
  CHECK(integers(reader_of(labels), -1) == std::vector<std::int64_t>{1, -3, -1, std::int64_t{1} << 62});
  CHECK(message_of<InputError>([&] { integers(reader_of(labels)); }).find("element 2 is NaN") != std::string::npos);
  for (const double bad : {0.5, 0x1p63, -0x1.8p63, static_cast<double>(INFINITY)}) {
    Bytes one(sizeof bad);
    std::memcpy(one.data(), &bad, sizeof bad);
    const Bytes file = with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", one);
    CHECK_THROWS_AS(integers(reader_of(file), -1), InputError);
  }
  CHECK_THROWS_AS(floats(reader_of(fixtures::kNpyText)), InputError);
}

TEST_CASE("npy: reading in pieces, skipping, and asking for too much") {
  const Bytes file = from_hex(fixtures::kNpyFloat);
  for (std::size_t step = 1; step <= 13; ++step) {
    NpyReader reader = reader_of(file);
    std::vector<double> all;
    while (reader.remaining() > 0) {
      std::vector<double> piece(std::min<std::size_t>(step, reader.remaining()));
      reader.read_as_double(piece);
      all.insert(all.end(), piece.begin(), piece.end());
    }
    REQUIRE(all.size() == 12);
    for (std::size_t k = 0; k < 12; ++k) CHECK(all[k] == static_cast<double>(k) / 4 - 1);
  }
  NpyReader reader = reader_of(file);
  reader.skip(11);
  std::vector<float> two(2);
  CHECK_THROWS_AS(reader.read_as_float(two), InputError);
  reader.read_as_float({two.data(), 1});
  CHECK(two[0] == 1.75f);
  CHECK_THROWS_AS(reader.skip(1), InputError);
}

TEST_CASE("npy: a large array crosses the pieces of conversion") {
  const TempDir dir;
  std::vector<std::int32_t> values(70'001);
  std::iota(values.begin(), values.end(), -35'000);
  NpyWriter writer(dir.path() / "a.npy", npy_type<std::int32_t>(), {values.size()});
  writer.append<std::int32_t>(values);
  writer.commit();
  const std::vector<std::int64_t> back = integers(NpyReader(dir.path() / "a.npy"));
  CHECK(std::equal(values.begin(), values.end(), back.begin(), back.end()));
}

TEST_CASE("npy: what is no array of ours is refused with the place") {
  CHECK(message_of<InputError>([] { reader_of(fixtures::kNpyBigEndian); }).find("big-endian") != std::string::npos);
  CHECK(message_of<InputError>([] { reader_of(fixtures::kNpyObject); }).find("Python objects") != std::string::npos);
  CHECK(message_of<InputError>([] { reader_of(fixtures::kNpyFields); }).find("named fields") != std::string::npos);
  for (const char* dictionary :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<q4', 'fortran_order': False, 'shape': ()}", "{'descr': '<f', 'fortran_order': False, 'shape': ()}",
        "{'descr': '', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "{'descr': '<f4, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
        "{'descr': '<f4' 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8, 0)}",
        "{'descr': '<f99999999999', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1"}) {
    CAPTURE(dictionary);
    CHECK_THROWS_AS(reader_of(with_header(dictionary, Bytes(4))), InputError);
  }
  CHECK_THROWS_AS(NpyReader("/nonexistent/a.npy"), InputError);
  CHECK_THROWS_AS(NpyReader("/tmp"), InputError);
}

TEST_CASE("npy: header and size must agree, and every truncation is found") {
  for (const char* hex : {fixtures::kNpyFloat, fixtures::kNpyVersion2, fixtures::kNpyEmpty}) {
    const Bytes file = from_hex(hex);
    for (std::size_t length = 0; length < file.size(); ++length) {
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
      CHECK_THROWS_AS(floats(reader_of(cut)), InputError);
      CHECK_THROWS_AS(floats(reader_of(cut, false)), InputError);
    }
    Bytes longer = file;
    longer.push_back(std::byte{0});
    CHECK_THROWS_AS(floats(reader_of(longer)), InputError);
    CHECK_THROWS_AS(floats(reader_of(longer, false)), InputError);
  }
  // A shape of 2^61 bytes is refused before anyone allocates for it.
  const Bytes bomb = with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (576460752303423488,)}", Bytes(64));
  CHECK_THROWS_AS(reader_of(bomb), InputError);
}

TEST_CASE("npy: any changed header byte gives an array or an InputError") {
  const Bytes file = from_hex(fixtures::kNpyFloat);
  for (std::size_t at = 0; at < 128; ++at) {
    for (const int value : {0, 1, 0x27, 0x30, 0x39, 0x7f, 0xff}) {
      Bytes changed = file;
      changed[at] = static_cast<std::byte>(value);
      try {
        NpyReader reader = reader_of(changed);
        CHECK(reader.header().data_offset + reader.header().elements() * reader.header().type.bytes == file.size());
      } catch (const InputError&) {
      }
    }
  }
}

TEST_CASE("npy: the writer's bytes are numpy's") {
  const TempDir dir;
  std::vector<float> x(12);
  for (std::size_t k = 0; k < 12; ++k) x[k] = static_cast<float>(k) / 4 - 1;
  NpyWriter writer(dir.path() / "x.npy", npy_type<float>(), {3, 4});
  writer.append<float>(std::span(x).first(5));
  writer.append<float>(std::span(x).subspan(5));
  CHECK_FALSE(std::filesystem::exists(dir.path() / "x.npy"));
  writer.commit();
  CHECK(read_bytes(dir.path() / "x.npy") == from_hex(fixtures::kNpyFloat));
  { const NpyWriter abandoned(dir.path() / "y.npy", npy_type<float>(), {1}); }
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
  NpyWriter none(dir.path() / "none.npy", npy_type<std::int32_t>(), {0, 3});
  none.commit();
  CHECK(read_bytes(dir.path() / "none.npy") == from_hex(fixtures::kNpyEmpty));
}

TEST_CASE("text: lines of plain and gzip files") {
  const TempDir dir;
  const Bytes members = from_hex(fixtures::kGzipMembers);
  const std::vector<std::string> expected = {"1,2", "3,4", "5,6", "", "last"};
  std::string plain = "1,2\n3,4\r\n5,6\n\nlast";
  const auto lines_of = [](const std::filesystem::path& path) {
    std::vector<std::string> lines;
    LineReader reader(open_text_source(path));
    while (reader.next()) {
      lines.emplace_back(reader.line());
      CHECK(reader.number() == lines.size());
    }
    CHECK_FALSE(reader.next());
    return lines;
  };
  CHECK(lines_of(write_bytes(dir.path() / "a.gz", members)) == expected);
  CHECK(lines_of(write_bytes(dir.path() / "a.txt", std::as_bytes(std::span(plain)))) == expected);
  plain += "\n";
  CHECK(lines_of(write_bytes(dir.path() / "a.txt", std::as_bytes(std::span(plain)))) == expected);
  CHECK(lines_of(write_bytes(dir.path() / "empty.txt", {})).empty());
  Bytes padded = members;
  padded.resize(padded.size() + 700);
  CHECK(lines_of(write_bytes(dir.path() / "b.gz", padded)) == expected);
  padded.push_back(std::byte{'x'});
  CHECK_THROWS_AS(lines_of(write_bytes(dir.path() / "c.gz", padded)), InputError);
}

TEST_CASE("text: lines longer than the buffer, and longer than allowed") {
  const auto reader_for = [](const std::string& text, std::size_t max_line) {
    Bytes bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return LineReader(std::make_unique<MemorySource>(bytes), max_line);
  };
  std::string text(700'000, 'a');
  text += "\r\nb\n";
  LineReader reader = reader_for(text, 700'000);
  REQUIRE(reader.next());
  CHECK(reader.line().size() == 700'000);
  REQUIRE(reader.next());
  CHECK(reader.line() == "b");
  LineReader strict = reader_for("ab\nabcdef\n", 5);
  REQUIRE(strict.next());
  CHECK(message_of<InputError>([&] { static_cast<void>(strict.next()); }).find("line 2") != std::string::npos);
  LineReader endless = reader_for(std::string(100, 'x'), 10);
  CHECK_THROWS_AS(static_cast<void>(endless.next()), InputError);
  LineReader exact = reader_for("abcde", 5);
  CHECK(exact.next());
}

TEST_CASE("gzip: every buffer size gives the same text, every truncation and many flips an InputError") {
  const Bytes file = from_hex(fixtures::kGzipLines);
  std::string expected;
  for (int k = 0; k < 200; ++k) expected += std::to_string(k) + "," + std::to_string(k * k) + "\n";
  const auto inflate = [](Bytes bytes, std::size_t buffer, std::size_t step) {
    return text_of(read_all(*open_gzip_source(std::make_unique<MemorySource>(std::move(bytes)), buffer), step));
  };
  for (const std::size_t buffer : {1, 2, 3, 7, 64, 889, 890, 891, 100'000}) {
    for (const std::size_t step : {1, 13, 4096}) {
      CAPTURE(buffer);
      CAPTURE(step);
      CHECK(inflate(file, buffer, step) == expected);
    }
  }
  const Bytes members = from_hex(fixtures::kGzipMembers);
  for (std::size_t buffer = 1; buffer < 90; ++buffer) {
    CHECK(inflate(members, buffer, 5) == "1,2\n3,4\r\n5,6\n\nlast");
  }
  for (std::size_t length = 0; length < file.size(); ++length) {
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
    for (const std::size_t buffer : {5, 4096}) CHECK_THROWS_AS(inflate(cut, buffer, 999), InputError);
  }
  std::size_t harmless = 0;
  for (std::size_t at = 0; at < file.size(); ++at) {
    Bytes changed = file;
    changed[at] ^= std::byte{0x10};
    CAPTURE(at);
    // Name, time and padding carry no checksum, and another distance may copy the same text; other text is never taken.
    try {
      const std::string text = inflate(changed, 4096, 4096);
      CHECK(text == expected);
      ++harmless;
    } catch (const InputError&) {
    }
  }
  CHECK(harmless < 30);
}
