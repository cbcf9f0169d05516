// The picture of `strata-bench budget`: throughput and bytes over the budget.
#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "bench/budget.hpp"
#include "bench/svg.hpp"
#include "kernels/base/error.hpp"

namespace strata::bench {

namespace {

constexpr double kWidth = 760, kHeight = 690, kLeft = 78, kRight = 30, kPanel = 215;

struct Series {
  std::string name;
  Role role;
  std::function<double(const BudgetTrial&)> value;
};

struct Unit {
  double size;
  std::string name;
};

Unit count_unit(double highest) {
  if (highest >= 1e9) return {1e9, "thousand million "};
  if (highest >= 1e6) return {1e6, "million "};
  if (highest >= 1e3) return {1e3, "thousand "};
  return {1, ""};
}

Unit byte_unit(double highest) {
  if (highest >= 0x1p30) return {0x1p30, "GiB"};
  if (highest >= 0x1p20) return {0x1p20, "MiB"};
  return {0x1p10, "KiB"};
}

// One chart with its top at `top`. Every trial is a dot, the medians are joined.
class Panel {
 public:
  Panel(Svg& svg, const std::vector<BudgetTrial>& trials, const std::vector<Series>& series, double top)
      : svg_(svg), trials_(trials), series_(series), top_(top), bottom_(top + kPanel) {
    for (const BudgetTrial& trial : trials) {
      budgets_.push_back(trial.budget);
      for (const Series& s : series) highest_ = std::max(highest_, s.value(trial));
    }
    std::sort(budgets_.begin(), budgets_.end());
    budgets_.erase(std::unique(budgets_.begin(), budgets_.end()), budgets_.end());
  }
  [[nodiscard]] double highest() const { return highest_; }

  void draw(const std::string& title, const std::string& label, const Unit& unit) {
    const std::vector<double> ticks = round_ticks(highest_ > 0 ? highest_ / unit.size : 1, 5);
    const Axis x(static_cast<double>(budgets_.front()), static_cast<double>(budgets_.back()), kLeft + 28,
                 kWidth - kRight - 28, true);
    const Axis y(0, ticks.back() * unit.size, bottom_, top_, false);
    svg_.text(kLeft, top_ - 16, title, Role::text, Svg::Anchor::start, true);
    svg_.text_upwards(20, (top_ + bottom_) / 2, label, Role::quiet_text);
    for (const double tick : ticks) {
      const double at = y.at(tick * unit.size);
      svg_.line(kLeft, at, kWidth - kRight, at, tick == 0 ? Role::axis : Role::grid);
      svg_.text(kLeft - 8, at + 4, fmt::format("{:g}", tick), Role::quiet_text, Svg::Anchor::end);
    }
    draw_budgets(x);
    double legend = kWidth - kRight;
    for (auto s = series_.rbegin(); s != series_.rend(); ++s) draw_series(*s, x, y, unit, legend);
  }

 private:
  void draw_budgets(const Axis& x) {
    double last = 0;  // where the last label stands
    for (const std::uint64_t budget : budgets_) {
      const double at = x.at(static_cast<double>(budget));
      svg_.line(at, bottom_, at, bottom_ + 5, Role::axis);
      if (at - last < 54) continue;  // would touch it
      svg_.text(at, bottom_ + 20, format_bytes(budget), Role::quiet_text, Svg::Anchor::middle);
      last = at;
    }
    svg_.text((kLeft + kWidth - kRight) / 2, bottom_ + 40,
              "memory budget (every doubling is one step of the same width)", Role::quiet_text, Svg::Anchor::middle);
  }

  void draw_series(const Series& series, const Axis& x, const Axis& y, const Unit& unit, double& legend) {
    Svg::Points medians;
    for (const std::uint64_t budget : budgets_) {
      std::vector<double> values;
      for (const BudgetTrial& trial : trials_) {
        if (trial.budget == budget) values.push_back(series.value(trial));
      }
      medians.emplace_back(x.at(static_cast<double>(budget)), y.at(median(values)));
    }
    svg_.path(medians, series.role);
    for (const BudgetTrial& trial : trials_) {
      const double value = series.value(trial);
      svg_.dot(x.at(static_cast<double>(trial.budget)), y.at(value), series.role,
               fmt::format("{}, round {}: {} {:.4g} {}", format_bytes(trial.budget), trial.round + 1, series.name,
                           value / unit.size, unit.name));
    }
    svg_.text(legend, top_ - 16, series.name, series.role, Svg::Anchor::end);
    legend -= 7.0 * static_cast<double>(series.name.size()) + 24;
  }

  Svg& svg_;
  const std::vector<BudgetTrial>& trials_;
  const std::vector<Series>& series_;
  double top_, bottom_;
  std::vector<std::uint64_t> budgets_;  // ascending
  double highest_ = 0;
};

std::string option(const BudgetReport& report, const std::string& name) {
  for (const auto& [key, value] : report.options) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

std::string budget_svg(const BudgetReport& report) {
  STRATA_ASSERT(!report.trials.empty());
  Svg svg(kWidth, kHeight, "Throughput of training and bytes read and written, over the memory budget");
  svg.text(kLeft, 28, "Training with less memory", Role::text, Svg::Anchor::start, true);
  std::string what = fs::path(option(report, "store")).filename().string() + "  " + option(report, "train-options");
  if (what.size() > 100) what = what.substr(0, 97) + "...";
  svg.text(kLeft, 47, what, Role::quiet_text, Svg::Anchor::start);
  svg.text(kLeft, 64, "Every dot is one run; the lines join the medians.", Role::quiet_text, Svg::Anchor::start);

  const std::vector<Series> speed = {{"edges a second", Role::first, [](const BudgetTrial& t) {
                                        return static_cast<double>(t.edges_per_epoch) / t.later_seconds();
                                      }}};
  Panel throughput(svg, report.trials, speed, 112);
  const Unit edges = count_unit(throughput.highest());
  throughput.draw("Throughput", edges.name + "edges a second", edges);

  const std::vector<Series> traffic = {
      {"read", Role::first, [](const BudgetTrial& t) { return t.later_median(&BudgetEpoch::bytes_read); }},
      {"written", Role::second, [](const BudgetTrial& t) { return t.later_median(&BudgetEpoch::bytes_written); }}};
  Panel bytes(svg, report.trials, traffic, 425);
  const Unit unit = byte_unit(bytes.highest());
  bytes.draw("Bytes an epoch", unit.name + " an epoch", unit);
  return svg.finish();
}

}  // namespace strata::bench
