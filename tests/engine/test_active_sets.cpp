#include "engine/active_sets.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/derived.hpp"
#include "tests/support/damage.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {
namespace {

using Set = std::set<NodeId>;

// What the header says, in the plainest way: [k - 1] for layer k.
std::vector<Set> closure(const TinyGraph& graph, const std::vector<bool>& aggregates, Set last) {
  std::vector<Set> sets(aggregates.size());
  sets.back() = std::move(last);
  for (std::size_t k = aggregates.size(); k > 1; --k) {
    sets[k - 2] = sets[k - 1];
    if (!aggregates[k - 1]) continue;
    for (const NodeId id : sets[k - 1]) sets[k - 2].insert(graph.in[id].begin(), graph.in[id].end());
  }
  return sets;
}

void check_rows(const RowMap& map, const Set& train, const Set& all, std::size_t nodes) {
  std::vector<NodeId> expected(train.begin(), train.end());
  for (const NodeId id : all) {
    if (train.count(id) == 0) expected.push_back(id);
  }
  CHECK(map.nodes() == nodes);
  CHECK(map.train_rows() == train.size());
  CHECK(map.all_rows() == expected.size());
  CHECK(map.is_identity() == (train.size() == nodes));
  std::vector<NodeId> found(map.all_rows());
  map.nodes(0, found);
  CHECK(found == expected);
  std::vector<std::uint32_t> row_of(nodes, kNoRow);
  for (std::uint32_t row = 0; row < expected.size(); ++row) row_of[expected[row]] = row;
  for (NodeId id = 0; id < nodes; ++id) REQUIRE(map.row_of(id) == row_of[id]);
}

void check_sets(const ActiveSets& sets, const TinyGraph& graph, const std::vector<bool>& aggregates, const Set& train,
                const Set& all) {
  const std::vector<Set> a = closure(graph, aggregates, train), e = closure(graph, aggregates, all);
  REQUIRE(sets.layers() == aggregates.size());
  for (std::size_t k = 1; k <= sets.layers(); ++k) {
    CAPTURE(k);
    check_rows(sets.layer(k), a[k - 1], e[k - 1], graph.in.size());
  }
  CHECK(sets.inputs(1).is_identity());
  CHECK(sets.inputs(1).all_rows() == graph.in.size());
}

// Few labelled nodes in a sparse graph of several shards, so that the sets differ from layer to layer.
TinyStoreOptions sparse_store(std::uint64_t seed, bool undirected) {
  TinyStoreOptions o;
  o.nodes = 3000;
  o.edges = 4000;
  o.shard_rows = kChunkRows;
  o.labelled = 0.01;
  o.undirected = undirected;
  o.seed = seed;
  return o;
}

Set united(const TinyGraph& graph) {
  Set all(graph.train.begin(), graph.train.end());
  all.insert(graph.valid.begin(), graph.valid.end());
  all.insert(graph.test.begin(), graph.test.end());
  return all;
}

void add_self_loops(TinyGraph& graph) {
  for (NodeId id = 0; id < graph.in.size(); id += 5) {
    std::vector<NodeId>& sources = graph.in[id];
    sources.insert(std::lower_bound(sources.begin(), sources.end(), id), id);
  }
}

void flip_near_end(const std::filesystem::path& path) { flip_bits(path, std::filesystem::file_size(path) - 3); }

}  // namespace

TEST_CASE("active sets are the closures a plain search finds; kept, they are read again") {
  for (const bool undirected : {false, true}) {
    for (const std::vector<bool>& aggregates : {std::vector<bool>{true},
                                                {true, true},
                                                {true, true, true},
                                                {true, true, true, true},
                                                {true, true, false},
                                                {true, false, true, false},
                                                {false, false}}) {
      const std::uint64_t seed = aggregates.size() + (undirected ? 10 : 0);
      CAPTURE(seed);
      const TempDir dir;
      TinyGraph graph = make_tiny_graph(sparse_store(seed, undirected));
      add_self_loops(graph);
      write_tiny_store(dir / "store", sparse_store(seed, undirected), graph);
      const Store store(dir / "store");
      const LabelledNodes labelled{graph.train, graph.valid, graph.test};
      const Set train(graph.train.begin(), graph.train.end()), all = united(graph);
      REQUIRE(train.size() < all.size());
      MemoryBudget budget(std::uint64_t{1} << 26);
      Workers workers(2);
      const ActiveSets first(store, aggregates, labelled, workers, budget);
      CHECK(!first.loaded());
      check_sets(first, graph, aggregates, train, all);
      const bool hops = std::count(aggregates.begin() + 1, aggregates.end(), true) > 0;
      CHECK((first.shards_read() > 0) == hops);
      const ActiveSets again(store, aggregates, labelled, workers, budget);
      CHECK(again.loaded() == hops);
      check_sets(again, graph, aggregates, train, all);
      if (hops) CHECK(derived_info(dir / "store", active_sets_key(aggregates, labelled)).files >= 3);
      for (const std::string& name : store.files()) CHECK_NOTHROW(store.verify_file(name));
    }
  }
}

