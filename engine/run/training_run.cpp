#include "engine/run/training_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "engine/inference.hpp"
#include "engine/run/configuration.hpp"
#include "engine/run/export_rows.hpp"
#include "engine/run/machine.hpp"
#include "engine/run/model_file.hpp"
#include "engine/run/ogb_predictions.hpp"
#include "kernels/base/cpu_info.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kCheckpointSeconds = 300;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

TierCounters difference(const TierCounters& now, const TierCounters& before) {
  return {now.hits - before.hits, now.misses - before.misses, now.bytes_read - before.bytes_read,
          now.bytes_written - before.bytes_written, now.wait_seconds - before.wait_seconds};
}

// Every pass of the plan with what became of it.
std::vector<MeasuredPass> measured_passes(const SchedulePlan& plan, const Schedule& schedule) {
  std::vector<MeasuredPass> passes;
  std::size_t at = 0;
  for (const auto* part : {&plan.preparation, &plan.epoch}) {
    for (const PlannedPass& pass : *part) passes.push_back({pass, schedule.measured().at(at++), part == &plan.epoch});
  }
  return passes;
}

}  // namespace

namespace {

// What an epoch will take, said before the first.
std::string plan_line(const SchedulePlan& plan, bool inductive) {
  const PassTraffic traffic = plan.traffic(plan.epoch);
  return fmt::format("plan{}: {:.2f} s an epoch, {} read and {} written; {:.1f} s and {} before the first",
                     inductive ? " (inductive)" : "", plan.seconds(plan.epoch) / plan.period,
                     format_bytes(traffic.read / plan.period), format_bytes(traffic.written / plan.period),
                     plan.seconds(plan.preparation),
                     format_bytes(plan.traffic(plan.preparation).read + plan.traffic(plan.preparation).written));
}

}  // namespace

TrainingRun::TrainingRun(const TrainOptions& options, const Store& store, const RunPlan& plan,
                         const RunDirectory& directory, const Settings& fingerprint, Metric metric)
    : options_(options),
      store_(store),
      plan_(plan),
      directory_(directory),
      fingerprint_(fingerprint),
      metric_(metric),
      start_(Clock::now()),
      budget_(options.host_memory),
      display_(options.quiet, options.epochs, metric_name(metric)) {
  session_ = std::make_unique<Session<float>>(options, store, budget_);
  best_ = Array<float>(budget_, session_->parameters.size(), "parameters of the best epoch");
  method_ = make_method<float>(*session_);
  read_batches();
  check_wanted_rows();
  load_initial();
  Calibration<float> calibration(*session_);
  schedule_plan_ = plan_schedule<float>(
      *session_, *method_, [this] { static_cast<void>(evaluate_splits()); }, calibration);
  if (!options.batch_file.empty()) session_->schedule.discard();  // other batches, other numbers of steps
}

void TrainingRun::load_initial() {
  if (!options_.init.empty()) load_model(options_.init, session_->parameters, budget_);
}

// A fault in a file of ids ends the run now, not after the last epoch.
void TrainingRun::check_wanted_rows() {
  static_cast<void>(select_nodes(options_.predict, store_, budget_));
  static_cast<void>(select_nodes(options_.embeddings, store_, budget_));
  if (options_.predict_ogb) check_ogb_predictions(store_.info());
}

void TrainingRun::read_batches() {
  if (options_.batch_file.empty()) return;
  const Array<NodeId> reordered = store_.reordered_ids(budget_);
  batches_ = read_batch_file(options_.batch_file, reordered.span());
  const bool full = options_.method == MethodKind::full;
  const auto& groups = session_->model.group_names;
  std::uint64_t ids = 0;
  for (const auto& [epoch, batches] : batches_) {
    for (const ExplicitBatch& batch : batches) {
      const bool known =
          full ? batch.group == "all" : std::find(groups.begin(), groups.end(), batch.group) != groups.end();
      if (!known) {
        throw InputError(
            options_.batch_file.string(), fmt::format("epoch {}", epoch),
            fmt::format("group \"{}\" is none of method {} with this model; groups are {}", batch.group,
                        method_name(options_.method), full ? "all" : "layer1 ... and, if there is one, head"));
      }
      ids += batch.nodes.size();
    }
  }
  batches_charge_ = budget_.reserve(ids * sizeof(NodeId), "explicit batches");
}

