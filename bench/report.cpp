#include "bench/report.hpp"

#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"

namespace strata::bench {

double median(std::vector<double> values) {
  STRATA_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<std::vector<double>> time_in_turns(std::size_t trials, const std::vector<std::function<void()>>& bodies) {
  using Clock = std::chrono::steady_clock;
  for (const auto& body : bodies) body();
  std::vector<std::vector<double>> seconds(bodies.size());
  for (std::size_t trial = 0; trial < trials; ++trial) {
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      const auto start = Clock::now();
      bodies[i]();
      seconds[i].push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
  }
  return seconds;
}

std::vector<double> time_trials(std::size_t trials, const std::function<void()>& body) {
  return time_in_turns(trials, {body}).front();
}

double Measurement::median_seconds() const { return median(seconds); }

double Measurement::cpu_seconds_per_gb() const { return median(cpu_seconds) / (bytes / 1e9); }

void Report::add(Measurement measurement) {
  STRATA_ASSERT(!measurement.seconds.empty());
  STRATA_ASSERT(measurement.ceiling.empty() || find(measurement.ceiling) != nullptr);
  measurements_.push_back(std::move(measurement));
}

const Measurement* Report::find(const std::string& group_and_name) const {
  for (const Measurement& m : measurements_) {
    if (m.group + "/" + m.name == group_and_name) return &m;
  }
  return nullptr;
}

double Report::ratio(const Measurement& measurement) const {
  if (measurement.ceiling.empty()) return 0;
  const Measurement& ceiling = *find(measurement.ceiling);
  if (ceiling.bytes > 0) return measurement.bytes_per_second() / ceiling.bytes_per_second();
  return measurement.operations_per_second() / ceiling.operations_per_second();
}

void Report::print_environment(std::ostream& out) const {
  for (const auto& [name, value] : environment_.entries) out << fmt::format("{:12} {}\n", name, value);
  if (!environment_.release) out << "WARNING: this is not a Release build; its figures say nothing about Strata\n";
}

namespace {

std::string rate(double per_second, const std::string& unit) {
  if (per_second >= 1e9) return fmt::format("{:.1f} G{}/s", per_second / 1e9, unit);
  if (per_second >= 1e6) return fmt::format("{:.1f} M{}/s", per_second / 1e6, unit);
  return fmt::format("{:.1f} k{}/s", per_second / 1e3, unit);
}

std::string trials_text(const std::vector<double>& seconds) {
  std::string text;
  for (const double s : seconds) text += fmt::format("{}{:.4g}", text.empty() ? "" : " ", s * 1e3);
  return text;
}

}  // namespace

void Report::print_table(std::ostream& out) const {
  const bool with_cpu = std::any_of(measurements_.begin(), measurements_.end(),
                                    [](const Measurement& m) { return !m.cpu_seconds.empty(); });
  out << fmt::format("{:10} {:34} {:>10} {:>16} {:>11} {:>8}  {}{}\n", "group", "what", "median ms", "rate",
                     with_cpu ? "bytes" : "memory", "ratio", with_cpu ? "cpu s/GB  " : "", "trials (ms)");
  for (const Measurement& m : measurements_) {
    if (!m.in_table) continue;
    const std::string memory =
        m.bytes > 0 ? fmt::format("{:.{}f} GB/s", m.bytes_per_second() / 1e9, with_cpu ? 3 : 1) : "";
    const std::string operations = m.operations > 0 ? rate(m.operations_per_second(), m.operation) : "";
    const std::string of = m.ceiling.empty() ? "" : fmt::format("{:.2f}", ratio(m));
    const std::string cpu = m.cpu_seconds.empty() ? "" : fmt::format("{:8.3f}  ", m.cpu_seconds_per_gb());
    out << fmt::format("{:10} {:34} {:10.4g} {:>16} {:>11} {:>8}  {}{}\n", m.group, m.name, m.median_seconds() * 1e3,
                       operations, memory, of, cpu, trials_text(m.seconds));
  }
}

void Report::write_json(const std::filesystem::path& file) const {
  nlohmann::ordered_json root;
  root["schema_version"] = 1;
  for (const auto& [name, value] : environment_.entries) root["environment"][name] = value;
  root["environment"]["release"] = environment_.release;
  root["measurements"] = nlohmann::ordered_json::array();
  for (const Measurement& m : measurements_) {
    nlohmann::ordered_json entry = {{"group", m.group},
                                    {"name", m.name},
                                    {"trials_seconds", m.seconds},
                                    {"median_seconds", m.median_seconds()},
                                    {"bytes", m.bytes},
                                    {"operations", m.operations},
                                    {"operation", m.operation},
                                    {"counted", m.counted}};
    entry["bytes_per_second"] = m.bytes_per_second();
    entry["operations_per_second"] = m.operations_per_second();
    if (!m.cpu_seconds.empty()) {
      entry["trials_cpu_seconds"] = m.cpu_seconds;
      entry["cpu_seconds_per_gb"] = m.cpu_seconds_per_gb();
    }
    if (!m.ceiling.empty()) {
      entry["ceiling"] = m.ceiling;
      entry["ratio"] = ratio(m);
    }
    root["measurements"].push_back(std::move(entry));
  }
  write_file_atomically(file, root.dump(2) + "\n");
}

}  // namespace strata::bench
