// The loop: epochs, evaluation, the best epoch, metrics, checkpoints, and the results at the end.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/methods/method.hpp"
#include "engine/planner.hpp"
#include "engine/run/checkpoint.hpp"
#include "engine/run/display.hpp"
#include "engine/run/metrics_log.hpp"
#include "engine/run/resources.hpp"
#include "engine/run/run_directory.hpp"
#include "engine/run/stop_signal.hpp"
#include "engine/run/summary.hpp"

namespace strata {

class TrainingRun {
 public:
  // The references must outlive the run.
  TrainingRun(const TrainOptions& options, const Store& store, const RunPlan& plan, const RunDirectory& directory,
              const Settings& fingerprint, Metric metric);
  // Goes on from a checkpoint of the same configuration. Before run().
  void restore(const Checkpoint& checkpoint);
  // Exit status: 0, or 128 + signal.
  [[nodiscard]] int run();

 private:
  void load_initial();
  void read_batches();
  void check_wanted_rows();
  void prepare();
  void train();
  void train_epoch(std::uint32_t epoch);
  // Takes in what the epoch gave: state, best epoch, a line of metrics.
  void finish_epoch(std::uint32_t epoch, const EpochReport& report, EpochMetrics& metrics);
  [[nodiscard]] bool due(std::uint32_t epoch, std::uint32_t every) const;
  [[nodiscard]] bool checkpoint_due();
  void end_with_checkpoint();
  [[nodiscard]] std::string resumes_where() const;
  [[nodiscard]] EpochScores evaluate_splits();
  void judge(std::uint32_t epoch, const EpochScores& scores);
  void after_step(const StepEvent& event);
  void save_step(std::uint64_t step);
  void write_checkpoint();
  void use_best();
  void write_results();
  void export_outputs();
  void print_result() const;
  [[nodiscard]] Measured measured() const;
  [[nodiscard]] TierCounters counters() const;
  [[nodiscard]] double elapsed() const;  // seconds since construction

  const TrainOptions& options_;
  const Store& store_;
  const RunPlan& plan_;
  const RunDirectory& directory_;
  const Settings& fingerprint_;
  const Metric metric_;
  const std::chrono::steady_clock::time_point start_;
  StopSignal stop_;
  MemoryBudget budget_;
  std::unique_ptr<Session<float>> session_;
  SchedulePlan schedule_plan_;
  std::unique_ptr<Method<float>> method_;
  Array<float> best_;  // parameters of state_.best.epoch
  std::map<std::uint32_t, EpochBatches> batches_;
  Reservation batches_charge_;
  std::unique_ptr<MetricsLog> metrics_;
  RunDisplay display_;
  RunState state_;
  std::uint32_t checkpointed_epoch_ = 0;
  bool has_checkpoint_ = false;
  bool passes_between_ = false;    // an epoch ended where no checkpoint can be written (Method::at_boundary)
  double checkpointed_at_ = 0;     // elapsed()
  bool prepared_ = false;          // the method's rows belong to the present parameters
  double unreported_prepare_ = 0;  // seconds; goes into the next epoch's line
  std::vector<double> step_losses_;
  std::uint32_t epochs_here_ = 0;
  double seconds_training_here_ = 0;
  std::uint64_t predicted_rows_ = 0, embedded_rows_ = 0;
};

}  // namespace strata