void TrainingRun::restore(const Checkpoint& checkpoint) {
  checkpoint.restore(session_->parameters, best_.span());
  state_ = checkpoint.state();
  method_->set_global_step(state_.global_step);
  has_checkpoint_ = true;
  checkpointed_epoch_ = state_.epoch;
  display_.note(fmt::format("{}: going on after epoch {}", options_.run.string(), state_.epoch));
  if (checkpoint.device() != device_description()) {
    display_.note(
        fmt::format("the checkpoint comes from another device ({}): the results will not be the same to the bit",
                    checkpoint.device()));
  }
}

int TrainingRun::run() {
  if (options_.verbose) {
    display_.note(explain(options_, store_.info(), session_->model, plan_));
    display_.note(explain_schedule(schedule_plan_, *session_));
  }
  display_.note(plan_line(schedule_plan_, session_->inductive));
  metrics_ = std::make_unique<MetricsLog>(directory_.metrics(), state_.epoch);
  if (fs::exists(directory_.summary())) fs::remove(directory_.summary());  // of a shorter run that goes on now
  if (options_.save_steps > 0 && state_.global_step == 0) save_step(0);
  train();
  display_.finish();
  const bool trained = state_.stopped_early || state_.epoch >= options_.epochs;
  end_with_checkpoint();
  if (const int signal = stop_.received(); signal != 0) {
    display_.note(
        fmt::format("stopped by {} after epoch {}; --resume {}", signal_name(signal), state_.epoch, resumes_where()));
    return 128 + signal;
  }
  STRATA_ASSERT(trained);
  write_results();
  print_result();
  return 0;
}

void TrainingRun::prepare() {
  if (prepared_) return;
  const Clock::time_point begin = Clock::now();
  session_->schedule.start_preparation();
  method_->prepare();
  prepared_ = true;
  unreported_prepare_ += seconds_since(begin);
}

void TrainingRun::train() {
  unreported_prepare_ = elapsed();
  while (state_.epoch < options_.epochs && !state_.stopped_early && stop_.received() == 0) {
    prepare();
    train_epoch(state_.epoch + 1);
    if (checkpoint_due()) write_checkpoint();
  }
}

// Long epochs do not wait for their number: what a killed run loses is bounded. A method that is not always at a
// boundary gets a checkpoint at every one, for a run that stops in between goes back to it.
bool TrainingRun::checkpoint_due() {
  if (!method_->at_boundary()) {
    passes_between_ = true;
    return false;
  }
  if (passes_between_) return true;
  if (options_.checkpoint_every == 0) return false;
  return due(state_.epoch, options_.checkpoint_every) || elapsed() - checkpointed_at_ > kCheckpointSeconds;
}

// Between boundaries the checkpoint before stands: a run that goes on repeats the epochs since, to the same bits.
void TrainingRun::end_with_checkpoint() {
  if (has_checkpoint_ && checkpointed_epoch_ == state_.epoch) return;
  if (method_->at_boundary()) write_checkpoint();
}

std::string TrainingRun::resumes_where() const {
  if (!has_checkpoint_) return "starts over, for there is no checkpoint yet";
  if (checkpointed_epoch_ == state_.epoch) return "goes on from there";
  return fmt::format("goes on after epoch {}, the last one that a checkpoint can hold", checkpointed_epoch_);
}

// Every so many epochs, and the last; 0 is never.
bool TrainingRun::due(std::uint32_t epoch, std::uint32_t every) const {
  return every != 0 && (epoch % every == 0 || epoch == options_.epochs);
}

