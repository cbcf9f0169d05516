// RUN/metrics.jsonl: one line an epoch, append-only; a line is written whole or, if the machine stops in between, cut
// off again by the next --resume.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/run/run_state.hpp"
#include "storage/buffer_manager.hpp"
#include "storage/file.hpp"

namespace strata {

// Seconds are wall time.
struct EpochMetrics {
  std::uint32_t epoch = 0;
  double loss = 0;
  EpochScores scores;  // empty when the epoch was not evaluated
  std::string metric;
  double lr = 0;
  std::uint64_t steps = 0, node_visits = 0;
  double seconds = 0, seconds_total = 0, seconds_prepare = 0, seconds_compute = 0, seconds_eval = 0;
  TierCounters io;  // of this epoch
  std::uint64_t peak_host_bytes = 0;
  bool has_step_losses = false;
  std::vector<double> step_losses;  // in step order
};

[[nodiscard]] std::string metrics_line(const EpochMetrics& metrics);  // without line end

class MetricsLog {
 public:
  // Keeps the lines of epochs 1..epochs and cuts off the rest. DamagedError when one of them is missing.
  MetricsLog(const std::filesystem::path& path, std::uint32_t epochs);
  void append(const EpochMetrics& metrics);
  void sync() const { file_.sync(); }

 private:
  File file_;
  std::uint64_t size_ = 0;
};

}  // namespace strata
