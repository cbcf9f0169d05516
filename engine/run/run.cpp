#include "engine/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "engine/run/machine.hpp"
#include "engine/run/summary.hpp"
#include "engine/run/training_run.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/timeline.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

// A directory below --cache-dir that belongs to this run alone, as RUN/cache does: whoever holds the lock on RUN may
// clear it.
std::string own_name(const fs::path& run) {
  const std::string path = fs::weakly_canonical(fs::absolute(run)).string();
  return "strata-" + checksum_text(checksum(std::as_bytes(std::span(path))));
}

void fill_defaults(TrainOptions& options) {
  if (options.host_memory == 0) options.host_memory = usable_memory_bytes() / 2;
  if (options.cache_dir.empty()) {
    options.cache_dir = options.run / "cache";
  } else {
    options.cache_dir /= own_name(options.run);
  }
}

RunDirectory::Start start_of(const TrainOptions& options) {
  if (options.resume) return RunDirectory::Start::resume;
  return options.force ? RunDirectory::Start::replace : RunDirectory::Start::fresh;
}

void check_same_run(const TrainOptions& options, const Checkpoint& checkpoint, const std::optional<Outcome>& outcome,
                    const Settings& now) {
  const std::string different = differences(checkpoint.fingerprint(), now);
  if (!different.empty()) {
    throw UsageError(fmt::format("--resume: {} was started with other settings: {}; give the same, or another --run",
                                 options.run.string(), different));
  }
  const std::uint32_t trained = std::max(checkpoint.state().epoch, outcome ? outcome->epochs : 0);
  if (trained > options.epochs) {
    throw UsageError(fmt::format("--epochs {}: {} has already trained {} epochs; give at least as many", options.epochs,
                                 options.run.string(), trained));
  }
}

// The summary is what a run writes last, and a longer one removes first; the checkpoint may be of an earlier epoch.
bool is_complete(const TrainOptions& options, const std::optional<Outcome>& outcome) {
  return outcome && (outcome->stopped_early || outcome->epochs == options.epochs);
}

// Removes the scratch files that a killed process left, and the directory if nothing else is in it.
void clear_cache(const TrainOptions& options) {
  std::vector<fs::path> scratch;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(options.cache_dir, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("strata-") && name.ends_with(".scratch")) scratch.push_back(entry.path());
  }
  for (const fs::path& file : scratch) fs::remove(file, ignored);
  fs::remove(options.cache_dir, ignored);  // fails when it is not empty
}

// The method run dry over the store, with the rates of this machine.
void explain_passes(const TrainOptions& options, const Store& store) {
  MemoryBudget budget(options.host_memory);
  Session<float> session(options, store, budget);
  const auto method = make_method<float>(session);
  Calibration<float> calibration(session);
  const SchedulePlan schedule = plan_schedule<float>(
      session, *method,
      [&] {
        const RowSource logits = method->logits();
        Schedule::Scope scope(session.schedule, session.buffers, "evaluate");
        note_evaluation(scope, logits);
        static_cast<void>(scope.begin());
      },
      calibration);
  std::fputs(("\n" + explain_schedule(schedule, session)).c_str(), stdout);
}

}  // namespace

int run_training(TrainOptions options) {
  fill_defaults(options);
  const Store store(options.store);
  const Model model = build_model(options.model, options.method, store.info().feature_dim, store.info().classes);
  const Metric metric = choose_metric(options.metric, store.info());
  const RunPlan plan = plan_run(options, store.info(), model);
  if (options.explain) {
    std::fputs(explain(options, store.info(), model, plan).c_str(), stdout);
    if (options.host_memory >= plan.least) explain_passes(options, store);
    return 0;
  }
  check_memory(options, plan);

  const RunDirectory directory(options.run, start_of(options));
  clear_cache(options);
  check_disk(options, plan);
  const Settings settings = fingerprint(options, store);
  const std::optional<Checkpoint> checkpoint =
      options.resume ? Checkpoint::open(options.run) : std::optional<Checkpoint>();
  if (checkpoint) {
    const std::optional<Outcome> outcome = read_outcome(directory.summary());
    check_same_run(options, *checkpoint, outcome, settings);
    if (is_complete(options, outcome)) {
      std::printf("%s is complete: nothing to do\n", options.run.string().c_str());
      return 0;
    }
  } else if (options.resume && RunDirectory::holds_run(options.run)) {
    if (!options.quiet) std::fprintf(stderr, "%s has no checkpoint yet: starting over\n", options.run.string().c_str());
    directory.clear();
  }
  std::optional<Timeline> timeline;
  if (!options.trace.empty()) timeline.emplace();
  int status = 0;
  {
    TrainingRun run(options, store, plan, directory, settings, metric);
    if (checkpoint) run.restore(*checkpoint);
    status = run.run();
  }
  if (timeline) timeline->write(options.trace);
  if (!options.keep_cache) clear_cache(options);
  return status;
}

}  // namespace strata