TEST_CASE("active sets without validation and test nodes, and of all nodes") {
  const TempDir dir;
  TinyStoreOptions o = sparse_store(3, true);
  const TinyGraph graph = make_tiny_store(dir / "store", o);
  const Store store(dir / "store");
  MemoryBudget budget(std::uint64_t{1} << 26);
  Workers workers(1);
  const std::vector<bool> aggregates{true, true, true, false};
  const Set train(graph.train.begin(), graph.train.end());
  const ActiveSets alone(store, aggregates, {graph.train, {}, {}}, workers, budget);
  check_sets(alone, graph, aggregates, train, train);
  CHECK(&alone.layer(4) == &alone.inputs(4));  // a head's inputs have the head's nodes
  std::vector<NodeId> every(o.nodes);
  for (NodeId id = 0; id < o.nodes; ++id) every[id] = id;
  const ActiveSets whole(store, aggregates, {every, {}, {}}, workers, budget);
  CHECK(whole.shards_read() == 0);
  for (std::size_t k = 1; k <= 4; ++k) CHECK(whole.layer(k).is_identity());
  CHECK(describe(whole).find("100.00%") != std::string::npos);
}

TEST_CASE("the closure of any nodes is not kept; isolated nodes reach nothing") {
  const TempDir dir;
  const TinyGraph graph = make_tiny_store(dir / "store", sparse_store(4, false));
  const Store store(dir / "store");
  MemoryBudget budget(std::uint64_t{1} << 26);
  Workers workers(2);
  const std::vector<bool> aggregates{true, true, true};
  for (const std::vector<NodeId>& wanted :
       {std::vector<NodeId>{}, {0}, {1023, 1024, 2047}, {2998, 2999}, {0, 63, 64, 511, 512, 2999}}) {
    const Set set(wanted.begin(), wanted.end());
    const ActiveSets sets(store, aggregates, std::span<const NodeId>(wanted), workers, budget);
    check_sets(sets, graph, aggregates, set, set);
    if (wanted.empty()) CHECK(sets.shards_read() == 0);
  }
  CHECK(derived_keys(dir / "store").empty());
  CHECK(budget.used() == 0);
}

TEST_CASE("a store that cannot be written serves without keeping the sets; a damaged copy is named") {
  const TempDir dir;
  const TinyGraph graph = make_tiny_store(dir / "store", sparse_store(5, true));
  const LabelledNodes labelled{graph.train, graph.valid, graph.test};
  const std::vector<bool> aggregates{true, true, true};
  MemoryBudget budget(std::uint64_t{1} << 26);
  Workers workers(1);
  const std::string key = active_sets_key(aggregates, labelled);
  const std::filesystem::path derived = dir / "store" / "derived";
  {
    std::ofstream(derived.string()) << "a file where the directory would be";
    const Store store(dir / "store");
    const ActiveSets sets(store, aggregates, labelled, workers, budget);
    CHECK(!sets.loaded());
    check_sets(sets, graph, aggregates, Set(graph.train.begin(), graph.train.end()), united(graph));
    std::filesystem::remove(derived);
  }
  const Store store(dir / "store");
  const ActiveSets kept(store, aggregates, labelled, workers, budget);
  REQUIRE(has_derived(store, key));
  for (const auto& entry : std::filesystem::directory_iterator(derived / key)) {
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    flip_near_end(entry.path());
    try {
      const ActiveSets sets(store, aggregates, labelled, workers, budget);
      FAIL_CHECK("damage was not seen");
    } catch (const DamagedError& error) {
      CHECK(error.path() == entry.path().string());
    }
    flip_near_end(entry.path());
  }
  CHECK(ActiveSets(store, aggregates, labelled, workers, budget).loaded());
}

TEST_CASE("keys tell models and splits apart") {
  const std::vector<NodeId> a{1, 2}, b{3};
  const std::string key = active_sets_key({true, true}, {a, b, {}});
  CHECK(key == active_sets_key({true, true}, {a, b, {}}));
  CHECK(key != active_sets_key({true, false}, {a, b, {}}));
  CHECK(key != active_sets_key({true, true, true}, {a, b, {}}));
  CHECK(key != active_sets_key({true, true}, {a, {}, b}));
  CHECK(key != active_sets_key({true, true}, {b, a, {}}));
}

TEST_CASE("sets of nodes: ranks and members at every edge") {
  MemoryBudget budget(std::uint64_t{1} << 26);
  testing::Random random(7);
  for (const std::size_t nodes : {1, 63, 64, 65, 511, 512, 513, 1024, 5000}) {
    for (const double density : {0.0, 0.002, 0.3, 0.999, 1.0}) {
      CAPTURE(nodes);
      CAPTURE(density);
      std::vector<NodeId> members, ids(nodes);
      for (NodeId id = 0; id < nodes; ++id) {
        ids[id] = id;
        if (random.chance(density)) members.push_back(id);
      }
      NodeBits bits(nodes, budget, "test");
      bits.insert(std::span<const NodeId>(members));
      CHECK(bits.any(0, nodes) == !members.empty());
      const NodeSet set(std::move(bits), budget);
      REQUIRE(set.size() == members.size());
      CHECK(set.is_all() == (members.size() == nodes));
      NodeId rank = 0;
      std::vector<std::uint32_t> ranks(nodes), expected(nodes);
      for (NodeId id = 0; id < nodes; ++id) {
        REQUIRE(set.rank(id) == rank);
        const bool member = std::binary_search(members.begin(), members.end(), id);
        REQUIRE(set.contains(id) == member);
        expected[id] = member ? rank++ : kNoRow;
      }
      CHECK(set.rank(static_cast<NodeId>(nodes)) == rank);
      set.ranks(ids, kNoRow, ranks);
      CHECK(ranks == expected);
      for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1024}}) {
        std::vector<NodeId> found(members.size());
        for (std::size_t at = 0; at < found.size(); at += step) {
          set.members(at, std::span(found).subspan(at, std::min(step, found.size() - at)));
        }
        CHECK(found == members);
      }
    }
  }
}

}  // namespace strata::test
