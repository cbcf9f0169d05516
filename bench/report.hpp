// What a benchmark says: every trial, the median, rates, and the ratio to a ceiling measured in the same run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace strata::bench {

struct Measurement {
  std::string group;                     // "spmm"
  std::string name;                      // "fp16 d=128 random"
  std::vector<double> seconds;           // every timed trial, in the order in which it ran
  double bytes = 0;                      // memory one trial must touch, as `counted` says; 0: not a measure of this one
  double operations = 0;                 // useful operations of one trial
  std::string operation;                 // what they are: "flop", "edge", "value", "byte"
  std::string counted;                   // how bytes and operations were counted
  std::string ceiling;                   // "group/name" of the measurement to compare with; empty: none
  bool in_table = true;                  // false: only in the JSON file
  std::vector<double> cpu_seconds = {};  // that every trial took of all cores; empty: not measured

  [[nodiscard]] double median_seconds() const;
  [[nodiscard]] double bytes_per_second() const { return bytes / median_seconds(); }
  // Median over the trials, for 1e9 bytes; needs cpu_seconds.
  [[nodiscard]] double cpu_seconds_per_gb() const;
  [[nodiscard]] double operations_per_second() const { return operations / median_seconds(); }
};

struct Environment {
  std::vector<std::pair<std::string, std::string>> entries;  // in the order of printing
  bool release = false;                                      // figures of another build say little
};

class Report {
 public:
  explicit Report(Environment environment) : environment_(std::move(environment)) {}
  // Ceilings come before what refers to them.
  void add(Measurement measurement);
  // Rate over the ceiling's rate: bytes/s where the ceiling counts bytes, operations/s otherwise; 0 without a ceiling.
  [[nodiscard]] double ratio(const Measurement& measurement) const;
  [[nodiscard]] const std::vector<Measurement>& measurements() const { return measurements_; }

  void print_environment(std::ostream& out) const;
  void print_table(std::ostream& out) const;
  void write_json(const std::filesystem::path& file) const;

 private:
  [[nodiscard]] const Measurement* find(const std::string& group_and_name) const;
  Environment environment_;
  std::vector<Measurement> measurements_;
};

// Seconds of `trials` calls of each body, the bodies taking turns (A B A B ...), after one call of each that is not
// timed: what drifts on the machine meets all of them alike.
[[nodiscard]] std::vector<std::vector<double>> time_in_turns(std::size_t trials,
                                                             const std::vector<std::function<void()>>& bodies);
[[nodiscard]] std::vector<double> time_trials(std::size_t trials, const std::function<void()>& body);

[[nodiscard]] double median(std::vector<double> values);  // of at least one value

}  // namespace strata::bench
