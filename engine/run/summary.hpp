// RUN/summary.json: what was asked, what came out, and the plan beside what was measured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/options.hpp"
#include "engine/planner.hpp"
#include "engine/run/resources.hpp"
#include "engine/run/run_state.hpp"
#include "storage/buffer_manager.hpp"
#include "storage/store.hpp"

namespace strata {

// A pass as planned, and what its runs came to.
struct MeasuredPass {
  PlannedPass planned;
  PassMeasured measured;
  bool of_epoch = false;
};

struct Measured {
  std::uint64_t budget_peak_bytes = 0;
  std::uint64_t peak_host_bytes = 0;
  double seconds_here = 0;           // of this process, preparation and output included
  std::uint32_t epochs_here = 0;     // trained by this process
  double seconds_training_here = 0;  // of these epochs
  TierCounters io;                   // of this process
  std::uint64_t parameters = 0;      // values in the model
  std::uint64_t predicted_rows = 0, embedded_rows = 0;
  bool inductive = false;
  const SchedulePlan* schedule = nullptr;
  std::vector<MeasuredPass> passes;
};

[[nodiscard]] std::string summary_text(const TrainOptions& options, const Store& store, const RunPlan& plan,
                                       const RunState& state, const std::string& metric, const Measured& measured);

// How a finished run ended.
struct Outcome {
  std::uint32_t epochs = 0;
  bool stopped_early = false;
};
// Empty when there is no summary, or none that can be read: the run is not finished.
[[nodiscard]] std::optional<Outcome> read_outcome(const std::filesystem::path& summary);

}  // namespace strata
