// Small schedules for the tests of the cache plan: drawn at random, judged by brute force, carried out by a buffer
// manager.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/cache_plan.hpp"
#include "kernels/base/rng.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {

using Kind = StoreUse::Kind;

// A store of one or two panels whose tiles take one page each, so that fractions of its chunks are fine-grained.
inline constexpr std::uint64_t kPage = kBlockAlignment;

struct Scenario {
  std::vector<PassRecord> passes;
  std::size_t epoch_begins = 0;
};

inline RowShape shape_of(std::size_t chunks) { return {chunks * kChunkRows, 1, Codec::int8}; }

inline StoreUse use_of(const std::string& store, std::size_t chunks, Kind kind, bool attached = false) {
  return {store, shape_of(chunks), attached, 0, 1, kind, false};
}

inline PassRecord pass_of(std::string name, std::vector<StoreUse> uses) {
  PassRecord pass;
  pass.name = std::move(name);
  pass.uses = std::move(uses);
  return pass;
}

// Up to three scratch stores and an attached one, each used once or not at all in a pass.
inline Scenario random_scenario(CounterRng& rng, std::size_t unit) {
  Scenario s;
  const std::size_t stores = 2 + rng.below(3);
  std::vector<std::size_t> chunks;
  for (std::size_t i = 0; i < stores; ++i) chunks.push_back(unit * (1 + rng.below(3)));
  s.epoch_begins = rng.below(3);
  const std::size_t count = s.epoch_begins + 2 + rng.below(3);
  for (std::size_t p = 0; p < count; ++p) {
    PassRecord pass = pass_of("pass " + std::to_string(p), {});
    for (std::size_t i = 0; i < stores; ++i) {
      if (rng.below(2) == 0) continue;
      const bool attached = i == 0;
      pass.uses.push_back(use_of("store " + std::to_string(i), chunks[i],
                                 attached ? Kind::read : static_cast<Kind>(rng.below(3)), attached));
    }
    s.passes.push_back(pass);
  }
  // A scratch store that an epoch reads is written in it, too.
  std::set<std::string> written;
  for (const bool mend : {false, true}) {
    for (std::size_t p = s.epoch_begins; p < count; ++p) {
      for (StoreUse& use : s.passes[p].uses) {
        if (use.attached) continue;
        if (mend && written.count(use.store) == 0) use.kind = Kind::overwrite;
        if (use.kind != Kind::read) written.insert(use.store);
      }
    }
  }
  return s;
}

inline std::uint64_t use_bytes(const StoreUse& use) { return use.shape.chunks() * kPage * use.panels; }

inline std::uint64_t epoch_bytes(const CachePlan& plan, const Scenario& s) {
  std::uint64_t bytes = 0;
  for (std::size_t p = s.epoch_begins; p < s.passes.size(); ++p)
    bytes += plan.traffic[p].read + plan.traffic[p].written;
  return bytes;
}

inline CachePlan plan_with(const Scenario& s, std::uint64_t capacity) {
  return plan_cache(s.passes, s.epoch_begins, std::vector<std::uint64_t>(s.passes.size(), capacity));
}

inline std::uint64_t all_bytes(const Scenario& s) {
  std::map<std::string, std::uint64_t> stores;
  for (const PassRecord& pass : s.passes) {
    for (const StoreUse& use : pass.uses) stores[use.store] = use_bytes(use);
  }
  std::uint64_t sum = 0;
  for (const auto& [name, bytes] : stores) sum += bytes;
  return sum;
}

// The epoch's uses of one store in order, as the brute force sees them.
struct Line {
  std::uint64_t bytes = 0;
  bool attached = false;
  std::vector<std::pair<std::size_t, Kind>> uses;  // pass of the epoch
};

inline std::vector<Line> lines_of(const Scenario& s) {
  std::map<std::string, Line> lines;
  for (std::size_t p = s.epoch_begins; p < s.passes.size(); ++p) {
    for (const StoreUse& use : s.passes[p].uses) {
      Line& line = lines[use.store];
      line.bytes = use_bytes(use);
      line.attached = use.attached;
      line.uses.emplace_back(p - s.epoch_begins, use.kind);
    }
  }
  std::vector<Line> list;
  for (auto& [name, line] : lines) list.push_back(line);
  return list;
}

