// Invariant 1: same seed, device and codecs give the same bits for every budget and thread count.
#include <doctest/doctest.h>

#include <algorithm>

#include "engine/calibration.hpp"
#include "engine/evaluation.hpp"
#include "engine/inference.hpp"
#include "engine/plan.hpp"
#include "engine/planner.hpp"
#include "kernels/base/error.hpp"
#include "tests/engine/fixture.hpp"

namespace strata::test {
namespace {

struct Result {
  std::vector<float> parameters, logits;  // logits: of the nodes of the splits
  TierCounters counters;
  std::uint64_t peak = 0;
  bool operator==(const Result& o) const { return parameters == o.parameters && logits == o.logits; }
};

std::vector<NodeId> nodes_of_splits(const Objective<float>& objective) {
  TinyGraph graph;
  const auto copy = [](std::span<const NodeId> ids) { return std::vector<NodeId>(ids.begin(), ids.end()); };
  graph.train = copy(objective.train_nodes());
  graph.valid = copy(objective.valid_nodes());
  graph.test = copy(objective.test_nodes());
  return nodes_of_splits(graph);
}

// What strata-train does with the logits after an epoch, as a pass.
void evaluate_logits(Session<float>& session, Method<float>& method) {
  const RowSource logits = method.logits();
  Schedule::Scope scope(session.schedule, session.buffers, "evaluate");
  for (const RowStore* part : {logits.store, logits.eval}) {
    if (part != nullptr) scope.use(*part, 0, part->shape().panels(), StoreUse::Kind::read, true);
  }
  if (!scope.begin()) return;
  for (const std::span<const NodeId> nodes :
       {session.objective.train_nodes(), session.objective.valid_nodes(), session.objective.test_nodes()}) {
    if (nodes.empty()) continue;
    (void)evaluate<float>(logits, session.objective.labels(), nodes, Metric::accuracy, session.budget);
  }
}

// Four epochs, with evaluation as options.eval_every says (0: never). planned: as strata-train runs them, with what
// stays in memory decided beforehand. Inference must give the logits of the method.
Result train(const Store& store, const TrainOptions& options, bool planned = false) {
  Engine<float> engine(store, options);
  Session<float>& session = engine.session;
  auto method = make_method<float>(session);
  if (planned) {
    Calibration<float> calibration(session);
    (void)plan_schedule<float>(
        session, *method, [&] { evaluate_logits(session, *method); }, calibration);
  }
  session.schedule.start_preparation();
  method->prepare();
  for (std::uint32_t epoch = 1; epoch <= 4; ++epoch) {
    const bool evaluated = options.eval_every != 0 && epoch % options.eval_every == 0;
    session.schedule.start_epoch(epoch);
    method->expect_evaluation(evaluated);
    (void)method->train_epoch(epoch, nullptr, {});
    if (evaluated) evaluate_logits(session, *method);
  }
  session.schedule.suspend();
  method->forget_outputs();
  const std::vector<NodeId> split = nodes_of_splits(session.objective);
  Result result;
  result.logits = rows_of_nodes<float>(method->logits(), split);
  const auto values = session.parameters.values();
  result.parameters.assign(values.begin(), values.end());
  result.counters = session.buffers.counters();
  method.reset();
  {
    const Inference<float> inference(session, split, true);
    CHECK(rows_of_nodes<float>(inference.logits(), split) == result.logits);
  }
  result.peak = engine.budget.peak();
  return result;
}

std::uint64_t least_budget(const Store& store, const TrainOptions& options) {
  const Model model = build_model(options.model, options.method, store.info().feature_dim, store.info().classes);
  return plan_memory(options, store.info(), model, options.threads).least;
}

TrainOptions options_for(MethodKind method, ModelKind model, const std::filesystem::path& directory) {
  TrainOptions o = base_options(directory, false);
  o.method = method;
  o.model.kind = model;
  o.model.hidden = 48;  // a whole panel and half of one
  o.model.activation = Activation::relu;
  o.model.norm = NormKind::layer;
  o.model.dropout = 0.3;
  o.model.input_dropout = 0.2;
  o.optimizer.kind = OptimizerKind::adam;
  o.batch_size = 2048;
  return o;
}

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

// Every order, refresh and residual of the methods, on a model it works with.
struct Mode {
  MethodKind method;
  ModelKind model;
  ResidualKind residual;
  IgluOrder order = IgluOrder::inverted;
  IgluRefresh refresh = IgluRefresh::once;
};
const std::vector<Mode> kModes = {
    {MethodKind::full, ModelKind::gcn, ResidualKind::add2},
    {MethodKind::full, ModelKind::sage, ResidualKind::add},
    {MethodKind::iglu, ModelKind::sage, ResidualKind::add2, IgluOrder::inverted, IgluRefresh::alternate},
    {MethodKind::iglu, ModelKind::gcn, ResidualKind::add, IgluOrder::inverted, IgluRefresh::twice},
    {MethodKind::iglu, ModelKind::gcn, ResidualKind::none, IgluOrder::backprop, IgluRefresh::once},
    {MethodKind::iglu, ModelKind::gcn, ResidualKind::add2, IgluOrder::backprop, IgluRefresh::alternate},
    {MethodKind::iglu, ModelKind::sage, ResidualKind::add, IgluOrder::backprop, IgluRefresh::twice},
    {MethodKind::iglu, ModelKind::mlp, ResidualKind::add, IgluOrder::backprop, IgluRefresh::alternate},
    {MethodKind::sgc, ModelKind::gcn, ResidualKind::none}};

TrainOptions options_for(const Mode& mode, const std::filesystem::path& directory) {
  TrainOptions o = options_for(mode.method, mode.model, directory);
  o.model.residual = mode.residual;
  o.model.layers = mode.residual == ResidualKind::add2 ? 4 : 3;
  o.iglu_order = mode.order;
  o.iglu_refresh = mode.refresh;
  return o;
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

// Few labelled nodes in a sparse directed graph: other rows in every layer, for training as for evaluation.
void make_sparse_store(const std::filesystem::path& path, std::uint32_t nodes) {
  TinyStoreOptions o;
  o.nodes = nodes;
  o.edges = nodes;
  o.features = 48;  // as wide as the hidden layers: X^0 is among the rows that residuals add
  o.classes = 5;
  o.undirected = false;
  o.labelled = 0.4;
  o.shard_rows = 2048;
  (void)make_tiny_store(path, o);
}

void check_sparse(const Store& store, const Mode& mode, const std::filesystem::path& directory) {
  const TrainOptions options = options_for(mode, directory);
  const Engine<float> engine(store, options);
  const ActiveSets& sets = engine.session.sets;
  CHECK(sets.layer(sets.layers()).eval_rows() > 0);
  if (mode.method == MethodKind::sgc || mode.model == ModelKind::mlp) return;
  for (std::size_t k = 1; k < sets.layers(); ++k) {
    CHECK(sets.layer(k + 1).train_rows() < sets.layer(k).train_rows());
    CHECK(sets.layer(k + 1).all_rows() < sets.layer(k).all_rows());
  }
  CHECK(sets.layer(1).all_rows() < sets.nodes());
}

std::vector<Mode> sparse_modes() {
  std::vector<Mode> modes = kModes;
  modes.push_back({MethodKind::full, ModelKind::gcn, ResidualKind::none});
  modes.push_back({MethodKind::full, ModelKind::sage, ResidualKind::add2});
  modes.push_back({MethodKind::full, ModelKind::mlp, ResidualKind::add});
  modes.push_back({MethodKind::iglu, ModelKind::sage, ResidualKind::add, IgluOrder::inverted, IgluRefresh::once});
  return modes;
}

TEST_CASE("nor where every layer has other rows: budget, threads, reading ahead") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 9000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    CAPTURE(static_cast<int>(mode.method));
    CAPTURE(static_cast<int>(mode.model));
    CAPTURE(static_cast<int>(mode.residual));
    check_sparse(store, mode, dir.path());
    TrainOptions options = options_for(mode, dir.path());
    const Result memory = train(store, options);
    CHECK(memory.counters.bytes_written == 0);
    for (const std::uint32_t threads : {1u, 3u}) {
      options.threads = threads;
      const std::uint64_t least = least_budget(store, options);
      for (const std::uint64_t budget : {least, least + least / 4, std::uint64_t{1} << 30}) {
        options.host_memory = budget;
        options.prefetch = (budget == least) == (threads == 1);
        const Result result = train(store, options, threads == 3);
        CHECK(result == memory);
        CHECK(result.peak <= budget);
      }
    }
  }
}

TEST_CASE("the rhythm of evaluation changes no bit of a weight, in memory or not, planned or not") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    CAPTURE(static_cast<int>(mode.method));
    CAPTURE(static_cast<int>(mode.model));
    CAPTURE(static_cast<int>(mode.residual));
    CAPTURE(static_cast<int>(mode.order));
    CAPTURE(static_cast<int>(mode.refresh));
    for (const double dropout : {0.3, 0.0}) {
      TrainOptions options = options_for(mode, dir.path());
      options.model.dropout = options.model.input_dropout = dropout;
      options.batch_size = 1024;
      const Result each = train(store, options);
      for (const bool planned : {false, true}) {
        for (const std::uint32_t every : {1u, 2u, 3u, 0u}) {
          for (const bool tight : {false, true}) {
            CAPTURE(planned);
            CAPTURE(every);
            CAPTURE(tight);
            options.eval_every = every;
            options.host_memory = tight ? least_budget(store, options) : std::uint64_t{1} << 30;
            CHECK(train(store, options, planned) == each);
          }
        }
      }
    }
  }
}

