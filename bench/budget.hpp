// `strata-bench budget`: the same training at several memory budgets, in turns; what it costs to have less memory.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/report.hpp"
#include "storage/file.hpp"

namespace strata::bench {

struct BudgetEpoch {
  double seconds = 0, seconds_eval = 0;  // seconds: evaluation included
  std::uint64_t bytes_read = 0, bytes_written = 0;
  std::uint64_t hits = 0, misses = 0;  // of blocks, in memory and on disk
  std::uint64_t node_visits = 0;
};

// One run of strata-train. What summary.json or the system does not tell stays empty.
struct BudgetTrial {
  std::uint64_t budget = 0;
  std::size_t round = 0;  // from 0
  std::size_t order = 0;  // among all trials
  std::vector<BudgetEpoch> epochs;
  double process_seconds = 0;  // from start to exit
  double prepare_seconds = 0;  // before the first epoch
  std::uint64_t nodes = 0, edges = 0;
  std::uint64_t edges_per_epoch = 0;             // aggregated; equal to `edges` where the run does not say how often
  std::optional<std::uint64_t> peak_host_bytes;  // VmHWM
  std::optional<std::uint64_t> limit_bytes;      // that a cgroup enforced
  std::optional<std::uint64_t> cgroup_peak_bytes;
  std::optional<std::uint64_t> disk_read_bytes, disk_write_bytes;  // /proc/PID/io, the whole process
  std::string metric;
  std::optional<double> train, valid, test;
  std::string model_checksum, predictions_checksum;          // empty: no such file
  std::optional<double> predicted_seconds, predicted_bytes;  // an epoch's
  nlohmann::ordered_json plan, measured;                     // of summary.json, whole

  // Median over the epochs after the first; the first where it is alone.
  [[nodiscard]] double later_seconds() const;
  [[nodiscard]] double later_median(std::uint64_t BudgetEpoch::*value) const;  // the same of a count
};

// Reads RUN/metrics.jsonl, RUN/summary.json and the results; InputError for what is missing or malformed.
void read_run(const fs::path& run, BudgetTrial& trial);

// All trials of one budget, put together.
struct BudgetFigures {
  std::uint64_t budget = 0;
  double seconds = 0, first_seconds = 0;  // medians over the trials, of later_seconds() and of the first epoch
  double ratio = 0;                       // median over the rounds, to the largest budget in the same round
  double nodes_per_second = 0, edges_per_second = 0;
  double bytes_read = 0, bytes_written = 0;                  // an epoch after the first, medians
  double hit_rate = 0;                                       // of blocks asked for; 0 when none was
  std::uint64_t peak_host_bytes = 0, cgroup_peak_bytes = 0;  // largest; 0: unknown
  // Of the whole process, as /proc/PID/io counts; medians, empty where a trial has none.
  std::optional<double> disk_read, disk_written;
  std::optional<double> predicted_seconds, predicted_bytes;
  std::vector<double> trials;  // later_seconds() by round
};

// Largest budget first. Every budget needs the same rounds.
[[nodiscard]] std::vector<BudgetFigures> summarise(const std::vector<BudgetTrial>& trials);

// All models have the same checksum, and so have all predictions.
[[nodiscard]] bool same_bits(const std::vector<BudgetTrial>& trials);

struct BudgetReport {
  Environment environment;
  std::vector<std::pair<std::string, std::string>> options;
  std::string enforcement;  // one line: enforced how, or why not
  std::vector<BudgetTrial> trials;
};
void print_budget_table(std::ostream& out, const BudgetReport& report);
[[nodiscard]] std::string budget_json(const BudgetReport& report);
[[nodiscard]] std::string budget_svg(const BudgetReport& report);

// "everything takes", then halves of it down to `least`, which is the last one.
[[nodiscard]] std::vector<std::uint64_t> halving_budgets(std::uint64_t everything, std::uint64_t least);

// Positions of `count` budgets in one round: every other round goes the other way, and rounds start at different
// places, so that what drifts on the machine meets all budgets alike.
[[nodiscard]] std::vector<std::size_t> round_order(std::size_t count, std::size_t round);

// Words of a command line: spaces part them, '...' and "..." keep them together. UsageError when a quote stays open.
[[nodiscard]] std::vector<std::string> split_words(const std::string& text);

int bench_budget(int argc, char** argv);

}  // namespace strata::bench