// Bytes that a line moves in an epoch of the steady state when it stays after its i-th use where bit i of `kept` is
// set.
inline std::uint64_t bytes_moved(const Line& line, unsigned kept) {
  bool resident = false, dirty = false, on_disk = line.attached;
  std::uint64_t moved = 0;
  for (int epoch = 0; epoch < 4; ++epoch) {
    moved = 0;
    for (std::size_t i = 0; i < line.uses.size(); ++i) {
      const Kind kind = line.uses[i].second;
      if (kind != Kind::overwrite && !resident && on_disk) moved += line.bytes;
      if (kind != Kind::read) dirty = true;
      const bool dead = !line.attached && line.uses[(i + 1) % line.uses.size()].second == Kind::overwrite;
      resident = !dead && (kept >> i & 1) != 0;
      if (dead) {
        dirty = on_disk = false;
      } else if (!resident && dirty) {
        moved += line.bytes;
        dirty = false;
        on_disk = true;
      }
    }
  }
  return moved;
}

// Adds the bytes that are kept between passes p and p + 1 of the epoch, and within pass p.
inline void occupy(const Line& line, unsigned kept, std::size_t passes, std::vector<std::uint64_t>& between,
                   std::vector<std::uint64_t>& within) {
  for (std::size_t i = 0; i < line.uses.size(); ++i) {
    if ((kept >> i & 1) == 0) continue;
    const std::size_t from = line.uses[i].first, to = line.uses[(i + 1) % line.uses.size()].first;
    std::size_t p = from;
    do {
      between[p] += line.bytes;
      p = (p + 1) % passes;
      if (p != to) within[p] += line.bytes;
    } while (p != to);
  }
}

// The fewest bytes an epoch moves when every store stays as a whole or not at all between two uses.
inline std::uint64_t fewest_bytes(const Scenario& s, std::uint64_t capacity) {
  const std::vector<Line> lines = lines_of(s);
  const std::size_t passes = s.passes.size() - s.epoch_begins;
  std::size_t intervals = 0;
  for (const Line& line : lines) intervals += line.uses.size();
  std::uint64_t fewest = UINT64_MAX;
  for (unsigned choice = 0; choice < 1u << intervals; ++choice) {
    std::vector<std::uint64_t> between(passes), within(passes);
    std::uint64_t bytes = 0;
    unsigned rest = choice;
    for (const Line& line : lines) {
      const unsigned kept = rest & ((1u << line.uses.size()) - 1);
      rest >>= line.uses.size();
      bytes += bytes_moved(line, kept);
      occupy(line, kept, passes, between, within);
    }
    const bool fits = std::all_of(between.begin(), between.end(), [&](std::uint64_t b) { return b <= capacity; }) &&
                      std::all_of(within.begin(), within.end(), [&](std::uint64_t b) { return b <= capacity; });
    if (fits) fewest = std::min(fewest, bytes);
  }
  return fewest;
}

inline std::size_t interval_count(const Scenario& s) {
  std::size_t count = 0;
  for (const Line& line : lines_of(s)) count += line.uses.size();
  return count;
}

// A scenario with its plan, for the messages of failing tests.
inline std::string text_of(const Scenario& s, const CachePlan& plan) {
  std::string text;
  for (std::size_t p = 0; p < s.passes.size(); ++p) {
    text += p == s.epoch_begins ? "\n  epoch: " : "\n  ";
    for (std::size_t u = 0; u < s.passes[p].uses.size(); ++u) {
      const StoreUse& use = s.passes[p].uses[u];
      const Retention& r = plan.retention[p][u][0];
      text += (use.kind == Kind::read     ? "read "
               : use.kind == Kind::update ? "update "
                                          : "overwrite ") +
              use.store + "(" + std::to_string(use.shape.chunks()) + ") " + (r.drop ? "drop" : std::to_string(r.keep)) +
              ", ";
    }
    text += std::to_string(plan.traffic[p].read / kPage) + "+" + std::to_string(plan.traffic[p].written / kPage);
  }
  return text;
}

