// Invariant 1: same seed, device and codecs give the same bits for every budget and thread count.
#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/base/error.hpp"
#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

void make_directed_store(const std::filesystem::path& path) {
  TinyStoreOptions o;
  o.nodes = 9000;
  o.edges = 30000;
  o.features = 40;
  o.classes = 5;
  o.undirected = false;
  o.shard_rows = 2048;
  (void)make_tiny_store(path, o);
}

TEST_CASE("budget, threads and evaluation rhythm change no bit") {
  TempDir dir;
  make_directed_store(dir.path() / "store");
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::full, MethodKind::iglu}) {
    for (const ModelKind model : {ModelKind::gcn, ModelKind::sage, ModelKind::mlp}) {
      TrainOptions options = options_for(method, model, dir.path());
      const Result memory = train(store, options);
      CHECK(memory.counters.bytes_written == 0);
      for (const std::uint32_t threads : {1u, 2u, 3u}) {
        options.threads = threads;
        const std::uint64_t least = least_budget(store, options);
        for (const std::uint64_t budget : {least, least + least / 2, std::uint64_t{1} << 30}) {
          options.host_memory = budget;
          options.eval_every = threads - 1;
          options.prefetch = budget == least || threads != 2;
          const Result result = train(store, options, threads == 3);
          CHECK(result == memory);
          CHECK(result.peak <= budget);
          if (budget == least) CHECK(result.counters.bytes_written > 0);
        }
      }
    }
  }
}

TEST_CASE("nor in any order, refresh frequency or residual, nor for sgc") {
  TempDir dir;
  make_directed_store(dir.path() / "store");
  const Store store(dir.path() / "store");
  for (const Mode& mode : kModes) {
    TrainOptions options = options_for(mode, dir.path());
    const Result memory = train(store, options);
    CHECK(memory.counters.bytes_written == 0);
    for (const std::uint32_t threads : {1u, 3u}) {
      options.threads = threads;
      const std::uint64_t least = least_budget(store, options);
      for (const std::uint64_t budget : {least, least + least / 2}) {
        options.host_memory = budget;
        options.eval_every = budget == least ? 0 : 1;
        const Result result = train(store, options);
        CHECK(result == memory);
        CHECK(result.peak <= budget);
        if (budget == least && mode.method != MethodKind::sgc) CHECK(result.counters.bytes_written > 0);
      }
    }
  }
}

// The state that a checkpoint holds.
struct Saved {
  std::vector<float> values, first, second;
  std::vector<std::uint64_t> steps;
  std::uint64_t global_step = 0;
};

Saved save(Parameters<float>& p, const Method<float>& method) {
  const auto copy = [](std::span<const float> v) { return std::vector<float>(v.begin(), v.end()); };
  return {copy(p.values()), copy(p.first_moments()), copy(p.second_moments()), p.steps(), method.global_step()};
}

// Epochs [first, last] from a saved state, as a run that was resumed; null: from the start.
Saved train_on(const Store& store, const TrainOptions& options, const Saved* from, std::uint32_t first,
               std::uint32_t last, bool* at_boundary = nullptr) {
  Engine<float> engine(store, options);
  Parameters<float>& p = engine.session.parameters;
  auto method = make_method<float>(engine.session);
  if (from != nullptr) {
    std::ranges::copy(from->values, p.values().begin());
    std::ranges::copy(from->first, p.first_moments().begin());
    std::ranges::copy(from->second, p.second_moments().begin());
    p.steps() = from->steps;
    method->set_global_step(from->global_step);
  }
  method->prepare();
  for (std::uint32_t epoch = first; epoch <= last; ++epoch) (void)method->train_epoch(epoch, nullptr, {});
  if (at_boundary != nullptr) *at_boundary = method->at_boundary();
  return save(p, *method);
}

TEST_CASE("going on from parameters, moments and steps at a boundary gives the same bits") {
  TempDir dir;
  TinyStoreOptions o;
  o.nodes = 3000;
  o.edges = 6000;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const Mode& mode : kModes) {
    const TrainOptions options = options_for(mode, dir.path());
    const Saved whole = train_on(store, options, nullptr, 1, 4);
    for (const std::uint32_t stop : {1u, 2u}) {
      bool boundary = false;
      const Saved half = train_on(store, options, nullptr, 1, stop, &boundary);
      CHECK(boundary == (mode.refresh != IgluRefresh::alternate || stop == 2));
      const Saved resumed = train_on(store, options, &half, stop + 1, 4);
      CHECK((resumed.values == whole.values) == boundary);
    }
  }
}

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
