#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "storage/file_header.hpp"
#include "storage/shard.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

struct Rows {
  NodeId first = 0;
  std::vector<EdgeId> offsets{0};
  std::vector<NodeId> sources;
  std::vector<float> weights;
};

Rows random_rows(NodeId first, NodeId count, NodeId nodes, std::uint32_t degree, std::uint64_t seed) {
  Rows rows;
  rows.first = first;
  CounterRng rng(seed, Stream::synthetic);
  for (NodeId row = 0; row < count; ++row) {
    std::set<NodeId> sources;
    const std::uint32_t draws = degree == 0 ? 0 : rng.below(2 * degree + 1);
    for (std::uint32_t i = 0; i < draws; ++i) sources.insert(rng.below(nodes));
    for (const NodeId source : sources) {
      rows.sources.push_back(source);
      rows.weights.push_back(static_cast<float>(rng.uniform()));
    }
    rows.offsets.push_back(rows.sources.size());
  }
  return rows;
}

void check_chunk(const Rows& rows, const SparseRows& chunk, NodeId first, bool weighted) {
  CHECK(chunk.first_row == rows.first + first);
  const EdgeId begin = rows.offsets[first];
  CHECK(chunk.offsets[0] == 0);
  for (std::size_t row = 0; row < chunk.rows; ++row) {
    REQUIRE(chunk.offsets[row + 1] == rows.offsets[first + row + 1] - begin);
    for (EdgeId e = chunk.offsets[row]; e < chunk.offsets[row + 1]; ++e) {
      CHECK(chunk.to_row[chunk.columns[e]] == rows.sources[begin + e]);
      if (weighted) CHECK(chunk.edge_weight[e] == rows.weights[begin + e]);
    }
  }
}

void check_shard(const fs::path& store, const Rows& rows, bool weighted, ColumnChoice choice) {
  const auto count = static_cast<NodeId>(rows.offsets.size() - 1);
  MemoryBudget budget(std::uint64_t{64} << 20);
  const ShardInfo info =
      write_shard(store, "in/0.shard", rows.first, rows.offsets, rows.sources,
                  weighted ? std::span<const float>(rows.weights) : std::span<const float>(), &budget, choice);
  CHECK(budget.used() == 0);
  CHECK(info.rows == count);
  CHECK(info.edges == rows.sources.size());
  CHECK(info.file_bytes == fs::file_size(store / info.file));
  std::set<NodeId> halo;
  for (const NodeId s : rows.sources) {
    if (s < rows.first || s >= rows.first + count) halo.insert(s);
  }
  CHECK(info.halo == halo.size());

  const Shard shard(store, info, budget);
  CHECK(budget.used() == Shard::memory_bytes(info));
  const auto [below, above] = shard.halo();
  const auto split = halo.lower_bound(rows.first);
  CHECK(std::equal(halo.begin(), split, below.begin(), below.end()));
  CHECK(std::equal(split, halo.end(), above.begin(), above.end()));
  CHECK_NOTHROW(shard.verify());
  if (choice != ColumnChoice::smaller) CHECK((info.coding == ColumnCoding::gaps) == (choice == ColumnChoice::gaps));
  const std::uint64_t open = budget.used();
  EdgeSpace space(budget);
  std::uint64_t largest = 0;
  for (NodeId first = 0; first < count; first += kChunkRows) {
    const NodeId chunk = std::min<NodeId>(kChunkRows, count - first);
    largest = std::max(largest, rows.offsets[first + chunk] - rows.offsets[first]);
    check_chunk(rows, shard.rows(first, chunk, space), first, weighted);
    check_chunk(rows, shard.rows(first, 1, space), first, weighted);
  }
  CHECK(info.largest_chunk == largest);
  CHECK(budget.used() - open <= EdgeSpace::bytes_for(largest));
  const EdgeSpace full(budget, largest);
  EdgeSpace whole(budget);
  const SparseRows all = shard.rows(0, count, whole);
  CHECK(all.offsets[count] == rows.sources.size());
  check_chunk(rows, all, 0, weighted);
  CHECK((all.edge_weight != nullptr) == (weighted && !rows.sources.empty()));
}

void check_shard(const fs::path& store, const Rows& rows, bool weighted) {
  for (const ColumnChoice choice : {ColumnChoice::smaller, ColumnChoice::raw, ColumnChoice::gaps}) {
    CAPTURE(static_cast<int>(choice));
    check_shard(store, rows, weighted, choice);
  }
}

TEST_CASE("shard: rows come back in global ids, whatever the sizes") {
  TempDir dir;
  for (const NodeId count : {0u, 1u, 255u, 256u, 257u, 1024u, 1500u}) {
    for (const NodeId first : {0u, 1024u, 4096u}) {
      for (const std::uint32_t degree : {0u, 1u, 5u}) {
        CAPTURE(count);
        CAPTURE(first);
        CAPTURE(degree);
        const Rows rows = random_rows(first, count, 8000, degree, count + first + degree);
        check_shard(dir.path(), rows, degree == 5);
      }
    }
  }
}

TEST_CASE("shard: the highest ids there are") {
  TempDir dir;
  Rows rows;
  rows.first = 4294966272u;  // the last chunk below 2^32
  rows.offsets = {0, 2};
  rows.sources = {4294966271u, 4294967294u};
  check_shard(dir.path(), rows, false);
}

