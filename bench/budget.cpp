// The command line of `strata-bench budget`.
#include "bench/budget.hpp"

#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <iostream>
#include <map>
#include <thread>

#include "bench/budget_run.hpp"
#include "bench/environment.hpp"
#include "kernels/base/error.hpp"
#include "tools/program.hpp"

namespace strata::bench {

namespace {

namespace po = boost::program_options;

const char* const kUsage = R"(strata-bench budget --store STORE [options]

Trains the same model on the same store at several memory budgets and says what less memory costs. Each trial is a
process of its own, the strata-train beside this program, with an empty run directory that is removed afterwards and a
store that is not in the page cache. A round runs every budget once; rounds alternate the order of budgets, so that what
drifts on the machine meets all of them alike. Ratios are of trials of the same round.

Where it can, every process runs in a memory cgroup of its own that holds it to its budget and 256 MiB, without swap;
page cache that it causes counts as well. That takes a cgroup that was delegated to this program:
    systemd-run --user --scope -p Delegate=yes strata-bench budget ...
or being root in a container with a cgroup of its own. --enforce cgroup makes one below whatever cgroup this program is
in, also where that belongs to a manager. Without any, the report says so, and why.

Examples
  From what everything takes down to the least that works, in halves:
    strata-bench budget --store products.store --output reports/products \
      --train-options "--method iglu --model gcn --layers 3 --hidden 128 --codec fp16"
  At given budgets, five rounds of three epochs, without evaluation in the epochs:
    strata-bench budget --store products.store --budgets 16GiB,2GiB,1GiB --trials 5 --epochs 3 \
      --train-options "--method iglu --eval-every 0"

Needs room in --work for what does not fit the least budget: strata-train --explain says how much.
Exit status as of strata-train; when a trial fails, that of its strata-train. 130 and 143: stopped by a signal; no run
remains.
)";

struct BudgetOptions {
  std::string store, train_options, budgets = "auto", enforce = "auto", work, output;
  std::size_t trials = 3;
  std::uint32_t epochs = 2;
  bool force = false;

  std::vector<std::string> words;          // of train_options
  std::vector<std::uint64_t> budget_list;  // as given; empty: auto
  Enforce enforcement = Enforce::automatic;
};

po::options_description describe(BudgetOptions& o) {
  po::options_description options("Options", 120);
  auto add = options.add_options();
  add("store", po::value(&o.store), "what to train on");
  add("train-options", po::value(&o.train_options), "options of strata-train in one word, all trials the same");
  add("budgets", po::value(&o.budgets)->default_value(o.budgets),
      "values of --host-memory, as 16GiB,2GiB,512MiB; auto: what everything takes, halved down to the least");
  add("trials", po::value(&o.trials)->default_value(o.trials), "rounds: runs of every budget");
  add("epochs", po::value(&o.epochs)->default_value(o.epochs),
      "of every run; the first is told apart from the others, which count");
  add("enforce", po::value(&o.enforce)->default_value(o.enforce),
      "auto: a cgroup where one is delegated; cgroup: one or an error; off");
  add("work", po::value(&o.work), "folder on the disk to measure, for runs (default: --output, else this folder)");
  add("output", po::value(&o.output), "folder to write budget.json and budget.svg into");
  add("force", po::bool_switch(&o.force), "overwrite them");
  add_common_options(options);
  return options;
}

// Options that this program sets itself, or that make a trial something else.
void check_words(const std::vector<std::string>& words) {
  const std::map<std::string, std::string> reserved = {{"--store", "use strata-bench's --store"},
                                                       {"--run", "runs lie in --work and are removed"},
                                                       {"--host-memory", "use --budgets"},
                                                       {"--epochs", "use strata-bench's --epochs"},
                                                       {"--threads", "use strata-bench's --threads"},
                                                       {"--explain", "it trains nothing"},
                                                       {"--resume", "every trial starts from nothing"},
                                                       {"--force", "every trial has an empty run directory"},
                                                       {"--help", "use strata-train --help"},
                                                       {"--version", "use strata-train --version"}};
  for (const std::string& word : words) {
    const auto found = reserved.find(word.substr(0, word.find('=')));
    if (found != reserved.end()) throw UsageError("--train-options: " + found->first + ": " + found->second);
  }
}

std::vector<std::uint64_t> parse_budgets(const std::string& text) {
  std::vector<std::uint64_t> budgets;
  if (text == "auto") return budgets;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    try {
      budgets.push_back(parse_size(text.substr(begin, end - begin)));
    } catch (const UsageError& error) {
      throw UsageError(std::string("--budgets: ") + error.what());
    }
    begin = end + 1;
  }
  std::sort(budgets.begin(), budgets.end(), std::greater<>());
  if (std::adjacent_find(budgets.begin(), budgets.end()) != budgets.end()) {
    throw UsageError("--budgets " + text + ": the same budget twice; use --trials for more runs of each");
  }
  return budgets;
}