void TrainingRun::train_epoch(std::uint32_t epoch) {
  const Clock::time_point begin = Clock::now();
  const TierCounters before = counters();
  display_.start_epoch(epoch);
  session_->schedule.start_epoch(epoch);
  method_->expect_evaluation(due(epoch, options_.eval_every));
  step_losses_.clear();
  StepObserver<float> observer;
  observer.after_step = [this](const StepEvent& event, const Parameters<float>&) { after_step(event); };
  observer.progress = [this](double fraction) { display_.progress(fraction); };
  const auto batches = batches_.find(epoch);
  const EpochReport report =
      method_->train_epoch(epoch, batches != batches_.end() ? &batches->second : nullptr, observer);
  EpochMetrics metrics;
  metrics.seconds_compute = seconds_since(begin);
  if (due(epoch, options_.eval_every)) metrics.scores = evaluate_splits();
  metrics.seconds = seconds_since(begin);
  metrics.seconds_eval = metrics.seconds - metrics.seconds_compute;
  metrics.io = difference(counters(), before);
  finish_epoch(epoch, report, metrics);
}

void TrainingRun::finish_epoch(std::uint32_t epoch, const EpochReport& report, EpochMetrics& metrics) {
  if (!std::isfinite(report.loss) && std::isfinite(state_.last_loss)) {
    display_.note(fmt::format("epoch {}: the loss is not finite; lower --lr or set --clip", epoch));
  }
  state_.epoch = epoch;
  state_.global_step = method_->global_step();
  state_.seconds += metrics.seconds;
  state_.last_loss = report.loss;
  if (due(epoch, options_.eval_every)) judge(epoch, metrics.scores);
  ++epochs_here_;
  seconds_training_here_ += metrics.seconds;

  metrics.epoch = epoch;
  metrics.loss = report.loss;
  metrics.metric = metric_name(metric_);
  metrics.lr = options_.optimizer.rate(epoch - 1);
  metrics.steps = report.steps;
  metrics.node_visits = report.node_visits;
  metrics.seconds_total = state_.seconds;
  metrics.seconds_prepare = std::exchange(unreported_prepare_, 0);
  metrics.peak_host_bytes = peak_resident_bytes();
  metrics.has_step_losses = options_.save_steps > 0 || !options_.batch_file.empty();
  metrics.step_losses = step_losses_;
  metrics_->append(metrics);
  display_.end_epoch(state_, metrics.scores, report.loss, metrics.seconds);
}

EpochScores TrainingRun::evaluate_splits() {
  const RowSource logits = method_->logits();
  Schedule::Scope scope(session_->schedule, session_->buffers, "evaluate");
  note_evaluation(scope, logits);
  if (!scope.begin()) return {};
  const Objective<float>& objective = session_->objective;
  const auto score = [&](std::span<const NodeId> nodes) -> std::optional<SplitScore> {
    if (nodes.empty()) return std::nullopt;
    return evaluate<float>(logits, objective.labels(), nodes, metric_, budget_);
  };
  return {score(objective.train_nodes()), score(objective.valid_nodes()), score(objective.test_nodes())};
}

void TrainingRun::judge(std::uint32_t epoch, const EpochScores& scores) {
  state_.last = scores;
  if (update_best(state_, epoch, scores)) {
    const std::span<const float> values = session_->parameters.values();
    std::copy(values.begin(), values.end(), best_.begin());
  }
  state_.stopped_early = out_of_patience(state_, epoch, scores, options_.patience, options_.min_delta);
}

void TrainingRun::after_step(const StepEvent& event) {
  if (options_.save_steps > 0 || !options_.batch_file.empty()) step_losses_.push_back(event.loss);
  if (options_.save_steps > 0 && event.step % options_.save_steps == 0) save_step(event.step);
}

void TrainingRun::save_step(std::uint64_t step) {
  fs::create_directories(directory_.step(step).parent_path());
  save_model(directory_.step(step), session_->parameters, budget_);
}

// What the metrics say of these epochs must last at least as long as the checkpoint.
void TrainingRun::write_checkpoint() {
  metrics_->sync();
  Checkpoint::save(options_.run, fingerprint_, state_, session_->parameters, best_.span());
  has_checkpoint_ = true;
  checkpointed_epoch_ = state_.epoch;
  checkpointed_at_ = elapsed();
}

