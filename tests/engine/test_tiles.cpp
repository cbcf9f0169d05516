// The way of 2-D tiles against that of columns: the same bits, whatever is cut, held, streamed or added.
#include <doctest/doctest.h>

#include <set>

#include "engine/external_spmm.hpp"
#include "engine/source_tiles.hpp"
#include "engine/tile_plan.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "tests/engine/fixture.hpp"

namespace strata::test {
namespace {

enum class Add : std::uint8_t { nothing, other, out, by_node };

template <class T>
void fill(RowStore& store, std::uint64_t seed) {
  const std::size_t cols = store.shape().cols;
  std::vector<T> rows(kChunkRows * cols);
  CounterRng rng(seed, Stream::synthetic);
  for (std::size_t chunk = 0; chunk < store.shape().chunks(); ++chunk) {
    for (T& value : rows) value = static_cast<T>(static_cast<int>(rng.below(2001)) - 1000) / 256;
    write_chunk<T>(store, chunk, {rows.data(), store.shape().chunk_rows(chunk), cols});
  }
}

// What is multiplied: x by node of `from`, the product by node of `to`.
struct Case {
  bool transposed = false;
  Add add = Add::nothing;
  std::size_t cols = 32;
  const RowMap* from = nullptr;
  const RowMap* to = nullptr;
  bool train_only = true;  // x and the product have rows of the train parts only
  bool closed = false;
};

template <class T>
std::vector<T> product(Session<T>& session, const Case& c, ProductWay way, std::uint64_t limit) {
  session.spmm_memory.way = way;
  session.spmm_memory.gather_limit = limit;
  session.spmm_memory.buffer.release();
  const auto make = [&](const char* name, std::size_t rows, std::uint64_t seed) {
    RowStore store = session.make_alpha(name, rows, c.cols);
    fill<T>(store, seed);
    return store;
  };
  const RowStore x = make("x", c.from->train_rows(), 1), x_eval = make("x eval", c.from->eval_rows(), 2);
  RowStore out = make("out", c.to->train_rows(), 3), out_eval = make("out eval", c.to->eval_rows(), 4);
  const RowStore other = make("other", c.to->train_rows(), 5), by_node = make("by node", c.from->train_rows(), 6);
  RowSource add;
  if (c.add == Add::other) add = other;
  if (c.add == Add::out) add = out;
  if (c.add == Add::by_node) add = RowSource(by_node, *c.from, nullptr);
  std::vector<SpmmOutput> outputs{{RowPart::train, add, &out}};
  std::vector<SpmmSource> sources{{&x, 0}};
  if (!c.train_only) {
    if (c.to->eval_rows() > 0) outputs.push_back({RowPart::eval, {}, &out_eval});
    if (c.from->eval_rows() > 0) sources.push_back({&x_eval, c.from->first_row(RowPart::eval)});
  }
  const std::size_t held = c.train_only ? c.from->train_rows() : c.from->all_rows();
  {
    ExternalSpmm<T> spmm(session, "product", c.transposed, {held, c.cols, session.options.alpha_codec},
                         {c.from, c.to, {RowPart::train, c.train_only, c.closed}}, outputs);
    CHECK(spmm.memory_bytes() <= limit);
    if (way == ProductWay::tiles) CHECK(spmm.taken_panels() == 0);
    spmm.run(sources, false);
  }
  session.drop_scales();  // of maps that may go
  std::vector<T> values = all_rows<T>(out);
  const std::vector<T> eval = all_rows<T>(out_eval);
  values.insert(values.end(), eval.begin(), eval.end());
  return values;
}

constexpr std::uint64_t kPlenty = std::uint64_t{1} << 28;

// Bytes of sums so that the destinations are cut into `ranges` ranges of a panel's columns.
template <class T>
std::uint64_t limit_for(std::size_t rows, std::size_t ranges) {
  const std::size_t chunks = divide_up(divide_up(rows, kChunkRows), ranges);
  return chunks * kChunkRows * kPanelColumns * sizeof(T);
}

template <class T>
void check(Session<T>& memory, Session<T>& disk, const Case& c, std::initializer_list<std::size_t> ranges) {
  CAPTURE(c.transposed);
  CAPTURE(static_cast<int>(c.add));
  CAPTURE(c.cols);
  const std::vector<T> expected = product<T>(memory, c, ProductWay::columns, kPlenty);
  CHECK(std::any_of(expected.begin(), expected.end(), [](T v) { return v != 0; }));
  CHECK(product<T>(memory, c, ProductWay::tiles, kPlenty) == expected);
  for (const std::size_t count : ranges) {
    CAPTURE(count);
    CHECK(product<T>(disk, c, ProductWay::tiles, limit_for<T>(c.to->all_rows(), count)) == expected);
  }
}

TinyStoreOptions graph_of(std::uint32_t nodes, std::uint32_t edges, bool undirected) {
  TinyStoreOptions o;
  o.nodes = nodes;
  o.edges = edges;
  o.features = 40;
  o.undirected = undirected;
  o.shard_rows = 2 * kChunkRows;
  o.labelled = 0.1;
  return o;
}

TrainOptions options_of(const std::filesystem::path& directory, Codec codec, std::uint32_t threads) {
  TrainOptions options = base_options(directory, codec == Codec::fp64);
  options.model.hidden = 100;
  options.codec = options.alpha_codec = codec;
  options.threads = threads;
  return options;
}

// A session that holds its edges, and one that reads them again and whose rows spill.
template <class T>
struct Pair {
  Pair(const Store& store, const TrainOptions& options) : memory(store, options), disk(store, tight(store, options)) {
    REQUIRE(memory.session.graph.resident());
    REQUIRE_FALSE(disk.session.graph.resident());
  }
  static TrainOptions tight(const Store& store, TrainOptions options) {
    const Model model = build_model(options.model, options.method, store.info().feature_dim, store.info().classes);
    options.host_memory = 3 * plan_memory(options, store.info(), model, options.threads).least / 2;
    options.prefetch = options.threads == 2;
    return options;
  }
  Engine<T> memory, disk;
};

TEST_CASE("tiles: every codec, both directions, what is added, one to five ranges, groups of columns") {
  const TempDir dir;
  for (const bool undirected : {false, true}) {
    (void)make_tiny_store(dir.path() / "store", graph_of(5 * kChunkRows + 77, 30000, undirected));
    {
      const Store store(dir.path() / "store");
      for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8}) {
        for (const std::uint32_t threads : {1u, 2u}) {
          CAPTURE(undirected);
          CAPTURE(static_cast<int>(codec));
          CAPTURE(threads);
          Pair<float> both(store, options_of(dir.path(), codec, threads));
          const RowMap all = RowMap::identity(store.info().nodes);
          for (const bool transposed : {false, true}) {
            for (const Add add : {Add::nothing, Add::other, Add::out, Add::by_node}) {
              const std::size_t cols = add == Add::nothing ? 100 : add == Add::other ? 71 : 32;
              check<float>(both.memory.session, both.disk.session, {transposed, add, cols, &all, &all}, {1, 3, 5});
            }
          }
        }
      }
    }
    std::filesystem::remove_all(dir.path() / "store");
  }
}

