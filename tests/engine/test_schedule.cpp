// Runs that follow their plan: what the passes move is what was planned, and neither the plan nor reading ahead changes
// a bit.
#include <doctest/doctest.h>

#include "engine/calibration.hpp"
#include "engine/planner.hpp"
#include "tests/engine/fixture.hpp"

namespace strata::test {
namespace {

constexpr double kMiB = 1 << 20;

struct Outcome {
  std::vector<float> parameters;
  std::uint64_t peak = 0;
  PassTraffic planned, measured;  // of the third epoch: all passes
  std::vector<std::string> off;   // passes that moved more than planned
};

bool more_than_planned(std::uint64_t measured, std::uint64_t planned) {
  return static_cast<double>(measured) > 1.05 * static_cast<double>(planned) + kMiB;
}

// As a training run does it; evaluation reads the logits.
struct Learner {
  Learner(const Store& store, const TrainOptions& options, bool planned)
      : engine(store, options), method(make_method<float>(engine.session)) {
    if (!planned) return;
    Calibration<float> calibration(engine.session);
    plan = plan_schedule<float>(
        engine.session, *method, [this] { evaluate(); }, calibration);
  }
  void evaluate() {
    const RowSource logits = method->logits();
    Schedule::Scope scope(engine.session.schedule, engine.session.buffers, "evaluate");
    std::vector<const RowStore*> parts{logits.store};
    if (logits.eval != nullptr) parts.push_back(logits.eval);
    for (const RowStore* part : parts) scope.use(*part, 0, part->shape().panels(), StoreUse::Kind::read, true);
    if (!scope.begin()) return;
    for (const RowStore* part : parts) (void)all_rows<float>(*part);
  }
  void epoch(std::uint32_t number, bool evaluated) {
    engine.session.schedule.start_epoch(number);
    method->expect_evaluation(evaluated);
    (void)method->train_epoch(number, nullptr, {});
    if (evaluated) evaluate();
  }
  Engine<float> engine;
  std::unique_ptr<Method<float>> method;
  SchedulePlan plan;
};

Outcome run(const Store& store, const TrainOptions& options, bool planned) {
  Learner learner(store, options, planned);
  Session<float>& session = learner.engine.session;
  session.schedule.start_preparation();
  learner.method->prepare();
  learner.epoch(1, true);
  learner.epoch(2, true);
  const std::vector<PassMeasured> before = session.schedule.measured();
  const TierCounters all_before = session.buffers.counters();
  learner.epoch(3, true);
  Outcome outcome;
  const std::vector<PassMeasured>& after = session.schedule.measured();
  const std::size_t first = planned ? learner.plan.preparation.size() : 0;
  for (std::size_t p = first; p < after.size(); ++p) {
    const PlannedPass& pass = learner.plan.epoch[p - first];
    const std::uint64_t read = after[p].io.bytes_read - before[p].io.bytes_read;
    outcome.planned.read += pass.traffic.read;
    outcome.planned.written += pass.traffic.written;
    if (after[p].runs != before[p].runs + 1) outcome.off.push_back(pass.name + " ran otherwise than planned");
    if (more_than_planned(read, pass.traffic.read)) outcome.off.push_back(pass.name);
  }
  const TierCounters counters = session.buffers.counters();
  outcome.measured = {counters.bytes_read - all_before.bytes_read, counters.bytes_written - all_before.bytes_written};
  learner.epoch(4, false);  // the plan expects an evaluation
  learner.epoch(5, true);
  const auto values = session.parameters.values();
  outcome.parameters.assign(values.begin(), values.end());
  outcome.peak = learner.engine.budget.peak();
  return outcome;
}

TEST_CASE("schedule: planned bytes are moved, and no bit changes") {
  const TempDir dir;
  TinyStoreOptions o;
  o.nodes = 12 * kChunkRows + 100;
  o.edges = 40000;
  o.features = 40;
  o.classes = 5;
  o.undirected = false;
  o.shard_rows = 2048;
  (void)make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const MethodKind method : {MethodKind::full, MethodKind::iglu}) {
    for (const ModelKind kind : {ModelKind::gcn, ModelKind::sage, ModelKind::mlp, ModelKind::gcnii}) {
      TrainOptions options = base_options(dir.path(), false);
      options.method = method;
      options.model.kind = kind;
      options.model.hidden = 80;
      if (kind == ModelKind::gcnii) options.model.layers = 2;  // and a linear one before and behind them
      options.model.activation = Activation::relu;
      options.model.norm = NormKind::layer;
      options.model.dropout = kind == ModelKind::sage ? 0 : 0.3;
      options.batch_size = 4096;
      options.threads = 2;
      const Outcome memory = run(store, options, false);
      const Model model = build_model(options.model, options.method, store.info().feature_dim, store.info().classes);
      const std::uint64_t least = plan_memory(options, store.info(), model, 2).least;
      for (const std::uint64_t budget : {least, 3 * least / 2, std::uint64_t{1} << 30}) {
        for (const bool prefetch : {false, true}) {
          CAPTURE(static_cast<int>(method));
          CAPTURE(static_cast<int>(kind));
          CAPTURE(budget);
          CAPTURE(prefetch);
          options.host_memory = budget;
          options.prefetch = prefetch;
          const Outcome outcome = run(store, options, true);
          CHECK(outcome.parameters == memory.parameters);
          CHECK(outcome.peak <= budget);
          for (const std::string& pass : outcome.off) {
            CAPTURE(pass);
            CHECK(pass.empty());
          }
          CHECK_FALSE(more_than_planned(outcome.measured.read, outcome.planned.read));
          CHECK_FALSE(more_than_planned(outcome.measured.written, outcome.planned.written));
          // Both may be fewer: memory that a pass does not use holds rows that the plan had given up on, and rows that
          // are dropped before their write is done are not counted.
          if (budget == least) CHECK(outcome.planned.written > 0);
          if (budget == std::uint64_t{1} << 30) CHECK(outcome.measured.read + outcome.measured.written == 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata::test
