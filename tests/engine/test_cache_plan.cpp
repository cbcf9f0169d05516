// What stays in memory between the uses of row stores: the plan against all ways to keep or not to keep on small
// random schedules, and against a buffer manager that carries it out.
#include <cmath>

#include "tests/engine/cache_scenarios.hpp"

namespace strata::test {
namespace {

TEST_CASE("cache plan: near the best of all ways to keep stores or not, on small schedules") {
  CounterRng rng(3, Stream::synthetic);
  int compared = 0, far = 0;
  double worst = 0, sum = 0;
  for (int round = 0; round < 400; ++round) {
    const Scenario s = random_scenario(rng, 64);
    if (interval_count(s) > 11) continue;
    for (const std::uint64_t capacity : {64 * kPage, 128 * kPage, 256 * kPage}) {
      const CachePlan plan = plan_with(s, capacity);
      const std::uint64_t planned = epoch_bytes(plan, s), fewest = fewest_bytes(s, capacity);
      CAPTURE(round);
      CAPTURE(capacity / kPage);
      CAPTURE(text_of(s, plan));
      if (fewest == 0) {
        CHECK(planned == 0);
        continue;
      }
      const double ratio = static_cast<double>(planned) / static_cast<double>(fewest);
      worst = std::max(worst, ratio);
      sum += ratio;
      ++compared;
      far += ratio > 1.25 ? 1 : 0;
      CHECK(ratio <= 2.01);
    }
  }
  MESSAGE(compared << " plans, on average " << sum / compared << " of the best that keeps all or nothing; " << far
                   << " above 1.25, worst " << worst);
  CHECK(compared > 300);
  CHECK(sum <= compared);  // fractions more than make up for what the greedy choice loses
  CHECK(far <= compared / 50);
}

TEST_CASE("cache plan: the bytes it predicts are the bytes that a buffer manager moves") {
  CounterRng rng(4, Stream::synthetic);
  for (int round = 0; round < 12; ++round) {
    const Scenario s = random_scenario(rng, 128);
    const std::uint64_t capacity = all_bytes(s) * rng.below(5) / 4;
    CAPTURE(round);
    CAPTURE(capacity / kPage);
    const CachePlan plan = plan_with(s, capacity);
    Executor executor(s, plan);
    executor.prepare();
    const TierCounters prepared = executor.counters();
    executor.epoch();
    const TierCounters first = executor.counters();
    executor.epoch();
    const TierCounters second = executor.counters();
    executor.epoch();
    const TierCounters third = executor.counters();
    std::uint64_t uses = 0;
    for (const PassRecord& pass : s.passes) uses += pass.uses.size();
    // Whole chunks are kept where the plan speaks of fractions.
    const auto near = [&](std::uint64_t measured, std::uint64_t planned) {
      const double off = std::abs(static_cast<double>(measured) - static_cast<double>(planned));
      return off <= 0.02 * static_cast<double>(planned) + static_cast<double>(2 * uses * kPage);
    };
    PassTraffic preparation, epoch;
    for (std::size_t p = 0; p < s.passes.size(); ++p) {
      PassTraffic& part = p < s.epoch_begins ? preparation : epoch;
      part.read += plan.traffic[p].read;
      part.written += plan.traffic[p].written;
    }
    CHECK(near(prepared.bytes_read, preparation.read));
    CHECK(near(prepared.bytes_written, preparation.written));
    CHECK(near(first.bytes_read - prepared.bytes_read, plan.first_epochs.read));
    CHECK(near(first.bytes_written - prepared.bytes_written, plan.first_epochs.written));
    CHECK(near(second.bytes_read - first.bytes_read, epoch.read));
    CHECK(near(second.bytes_written - first.bytes_written, epoch.written));
    CHECK(third.bytes_read - second.bytes_read == second.bytes_read - first.bytes_read);
    CHECK(third.bytes_written - second.bytes_written == second.bytes_written - first.bytes_written);
    CHECK(executor.most_kept() <= capacity + 3 * uses * kPage);
  }
}

TEST_CASE("cache plan: what is kept fits the capacity of every pass") {
  CounterRng rng(5, Stream::synthetic);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Scenario s = random_scenario(rng, 64);
    std::vector<std::uint64_t> capacity;
    for (std::size_t p = 0; p < s.passes.size(); ++p) capacity.push_back(kPage * rng.below(400));
    const CachePlan plan = plan_cache(s.passes, s.epoch_begins, capacity);
    // From the second epoch on: what every store's last use left, at the end of each pass and at the start of the next.
    std::map<std::string, Retention> last;
    std::map<std::string, std::uint64_t> bytes;
    for (int epoch = 0; epoch < 3; ++epoch) {
      for (std::size_t p = epoch == 0 ? 0 : s.epoch_begins; p < s.passes.size(); ++p) {
        const auto kept = [&] {
          double sum = 0;
          for (const auto& [name, r] : last) sum += r.drop ? 0 : r.keep * static_cast<double>(bytes[name]);
          return sum;
        };
        CHECK(kept() <= static_cast<double>(capacity[p]) + 1);
        for (std::size_t u = 0; u < s.passes[p].uses.size(); ++u) {
          last[s.passes[p].uses[u].store] = plan.retention[p][u][0];
          bytes[s.passes[p].uses[u].store] = use_bytes(s.passes[p].uses[u]);
        }
        CHECK(kept() <= static_cast<double>(capacity[p]) + 1);
      }
    }
  }
}

TEST_CASE("cache plan: more memory never moves more bytes, and enough moves none but what must be") {
  CounterRng rng(6, Stream::synthetic);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Scenario s = random_scenario(rng, 64);
    std::uint64_t before = UINT64_MAX;
    for (int eighths = 0; eighths <= 8; ++eighths) {
      CAPTURE(eighths);
      const std::uint64_t bytes = epoch_bytes(plan_with(s, all_bytes(s) * static_cast<std::uint64_t>(eighths) / 8), s);
      CHECK(bytes <= before);
      before = bytes;
    }
    CHECK(before == 0);
  }
}

