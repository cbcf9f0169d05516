// Invariant 1: same seed, device and codecs give the same bits for every budget and thread count.
#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/base/error.hpp"
#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

// What the thread sanitizer runs: every kind of pass, spilling, on three threads, in seconds.
TEST_CASE("three threads at the least budget, short") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 3000;
  o.edges = 6000;
  o.shard_rows = 1024;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  std::vector<Mode> modes = {{MethodKind::full, ModelKind::sage, ResidualKind::none},
                             {MethodKind::iglu, ModelKind::sage, ResidualKind::none}};
  modes.push_back({MethodKind::iglu, ModelKind::gcn, ResidualKind::add2, IgluOrder::backprop, IgluRefresh::twice});
  for (const Mode& mode : modes) {
    TrainOptions options = options_for(mode, dir.path());
    const Result memory = train(store, options);
    options.threads = 3;
    options.host_memory = least_budget(store, options);
    CHECK(train(store, options) == memory);
  }
}

TEST_CASE("with narrower codecs a run is deterministic in the same way, and differs from fp32") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 9000;
  o.edges = 30000;
  o.features = 40;
  o.shard_rows = 2048;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::full, MethodKind::iglu}) {
    TrainOptions options = options_for(method, ModelKind::sage, dir.path());
    const Result exact = train(store, options);
    for (const Codec codec : {Codec::fp16, Codec::bf16, Codec::int8}) {
      options = options_for(method, ModelKind::sage, dir.path());
      options.codec = options.alpha_codec = codec;
      const Result memory = train(store, options);
      CHECK_FALSE(memory == exact);
      CHECK(relative_difference(memory.logits, exact.logits) < 0.5);
      options.threads = 2;
      options.host_memory = least_budget(store, options);
      CHECK(train(store, options) == memory);
    }
  }
}

TEST_CASE("rows packed on disk change no bit, and move fewer bytes behind a ReLU") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 20000;
  o.edges = 40000;
  o.features = 40;
  o.shard_rows = 2048;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::full, MethodKind::iglu}) {
    for (const bool planned : {false, true}) {
      TrainOptions options = options_for(method, ModelKind::sage, dir.path());
      options.codec = options.alpha_codec = Codec::fp16;
      options.threads = planned ? 2 : 1;
      options.host_memory = least_budget(store, options);
      const Result plain = train(store, options, planned);
      options.bitmap = options.alpha_bitmap = true;
      CHECK(least_budget(store, options) == options.host_memory + BufferManager::kPackingBytes);
      options.host_memory = least_budget(store, options);  // the same memory for blocks
      const Result packed = train(store, options, planned);
      CHECK(packed == plain);
      CHECK(packed.peak <= options.host_memory);
      CHECK(packed.counters.bytes_written < plain.counters.bytes_written);
      CHECK(packed.counters.bytes_read < plain.counters.bytes_read);
      options.model.activation = Activation::tanh;  // nothing is zero but what dropout made so
      options.model.dropout = 0;
      const Result dense = train(store, options, planned);
      options.bitmap = options.alpha_bitmap = false;
      CHECK(train(store, options, planned) == dense);
      options.host_memory = std::uint64_t{1} << 30;
      options.bitmap = true;
      const Result memory = train(store, options, planned);
      CHECK(memory == dense);
      CHECK(memory.counters.bytes_written == 0);
    }
  }
}

TEST_CASE("what is expected of packed rows follows from the model") {
  TrainOptions options = options_for(MethodKind::full, ModelKind::sage, {});
  options.model.layers = 4;
  options.model.dropout = 0;
  const auto kept = [&](std::size_t layer, bool drops = false) {
    return expected_kept(build_model(options.model, options.method, 48, 5), layer, drops);
  };
  CHECK(kept(0) == 0.5);
  CHECK(kept(1) == 0.5);
  options.model.dropout = 0.4;
  CHECK(kept(1) == 0.5);
  CHECK(kept(1, true) == doctest::Approx(0.4));
  options.model.residual = ResidualKind::add;
  CHECK(kept(1) == doctest::Approx(kept(0) == 1 ? 1 : 0.75));  // layer 1 adds the features where the widths agree
  options.model.activation = Activation::tanh;
  CHECK(kept(2) == 1);
}

TEST_CASE("one byte below the least budget is refused, with the least that would do") {
  TempDir dir;
  (void)make_tiny_store(dir.path() / "store", TinyStoreOptions{});
  const Store store(dir.path() / "store");
  TrainOptions options = base_options(dir.path(), false);
  const std::uint64_t least = least_budget(store, options);
  options.host_memory = least - 1;
  try {
    (void)train(store, options);
    FAIL("accepted");
  } catch (const ResourceError& error) {
    CHECK(error.least() == least);
  }
}

TEST_CASE("thirty nodes are learnt by heart, in memory and by every method") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 30;
  o.edges = 40;
  o.features = 12;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::full, MethodKind::iglu}) {
    TrainOptions options = base_options(dir.path(), false);
    options.method = method;
    options.model.kind = ModelKind::sage;
    options.model.hidden = 32;
    options.model.layers = 2;
    options.optimizer.kind = OptimizerKind::adam;
    Engine<float> engine(store, options);
    auto learner = make_method<float>(engine.session);
    learner->prepare();
    double loss = 0;
    for (std::uint32_t epoch = 1; epoch <= 300; ++epoch) loss = learner->train_epoch(epoch, nullptr, {}).loss;
    CHECK(loss < 0.01);
  }
}

}  // namespace
}  // namespace strata::test
