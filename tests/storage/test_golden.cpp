// One golden file per format and version, as in FORMAT.md: what is written must be these bytes, and these bytes must be
// read. A new format version gets a new file here; the old ones stay readable
// (but for version 1 of the shard file, which was given up before the first release).
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/array_file.hpp"
#include "storage/row_file.hpp"
#include "storage/sealed_json.hpp"
#include "storage/shard.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

struct Span {
  std::size_t offset;
  const char* hex;  // pairs of digits, blanks between them
};

// A file of zeros with these spans in it.
std::string bytes_of(std::size_t size, const std::vector<Span>& spans) {
  std::string bytes(size, '\0');
  for (const Span& span : spans) {
    std::size_t at = span.offset;
    for (const char* c = span.hex; *c != '\0';) {
      if (*c == ' ') {
        ++c;
        continue;
      }
      bytes.at(at++) = static_cast<char>(std::stoi(std::string(c, 2), nullptr, 16));
      c += 2;
    }
  }
  return bytes;
}

std::string array_v1() {
  return bytes_of(4108, {{0x000, "53 54 52 41 41 52 52 59  01 00 00 00  00 10 00 00"},
                         {0x010, "01 00 00 00  00 00 00 00  03 00 00 00 00 00 00 00"},
                         {0x020, "01 00 00 00 00 00 00 00  0c 10 00 00 00 00 00 00"},
                         {0x030, "1d bd c2 53 8a ca a2 de"},
                         {0xff8, "fa 84 79 33 ce 13 87 4a"},
                         {0x1000, "07 00 00 00  ff ff ff ff  2c 01 00 00"}});
}

std::string rows_v1() {
  return bytes_of(12288, {{0x000, "53 54 52 41 52 4f 57 53  01 00 00 00  00 10 00 00"},
                          {0x010, "02 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00"},
                          {0x020, "01 00 00 00  00 00 00 00  01 00 00 00 00 00 00 00"},
                          {0x030, "00 30 00 00 00 00 00 00  00 10 00 00 00 00 00 00"},
                          {0x040, "00 10 00 00 00 00 00 00  a3 c0 7e 5e e6 da 90 40"},
                          {0x050, "00 04 00 00  20 00 00 00"},
                          {0xff8, "8c f1 24 b3 9a 84 78 81"},
                          {0x1000, "00 20 00 00 00 00 00 00  0c 00 00 00 00 00 00 00  27 c8 17 62 91 cd 9c 5d"},
                          {0x2000, "00 3c 00 c0 00 38  00 00 ff 7b 00 42"}});
}

std::string shard_v2() {
  return bytes_of(24576, {{0x000, "53 54 52 41 53 48 52 44  02 00 00 00  00 10 00 00"},
                          {0x010, "00 04 00 00 00 00 00 00  02 00 00 00 00 00 00 00"},
                          {0x020, "03 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00"},
                          {0x030, "00 60 00 00 00 00 00 00  05 00 00 00  01 00 00 00"},
                          {0x040, "00 00 00 00 00 00 00 00  00 10 00 00 00 00 00 00"},
                          {0x050, "30 00 00 00 00 00 00 00  8f f5 b7 74 72 21 6a 31"},
                          {0x060, "01 00 00 00 00 00 00 00  00 20 00 00 00 00 00 00"},
                          {0x070, "03 00 00 00 00 00 00 00  4f fb b5 4e 3f 96 37 1e"},
                          {0x080, "02 00 00 00 00 00 00 00  00 30 00 00 00 00 00 00"},
                          {0x090, "04 00 00 00 00 00 00 00  f7 1d 5a d8 04 07 f0 3b"},
                          {0x0a0, "03 00 00 00 00 00 00 00  00 40 00 00 00 00 00 00"},
                          {0x0b0, "08 00 00 00 00 00 00 00  34 4f 57 bf 8e bd 75 a1"},
                          {0x0c0, "04 00 00 00 00 00 00 00  00 50 00 00 00 00 00 00"},
                          {0x0d0, "0c 00 00 00 00 00 00 00  17 9b 07 45 cd aa 30 4f"},
                          {0x0e0, "03 00 00 00 00 00 00 00"},
                          {0xff8, "9f 8e f4 7d f6 ed 8d c8"},
                          {0x1000, "00 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00"},
                          {0x1010, "00 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00"},
                          {0x1020, "00 00 00 00 00 00 00 00  04 00 00 00 00 00 00 00"},
                          {0x2000, "00  02 01"},
                          {0x3000, "00  00 02 01"},
                          {0x4000, "04 00 00 00  04  05 01 44"},
                          {0x5000, "00 00 80 3f  00 00 00 40  00 00 00 3f"}});
}

