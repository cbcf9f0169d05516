// What a run needs of memory and disk, known before it starts: MemoryPlan and what the run itself adds to it.
#pragma once

#include <cstdint>

#include "engine/plan.hpp"
#include "engine/planner.hpp"

namespace strata {

struct RunPlan {
  MemoryPlan memory;               // the engine's
  std::uint64_t run_bytes = 0;     // memory the run adds: the best epoch's parameters and a copy being written
  std::uint64_t least = 0;         // the smallest --host-memory that works
  std::uint64_t cache_bytes = 0;   // most that goes below --cache-dir; 0 when everything fits in memory
  std::uint64_t output_bytes = 0;  // most that goes below --run besides the cache
  std::uint32_t threads = 0;
};

// options.host_memory must be set.
[[nodiscard]] RunPlan plan_run(const TrainOptions& options, const StoreInfo& store, const Model& model);

// ResourceError with what would do when --host-memory is less than the plan needs.
void check_memory(const TrainOptions& options, const RunPlan& plan);
// The same for --disk-limit and the free disk space.
void check_disk(const TrainOptions& options, const RunPlan& plan);

// --explain: the plan as a table.
[[nodiscard]] std::string explain(const TrainOptions& options, const StoreInfo& store, const Model& model,
                                  const RunPlan& plan);

// The passes, what each moves, and how long it will take.
[[nodiscard]] std::string explain_schedule(const SchedulePlan& plan, const Session<float>& session);

}  // namespace strata