TEST_CASE("tiles: rows of active sets, of training and of evaluation") {
  const TempDir dir;
  (void)make_tiny_store(dir.path() / "store", graph_of(6 * kChunkRows + 11, 9000, false));
  const Store store(dir.path() / "store");
  for (const std::uint32_t threads : {1u, 2u, 3u}) {
    CAPTURE(threads);
    Pair<float> both(store, options_of(dir.path(), Codec::fp16, threads));
    const ActiveSets& sets = both.memory.session.sets;
    const ActiveSets& same = both.disk.session.sets;
    for (std::size_t k = 2; k <= 3; ++k) {
      REQUIRE_FALSE(sets.layer(k).is_identity());
      REQUIRE(sets.layer(k).eval_rows() > 0);
      REQUIRE(same.layer(k).all_rows() == sets.layer(k).all_rows());
      const RowMap &from = sets.inputs(k), &to = sets.layer(k);
      for (const bool train_only : {true, false}) {
        check<float>(both.memory.session, both.disk.session, {false, Add::nothing, 48, &from, &to, train_only, true},
                     {1, 2, 4});
      }
      for (const Add add : {Add::nothing, Add::other, Add::out, Add::by_node}) {
        check<float>(both.memory.session, both.disk.session, {true, add, 32, &to, &from, true, false}, {1, 2, 5});
      }
    }
  }
}

