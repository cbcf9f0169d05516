// Products over row stores in column groups and slices, from memory or from disk: the bits of the one that holds all.
#include <doctest/doctest.h>

#include "engine/external_spmm.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "tests/engine/fixture.hpp"

namespace strata::test {
namespace {

constexpr std::size_t kCols = 71;  // two panels and 7 columns

enum class Add : std::uint8_t { nothing, other, out };

void fill(RowStore& store, std::uint64_t seed) {
  std::vector<float> rows(kChunkRows * kCols);
  CounterRng rng(seed, Stream::synthetic);
  for (std::size_t chunk = 0; chunk < store.shape().chunks(); ++chunk) {
    for (float& value : rows) value = static_cast<float>(static_cast<int>(rng.below(2001)) - 1000) / 256.0f;
    write_chunk<float>(store, chunk, {rows.data(), store.shape().chunk_rows(chunk), kCols});
  }
}

struct Case {
  bool transposed = false, taken = false;
  Add add = Add::nothing;
};

std::vector<float> product(Session<float>& session, const Case& c) {
  RowStore x = session.make_rows("x", session.nodes(), kCols);
  RowStore other = session.make_alpha("other", session.nodes(), kCols);
  RowStore out = session.make_alpha("out", session.nodes(), kCols);
  fill(x, 1);
  fill(other, 2);
  fill(out, 3);
  const RowMap all = RowMap::identity(session.nodes());
  const RowSource add = c.add == Add::nothing ? RowSource() : RowSource(c.add == Add::out ? out : other);
  {
    ExternalSpmm<float> spmm(session, "product", c.transposed, x.shape(), {&all, &all, {}},
                             {{RowPart::train, add, &out}});
    const bool taken = c.taken && spmm.taken_panels() > 0;
    if (taken) {
      std::vector<float> rows(kChunkRows * kCols);
      for (std::size_t chunk = 0; chunk < x.shape().chunks(); ++chunk) {
        const MatrixView<float> view{rows.data(), x.shape().chunk_rows(chunk), kCols};
        read_chunk<float>(x, chunk, view);
        spmm.take(chunk * kChunkRows, view);
      }
    }
    const bool whole = taken && spmm.taken_panels() == x.shape().panels();
    spmm.run({{whole ? nullptr : &x, 0}}, taken);
  }
  session.drop_scales();  // of a map that goes
  return all_rows<float>(out);
}

TEST_CASE("products: column groups, slices, taken rows, streamed shards and reading ahead change no bit") {
  const TempDir dir;
  TinyStoreOptions o;
  o.nodes = 6 * kChunkRows + 77;
  o.edges = 20000;
  o.features = 40;
  o.undirected = false;
  o.shard_rows = kChunkRows;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8}) {
    CAPTURE(static_cast<int>(codec));
    TrainOptions options = base_options(dir.path(), false);
    options.model.hidden = kCols;
    options.codec = options.alpha_codec = codec;
    Engine<float> memory(store, options);
    REQUIRE(memory.session.graph.resident());
    const Model model = build_model(options.model, options.method, store.info().feature_dim, store.info().classes);
    options.threads = 2;
    options.host_memory =
        plan_memory(options, store.info(), model, 2).least + o.nodes * encoded_row_bytes(codec, kCols);
    for (const bool prefetch : {false, true}) {
      options.prefetch = prefetch;
      Engine<float> disk(store, options);
      REQUIRE_FALSE(disk.session.graph.resident());
      // Little is left beside the gathered columns and the blocks in use.
      const RowShape shape{o.nodes, kCols, codec};
      const std::uint64_t left = o.nodes * encoded_row_bytes(codec, kCols) + 24 * shape.tile_slot(0, 0) + (1 << 21);
      const std::uint64_t free = disk.budget.limit() - disk.budget.used();
      const Reservation others = disk.budget.reserve(free > left ? free - left : 0, "others");
      for (const bool transposed : {false, true}) {
        for (const Add add : {Add::nothing, Add::other, Add::out}) {
          const Case c{transposed, false, add};
          memory.session.spmm_memory.gather_limit = std::uint64_t{1} << 30;
          const std::vector<float> expected = product(memory.session, c);
          for (const std::size_t width : {4, 16, 32, 64, 71}) {
            CAPTURE(width);
            CAPTURE(static_cast<int>(add));
            CAPTURE(transposed);
            const std::uint64_t limit = o.nodes * encoded_row_bytes(codec, width);
            memory.session.spmm_memory.gather_limit = disk.session.spmm_memory.gather_limit = limit;
            if (codec == Codec::int8 && width < kPanelColumns) {
              CHECK_THROWS_AS(product(disk.session, c), ResourceError);
              continue;
            }
            for (const bool taken : {false, true}) {
              const Case now{transposed, taken, add};
              disk.session.spmm_memory.cached_bytes = taken ? 0 : std::uint64_t{1} << 40;  // scales by column, or not
              CHECK(product(disk.session, now) == expected);
              if (prefetch && taken) CHECK(product(memory.session, now) == expected);
            }
            CHECK(disk.budget.peak() <= disk.budget.limit());
          }
        }
      }
      if (codec == Codec::fp32) CHECK(disk.session.buffers.counters().bytes_written > 0);
    }
  }
}

}  // namespace
}  // namespace strata::test
