// Whole runs whose products hold sums: the bits of those that hold columns, the bytes that were planned; and which way
// the planner takes.
#include <doctest/doctest.h>

#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

void make_store(const std::filesystem::path& path, const TinyStoreOptions& wanted) {
  TinyStoreOptions o = wanted;
  o.classes = 5;
  o.undirected = false;
  (void)make_tiny_store(path, o);
}

TinyStoreOptions graph_of(std::uint32_t nodes, std::uint32_t edges, double labelled) {
  TinyStoreOptions o;
  o.nodes = nodes;
  o.edges = edges;
  o.features = 40;
  o.labelled = labelled;
  o.shard_rows = 2048;
  return o;
}

TEST_CASE("tiles: whole runs have the bits of columns, at every budget, planned or not") {
  const TempDir dir;
  for (const double labelled : {1.0, 0.1}) {
    make_store(dir.path() / "store", graph_of(5000, 12000, labelled));
    {
      const Store store(dir.path() / "store");
      for (const Mode& mode : kModes) {
        CAPTURE(labelled);
        CAPTURE(static_cast<int>(mode.method));
        CAPTURE(static_cast<int>(mode.model));
        CAPTURE(static_cast<int>(mode.order));
        TrainOptions options = options_for(mode, dir.path());
        options.product_way = ProductWay::columns;
        const Result columns = train(store, options);
        options.product_way = ProductWay::tiles;
        CHECK(train(store, options) == columns);
        for (const std::uint32_t threads : {1u, 2u}) {
          options.threads = threads;
          const std::uint64_t least = least_budget(store, options);
          for (const std::uint64_t budget : {least, least + least / 3}) {
            for (const bool planned : {false, true}) {
              options.host_memory = budget;
              options.prefetch = planned;
              const Result tiles = train(store, options, planned);
              CHECK(tiles == columns);
              CHECK(tiles.peak <= budget);
            }
          }
        }
        options.product_way = ProductWay::automatic;
        options.host_memory = least_budget(store, options);
        CHECK(train(store, options, true) == columns);
      }
    }
    std::filesystem::remove_all(dir.path() / "store");
  }
}

// An epoch's passes as planned and as they were, the third one's.
TEST_CASE("tiles: planned bytes are moved") {
  const TempDir dir;
  make_store(dir.path() / "store", graph_of(12 * kChunkRows + 100, 40000, 1));
  const Store store(dir.path() / "store");
  for (const MethodKind kind : {MethodKind::full, MethodKind::iglu}) {
    TrainOptions options = options_for(kind, ModelKind::sage, dir.path());
    options.model.hidden = 80;
    options.threads = 2;
    options.product_way = ProductWay::tiles;
    const std::uint64_t least = least_budget(store, options);
    for (const std::uint64_t budget : {least, least + least / 2, 2 * least}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(budget);
      options.host_memory = budget;
      Engine<float> engine(store, options);
      Session<float>& session = engine.session;
      const auto method = make_method<float>(session);
      const DiskRates disk;
      Calibration<float> rates(session, &disk);
      const SchedulePlan plan = plan_schedule<float>(
          session, *method, [&] { evaluate_logits(session, *method); }, rates);
      CHECK(plan.way == ProductWay::tiles);
      REQUIRE(plan.ways.size() == 1);
      session.schedule.start_preparation();
      method->prepare();
      std::vector<PassMeasured> before;
      for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
        before = session.schedule.measured();
        session.schedule.start_epoch(epoch);
        method->expect_evaluation(true);
        (void)method->train_epoch(epoch, nullptr, {});
        evaluate_logits(session, *method);
      }
      const std::vector<PassMeasured>& after = session.schedule.measured();
      const auto more = [](std::uint64_t measured, std::uint64_t planned) {
        return static_cast<double>(measured) > 1.05 * static_cast<double>(planned) + (1 << 20);
      };
      PassTraffic planned, measured;
      for (std::size_t p = plan.preparation.size(); p < after.size(); ++p) {
        const PlannedPass& pass = plan.epoch[p - plan.preparation.size()];
        CAPTURE(pass.name);
        const std::uint64_t read = after[p].io.bytes_read - before[p].io.bytes_read;
        CHECK(after[p].runs == before[p].runs + 1);
        CHECK_FALSE(more(read, pass.traffic.read));
        planned.read += pass.traffic.read;
        planned.written += pass.traffic.written;
        measured.read += read;
        measured.written += after[p].io.bytes_written - before[p].io.bytes_written;
      }
      CHECK_FALSE(more(measured.read, planned.read));
      CHECK_FALSE(more(measured.written, planned.written));
      if (budget == least) CHECK(measured.read > 0);
    }
  }
}

// What the planner takes when the disk decides.
SchedulePlan planned(const Store& store, TrainOptions options, double columns_share) {
  const std::uint64_t least = least_budget(store, options);
  const std::size_t width = options.model.hidden;
  options.host_memory =
      least + static_cast<std::uint64_t>(static_cast<double>(store.info().nodes * width * 4) * columns_share);
  Engine<float> engine(store, options);
  const auto method = make_method<float>(engine.session);
  const DiskRates slow{1e5, 1e5};
  Calibration<float> rates(engine.session, &slow);
  return plan_schedule<float>(
      engine.session, *method, [&] { evaluate_logits(engine.session, *method); }, rates);
}

TEST_CASE("tiles: the planner takes what is faster on this graph and says what each would have come to") {
  const TempDir dir;
  const auto check_costs = [](const SchedulePlan& plan) {
    REQUIRE(plan.ways.size() == 3);
    double least = plan.ways.front().seconds;
    for (const WayCost& cost : plan.ways) least = std::min(least, cost.seconds);
    for (const WayCost& cost : plan.ways) {
      if (cost.way == plan.way) CHECK(cost.seconds == least);
    }
    CHECK(plan.seconds(plan.epoch) == least);
  };
  TrainOptions options = options_for(MethodKind::full, ModelKind::gcn, dir.path());
  options.model.layers = 2;
  options.model.hidden = 16;
  make_store(dir.path() / "sparse", graph_of(30000, 60000, 1));
  make_store(dir.path() / "dense", graph_of(6000, 900000, 1));
  const Store sparse(dir.path() / "sparse"), dense(dir.path() / "dense");
  const SchedulePlan usual = planned(sparse, options, 0.5);
  check_costs(usual);
  CHECK(usual.way == ProductWay::columns);
  const SchedulePlan narrow = planned(dense, options, 0.15);
  check_costs(narrow);
  CHECK(narrow.way == ProductWay::tiles);
  // Few destinations on the way up, few sources on the way down.
  make_store(dir.path() / "few", graph_of(30000, 300000, 0.01));
  const Store few(dir.path() / "few");
  options.model.layers = 3;
  options.model.hidden = 64;
  const SchedulePlan each = planned(few, options, 0.1);
  check_costs(each);
  CHECK(each.way == ProductWay::automatic);
}

}  // namespace
}  // namespace strata::test