// The same shard with its columns as they are: what differs.
std::string shard_v2_raw() {
  std::string bytes = shard_v2();
  const std::string other = bytes_of(24576, {{0x03c, "00 00 00 00"},
                                             {0x058, "b5 a5 6a 97 20 d6 2c aa"},
                                             {0x090, "0c 00 00 00 00 00 00 00  19 70 20 59 ed c1 5b 3c"},
                                             {0xff8, "33 9c c4 1b cc 0c f2 7e"},
                                             {0x1028, "0c 00 00 00 00 00 00 00"},
                                             {0x3000, "00 00 00 00  02 00 00 00  03 00 00 00"}});
  const std::size_t places[][2] = {{0x03c, 4}, {0x058, 8}, {0x090, 16}, {0xff8, 8}, {0x1028, 8}, {0x3000, 12}};
  for (const auto& [at, size] : places) bytes.replace(at, size, other, at, size);
  return bytes;
}

TEST_CASE("golden: array file, version 1") {
  TempDir dir;
  const std::vector<std::int32_t> values{7, -1, 300};
  write_array<std::int32_t>(dir / "written", values);
  CHECK(read_file(dir / "written") == array_v1());
  write_file_atomically(dir / "golden", array_v1());
  MemoryBudget budget(std::uint64_t{1} << 20);
  const Array<std::int32_t> read = read_array<std::int32_t>(dir / "golden", 3, 1, budget);
  CHECK(std::equal(values.begin(), values.end(), read.begin(), read.end()));
}

TEST_CASE("golden: row file, version 1") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{1} << 20);
  const RowShape shape{2, 3, Codec::fp16};
  const std::vector<float> values{1.0f, -2.0f, 0.5f, 0.0f, 65504.0f, 3.0f};
  RowFileWriter writer(dir / "written", shape, {}, budget);
  writer.write_chunk(0, {values.data(), 2, 3});
  writer.commit();
  CHECK(read_file(dir / "written") == rows_v1());
  write_file_atomically(dir / "golden", rows_v1());
  const RowFileReader reader(dir / "golden", budget);
  const Buffer tile(budget, shape.tile_slot(0, 0), "tile");
  reader.read_tile(0, 0, tile.bytes());
  std::vector<float> read(6);
  ref::decode_panel<float>(Codec::fp16, tile.data(), 6, {read.data(), 2, 3});
  CHECK(read == values);
}

TEST_CASE("golden: shard file, version 2") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{1} << 20);
  const std::vector<EdgeId> offsets{0, 2, 3};
  const std::vector<NodeId> sources{5, 1025, 1030};
  const std::vector<float> weights{1.0f, 2.0f, 0.5f};
  for (const ColumnChoice choice : {ColumnChoice::smaller, ColumnChoice::raw}) {
    const std::string golden = choice == ColumnChoice::raw ? shard_v2_raw() : shard_v2();
    ShardInfo info = write_shard(dir.path(), "written", 1024, offsets, sources, weights, nullptr, choice);
    CHECK(read_file(dir / "written") == golden);
    write_file_atomically(dir / "golden", golden);
    info.file = "golden";
    const Shard shard(dir.path(), info, budget);
    shard.verify();
    EdgeSpace space(budget);
    const SparseRows rows = shard.rows(0, 2, space);
    CHECK(rows.first_row == 1024);
    CHECK(rows.offsets[1] == 2);
    CHECK(rows.to_row[rows.columns[2]] == 1030);
    CHECK(rows.edge_weight[2] == 0.5f);
  }
}

TEST_CASE("golden: a sealed manifest") {
  const std::string text = "{\n  \"a\": 1,\n  \"checksum\": \"49deff743e816cb4\"\n}\n";
  CHECK(seal_json("{\n  \"a\": 1\n}") == text);
  CHECK_NOTHROW(check_sealed_json("m", text));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);  // also: letters of the other case, blanks that stay blanks
    CHECK_THROWS_AS(check_sealed_json("m", damaged), DamagedError);
  }
}

}  // namespace
}  // namespace strata::test