TEST_CASE("cache plan: attached stores are never written, and only what is overwritten next is given up") {
  CounterRng rng(7, Stream::synthetic);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Scenario s = random_scenario(rng, 64);
    const CachePlan plan = plan_with(s, kPage * rng.below(300));
    const std::size_t count = s.passes.size();
    for (std::size_t p = 0; p < count; ++p) {
      std::uint64_t writable = 0;
      for (std::size_t u = 0; u < s.passes[p].uses.size(); ++u) {
        const StoreUse& use = s.passes[p].uses[u];
        if (!use.attached) writable += use_bytes(use);
        const Retention& r = plan.retention[p][u][0];
        CHECK(r.mode == Retention::Mode::planned);
        CHECK((r.keep >= 0 && r.keep <= 1));
        // Through this epoch's end and once around.
        const StoreUse* next = nullptr;
        for (std::size_t q = p + 1; q < count + count - s.epoch_begins && next == nullptr; ++q) {
          const PassRecord& later = s.passes[q < count ? q : s.epoch_begins + (q - count)];
          for (const StoreUse& other : later.uses) next = other.store == use.store ? &other : next;
        }
        const bool overwritten = next == nullptr || next->kind == Kind::overwrite;
        CHECK(r.drop == (!use.attached && overwritten));
      }
      CHECK(plan.traffic[p].written <= writable);
    }
  }
}

TEST_CASE("cache plan: rows that may be pinned several times in a pass are given up later") {
  std::vector<PassRecord> passes{pass_of("write", {use_of("x", 64, Kind::overwrite)}),
                                 pass_of("read", {use_of("x", 64, Kind::read)})};
  for (const bool scattered : {false, true}) {
    passes[1].uses[0].scattered = scattered;
    const Retention r = plan_cache(passes, 0, {0, 0}).retention[1][0][0];
    CHECK(r.drop);
    CHECK(r.later == scattered);
  }
}

TEST_CASE("cache plan: the floor of three passes, by hand") {
  std::vector<PassRecord> passes{
      pass_of("initial", {use_of("x", 100, Kind::overwrite)}),
      pass_of("forward", {use_of("features", 10, Kind::read, true), use_of("x", 100, Kind::overwrite)}),
      pass_of("backward", {use_of("x", 100, Kind::read), use_of("alpha", 7, Kind::overwrite)}),
      pass_of("step", {use_of("x", 100, Kind::update), use_of("alpha", 7, Kind::read)})};
  passes[2].graph_bytes = 12345;
  const PassTraffic floor = epoch_floor(passes, 1);
  CHECK(floor.read == (10 + 100 + 100 + 7) * kPage + 12345);
  CHECK(floor.written == (100 + 7 + 100) * kPage);
  // A plan without memory moves the same, less what is given up: x after the step, alpha after its only read.
  const CachePlan plan = plan_cache(passes, 1, std::vector<std::uint64_t>(4, 0));
  PassTraffic moved;
  for (std::size_t p = 1; p < 4; ++p) {
    moved.read += plan.traffic[p].read;
    moved.written += plan.traffic[p].written;
  }
  CHECK(moved.read == floor.read - 12345);
  CHECK(moved.written == (100 + 7) * kPage);
  CHECK(plan.peak_kept == 0);
}

