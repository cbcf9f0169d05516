#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "kernels/base/error.hpp"
#include "storage/safetensors.hpp"
#include "tests/storage/byte_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

using namespace strata;
using namespace strata::test;

namespace {

Bytes file_of(const std::string& header, const Bytes& data = {}) {
  Bytes bytes(8 + header.size());
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

const std::vector<NamedTensor> kModel = {{"convs.0.lin.weight", {2, 3}, {1, -2, 3.5f, 0, -0.0f, 1e-40f}},
                                         {"convs.0.bias", {2}, {0.25f, INFINITY}},
                                         {"scale", {}, {7}},
                                         {"none", {0, 4}, {}}};

}  // namespace

TEST_CASE("safetensors: what was written comes back, bit by bit and always in the same bytes") {
  const TempDir dir;
  const auto path = dir.path() / "model.safetensors";
  write_safetensors(path, kModel, {{"format", "pt"}, {"note", "\"quoted\" \xc3\xa9"}});
  std::map<std::string, std::string> metadata;
  const std::vector<NamedTensor> back = read_safetensors(path, &metadata);
  REQUIRE(back.size() == kModel.size());
  for (const NamedTensor& tensor : kModel) {
    const auto found = std::find_if(back.begin(), back.end(), [&](const auto& t) { return t.name == tensor.name; });
    REQUIRE(found != back.end());
    CHECK(found->shape == tensor.shape);
    REQUIRE(found->values.size() == tensor.values.size());
    CHECK((tensor.values.empty() ||
           std::memcmp(found->values.data(), tensor.values.data(), tensor.values.size() * sizeof(float)) == 0));
  }
  CHECK(metadata == std::map<std::string, std::string>{{"format", "pt"}, {"note", "\"quoted\" \xc3\xa9"}});
  const Bytes bytes = read_bytes(path);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  CHECK(header % 8 == 0);
  CHECK(bytes.size() == 8 + header + 9 * sizeof(float));
  write_safetensors(path, kModel, {{"note", "\"quoted\" \xc3\xa9"}, {"format", "pt"}});
  CHECK(read_bytes(path) == bytes);
  write_safetensors(path, {});
  CHECK(read_safetensors(path).empty());
}

TEST_CASE("safetensors: the bytes of a small file") {
  const TempDir dir;
  const auto path = dir.path() / "a.safetensors";
  write_safetensors(path, std::vector<NamedTensor>{{"b", {1}, {1.0f}}, {"a", {}, {2.0f}}});
  const std::string header =
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}})";
  CHECK(read_bytes(path) ==
        file_of(header + std::string((8 - header.size() % 8) % 8, ' '), from_hex("0000803f00000040")));
}

TEST_CASE("safetensors: other types are converted") {
  const TempDir dir;
  const auto read_one = [&](const std::string& dtype, const std::string& hex, std::size_t count) {
    const Bytes data = from_hex(hex);
    const std::string header = R"({"t":{"dtype":")" + dtype + R"(","shape":[)" + std::to_string(count) +
                               R"(],"data_offsets":[0,)" + std::to_string(data.size()) + "]}}";
    return read_safetensors(write_bytes(dir.path() / "t", file_of(header, data))).at(0).values;
  };
  CHECK(read_one("F16", "003c00c00100", 3) == std::vector<float>{1, -2, 0x1p-24f});
  CHECK(read_one("BF16", "803f00c0", 2) == std::vector<float>{1, -2});
  CHECK(read_one("F64", "000000000000f83f", 1) == std::vector<float>{1.5f});
  CHECK(read_one("I64", "ffffffffffffffff", 1) == std::vector<float>{-1});
  CHECK(read_one("I32", "feffffff", 1) == std::vector<float>{-2});
  CHECK(read_one("U8", "00ff", 2) == std::vector<float>{0, 255});
  CHECK(read_one("BOOL", "0001", 2) == std::vector<float>{0, 1});
  CHECK_THROWS_AS(read_one("F8_E4M3", "00", 1), InputError);
}

TEST_CASE("safetensors: malformed files are refused") {
  const TempDir dir;
  const auto path = dir.path() / "bad";
  const Bytes four(4);
  for (const char* header :
       {"", "[]", "{", "null", R"({"t":1})", R"({"t":{"dtype":"F32","shape":[1]}})",
        R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
        R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})",
        R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
        R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"t":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
        R"({"t":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})",
        R"({"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
        R"({"t":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
        R"({"t":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})", R"({"__metadata__":{"a":1}})",
        R"({"__metadata__":[]})",
        R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})"
        R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})"}) {
    CAPTURE(header);
    CHECK_THROWS_AS(static_cast<void>(read_safetensors(write_bytes(path, file_of(header, four)))), InputError);
  }
  Bytes bomb = file_of("{}");
  std::memset(bomb.data(), 0x7f, 8);
  CHECK_THROWS_AS(static_cast<void>(read_safetensors(write_bytes(path, bomb))), InputError);
  write_safetensors(path, kModel);
  const Bytes good = read_bytes(path);
  for (std::size_t length = 0; length < good.size(); ++length) {
    write_bytes(path, std::span(good).first(length));
    CHECK_THROWS_AS(static_cast<void>(read_safetensors(path)), InputError);
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes changed = good;
    changed[at] ^= std::byte{0x15};
    write_bytes(path, changed);
    CHECK_NOTHROW([&] {
      try {
        static_cast<void>(read_safetensors(path));
      } catch (const InputError&) {
      }
    }());
  }
}