void complete(BudgetOptions& o) {
  if (o.store.empty()) throw UsageError("--store is missing: name a store to train on; see strata-bench budget --help");
  if (o.trials == 0 || o.trials > 1000) throw UsageError("--trials: use 1 to 1000");
  if (o.epochs == 0) throw UsageError("--epochs: use at least 1, and 2 to tell the first from the others");
  const std::map<std::string, Enforce> modes = {
      {"auto", Enforce::automatic}, {"cgroup", Enforce::required}, {"off", Enforce::off}};
  if (!modes.contains(o.enforce)) throw UsageError("--enforce " + o.enforce + ": use auto, cgroup or off");
  o.enforcement = modes.at(o.enforce);
  o.words = split_words(o.train_options);
  check_words(o.words);
  o.budget_list = parse_budgets(o.budgets);
  if (!fs::is_directory(o.store)) throw InputError(o.store, "", "no such store; make one with strata-convert");
  for (const char* name : {"budget.json", "budget.svg"}) {
    const fs::path file = fs::path(o.output) / name;
    if (!o.output.empty() && fs::exists(file) && !o.force) {
      throw UsageError(file.string() + " exists: choose another --output or add --force");
    }
  }
  if (!o.work.empty() && !fs::is_directory(o.work)) throw UsageError("--work " + o.work + ": no such folder");
}

std::vector<std::uint64_t> chosen_budgets(const BudgetOptions& o, const TrainPlan& plan) {
  if (o.budget_list.empty()) return halving_budgets(plan.everything, plan.least);
  if (o.budget_list.back() < plan.least) {
    throw ResourceError(
        fmt::format("--budgets: {} is too little for this store and model; at least {} would do ({} bytes)",
                    format_bytes(o.budget_list.back()), format_bytes(plan.least), plan.least),
        plan.least);
  }
  return o.budget_list;
}

std::string time_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  return seconds < 5400 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

// One line a trial. What is left is estimated from the trials of the same budget, or of all where it had none.
class TrialProgress {
 public:
  TrialProgress(const std::vector<std::uint64_t>& budgets, std::size_t rounds, bool quiet)
      : budgets_(budgets), rounds_(rounds), quiet_(quiet) {}

  void done(const std::vector<BudgetTrial>& trials) {
    if (quiet_) return;
    const BudgetTrial& last = trials.back();
    std::cerr << fmt::format("strata-bench: trial {} of {}, budget {}: {:.4g} s an epoch, {} in all{}\n", trials.size(),
                             budgets_.size() * rounds_, format_bytes(last.budget), last.later_seconds(),
                             time_text(last.process_seconds), left_text(trials));
  }

 private:
  [[nodiscard]] std::string left_text(const std::vector<BudgetTrial>& trials) const {
    std::map<std::uint64_t, std::pair<double, std::size_t>> spent;  // seconds and trials by budget
    double all = 0;
    for (const BudgetTrial& trial : trials) {
      auto& [seconds, count] = spent[trial.budget];
      seconds += trial.process_seconds;
      ++count;
      all += trial.process_seconds;
    }
    double left = 0;
    for (const std::uint64_t budget : budgets_) {
      const auto [seconds, count] = spent[budget];
      const double mean = count > 0 ? seconds / static_cast<double>(count) : all / static_cast<double>(trials.size());
      left += mean * static_cast<double>(rounds_ - count);
    }
    return trials.size() == budgets_.size() * rounds_ ? "" : "; about " + time_text(left) + " left";
  }