TEST_CASE("shard: hubs, empty rows, self-loops and duplicates; the smaller form is chosen") {
  TempDir dir;
  Rows rows;
  CounterRng rng(5, Stream::synthetic);
  for (NodeId row = 0; row < 2100; ++row) {
    const std::uint32_t degree = row % 700 == 255 ? 5000 : row % 3 == 0 ? 0 : 1 + rng.below(6);
    const std::size_t begin = rows.sources.size();
    for (std::uint32_t i = 0; i < degree; ++i) rows.sources.push_back(rng.below(100'000));
    if (degree > 1) rows.sources[begin] = row;
    if (degree > 2) rows.sources[begin + 1] = rows.sources[begin + 2];
    std::sort(rows.sources.begin() + static_cast<std::ptrdiff_t>(begin), rows.sources.end());
    rows.offsets.push_back(rows.sources.size());
  }
  for (std::size_t e = 0; e < rows.sources.size(); ++e) rows.weights.push_back(static_cast<float>(e));
  check_shard(dir.path(), rows, true);
  const ShardInfo smaller = write_shard(dir.path(), "s", 0, rows.offsets, rows.sources, {});
  const ShardInfo raw = write_shard(dir.path(), "r", 0, rows.offsets, rows.sources, {}, nullptr, ColumnChoice::raw);
  CHECK(smaller.coding == ColumnCoding::gaps);
  CHECK(raw.column_bytes == 4 * rows.sources.size());
  CHECK(smaller.column_bytes < raw.column_bytes);
  CHECK(smaller.file_bytes < raw.file_bytes);
}

TEST_CASE("shard: a halo of several lists") {
  TempDir dir;
  for (const std::size_t halo : {65'535u, 65'536u, 65'537u, 140'000u}) {
    Rows rows;
    rows.first = 200 * 1024;
    for (NodeId i = 0; i < halo; ++i) rows.sources.push_back(3 * i + (3 * i >= rows.first ? 1 : 0));
    rows.offsets.push_back(halo);
    check_shard(dir.path(), rows, false);
  }
}

TEST_CASE("shard: columns that coding does not make smaller stay raw") {
  TempDir dir;
  Rows rows;
  for (NodeId row = 0; row < 3; ++row) rows.offsets.push_back(0);
  const ShardInfo empty = write_shard(dir.path(), "e", 0, rows.offsets, rows.sources, {});
  CHECK(empty.coding == ColumnCoding::raw);
  CHECK(empty.column_bytes == 0);
}

// Bytes that are not coded rows never get out of decoding, even where no checksum is asked.
TEST_CASE("shard: damaged sections are refused when rows are read") {
  TempDir dir;
  const Rows rows = random_rows(0, 700, 5000, 6, 9);
  const ShardInfo info = write_shard(dir.path(), "a.shard", 0, rows.offsets, rows.sources, {});
  REQUIRE(info.coding == ColumnCoding::gaps);
  MemoryBudget budget(std::uint64_t{1} << 24);
  const File file(dir / "a.shard", File::Mode::read_write);
  const std::string whole = read_file(dir / "a.shard");
  std::size_t refused = 0;
  for (std::uint64_t at = 4096; at < info.file_bytes; at += at < 3 * 4096 ? 1 : 13) {
    const char flipped = static_cast<char>(whole[at] ^ 0x41);
    file.write_at(at, std::as_bytes(std::span(&flipped, 1)));
    try {
      const Shard shard(dir.path(), info, budget);
      EdgeSpace space(budget);
      const SparseRows read = shard.rows(0, info.rows, space);
      CHECK(read.offsets[info.rows] == info.edges);
      CHECK_THROWS_AS(shard.verify(), DamagedError);
    } catch (const DamagedError&) {
      ++refused;
    }
    file.write_at(at, std::as_bytes(std::span(&whole[at], 1)));
  }
  CHECK(refused > 500);
  CHECK_NOTHROW(Shard(dir.path(), info, budget).verify());
}

TEST_CASE("shard: version 1 is of an older Strata") {
  TempDir dir;
  const Rows rows = random_rows(0, 10, 100, 4, 3);
  ShardInfo info = write_shard(dir.path(), "a.shard", 0, rows.offsets, rows.sources, {});
  const File file(dir / "a.shard", File::Mode::read_write);
  FileHeader old(kShardMagic, 1);
  info.checksum = old.seal();
  file.write_at(0, old.bytes());
  MemoryBudget budget(std::uint64_t{1} << 24);
  CHECK_THROWS_WITH_AS(Shard(dir.path(), info, budget), doctest::Contains("convert the data set again"), InputError);
}

TEST_CASE("shard: info that is not the file's, and memory that does not suffice") {
  TempDir dir;
  const Rows rows = random_rows(0, 100, 1000, 4, 3);
  const ShardInfo info = write_shard(dir.path(), "a.shard", 0, rows.offsets, rows.sources, {});
  MemoryBudget budget(std::uint64_t{1} << 20);
  ShardInfo wrong = info;
  wrong.checksum ^= 1;
  CHECK_THROWS_AS(Shard(dir.path(), wrong, budget), DamagedError);
  wrong = info;
  ++wrong.edges;
  CHECK_THROWS_AS(Shard(dir.path(), wrong, budget), DamagedError);
  wrong = info;
  ++wrong.largest_chunk;
  CHECK_THROWS_AS(Shard(dir.path(), wrong, budget), DamagedError);
  wrong = info;
  wrong.coding = ColumnCoding::raw;
  CHECK_THROWS_AS(Shard(dir.path(), wrong, budget), DamagedError);
  wrong = info;
  wrong.file_bytes += 4096;
  CHECK_THROWS_AS(Shard(dir.path(), wrong, budget), DamagedError);
  MemoryBudget small(Shard::memory_bytes(info) - 1);
  CHECK_THROWS_AS(Shard(dir.path(), info, small), ResourceError);
  CHECK(small.used() == 0);
  MemoryBudget exact(Shard::memory_bytes(info));
  CHECK_NOTHROW(Shard(dir.path(), info, exact));
}

}  // namespace
}  // namespace strata::test
