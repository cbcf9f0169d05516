#include "bench/io.hpp"

#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <chrono>
#include <functional>
#include <iostream>
#include <sstream>
#include <thread>

#include "bench/environment.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "tools/program.hpp"

namespace strata::bench {

namespace {

namespace po = boost::program_options;

const char* const kUsage = "strata-bench io --path FOLDER [options]";

struct IoOptions {
  std::string path, size = "2GiB", amount, units = "64KiB,256KiB,1MiB", depths = "1,8,32,64", output;
  std::vector<std::string> only;
  std::size_t rounds = 3;
  bool without_fio = false, force = false;

  std::uint64_t file_bytes = 0, trial_bytes = 0;
  std::vector<std::uint64_t> unit_bytes;
  std::vector<unsigned> depth_counts;
  [[nodiscard]] bool wants(const std::string& group) const {
    return only.empty() || std::find(only.begin(), only.end(), group) != only.end();
  }
};

po::options_description describe(IoOptions& o) {
  po::options_description options("Options");
  auto add = options.add_options();
  add("path", po::value(&o.path), "folder on the disk to measure; nothing remains in it");
  add("size", po::value(&o.size)->default_value(o.size), "of the file");
  add("amount", po::value(&o.amount), "bytes that one trial moves (default: a quarter of the file)");
  add("units", po::value(&o.units)->default_value(o.units), "bytes of a request, several with commas between them");
  add("depths", po::value(&o.depths)->default_value(o.depths), "requests in flight, the same");
  add("only", po::value(&o.only)->multitoken(), "groups: seq-read, rand-read, mmap, seq-write, mixed (default: all)");
  add("rounds", po::value(&o.rounds)->default_value(o.rounds), "timed trials of each, at least 3, in turns");
  add("without-fio", po::bool_switch(&o.without_fio), "no runs of fio in between, and so no ratios");
  add("output", po::value(&o.output), "folder to write io.json into");
  add("force", po::bool_switch(&o.force), "overwrite it");
  add_common_options(options);
  return options;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

void complete(IoOptions& o) {
  if (o.path.empty()) throw UsageError("--path is missing: name a folder on the disk to measure");
  if (!fs::is_directory(o.path)) throw UsageError("--path " + o.path + ": no such folder");
  if (o.rounds < 3) throw UsageError("--rounds: use at least 3");
  for (const std::string& group : o.only) {
    if (group != "seq-read" && group != "rand-read" && group != "mmap" && group != "seq-write" && group != "mixed") {
      throw UsageError("--only " + group + ": use seq-read, rand-read, mmap, seq-write or mixed");
    }
  }
  o.file_bytes = parse_size(o.size) / kBlockAlignment * kBlockAlignment;
  o.trial_bytes = o.amount.empty() ? o.file_bytes / 4 : parse_size(o.amount);
  if (o.trial_bytes > o.file_bytes) throw UsageError("--amount: use at most --size");
  for (const std::string& text : split(o.units)) {
    o.unit_bytes.push_back(parse_size(text));
    const std::uint64_t unit = o.unit_bytes.back();
    if (unit == 0 || unit % kBlockAlignment != 0 || unit > (std::uint64_t{1} << 30) || unit > o.file_bytes) {
      throw UsageError("--units " + text + ": use multiples of 4KiB up to 1GiB, and a --size of at least one");
    }
  }
  for (const std::string& text : split(o.depths)) {
    const bool digits = !text.empty() && text.size() < 5 && text.find_first_not_of("0123456789") == std::string::npos;
    o.depth_counts.push_back(digits ? static_cast<unsigned>(std::stoul(text)) : 0);
    if (o.depth_counts.back() == 0) throw UsageError("--depths " + text + ": use numbers from 1 to 9999");
  }
  if (o.unit_bytes.empty() || o.depth_counts.empty()) throw UsageError("--units and --depths: use at least one each");
}

// One way of doing a load.
struct Contender {
  std::string name;
  std::function<std::optional<IoTrial>(const IoLoad&)> run;
};

class Bench {
 public:
  Bench(const IoOptions& options, const IoFile& file, Fio& fio, MemoryBudget& budget, Report& report,
        Progress& progress)
      : options_(options), file_(file), fio_(fio), budget_(budget), report_(report), progress_(progress) {}

  void run_pattern(Pattern pattern) {
    for (const std::uint64_t unit : options_.unit_bytes) {
      for (const unsigned depth : options_.depth_counts) {
        const bool check = pattern == Pattern::seq_read || pattern == Pattern::rand_read;
        std::vector<Contender> contenders;
        if (has_fio()) contenders.push_back(fio_contender());
        for (const AsyncIo::Backend backend : backends()) {
          const char* const name = backend == AsyncIo::Backend::uring ? "io_uring" : "threads";
          contenders.push_back(
              {name, [=, this](const IoLoad& load) { return file_.run(backend, load, check, budget_); }});
        }
        compare(pattern_name(pattern), contenders, {pattern, unit, depth});
      }
    }
  }

  // Beside the largest unit and depth of fio.
  void run_mapped() {
    const auto unit = *std::max_element(options_.unit_bytes.begin(), options_.unit_bytes.end());
    const auto depth = *std::max_element(options_.depth_counts.begin(), options_.depth_counts.end());
    std::vector<Contender> contenders;
    if (has_fio()) contenders.push_back(fio_contender());
    contenders.push_back({"populate", [this](const IoLoad& load) { return file_.run_mapped(load); }});
    compare("mmap", contenders, {Pattern::seq_read, unit, depth});
  }

  // Contenders of the groups that are wanted, times rounds: what Progress counts.
  [[nodiscard]] std::uint64_t trials() const {
    std::uint64_t trials = 0;
    const std::uint64_t fio = has_fio() ? 1 : 0;
    for (const char* group : {"seq-read", "rand-read", "seq-write", "mixed"}) {
      if (options_.wants(group)) {
        trials += options_.unit_bytes.size() * options_.depth_counts.size() * (fio + backends().size());
      }
    }
    return options_.rounds * (trials + (options_.wants("mmap") ? 1 + fio : 0));
  }

 private:
  [[nodiscard]] bool has_fio() const { return !options_.without_fio && !fio_.version().empty(); }
  [[nodiscard]] static std::vector<AsyncIo::Backend> backends() {
    static const bool uring = AsyncIo().backend() == AsyncIo::Backend::uring;
    if (uring) return {AsyncIo::Backend::uring, AsyncIo::Backend::threads};
    return {AsyncIo::Backend::threads};
  }
  [[nodiscard]] Contender fio_contender() {
    return {"fio", [this](const IoLoad& load) { return fio_.run(file_, load); }};
  }

  // The first contender is what the others are compared with. Each round turns the order round.
  void compare(const std::string& group, const std::vector<Contender>& contenders, IoLoad load) {
    const std::string what = fmt::format("{} depth {} ", format_bytes(load.unit), load.depth);
    progress_.note(group + " " + what);
    load.count = std::max<std::uint64_t>(1, options_.trial_bytes / load.unit);
    std::vector<std::vector<IoTrial>> trials(contenders.size());
    for (std::size_t round = 0; round < options_.rounds; ++round) {
      load.seed = round;
      load.first = first_of(load, round);
      for (std::size_t i = 0; i < contenders.size(); ++i) {
        const std::size_t turn = round % 2 == 0 ? i : contenders.size() - 1 - i;
        if (const auto trial = run_rested(contenders[turn], load)) trials[turn].push_back(*trial);
        progress_.add(options_.trial_bytes);
      }
    }
    std::string ceiling;
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      if (trials[i].size() < options_.rounds) continue;  // fio failed
      add(group, what + contenders[i].name, load, trials[i], contenders[i].name == "fio" ? "" : ceiling);
      if (contenders[i].name == "fio") ceiling = group + "/" + what + "fio";
    }
  }

  // A virtual disk with a limited rate saves up while it rests, which it does while fio starts: the others rest as
  // long.
  [[nodiscard]] std::optional<IoTrial> run_rested(const Contender& contender, const IoLoad& load) {
    using Seconds = std::chrono::duration<double>;
    const bool is_fio = contender.name == "fio";
    if (!is_fio) std::this_thread::sleep_for(Seconds(rest_));
    const auto start = std::chrono::steady_clock::now();
    const std::optional<IoTrial> trial = contender.run(load);
    const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
    if (is_fio && trial) rest_ = std::clamp((seconds - trial->seconds) / 2, 0.0, 1.0);  // the other half is its end
    return trial;
  }

  // Rounds begin at different places, each with the whole trial before the end of the file.
  [[nodiscard]] std::uint64_t first_of(const IoLoad& load, std::size_t round) const {
    const std::uint64_t places = file_.bytes() / (load.unit * load.count);
    return round % places * load.unit * load.count;
  }

  void add(const std::string& group, const std::string& name, const IoLoad& load, const std::vector<IoTrial>& trials,
           const std::string& ceiling) {
    Measurement m;
    m.group = group;
    m.name = name;
    m.bytes = load.bytes();
    m.operations = static_cast<double>(load.count);
    m.operation = "request";
    m.counted = "bytes read and written";
    m.ceiling = ceiling;
    for (const IoTrial& trial : trials) {
      m.seconds.push_back(trial.seconds);
      m.cpu_seconds.push_back(trial.cpu_seconds);
    }
    report_.add(std::move(m));
  }

  const IoOptions& options_;
  const IoFile& file_;
  Fio& fio_;
  MemoryBudget& budget_;
  Report& report_;
  Progress& progress_;
  double rest_ = 0;  // seconds
};

void run_groups(const IoOptions& o, const IoFile& file, Fio& fio, MemoryBudget& budget, Report& report, bool quiet) {
  Progress none("", 0, Progress::Unit::bytes, true);
  const std::uint64_t trials = Bench(o, file, fio, budget, report, none).trials();
  Progress progress("io", trials * o.trial_bytes, Progress::Unit::bytes, quiet);
  Bench bench(o, file, fio, budget, report, progress);
  // What reads the file's marks comes before what fio overwrites.
  for (const Pattern pattern : {Pattern::seq_read, Pattern::rand_read}) {
    if (o.wants(pattern_name(pattern))) bench.run_pattern(pattern);
  }
  if (o.wants("mmap")) bench.run_mapped();
  for (const Pattern pattern : {Pattern::seq_write, Pattern::mixed}) {
    if (o.wants(pattern_name(pattern))) bench.run_pattern(pattern);
  }
}

std::uint64_t memory_needed(const IoOptions& o) {
  const auto unit = *std::max_element(o.unit_bytes.begin(), o.unit_bytes.end());
  const auto depth = *std::max_element(o.depth_counts.begin(), o.depth_counts.end());
  return std::max<std::uint64_t>(unit * depth, std::uint64_t{1} << 20);
}

}  // namespace

int bench_io(int argc, char** argv) {
  IoOptions o;
  const po::options_description options = describe(o);
  po::variables_map values;
  CommonOptions common;
  if (!parse_options("strata-bench", kUsage, argc, argv, options, nullptr, values, common)) return 0;
  complete(o);
  const fs::path json = fs::path(o.output) / "io.json";
  if (!o.output.empty() && fs::exists(json) && !o.force) {
    throw UsageError(json.string() + " exists: choose another --output or add --force");
  }
  MemoryBudget budget(memory_needed(o));
  Fio fio;
  const IoFile file(o.path, o.file_bytes, budget);
  Environment environment = describe_environment(common.threads);
  std::erase_if(environment.entries, [](const auto& entry) { return entry.first == "threads"; });  // none compute
  environment.entries.insert(environment.entries.end(),
                             {{"folder", o.path},
                              {"file", format_bytes(o.file_bytes) + (file.is_direct() ? ", direct" : ", cached")},
                              {"fio", fio.version().empty() ? "absent" : fio.version()}});
  Report report(std::move(environment));
  if (!common.quiet) report.print_environment(std::cout);
  run_groups(o, file, fio, budget, report, common.quiet);
  report.print_table(std::cout);
  std::cout << "ratio: bytes a second over fio's with the same request size and depth, in turns with it\n";
  if (!file.is_direct())
    std::cout << "WARNING: the file system has no direct access; the figures are the page cache's\n";
  if (!fio.reason().empty()) std::cout << "WARNING: fio failed: " << fio.reason() << "\n";
  if (!o.output.empty()) {
    fs::create_directories(o.output);
    report.write_json(json);
  }
  return 0;
}

}  // namespace strata::bench
