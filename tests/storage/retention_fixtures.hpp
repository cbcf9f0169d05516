// Random schedules of passes over several row stores, with what each is to leave in memory, for the buffer manager's
// tests; and the arithmetic that tells what such passes move between memory and disk.
#pragma once

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "tests/storage/buffer_fixtures.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {

inline BufferManager::Options retention_options(const TempDir& dir, bool poison, std::uint64_t read_ahead) {
  BufferManager::Options options;
  options.cache_dir = dir.path() / "cache";
  options.poison = poison;
  options.read_ahead = read_ahead;
  return options;
}

enum class Use : std::uint8_t { read, overwrite, update };

// Panels [first, first + count) of every chunk of one store, once each.
struct TestPass {
  std::size_t store = 0;
  Use use = Use::read;
  std::size_t first = 0, count = 0;
  bool passing = false;              // not in the plan
  double keep = 0;                   // planned: of every panel
  std::vector<Retention> retention;  // by panel of the pass, once resolve() ran
  [[nodiscard]] bool covers(std::size_t s, std::size_t panel) const {
    return store == s && panel >= first && panel < first + count;
  }
};

// Sets every pass's retention; what the next pass over a panel overwrites may be dropped.
inline void resolve(std::vector<TestPass>& passes, bool drop) {
  for (std::size_t i = 0; i < passes.size(); ++i) {
    TestPass& pass = passes[i];
    pass.retention.clear();
    for (std::size_t p = pass.first; p < pass.first + pass.count; ++p) {
      Retention r{pass.passing ? Retention::Mode::passing : Retention::Mode::planned, pass.keep, false};
      const auto next = std::find_if(passes.begin() + static_cast<std::ptrdiff_t>(i) + 1, passes.end(),
                                     [&](const TestPass& later) { return later.covers(pass.store, p); });
      r.drop = drop && !pass.passing && next != passes.end() && next->use == Use::overwrite;
      pass.retention.push_back(r);
    }
  }
}

// The end of a pass: what it may drop but might have come back to goes now.
inline void give_up(const RowStore& store, const TestPass& pass) {
  for (std::size_t i = 0; i < pass.count; ++i) {
    if (pass.retention[i].drop && pass.retention[i].later) store.give_up(pass.first + i, 1);
  }
}

inline std::vector<TestPass> random_passes(std::span<const RowShape> shapes, std::size_t count, bool passing, bool drop,
                                           CounterRng& rng) {
  constexpr double kKeeps[] = {0, 0.3, 1};
  std::vector<TestPass> passes;
  for (std::size_t i = 0; i < count; ++i) {
    TestPass pass;
    pass.store = rng.below(static_cast<std::uint32_t>(shapes.size()));
    pass.use = static_cast<Use>(rng.below(3));
    const auto panels = static_cast<std::uint32_t>(shapes[pass.store].panels());
    pass.first = rng.below(panels);
    pass.count = 1 + rng.below(panels - static_cast<std::uint32_t>(pass.first));
    pass.passing = passing && rng.below(4) == 0;
    pass.keep = kKeeps[rng.below(3)];
    passes.push_back(pass);
  }
  resolve(passes, drop);
  for (TestPass& pass : passes) {
    for (Retention& r : pass.retention) r.later = rng.below(2) == 0;
  }
  return passes;
}

// What the tiles of a store are like when every pass is planned and nothing stays that is not kept.
class TrafficTwin {
 public:
  TrafficTwin(const RowShape& shape, const DiskForm& form)
      : shape_(shape), form_(form), kept_(tiles()), dirty_(tiles()), versions_(tiles()), on_disk_(tiles()) {}

  void play(const TestPass& pass, std::uint32_t version) {
    for (std::size_t chunk = 0; chunk < shape_.chunks(); ++chunk) {
      for (std::size_t i = 0; i < pass.count; ++i) play_tile(pass, version, chunk, pass.first + i, pass.retention[i]);
    }
  }
  // In play(), so far.
  std::uint64_t read = 0, written = 0;
  [[nodiscard]] std::uint64_t kept_bytes() const {
    std::uint64_t bytes = 0;
    for (std::size_t tile = 0; tile < tiles(); ++tile) bytes += kept_[tile] ? slot(tile) : 0;
    return bytes;
  }

 private:
  [[nodiscard]] std::size_t tiles() const { return shape_.chunks() * shape_.panels(); }
  [[nodiscard]] std::uint64_t slot(std::size_t tile) const {
    return shape_.tile_slot(tile / shape_.panels(), tile % shape_.panels());
  }
  void play_tile(const TestPass& pass, std::uint32_t version, std::size_t chunk, std::size_t panel,
                 const Retention& retention) {
    const std::size_t tile = chunk * shape_.panels() + panel;
    if (pass.use != Use::overwrite && !kept_[tile]) read += on_disk_[tile];
    if (pass.use != Use::read) {
      dirty_[tile] = true;
      versions_[tile] = version;
    }
    if (retention.drop) {
      kept_[tile] = dirty_[tile] = false;
      on_disk_[tile] = 0;
      return;
    }
    kept_[tile] = Retention::keeps(retention.keep, chunk);
    if (kept_[tile] || !dirty_[tile]) return;
    dirty_[tile] = false;
    on_disk_[tile] = bytes_on_disk(shape_, form_, versions_[tile], chunk, panel);
    written += on_disk_[tile];
  }
  RowShape shape_;
  DiskForm form_;
  std::vector<bool> kept_, dirty_;
  std::vector<std::uint32_t> versions_;  // in memory
  std::vector<std::uint64_t> on_disk_;   // bytes
};

inline void set_retention(const RowStore& store, const TestPass& pass) {
  for (std::size_t i = 0; i < pass.count; ++i) store.set_retention(pass.first + i, 1, pass.retention[i]);
}

// One chunk of a pass: checks what it reads against the twin, writes `version` where it writes. Returns the number of
// tiles that were not as they should be. several: with ChunkPins.
inline int use_chunk(RowStore& store, Twin& twin, const TestPass& pass, std::size_t chunk, std::uint32_t version,
                     bool several) {
  int wrong = 0;
  const auto work = [&](std::span<std::byte> bytes, std::size_t panel) {
    if (pass.use != Use::overwrite) {
      wrong += !equal(bytes, tile_content(twin.shape, twin.version(chunk, panel), chunk, panel));
    }
    if (pass.use == Use::read) return;
    fill_tile(bytes, version, chunk, panel);
    twin.versions[{chunk, panel}] = version;
  };
  const std::size_t most = several ? ChunkPins::kMost : 1;
  for (std::size_t p = pass.first; p < pass.first + pass.count; p += most) {
    const std::size_t count = std::min(most, pass.first + pass.count - p);
    if (count == 1) {
      const Pin pin = pass.use == Use::read     ? store.pin_read(chunk, p)
                      : pass.use == Use::update ? store.pin_update(chunk, p)
                                                : store.pin_overwrite(chunk, p);
      work(pin.bytes(), p);
      continue;
    }
    ChunkPins pins;
    if (pass.use == Use::read) store.pin_read(chunk, p, count, pins);
    if (pass.use == Use::update) store.pin_update(chunk, p, count, pins);
    if (pass.use == Use::overwrite) store.pin_overwrite(chunk, p, count, pins);
    for (std::size_t i = 0; i < count; ++i) work(pins.bytes(i), p + i);
  }
  return wrong;
}

}  // namespace strata::test
