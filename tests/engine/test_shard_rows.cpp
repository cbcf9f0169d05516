#include "engine/shard_rows.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/active_sets.hpp"
#include "kernels/spmm.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {
namespace {

constexpr std::size_t kCols = 5;

struct Fixture {
  explicit Fixture(bool undirected) {
    TinyStoreOptions o;
    o.nodes = 2500;
    o.edges = 6000;
    o.shard_rows = kChunkRows;
    o.labelled = 0.02;
    o.undirected = undirected;
    graph = make_tiny_store(dir / "store", o);
    testing::Random random(1);
    for (const double v : random.reals(o.nodes * kCols)) x.push_back(static_cast<float>(v));
    for (const double v : random.reals(o.nodes)) scale.push_back(static_cast<float>(v));
  }
  [[nodiscard]] EncodedRows rows(const std::vector<float>& values) const {
    return {Codec::fp32, reinterpret_cast<const std::byte*>(values.data()), values.size() / kCols, kCols, kCols * 4};
  }
  // The values of the map's rows, or of the training rows only.
  [[nodiscard]] std::vector<float> take(const std::vector<float>& from, std::size_t cols, const RowMap& map,
                                        std::size_t count) const {
    std::vector<NodeId> nodes(count);
    map.nodes(0, nodes);
    std::vector<float> to;
    for (const NodeId id : nodes) to.insert(to.end(), from.begin() + id * cols, from.begin() + (id + 1) * cols);
    return to;
  }
  TempDir dir;
  TinyGraph graph;
  std::vector<float> x, scale;  // by node
};

// A x for the wanted rows, in the order of the destinations' map, through ShardRows.
std::vector<float> product(const Fixture& f, const Store& store, Direction direction, const RowMap& sources,
                           const RowMap& destinations, const ShardRowsOptions& options, MemoryBudget& budget) {
  const std::size_t held = options.sources_train_only ? sources.train_rows() : sources.all_rows();
  const std::vector<float> x = f.take(f.x, kCols, sources, held), source_scale = f.take(f.scale, 1, sources, held);
  const EdgeScale<float> scale{f.scale.data(), source_scale.data(), true};
  const std::uint32_t first = destinations.first_row(options.part);
  std::vector<float> out(destinations.part(options.part).size() * kCols);
  std::uint32_t next = first;
  Workers workers(2);
  for (std::size_t s = 0; s < store.shards(direction).size(); ++s) {
    const Shard shard = store.open_shard(direction, s, budget);
    const ShardRows rows(shard, sources, destinations, options, s % 2 == 0 ? &workers : nullptr, budget);
    CHECK(rows.first_output() == next);
    EdgeSpace space(budget);
    std::vector<std::uint32_t> list;
    for (std::size_t at = 0; at < rows.count();) {
      const std::size_t end = rows.run_end(at, std::min<std::size_t>(at + 100, rows.count()));
      REQUIRE(end > at);
      const std::size_t count = end - at;
      cpu::spmm(rows.rows(at, count, space, list), scale, f.rows(x),
                MatrixView<float>(out.data() + (next - first + at) * kCols, count, kCols));
      at = end;
    }
    next += static_cast<std::uint32_t>(rows.count());
  }
  CHECK((next - first) * kCols == out.size());
  return out;
}

}  // namespace

TEST_CASE("the forward product over active rows has the bits of the product over all nodes") {
  const Fixture f(false);
  const Store store(f.dir / "store");
  MemoryBudget budget(std::uint64_t{1} << 26);
  Workers workers(2);
  const RowMap all = RowMap::identity(f.graph.in.size());
  const std::vector<float> whole = product(f, store, Direction::in, all, all, {}, budget);
  const ActiveSets sets(store, {true, true, true}, {f.graph.train, f.graph.valid, f.graph.test}, workers, budget);
  for (std::size_t k = 1; k <= 3; ++k) {
    const RowMap& rows = sets.layer(k);
    REQUIRE(!rows.is_identity());
    std::vector<float> expected = f.take(whole, kCols, rows, rows.all_rows());
    for (const RowPart part : {RowPart::train, RowPart::eval}) {
      REQUIRE(rows.part(part).size() > 0);
      const auto found = product(f, store, Direction::in, sets.inputs(k), rows, {part, false, true}, budget);
      CHECK(std::equal(found.begin(), found.end(), expected.begin() + rows.first_row(part) * kCols));
    }
  }
}

