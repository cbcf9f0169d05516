#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
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

void check_shard(const fs::path& store, const Rows& rows, bool weighted) {
  const auto count = static_cast<NodeId>(rows.offsets.size() - 1);
  MemoryBudget budget(std::uint64_t{64} << 20);
  const ShardInfo info =
      write_shard(store, "in/0.shard", rows.first, rows.offsets, rows.sources,
                  weighted ? std::span<const float>(rows.weights) : std::span<const float>(), &budget);
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
  CHECK(std::equal(halo.begin(), halo.end(), shard.halo().begin(), shard.halo().end()));
  CHECK_NOTHROW(shard.verify());
  const SparseRows all = shard.rows();
  for (NodeId row = 0; row < count; ++row) {
    const SparseRows one = shard.rows(row, 1);
    CHECK(one.first_row == rows.first + row);
    CHECK(one.offsets[0] == rows.offsets[row]);
    CHECK(one.offsets[1] == rows.offsets[row + 1]);
    for (EdgeId e = one.offsets[0]; e < one.offsets[1]; ++e) {
      CHECK(one.to_row[one.columns[e]] == rows.sources[e]);
      if (e > one.offsets[0]) CHECK(one.columns[e] > one.columns[e - 1]);
      if (weighted) CHECK(one.edge_weight[e] == rows.weights[e]);
    }
  }
  CHECK((all.edge_weight != nullptr) == (weighted && !rows.sources.empty()));
}

TEST_CASE("shard: rows come back in global ids, whatever the sizes") {
  TempDir dir;
  for (const NodeId count : {0u, 1u, 63u, 64u, 1024u, 1500u}) {
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