void TrainingRun::use_best() {
  if (!state_.best.known || state_.best.epoch == state_.epoch) return;
  const std::span<float> values = session_->parameters.values();
  std::copy(best_.begin(), best_.end(), values.begin());
  prepared_ = false;
}

void TrainingRun::write_results() {
  session_->schedule.suspend();
  if (!session_->plan.fits) {
    session_->spmm_memory.keep = false;
    session_->spmm_memory.buffer.release();
  }
  use_best();
  save_model(directory_.model(), session_->parameters, budget_);
  if (options_.epochs == 0 && !state_.last) {
    prepare();
    method_->forget_outputs();
    state_.last = evaluate_splits();
  }
  method_.reset();  // and its row stores
  export_outputs();
  write_file_atomically(directory_.summary(),
                        summary_text(options_, store_, plan_, state_, metric_name(metric_), measured()));
}

void TrainingRun::export_outputs() {
  const auto infer = [&](const std::string& what, bool embeddings, const auto& path, const auto& ids_path) {
    const Array<NodeId> ids = select_nodes(what, store_, budget_);
    Array<NodeId> wanted(budget_, ids.size(), "nodes to predict");
    {
      const Array<NodeId> reordered = store_.reordered_ids(budget_);
      std::transform(ids.begin(), ids.end(), wanted.begin(), [&](NodeId id) { return reordered[id]; });
    }
    std::sort(wanted.begin(), wanted.end());
    {
      const Inference<float> inference(*session_, wanted.span(), embeddings);
      export_rows(embeddings ? inference.embeddings() : inference.logits(), ids.span(), store_, path, ids_path,
                  budget_);
    }
    if (options_.predict_ogb && !embeddings) write_ogb_predictions(directory_, ids.span(), store_, budget_);
    return ids.size();
  };
  if (options_.predict != "none") {
    predicted_rows_ = infer(options_.predict, false, directory_.predictions(), directory_.prediction_ids());
  }
  if (options_.embeddings != "none") {
    embedded_rows_ = infer(options_.embeddings, true, directory_.embeddings(), directory_.embedding_ids());
  }
}

// Row stores and shards.
TierCounters TrainingRun::counters() const {
  TierCounters sum = session_->buffers.counters();
  sum.bytes_read += session_->graph.bytes_read();
  if (session_->full != nullptr) sum.bytes_read += session_->full->graph.bytes_read();
  return sum;
}

Measured TrainingRun::measured() const {
  Measured result;
  result.budget_peak_bytes = budget_.peak();
  result.peak_host_bytes = peak_resident_bytes();
  result.seconds_here = elapsed();
  result.epochs_here = epochs_here_;
  result.seconds_training_here = seconds_training_here_;
  result.io = counters();
  result.parameters = session_->parameters.size();
  result.predicted_rows = predicted_rows_;
  result.embedded_rows = embedded_rows_;
  result.schedule = &schedule_plan_;
  result.inductive = session_->inductive;
  result.passes = measured_passes(schedule_plan_, session_->schedule);
  return result;
}

void TrainingRun::print_result() const {
  const std::uint32_t epoch = state_.best.known ? state_.best.epoch : state_.epoch;
  const EpochScores scores = state_.best.known ? state_.best.scores : state_.last.value_or(EpochScores{});
  std::string line = fmt::format("{} epoch {} of {}: {}", state_.best.known ? "best" : "last", epoch, state_.epoch,
                                 metric_name(metric_));
  const auto add = [&](const char* name, const std::optional<SplitScore>& score) {
    if (score) line += fmt::format(" {} {:.4f}", name, score->metric);
  };
  add("train", scores.train);
  add("valid", scores.valid);
  add("test", scores.test);
  std::printf("%s; results in %s\n", line.c_str(), options_.run.string().c_str());
}

double TrainingRun::elapsed() const { return seconds_since(start_); }

}  // namespace strata