TEST_CASE("the transposed product leaves out sources without a gradient") {
  for (const bool undirected : {false, true}) {
    Fixture f(undirected);
    const Store store(f.dir / "store");
    MemoryBudget budget(std::uint64_t{1} << 26);
    Workers workers(1);
    const ActiveSets sets(store, {true, true, true}, {f.graph.train, f.graph.valid, f.graph.test}, workers, budget);
    for (std::size_t k = 2; k <= 3; ++k) {
      const RowMap &from = sets.layer(k), &to = sets.inputs(k);
      const auto found = product(f, store, Direction::out, from, to, {RowPart::train, true, false}, budget);
      // Naively, by node and in double; scales as spmm's.
      std::vector<double> expected(f.graph.in.size() * kCols);
      const auto add = [&](NodeId destination, NodeId source) {
        for (std::size_t c = 0; c < kCols; ++c) {
          expected[destination * kCols + c] +=
              static_cast<double>(f.scale[destination]) * f.scale[source] * f.x[source * kCols + c];
        }
      };
      for (NodeId i = 0; i < f.graph.in.size(); ++i) {
        if (!from.part(RowPart::train).contains(i)) continue;
        add(i, i);
        for (const NodeId j : f.graph.in[i]) add(j, i);
      }
      REQUIRE(found.size() == to.train_rows() * kCols);
      std::vector<NodeId> nodes(to.train_rows());
      to.nodes(0, nodes);
      double worst = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        worst = std::max(worst, std::abs(found[i] - expected[nodes[i / kCols] * kCols + i % kCols]));
      }
      CHECK(worst < 1e-4);
    }
  }
}

TEST_CASE("rows and scales side by side are the two tables") {
  Fixture f(true);
  const Store store(f.dir / "store");
  MemoryBudget budget(std::uint64_t{1} << 26);
  Workers workers(1);
  const ActiveSets sets(store, {true, true, true}, {f.graph.train, f.graph.valid, f.graph.test}, workers, budget);
  std::vector<float> scale(f.graph.in.size());
  for (std::size_t i = 0; i < scale.size(); ++i) scale[i] = static_cast<float>(i) + 0.5f;
  ShardSpares spares;
  for (const bool transposed : {false, true}) {
    const RowMap& sources = transposed ? sets.layer(3) : sets.inputs(3);
    const RowMap& destinations = transposed ? sets.inputs(3) : sets.layer(3);
    for (std::size_t s = 0; s < store.shards(Direction::in).size(); ++s) {
      const Shard shard = store.open_shard(Direction::in, s, budget);
      const std::uint64_t used = budget.used();
      const ShardRowsOptions options{RowPart::train, transposed, !transposed, scale.data()};
      const ShardRows rows(shard, sources, destinations, options, nullptr, budget, &spares);
      CHECK(budget.used() - used <= ShardRows::memory_bytes(shard.info(), true));
      if (rows.count() == 0) continue;
      EdgeSpace space(budget);
      std::vector<std::uint32_t> list;
      const SparseRows some = rows.rows(0, 1, space, list);
      REQUIRE(some.scaled != nullptr);
      for (std::size_t column = 0; column < shard.locals().size(); ++column) {
        CHECK(some.scaled[column].row == some.to_row[column]);
        if (some.to_row[column] != kNoRow) CHECK(some.scaled[column].scale == scale[some.to_row[column]]);
      }
    }
  }
}

TEST_CASE("over all nodes nothing is filled; rows without members are none") {
  const Fixture f(true);
  const Store store(f.dir / "store");
  MemoryBudget budget(std::uint64_t{1} << 26);
  const RowMap all = RowMap::identity(f.graph.in.size());
  const Shard shard = store.open_shard(Direction::in, 1, budget);
  const std::uint64_t used = budget.used();
  const ShardRows whole(shard, all, all, {}, nullptr, budget);
  CHECK(budget.used() == used);
  CHECK(whole.to_row().data() == shard.locals().data());
  CHECK(whole.row_list().empty());
  CHECK(whole.count() == shard.info().rows);
  EdgeSpace space(budget);
  std::vector<std::uint32_t> list;
  const SparseRows three = whole.rows(3, 2, space, list);
  CHECK(three.first_row + three.range_row(0) == shard.info().first_row + 3);
  const ShardRows none(shard, all, all, {RowPart::eval, false, true}, nullptr, budget);
  CHECK(none.count() == 0);

  NodeBits bits(all.nodes(), budget, "test");
  bits.insert(shard.info().first_row + 7);
  const RowMap one(NodeSet(std::move(bits), budget), NodeSet::none(all.nodes()));
  const ShardRows single(shard, one, one, {RowPart::train, true, false}, nullptr, budget);
  REQUIRE(single.count() == 1);
  CHECK(single.row_list()[0] == 7);
  CHECK(single.to_row()[shard.first_local() + 7] == 0);
  CHECK(single.to_row()[shard.first_local() + 8] == kNoRow);
  CHECK(single.may_skip());
  CHECK(single.rows(0, 1, space, list).rows == 1);
}

}  // namespace strata::test