TEST_CASE("tiles: every normalisation, in double too; sizes around a chunk") {
  const TempDir dir;
  for (const std::uint32_t nodes : {1u, 1023u, 1024u, 1025u, 3000u}) {
    TinyStoreOptions o = graph_of(nodes, 4 * nodes, false);
    o.labelled = 1;
    o.all_train = true;
    (void)make_tiny_store(dir.path() / "store", o);
    {
      const Store store(dir.path() / "store");
      const RowMap all = RowMap::identity(nodes);
      for (const Aggregation aggregation :
           {Aggregation::sum, Aggregation::mean, Aggregation::sym, Aggregation::row_with_self}) {
        CAPTURE(nodes);
        CAPTURE(static_cast<int>(aggregation));
        TrainOptions options = options_of(dir.path(), Codec::fp64, 2);
        options.model.aggregation = aggregation;
        options.model.kind =
            aggregation == Aggregation::sum || aggregation == Aggregation::mean ? ModelKind::sage : ModelKind::gcn;
        Engine<double> engine(store, options);
        for (const bool transposed : {false, true}) {
          for (const std::size_t cols : {1, 33}) {
            const Case c{transposed, Add::nothing, cols, &all, &all};
            const std::vector<double> expected = product<double>(engine.session, c, ProductWay::columns, kPlenty);
            CHECK(product<double>(engine.session, c, ProductWay::tiles, kPlenty) == expected);
            const std::uint64_t least = least_tile_bytes(nodes, cols, sizeof(double));
            CHECK(product<double>(engine.session, c, ProductWay::tiles, least) == expected);
            CHECK_THROWS_AS((void)product<double>(engine.session, c, ProductWay::tiles, least - 1), ResourceError);
          }
        }
      }
    }
    std::filesystem::remove_all(dir.path() / "store");
  }
}

TEST_CASE("tiles: the cut fits the limit, covers everything, and reads no more than another would") {
  CounterRng rng(1, Stream::synthetic);
  for (int trial = 0; trial < 2000; ++trial) {
    TiledProduct product{1 + rng.below(400), 4, {rng.below(20000)}, rng.below(1 << 20), rng.below(1 << 20)};
    if (rng.below(2) != 0) product.rows.push_back(rng.below(5000));
    const std::uint64_t least = least_tile_bytes(product.all_rows(), product.cols, 4);
    const std::uint64_t limit = least + rng.below(1 << 22);
    const TilePlan plan = plan_tiles(product, std::max<std::uint64_t>(limit, kChunkRows * kPanelColumns * 4));
    CHECK(plan.columns > 0);
    CHECK(plan.chunks > 0);
    CHECK((plan.columns == product.cols || plan.columns % kPanelColumns == 0));
    CHECK(plan.columns <= ChunkPins::kMost * kPanelColumns);
    CHECK(plan.bytes <= std::max<std::uint64_t>(limit, kChunkRows * kPanelColumns * 4));
    CHECK(plan.bytes == std::min(product.all_rows(), plan.chunks * kChunkRows) * plan.columns * 4);
  }
  // Where the edges weigh most, as few passes as possible; where rows do, x is read once.
  const std::uint64_t limit = 40 * kChunkRows * 48 * 4;
  CHECK(plan_tiles({96, 4, {40 * kChunkRows}, 1, 1000}, limit).columns == 96);
  CHECK(plan_tiles({96, 4, {40 * kChunkRows}, 1000, 1}, limit).columns == 32);
}

TEST_CASE("tiles: the workers' parts cover the sums once") {
  for (const std::size_t rows : {1, 2, 1023, 5000}) {
    for (const std::size_t columns : {1, 32, 33, 71, 256}) {
      for (const std::size_t threads : {1, 2, 3, 16}) {
        std::vector<int> seen(rows * columns);
        for (const TileUnit& unit : tile_units(rows, columns, threads)) {
          CHECK(unit.first_column % kPanelColumns == 0);
          for (std::size_t r = unit.first_row; r < unit.first_row + unit.rows; ++r) {
            for (std::size_t c = unit.first_column; c < unit.first_column + unit.columns; ++c) ++seen[r * columns + c];
          }
        }
        CHECK(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
      }
    }
  }
}

TEST_CASE("workers: every turn sees the items in order, every item its turns, and no slot has two items") {
  for (const std::uint32_t threads : {1u, 2u, 3u}) {
    Workers workers(threads);
    for (const std::size_t items : {0, 1, 2, 100}) {
      for (const std::size_t count : {1, 2, 5}) {
        std::vector<std::vector<std::size_t>> seen(count);  // by turn
        std::vector<std::size_t> done(items), holder(workers.slots(), items);
        workers.in_turns(items, {.before = {},
                                 .work = [&](std::size_t i, std::size_t slot) { holder[slot] = i; },
                                 .count = count,
                                 .turn =
                                     [&](std::size_t i, std::size_t slot, std::size_t t) {
                                       CHECK(holder[slot] == i);
                                       CHECK(done[i]++ == t);
                                       seen[t].push_back(i);
                                     }});
        std::vector<std::size_t> expected(items);
        std::iota(expected.begin(), expected.end(), std::size_t{0});
        for (const std::vector<std::size_t>& order : seen) CHECK(order == expected);
      }
    }
  }
}

}  // namespace
}  // namespace strata::test
