// strata-bench: benchmarks of Strata's parts on this machine. The subcommand comes first.
#include <tbb/global_control.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "bench/budget.hpp"
#include "bench/environment.hpp"
#include "bench/io.hpp"
#include "bench/kernels.hpp"
#include "kernels/base/error.hpp"
#include "tools/program.hpp"

namespace strata::bench {

void require_equal(bool equal, const std::string& what) {
  if (!equal) throw Error(ExitStatus::internal, what + " is not what the reference body gives: no figures");
}

namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

const char* const kUsage =
    "strata-bench kernels|io|budget [options]\n"
    "  kernels   SpMM, dense products, row codecs and coded columns on the CPU, every trial, beside ceilings measured "
    "in "
    "the same run\n"
    "  io        reads and writes of a disk, every trial, beside fio in the same minute\n"
    "  budget    the same training at several memory budgets, in turns: time, bytes, memory, bits";

using Group = void (*)(const KernelBench&);
const std::map<std::string, Group> kGroups = {
    {"codec", bench_codec}, {"gaps", bench_gaps}, {"linear", bench_linear}, {"spmm", bench_spmm}};

struct BenchOptions {
  KernelOptions kernels;
  std::vector<std::string> only;
  std::string output;
  std::string memory;
  bool force = false;
};

po::options_description describe(BenchOptions& o) {
  po::options_description options("Options");
  auto add = options.add_options();
  add("only", po::value(&o.only)->multitoken(), "groups to run: spmm, linear, codec, gaps (default: all)");
  add("trials", po::value(&o.kernels.trials)->default_value(o.kernels.trials),
      "timed trials of each, after one untimed");
  add("rows", po::value(&o.kernels.rows)->default_value(o.kernels.rows),
      "rows that SpMM gathers from, at 256 bytes a row");
  add("degree", po::value(&o.kernels.degree)->default_value(o.kernels.degree), "in-edges of a row");
  add("dense-rows", po::value(&o.kernels.dense_rows)->default_value(o.kernels.dense_rows),
      "rows of the dense products");
  add("stream-mib", po::value<std::size_t>()->default_value(o.kernels.stream_bytes >> 20), "MiB of the stream arrays");
  add("seed", po::value(&o.kernels.seed)->default_value(o.kernels.seed), "of graphs and values");
  add("memory", po::value(&o.memory), "largest sum of allocations (default: the machine's memory)");
  add("output", po::value(&o.output), "folder to write kernels.json into");
  add("force", po::bool_switch(&o.force), "overwrite it");
  add_common_options(options);
  return options;
}

void check(const BenchOptions& o) {
  for (const std::string& name : o.only) {
    if (!kGroups.contains(name)) throw UsageError("--only " + name + ": use spmm, linear, codec or gaps");
  }
  const KernelOptions& k = o.kernels;
  if (k.trials == 0 || k.rows == 0 || k.degree == 0 || k.dense_rows == 0 || k.stream_bytes == 0) {
    throw UsageError("--trials, --rows, --degree, --dense-rows and --stream-mib: use at least 1");
  }
  if (k.rows > 400'000'000) throw UsageError("--rows: use at most 400000000");
}

std::uint64_t memory_limit(const std::string& text) {
  if (!text.empty()) return parse_size(text);
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void run_groups(const BenchOptions& o, const KernelBench& bench, bool quiet) {
  bench_stream(bench);
  for (const auto& [name, group] : kGroups) {
    if (!o.only.empty() && std::find(o.only.begin(), o.only.end(), name) == o.only.end()) continue;
    if (!quiet) std::cerr << "strata-bench: " << name << " ...\n";
    group(bench);
  }
}

int kernels(int argc, char** argv) {
  BenchOptions o;
  const po::options_description options = describe(o);
  po::variables_map values;
  CommonOptions common;
  if (!parse_options("strata-bench", kUsage, argc, argv, options, nullptr, values, common)) return 0;
  o.kernels.stream_bytes = values["stream-mib"].as<std::size_t>() << 20;
  check(o);
  const fs::path file = fs::path(o.output) / "kernels.json";
  if (!o.output.empty() && fs::exists(file) && !o.force) {
    throw UsageError(file.string() + " exists: choose another --output or add --force");
  }

  Workers workers(common.threads);
  MemoryBudget budget(memory_limit(o.memory));
  Report report(describe_environment(workers.threads()));
  if (!common.quiet) report.print_environment(std::cout);
  const StreamProbe stream(o.kernels.stream_bytes, workers, budget);
  run_groups(o, {o.kernels, workers, budget, report, stream}, common.quiet);
  report.print_table(std::cout);
  std::cout << "ratio: spmm and gaps to a stream read (spmm over decoded columns to raw ones), codec to a stream copy, "
               "linear to oneDNN alone, each timed in turns with it\n";
  if (!o.output.empty()) {
    fs::create_directories(o.output);
    report.write_json(file);
  }
  return 0;
}

int run(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "kernels") return kernels(argc - 1, argv + 1);
  if (command == "io") return bench_io(argc - 1, argv + 1);
  if (command == "budget") return bench_budget(argc - 1, argv + 1);
  if (command == "--help" || command == "-h") {
    std::cout << "Usage: " << kUsage << "\nEach of them has --help: strata-bench budget --help.\n";
    return 0;
  }
  if (command == "--version") {
    std::cout << version_text("strata-bench");
    return 0;
  }
  throw UsageError("'" + command + "' is not a benchmark: use strata-bench kernels, io or budget");
}

}  // namespace
}  // namespace strata::bench

int main(int argc, char** argv) { return strata::run_program("strata-bench", argc, argv, strata::bench::run); }
