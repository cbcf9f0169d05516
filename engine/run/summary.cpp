#include "engine/run/summary.hpp"

#include <tbb/version.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/run/configuration.hpp"
#include "kernels/base/cpu_info.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

Json metric_of(const std::optional<SplitScore>& score) { return score ? Json(score->metric) : Json(nullptr); }
Json loss_of(const std::optional<SplitScore>& score) { return score ? Json(score->loss) : Json(nullptr); }

Json json_of(std::uint32_t epoch, const EpochScores& scores) {
  return {{"epoch", epoch},
          {"train", metric_of(scores.train)},
          {"val", metric_of(scores.valid)},
          {"test", metric_of(scores.test)},
          {"train_loss", loss_of(scores.train)},
          {"val_loss", loss_of(scores.valid)},
          {"test_loss", loss_of(scores.test)}};
}

// The epoch whose parameters are in model.safetensors: the best, or the last where no epoch could be judged.
Json kept_epoch(const RunState& state) {
  if (state.best.known) return json_of(state.best.epoch, state.best.scores);
  return json_of(state.epoch, state.last.value_or(EpochScores{}));
}

Json json_of(const Store& store) {
  const std::string& manifest = store.manifest_text();
  const TrainGraphInfo& train = store.info().train_graph;
  Json json = {{"path", store.path().string()},
               {"name", store.info().name},
               {"nodes", store.info().nodes},
               {"edges", store.info().edges},
               {"manifest_checksum", checksum_text(checksum(std::as_bytes(std::span(manifest))))}};
  if (train.present) {
    json["train_graph"] = {{"origin", train.origin}, {"nodes", train.nodes}, {"edges", train.edges}};
  }
  return json;
}

Json libraries() {
  return {{"compiler", __VERSION__},
          {"tbb", TBB_runtime_version()},
          {"nlohmann_json", std::to_string(NLOHMANN_JSON_VERSION_MAJOR) + "." +
                                std::to_string(NLOHMANN_JSON_VERSION_MINOR) + "." +
                                std::to_string(NLOHMANN_JSON_VERSION_PATCH)}};
}

// Bytes and seconds of an epoch as planned; of a period's epochs the mean.
void add_schedule(Json& json, const SchedulePlan& plan) {
  const PassTraffic epoch = plan.traffic(plan.epoch), before = plan.traffic(plan.preparation);
  json["epoch_bytes_read"] = epoch.read / plan.period;
  json["epoch_bytes_written"] = epoch.written / plan.period;
  json["epoch_seconds"] = plan.seconds(plan.epoch) / plan.period;
  json["epoch_floor_bytes_read"] = plan.floor.read / plan.period;
  json["epoch_floor_bytes_written"] = plan.floor.written / plan.period;
  json["preparation_bytes_read"] = before.read;
  json["preparation_bytes_written"] = before.written;
  json["preparation_seconds"] = plan.seconds(plan.preparation);
  json["product_way"] = product_way_name(plan.way);
  for (const WayCost& cost : plan.ways) {
    json["product_ways"].push_back({{"way", product_way_name(cost.way)},
                                    {"epoch_bytes_read", cost.traffic.read / plan.period},
                                    {"epoch_bytes_written", cost.traffic.written / plan.period},
                                    {"epoch_seconds", cost.seconds / plan.period}});
  }
  json["graph_in_memory"] = plan.graph_resident;
  json["gathered_bytes"] = plan.gather_bytes;
  json["kept_bytes"] = plan.peak_kept;
}

Json json_of(const MeasuredPass& pass) {
  const PassMeasured& m = pass.measured;
  const double runs = m.runs > 0 ? static_cast<double>(m.runs) : 1.0;
  const auto each = [&](std::uint64_t sum) { return static_cast<double>(sum) / runs; };
  return {{"pass", pass.planned.name},
          {"of_epoch", pass.of_epoch},
          {"runs", m.runs},
          {"planned_seconds", pass.planned.seconds()},
          {"seconds", m.seconds / runs},
          {"planned_disk_seconds", pass.planned.io_seconds},
          {"planned_compute_seconds", pass.planned.cpu_seconds},
          {"wait_seconds", m.io.wait_seconds / runs},
          {"planned_bytes_read", pass.planned.traffic.read},
          {"bytes_read", each(m.io.bytes_read)},
          {"planned_bytes_written", pass.planned.traffic.written},
          {"bytes_written", each(m.io.bytes_written)},
          {"graph_bytes", pass.planned.graph_bytes}};
}

Json json_of(const RunPlan& plan) {
  return {{"least_bytes", plan.least},
          {"everything_bytes", plan.memory.everything + plan.run_bytes},
          {"fits_in_memory", plan.memory.fits},
          {"fixed_bytes", plan.memory.fixed + plan.run_bytes},
          {"graph_bytes", plan.memory.graph},
          {"row_store_bytes", plan.memory.stores},
          {"workspace_bytes", plan.memory.workspace},
          {"cache_bytes_at_most", plan.cache_bytes},
          {"output_bytes_at_most", plan.output_bytes}};
}

}  // namespace

std::string summary_text(const TrainOptions& options, const Store& store, const RunPlan& plan, const RunState& state,
                         const std::string& metric, const Measured& measured) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["strata_version"] = STRATA_VERSION;
  json["configuration"] = all_settings(options);
  json["seed"] = options.seed;
  json["device"] = device_description();
  json["libraries"] = libraries();
  json["store"] = json_of(store);
  json["inductive"] = measured.inductive;
  json["metric"] = metric;
  json["best"] = kept_epoch(state);
  json["best_by"] = state.best.known ? "validation metric" : "last epoch";
  json["last"] = json_of(state.epoch, state.last.value_or(EpochScores{}));
  json["last"]["loss"] = state.last_loss;
  json["stopped_early"] = state.stopped_early;
  json["totals"] = {{"epochs", state.epoch},
                    {"steps", state.global_step},
                    {"seconds", state.seconds},
                    {"seconds_this_process", measured.seconds_here},
                    {"bytes_read_this_process", measured.io.bytes_read},
                    {"bytes_written_this_process", measured.io.bytes_written},
                    {"parameters", measured.parameters},
                    {"predicted_rows", measured.predicted_rows},
                    {"embedded_rows", measured.embedded_rows}};
  json["plan"] = json_of(plan);
  add_schedule(json["plan"], *measured.schedule);
  json["measured"] = {
      {"budget_bytes", options.host_memory},
      {"peak_budget_bytes", measured.budget_peak_bytes},
      {"peak_host_bytes", measured.peak_host_bytes},
      {"seconds_per_epoch", measured.epochs_here == 0 ? 0.0 : measured.seconds_training_here / measured.epochs_here}};
  for (const MeasuredPass& pass : measured.passes) json["passes"].push_back(json_of(pass));
  return json.dump(2) + "\n";
}

std::optional<Outcome> read_outcome(const std::filesystem::path& summary) {
  std::ifstream file(summary);
  if (!file) return std::nullopt;
  try {
    const Json json = Json::parse(file);
    return Outcome{json.at("totals").at("epochs").get<std::uint32_t>(), json.at("stopped_early").get<bool>()};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace strata