TEST_CASE("an evaluation that was not announced, or announced and then not made, changes no bit either") {
  TempDir dir;
  make_sparse_store(dir.path() / "store", 3000);
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    const TrainOptions options = options_for(mode, dir.path());
    std::vector<std::vector<float>> parameters, logits;
    for (const int how : {0, 1, 2}) {
      Engine<float> engine(store, options);
      auto method = make_method<float>(engine.session);
      method->prepare();
      if (how == 1) (void)method->logits();
      for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
        method->expect_evaluation(how == 0);
        (void)method->train_epoch(epoch, nullptr, {});
        if (how == 1) (void)method->logits();
      }
      logits.push_back(rows_of_nodes<float>(method->logits(), nodes_of_splits(engine.session.objective)));
      const auto values = engine.session.parameters.values();
      parameters.emplace_back(values.begin(), values.end());
    }
    CHECK(parameters[0] == parameters[1]);
    CHECK(parameters[0] == parameters[2]);
    CHECK(logits[0] == logits[1]);
    CHECK(logits[0] == logits[2]);
  }
}

TEST_CASE("without nodes to validate or test by there are no rows of evaluation, and every method learns") {
  TempDir dir;
  TinyStoreOptions o;
  o.labelled = 0.5;
  o.all_train = true;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  REQUIRE((graph.valid.empty() && graph.test.empty()));
  const Store store(dir.path() / "store");
  for (const Mode& mode : sparse_modes()) {
    TrainOptions options = options_for(mode, dir.path());
    const Engine<float> engine(store, options);
    for (std::size_t k = 1; k <= engine.session.sets.layers(); ++k)
      CHECK(engine.session.sets.layer(k).eval_rows() == 0);
    const Result result = train(store, options);
    CHECK(result.logits.size() == graph.train.size() * o.classes);
    CHECK(train(store, options, true) == result);
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
