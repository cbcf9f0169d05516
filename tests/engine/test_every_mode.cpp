// Invariant 1 for every method, model and schedule: budget, threads, evaluation and stopping change no bit. The long
// half of test_bits.cpp.
#include <doctest/doctest.h>

#include <algorithm>

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

}  // namespace
}  // namespace strata::test
