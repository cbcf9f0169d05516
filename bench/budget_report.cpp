// The table and the JSON file of `strata-bench budget`.
#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include <algorithm>

#include "bench/budget.hpp"
#include "kernels/base/error.hpp"

namespace strata::bench {

namespace {

using Json = nlohmann::ordered_json;

std::string bytes_text(double bytes) { return format_bytes(static_cast<std::uint64_t>(bytes)); }
std::string known_bytes(std::uint64_t bytes) { return bytes == 0 ? "-" : format_bytes(bytes); }

std::string rate_text(double per_second) {
  if (per_second >= 1e9) return fmt::format("{:.2f} G/s", per_second / 1e9);
  if (per_second >= 1e6) return fmt::format("{:.1f} M/s", per_second / 1e6);
  return fmt::format("{:.1f} k/s", per_second / 1e3);
}

std::string joined(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += fmt::format("{}{:.4g}", text.empty() ? "" : " ", value);
  return text;
}

// "-12%": how far the prediction is from what was measured; "-" where there is none.
std::string error_text(const std::optional<double>& predicted, double measured) {
  if (!predicted || !(measured > 0)) return "-";
  return fmt::format("{:+.0f}%", 100 * (*predicted / measured - 1));
}

Json known(const std::optional<std::uint64_t>& value) { return value ? Json(*value) : Json(nullptr); }
Json known(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }
Json named(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json json_of(const BudgetEpoch& e) {
  return {{"seconds", e.seconds},
          {"seconds_eval", e.seconds_eval},
          {"bytes_read", e.bytes_read},
          {"bytes_written", e.bytes_written},
          {"hits", {{"host", e.hits}, {"disk", e.misses}}},
          {"node_visits", e.node_visits}};
}

Json json_of(const BudgetTrial& t) {
  Json json = {{"budget_bytes", t.budget},
               {"round", t.round},
               {"order", t.order},
               {"enforced", t.limit_bytes.has_value()},
               {"limit_bytes", known(t.limit_bytes)},
               {"cgroup_peak_bytes", known(t.cgroup_peak_bytes)},
               {"peak_host_bytes", known(t.peak_host_bytes)},
               {"process_seconds", t.process_seconds},
               {"prepare_seconds", t.prepare_seconds},
               {"later_epoch_seconds", t.later_seconds()},
               {"process_disk_read_bytes", known(t.disk_read_bytes)},
               {"process_disk_write_bytes", known(t.disk_write_bytes)},
               {"edges_aggregated_per_epoch", t.edges_per_epoch},
               {"metric", t.metric},
               {"train", known(t.train)},
               {"val", known(t.valid)},
               {"test", known(t.test)},
               {"model_checksum", named(t.model_checksum)},
               {"predictions_checksum", named(t.predictions_checksum)}};
  json["epochs"] = Json::array();
  for (const BudgetEpoch& epoch : t.epochs) json["epochs"].push_back(json_of(epoch));
  json["plan"] = t.plan;
  json["measured"] = t.measured;
  return json;
}

Json json_of(const BudgetFigures& f) {
  Json json = {{"budget_bytes", f.budget},
               {"epoch_seconds", f.seconds},
               {"first_epoch_seconds", f.first_seconds},
               {"ratio_to_largest", f.ratio},
               {"nodes_per_second", f.nodes_per_second},
               {"edges_per_second", f.edges_per_second},
               {"bytes_read_per_epoch", f.bytes_read},
               {"bytes_written_per_epoch", f.bytes_written},
               {"process_disk_read_bytes", known(f.disk_read)},
               {"process_disk_write_bytes", known(f.disk_written)},
               {"hit_rate", f.hit_rate},
               {"peak_host_bytes", f.peak_host_bytes > 0 ? Json(f.peak_host_bytes) : Json(nullptr)},
               {"cgroup_peak_bytes", f.cgroup_peak_bytes > 0 ? Json(f.cgroup_peak_bytes) : Json(nullptr)},
               {"trials_epoch_seconds", f.trials}};
  const double bytes = f.bytes_read + f.bytes_written;
  if (f.predicted_seconds) {
    json["predicted_epoch_seconds"] = *f.predicted_seconds;
    json["predicted_seconds_error"] = *f.predicted_seconds / f.seconds - 1;
  }
  if (f.predicted_bytes) json["predicted_epoch_bytes"] = *f.predicted_bytes;
  if (f.predicted_bytes && bytes > 0) json["predicted_bytes_error"] = *f.predicted_bytes / bytes - 1;
  return json;
}

void print_outcome(std::ostream& out, const BudgetReport& report) {
  const BudgetTrial& first = report.trials.front();
  const auto score = [](const std::optional<double>& value) { return value ? fmt::format("{:.4f}", *value) : "-"; };
  if (!first.metric.empty()) {
    out << fmt::format("{:12} {}: train {}, valid {}, test {}\n", "last epoch", first.metric, score(first.train),
                       score(first.valid), score(first.test));
  }
  out << fmt::format("{:12} {} (model {}, predictions {})\n", "bits",
                     same_bits(report.trials) ? "the same in every trial" : "DIFFERENT between trials",
                     first.model_checksum.empty() ? "none" : first.model_checksum,
                     first.predictions_checksum.empty() ? "none" : first.predictions_checksum);
  if (same_bits(report.trials)) return;
  for (const BudgetTrial& t : report.trials) {
    out << fmt::format("  {:>10} round {}: model {}, predictions {}\n", format_bytes(t.budget), t.round + 1,
                       t.model_checksum, t.predictions_checksum);
  }
}

}  // namespace

void print_budget_table(std::ostream& out, const BudgetReport& report) {
  const std::vector<BudgetFigures> figures = summarise(report.trials);
  const bool predicted = std::any_of(figures.begin(), figures.end(), [](const BudgetFigures& f) {
    return f.predicted_seconds.has_value() || f.predicted_bytes.has_value();
  });
  out << fmt::format("{:>10} {:>9} {:>9} {:>6} {:>10} {:>10} {:>11} {:>11} {:>6} {:>10} {:>10} {:>10} {:>11}", "budget",
                     "epoch s", "first s", "ratio", "nodes", "edges", "read", "written", "hits", "disk in", "disk out",
                     "VmHWM", "cgroup peak");
  out << (predicted ? fmt::format(" {:>7} {:>7}", "plan s", "plan B") : "") << "  trials (s)\n";
  for (const BudgetFigures& f : figures) {
    out << fmt::format(
        "{:>10} {:9.4g} {:9.4g} {:6.2f} {:>10} {:>10} {:>11} {:>11} {:5.1f}% {:>10} {:>10} {:>10} {:>11}",
        format_bytes(f.budget), f.seconds, f.first_seconds, f.ratio, rate_text(f.nodes_per_second),
        rate_text(f.edges_per_second), bytes_text(f.bytes_read), bytes_text(f.bytes_written), 100 * f.hit_rate,
        f.disk_read ? bytes_text(*f.disk_read) : "-", f.disk_written ? bytes_text(*f.disk_written) : "-",
        known_bytes(f.peak_host_bytes), known_bytes(f.cgroup_peak_bytes));
    if (predicted) {
      out << fmt::format(" {:>7} {:>7}", error_text(f.predicted_seconds, f.seconds),
                         error_text(f.predicted_bytes, f.bytes_read + f.bytes_written));
    }
    out << "  " << joined(f.trials) << "\n";
  }
  out << "epoch s: median epoch after the first, evaluation included, median over the rounds; ratio: to the largest "
         "budget in\nthe same round; read, written: bytes of such an epoch; disk in, out: of the whole process, as the "
         "kernel counts\nthem; VmHWM: its peak memory, file pages included\n";
  const BudgetTrial& any = report.trials.front();
  out << "nodes: visits of an epoch; edges: "
      << (any.edges_per_epoch > any.edges
              ? "aggregated in an epoch\n"
              : "of the graph, each counted once an epoch however often it is aggregated\n");
  if (predicted) out << "plan s, plan B: how far the plan's seconds and bytes of an epoch are from those measured\n";
  out << fmt::format("{:12} {}\n", "limit", report.enforcement);
  print_outcome(out, report);
}

std::string budget_json(const BudgetReport& report) {
  Json root;
  root["schema_version"] = 1;
  for (const auto& [name, value] : report.environment.entries) root["environment"][name] = value;
  root["environment"]["release"] = report.environment.release;
  for (const auto& [name, value] : report.options) root["options"][name] = value;
  root["enforcement"] = report.enforcement;
  root["same_bits"] = same_bits(report.trials);
  root["budgets"] = Json::array();
  for (const BudgetFigures& figures : summarise(report.trials)) root["budgets"].push_back(json_of(figures));
  root["trials"] = Json::array();
  for (const BudgetTrial& trial : report.trials) root["trials"].push_back(json_of(trial));
  return root.dump(2) + "\n";
}

}  // namespace strata::bench
