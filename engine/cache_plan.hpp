// What stays in memory between two uses of a row store, decided from the whole schedule before the run; and the bytes
// that every pass then moves. Design sections 6 and 7.
//
// The unit is a panel of a store (N rows x 32 columns). Between two uses of it lies an interval; keeping the fraction f
// of its chunks through the interval takes f of its bytes in memory from the end of the first pass to the start of the
// second, and saves that much reading (and the writing before it, if the rows have not been on disk since they were
// computed). Intervals are served by what they save per byte and time (for uses one after the other that is Belady's
// rule: what is needed soonest stays). Rows whose next use overwrites them are dropped.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/schedule.hpp"

namespace strata {

struct PassTraffic {
  std::uint64_t read = 0, written = 0;  // bytes of row stores
};

struct CachePlan {
  std::vector<PassRetention> retention;  // by pass
  std::vector<PassTraffic> traffic;      // by pass: the preparation's once, an epoch's in the steady state
  PassTraffic first_epochs;              // of the first period, which starts from what the preparation left
  std::uint64_t peak_kept = 0;           // bytes kept by plan, at most
};

// passes: the initial sweep's, then those of one period of epochs from `epoch_begins` on, which then repeat. capacity:
// bytes for kept blocks in each pass.
[[nodiscard]] CachePlan plan_cache(const std::vector<PassRecord>& passes, std::size_t epoch_begins,
                                   const std::vector<std::uint64_t>& capacity);

// The epoch floor: what the passes of an epoch move when every pass reads each block it uses once from disk and writes
// each once, nothing stays in between, and every row store fits a pass (the edges are read once a product).
[[nodiscard]] PassTraffic epoch_floor(const std::vector<PassRecord>& passes, std::size_t epoch_begins);

}  // namespace strata