// A buffer manager that carries out the passes of a scenario; what is not kept by plan is pushed out after every pass.
class Executor {
 public:
  Executor(const Scenario& s, const CachePlan& plan)
      : scenario_(s), plan_(plan), budget_(std::uint64_t{1} << 32), buffers_(budget_, options()) {
    for (const PassRecord& pass : s.passes) {
      for (const StoreUse& use : pass.uses) open(use);
    }
    idle_ = budget_.used();
    schedule_.set(s.passes, plan.retention, {s.epoch_begins});
  }

  void prepare() {
    schedule_.start_preparation();
    for (std::size_t p = 0; p < scenario_.epoch_begins; ++p) run(p);
  }
  void epoch() {
    schedule_.start_epoch(1);
    for (std::size_t p = scenario_.epoch_begins; p < scenario_.passes.size(); ++p) run(p);
  }
  [[nodiscard]] TierCounters counters() const { return buffers_.counters(); }
  [[nodiscard]] std::uint64_t most_kept() const { return most_kept_; }

 private:
  BufferManager::Options options() const {
    BufferManager::Options o;
    o.cache_dir = directory_.path() / "cache";
    o.poison = true;
    return o;
  }

  void open(const StoreUse& use) {
    if (stores_.count(use.store) != 0) return;
    if (!use.attached) {
      stores_[use.store] = buffers_.create(use.store, use.shape);
      return;
    }
    const auto path = directory_.path() / use.store;
    RowFileWriter writer(path, use.shape, {}, budget_);
    std::vector<std::byte> tile(use.shape.tile_bytes(0, 0));
    for (std::size_t chunk = 0; chunk < use.shape.chunks(); ++chunk) writer.write_tile(chunk, 0, tile);
    writer.commit();
    stores_[use.store] = buffers_.attach(use.store, RowFileReader(path, budget_));
  }

  void run(std::size_t p) {
    const PassRecord& pass = scenario_.passes[p];
    {
      Schedule::Scope scope(schedule_, buffers_, pass.name);
      std::size_t chunks = 0;
      for (const StoreUse& use : pass.uses) {
        scope.use(stores_[use.store], use.first_panel, use.panels, use.kind);
        chunks = std::max(chunks, use.shape.chunks());
      }
      REQUIRE(scope.begin());
      for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        for (const StoreUse& use : pass.uses) {
          if (chunk < use.shape.chunks()) pin(stores_[use.store], use, chunk);
        }
      }
    }
    const Reservation rest = budget_.reserve(budget_.limit() - idle_ - kept_after(p), "all but what is kept");
  }

  static void pin(RowStore& store, const StoreUse& use, std::size_t chunk) {
    if (use.kind != Kind::overwrite) static_cast<void>(store.prefetch(chunk, 0, use.panels));
    ChunkPins pins;
    if (use.kind == Kind::read) store.pin_read(chunk, 0, use.panels, pins);
    if (use.kind == Kind::update) store.pin_update(chunk, 0, use.panels, pins);
    if (use.kind == Kind::overwrite) store.pin_overwrite(chunk, 0, use.panels, pins);
  }

  // What is in memory by plan: of every store, what its last use left.
  std::uint64_t kept_after(std::size_t pass) {
    for (std::size_t u = 0; u < scenario_.passes[pass].uses.size(); ++u) {
      last_[scenario_.passes[pass].uses[u].store] = plan_.retention[pass][u][0];
    }
    std::uint64_t kept = 0;
    for (const auto& [name, retention] : last_) {
      const RowShape& shape = stores_[name].shape();
      for (std::size_t c = 0; c < shape.chunks(); ++c) {
        if (!retention.drop && Retention::keeps(retention.keep, c)) kept += shape.tile_slot(c, 0);
      }
    }
    most_kept_ = std::max(most_kept_, kept);
    return kept;
  }

  TempDir directory_;
  const Scenario& scenario_;
  const CachePlan& plan_;
  MemoryBudget budget_;
  BufferManager buffers_;
  Schedule schedule_;
  std::map<std::string, RowStore> stores_;
  std::map<std::string, Retention> last_;
  std::uint64_t idle_ = 0, most_kept_ = 0;
};

}  // namespace strata::test