TEST_CASE("cache plan: rows packed on disk move less and are kept last") {
  const auto use = [](const std::string& store, Kind kind, double disk_share) {
    StoreUse one = use_of(store, 100, kind);
    one.disk_share = disk_share;
    return one;
  };
  std::vector<PassRecord> passes{
      pass_of("write", {use("packed", Kind::overwrite, 0.5), use("plain", Kind::overwrite, 1)}),
      pass_of("read", {use("packed", Kind::read, 0.5), use("plain", Kind::read, 1)})};
  const PassTraffic floor = epoch_floor(passes, 0);
  CHECK(floor.read == 150 * kPage);
  CHECK(floor.written == 150 * kPage);
  const CachePlan none = plan_cache(passes, 0, {0, 0});
  CHECK(none.traffic[0].written == 150 * kPage);
  CHECK(none.traffic[1].read == 150 * kPage);
  const CachePlan one = plan_cache(passes, 0, {100 * kPage, 100 * kPage});  // in memory both take the same
  CHECK(one.retention[0][0][0].keep == 0);
  CHECK(one.retention[0][1][0].keep == 1);
  CHECK(one.traffic[0].written == 50 * kPage);
  CHECK(one.traffic[1].read == 50 * kPage);
  CHECK(one.peak_kept == 100 * kPage);
}

TEST_CASE("cache plan: nothing to plan") {
  const CachePlan none = plan_cache({}, 0, {});
  CHECK(none.traffic.empty());
  CHECK(none.peak_kept == 0);
  const std::vector<PassRecord> empty{pass_of("idle", {}), pass_of("of no rows", {use_of("x", 0, Kind::update)})};
  const CachePlan plan = plan_cache(empty, 1, {0, 0});
  CHECK(plan.traffic[1].read == 0);
  CHECK(plan.traffic[1].written == 0);
}

// Number `part` of three passes that write a store between them.
StoreUse part_of(std::size_t part, std::size_t chunks, Kind kind) {
  StoreUse use = use_of("parts", chunks, kind);
  use.part = part;
  use.parts = 3;
  use.share = part == 2 ? 0.5 : 0.25;
  return use;
}

TEST_CASE("cache plan: passes that write a store in parts drop nothing of it, and move each chunk once") {
  constexpr std::size_t kChunks = 64;
  for (const Kind kind : {Kind::overwrite, Kind::update}) {
    for (const std::uint64_t capacity : {std::uint64_t{0}, 16 * kPage, 64 * kPage}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(capacity);
      Scenario s;
      s.passes.push_back(pass_of("first", {use_of("parts", kChunks, Kind::overwrite)}));
      s.passes.push_back(pass_of("read first", {use_of("parts", kChunks, Kind::read)}));
      for (std::size_t part = 0; part < 3; ++part) {
        s.passes.push_back(pass_of("part " + std::to_string(part), {part_of(part, kChunks, kind)}));
      }
      s.passes.push_back(pass_of("read", {use_of("parts", kChunks, Kind::read)}));
      const CachePlan plan = plan_with(s, capacity);
      const std::uint64_t spilled = (kChunks * kPage) - capacity;
      for (std::size_t part = 0; part < 3; ++part) {
        const Retention& r = plan.retention[2 + part][0][0];
        CHECK_FALSE(r.drop);
        CHECK(r.keep == doctest::Approx(static_cast<double>(capacity) / (kChunks * kPage)));
        const auto bytes = static_cast<std::uint64_t>(static_cast<double>(spilled) * part_of(part, 1, kind).share);
        CHECK(plan.traffic[2 + part].written == bytes);
        CHECK(plan.traffic[2 + part].read == (kind == Kind::update ? bytes : 0));
      }
      CHECK(plan.retention[1][0][0].drop == (kind == Kind::overwrite));
      CHECK(plan.traffic[5].read == spilled);
    }
  }
}

}  // namespace
}  // namespace strata::test