  const std::vector<std::uint64_t>& budgets_;
  std::size_t rounds_;
  bool quiet_;
};

std::vector<std::string> common_words(const BudgetOptions& o, const CommonOptions& common) {
  std::vector<std::string> words = o.words;
  words.insert(words.end(), {"--epochs", std::to_string(o.epochs)});
  if (common.threads > 0) words.insert(words.end(), {"--threads", std::to_string(common.threads)});
  return words;
}

void run_rounds(const BudgetOptions& o, TrainRunner& runner, const std::vector<std::uint64_t>& budgets, bool quiet,
                std::vector<BudgetTrial>& trials) {
  TrialProgress progress(budgets, o.trials, quiet);
  for (std::size_t round = 0; round < o.trials; ++round) {
    for (const std::size_t i : round_order(budgets.size(), round)) {
      BudgetTrial trial;
      trial.budget = budgets[i];
      trial.round = round;
      trial.order = trials.size();
      runner.run(trial);
      trials.push_back(std::move(trial));
      progress.done(trials);
    }
  }
}

// What a plan calls everything grows with the budget it was asked for; the second answer is that for enough.
TrainPlan settled_plan(TrainRunner& runner) {
  const TrainPlan first = runner.plan();
  const TrainPlan second = runner.plan(std::max(first.everything, first.least));
  return second.everything < first.everything ? second : first;
}

BudgetReport measure(const BudgetOptions& o, const CommonOptions& common) {
  const CgroupMaker cgroups(o.enforcement, own_memory_cgroup());
  BudgetReport report;
  report.environment = describe_environment(common.threads > 0 ? common.threads : std::thread::hardware_concurrency());
  report.enforcement = cgroups.enforcing() ? fmt::format("enforced: cgroup v{}, budget + {}, no swap",
                                                         cgroups.parent().version, format_bytes(kLimitMargin))
                                           : "not enforced: " + cgroups.reason();
  const std::string folder = !o.work.empty() ? o.work : !o.output.empty() ? o.output : ".";
  const WorkDirectory work(folder);
  TrainRunner runner(o.store, common_words(o, common), work.path(), cgroups);
  const TrainPlan plan = settled_plan(runner);
  const std::vector<std::uint64_t> budgets = chosen_budgets(o, plan);
  report.options = {{"store", o.store},
                    {"train-options", o.train_options},
                    {"budgets", o.budgets},
                    {"trials", std::to_string(o.trials)},
                    {"epochs", std::to_string(o.epochs)},
                    {"enforce", o.enforce},
                    {"work", fs::absolute(folder).string()},
                    {"least_bytes", std::to_string(plan.least)},
                    {"everything_bytes", std::to_string(plan.everything)}};
  run_rounds(o, runner, budgets, common.quiet, report.trials);
  return report;
}

void publish(const BudgetOptions& o, const BudgetReport& report, bool quiet) {
  if (!quiet) Report(report.environment).print_environment(std::cout);
  print_budget_table(std::cout, report);
  if (o.output.empty()) return;
  write_file_atomically(fs::path(o.output) / "budget.json", budget_json(report));
  write_file_atomically(fs::path(o.output) / "budget.svg", budget_svg(report));
}

}  // namespace

int bench_budget(int argc, char** argv) {
  BudgetOptions o;
  const po::options_description options = describe(o);
  po::variables_map values;
  CommonOptions common;
  if (!parse_options("strata-bench budget", kUsage, argc, argv, options, nullptr, values, common)) return 0;
  complete(o);
  if (!o.output.empty()) fs::create_directories(o.output);
  const Interrupts interrupts;
  try {
    publish(o, measure(o, common), common.quiet);
  } catch (const Interrupted& stop) {
    std::cerr << "strata-bench: stopped by signal " << stop.signal << ": no report was written, no run remains\n";
    return 128 + stop.signal;
  }
  return 0;
}

}  // namespace strata::bench
