#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "storage/row_file.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

constexpr std::size_t kTileBytes = kChunkRows * kPanelColumns * 8;

std::vector<float> values_for(const RowShape& shape, bool compressible) {
  std::vector<float> values(shape.rows * shape.cols);
  CounterRng rng(5, Stream::synthetic);
  for (float& v : values) v = compressible ? static_cast<float>(rng.below(2)) : static_cast<float>(rng.uniform() - 0.5);
  return values;
}

void write(const fs::path& path, const RowShape& shape, const std::vector<float>& values, int level,
           MemoryBudget& budget, bool backwards = false) {
  RowFileWriter writer(path, shape, {level}, budget);
  for (std::size_t i = 0; i < shape.chunks(); ++i) {
    const std::size_t chunk = backwards ? shape.chunks() - 1 - i : i;
    writer.write_chunk(chunk, {values.data() + chunk * kChunkRows * shape.cols, shape.chunk_rows(chunk), shape.cols});
  }
  writer.commit();
  CHECK(writer.file_bytes() == fs::file_size(path));
}

// The tile as the reference encodes it.
std::vector<std::byte> expected_tile(const RowShape& shape, const std::vector<float>& values, std::size_t chunk,
                                     std::size_t panel) {
  const std::size_t width = panel_width(shape.cols, panel);
  std::vector<std::byte> tile(shape.tile_bytes(chunk, panel));
  const float* first = values.data() + chunk * kChunkRows * shape.cols + panel * kPanelColumns;
  ref::encode_panel<float>(shape.codec, {first, shape.chunk_rows(chunk), width, shape.cols}, tile.data(),
                           panel_row_bytes(shape.codec, width));
  return tile;
}

void check_content(const fs::path& path, const RowShape& shape, const std::vector<float>& values,
                   MemoryBudget& budget) {
  const RowFileReader reader(path, budget);
  CHECK(reader.shape().rows == shape.rows);
  CHECK(reader.shape().cols == shape.cols);
  CHECK(reader.shape().codec == shape.codec);
  const Buffer aligned(budget, kTileBytes + kBlockAlignment, "tile");
  std::uint64_t slots = 0;
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
      const std::vector<std::byte> expected = expected_tile(shape, values, chunk, panel);
      for (const std::size_t shift : {std::size_t{0}, std::size_t{1}}) {  // an address direct I/O cannot take works too
        const auto to = aligned.bytes().subspan(shift);
        std::memset(to.data(), 0x77, shape.tile_slot(chunk, panel));
        reader.read_tile(chunk, panel, to);
        CHECK(std::memcmp(to.data(), expected.data(), expected.size()) == 0);
        CHECK(std::all_of(to.begin() + static_cast<std::ptrdiff_t>(expected.size()),
                          to.begin() + static_cast<std::ptrdiff_t>(shape.tile_slot(chunk, panel)),
                          [](std::byte b) { return b == std::byte{0}; }));
      }
      slots += shape.tile_slot(chunk, panel);
    }
  }
  CHECK(shape.total_slot_bytes() == slots);
  CHECK_NOTHROW(reader.verify());
}

TEST_CASE("row file: tiles come back as the reference encodes them") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{64} << 20);
  for (const std::uint64_t rows : {0, 1, 1023, 1024, 1025, 2100}) {
    for (const std::uint64_t cols : {0, 1, 31, 32, 33, 70}) {
      const RowShape shape{rows, cols, Codec::fp32};
      CAPTURE(rows);
      CAPTURE(cols);
      const std::vector<float> values = values_for(shape, false);
      write(dir / "x.rows", shape, values, 0, budget);
      check_content(dir / "x.rows", shape, values, budget);
    }
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("row file: every codec, raw and compressed, chunks in any order") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{64} << 20);
  for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8, Codec::fp64}) {
    for (const bool compressible : {false, true}) {
      const RowShape shape{2049, 40, codec};
      const std::vector<float> values = values_for(shape, compressible);
      write(dir / "raw.rows", shape, values, 0, budget);
      write(dir / "zstd.rows", shape, values, 3, budget, true);
      check_content(dir / "raw.rows", shape, values, budget);
      check_content(dir / "zstd.rows", shape, values, budget);
      if (compressible) CHECK(fs::file_size(dir / "zstd.rows") < fs::file_size(dir / "raw.rows"));
      CHECK(fs::file_size(dir / "zstd.rows") <= fs::file_size(dir / "raw.rows"));
    }
  }
}

TEST_CASE("row file: the reader counts what it reads and charges its index") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{64} << 20);
  const RowShape shape{3000, 33, Codec::fp32};
  write(dir / "x.rows", shape, values_for(shape, false), 0, budget);
  const RowFileReader reader(dir / "x.rows", budget);
  CHECK(budget.used() == kBlockAlignment);
  const Buffer tile(budget, kTileBytes, "tile");
  reader.read_tile(0, 0, tile.bytes());
  reader.read_tile(2, 1, tile.bytes());
  CHECK(reader.bytes_read() == shape.tile_slot(0, 0) + shape.tile_slot(2, 1));
  MemoryBudget none(100);
  CHECK_THROWS_AS(RowFileReader(dir / "x.rows", none), ResourceError);
}

TEST_CASE("row file: nothing appears without commit, nor after a full disk") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{64} << 20);
  const RowShape shape{1500, 64, Codec::fp32};
  const std::vector<float> values = values_for(shape, false);
  {
    RowFileWriter writer(dir / "x.rows", shape, {}, budget);
    writer.write_chunk(0, {values.data(), kChunkRows, shape.cols});
  }
  CHECK(fs::is_empty(dir.path()));
  set_failpoint("write:1+:enospc");
  CHECK_THROWS_AS(write(dir / "x.rows", shape, values, 0, budget), ResourceError);
  set_failpoint("");
  CHECK(fs::is_empty(dir.path()));
}

}  // namespace
}  // namespace strata::test
