#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/io.hpp"

namespace strata::bench {

namespace {

struct Output {
  bool good = false;
  std::string text;
};

Output run_command(const std::string& command) {
  Output output;
  std::FILE* const pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) return output;
  char piece[4096];
  while (const std::size_t got = std::fread(piece, 1, sizeof piece, pipe)) output.text.append(piece, got);
  output.good = ::pclose(pipe) == 0;
  return output;
}

const char* fio_pattern(Pattern pattern) {
  switch (pattern) {
    case Pattern::seq_read: return "read";
    case Pattern::rand_read: return "randread";
    case Pattern::seq_write: return "write";
    case Pattern::mixed: return "randrw";
  }
  return "";
}

std::string fio_command(const IoFile& file, const IoLoad& load, const std::string& engine) {
  const auto option = [](const char* name, std::uint64_t value) {
    return std::string(" --") + name + "=" + std::to_string(value);
  };
  std::string command = "fio --name=strata --output-format=json --filename=" + file.path();
  command += " --ioengine=" + engine + " --rw=" + fio_pattern(load.pattern);
  command += std::string(" --direct=") + (file.is_direct() ? "1" : "0");
  command += option("bs", load.unit) + option("iodepth", load.depth) + option("randseed", load.seed + 1);
  const std::uint64_t usable = file.bytes() / load.unit * load.unit;
  const bool sequential = load.pattern == Pattern::seq_read || load.pattern == Pattern::seq_write;
  // A sequential run goes from `first` to the end and then round in what is behind `first`: callers keep it from that.
  const std::uint64_t first = sequential ? load.first : 0;
  command += option("offset", first) + option("size", usable - first) + option("io_size", load.unit * load.count);
  return command + " --norandommap --overwrite=1 --fallocate=none --invalidate=0 --thread --allow_file_create=0";
}

// fio's times have a resolution of a millisecond, its rates are computed from finer ones.
IoTrial read_result(const nlohmann::json& root, const IoLoad& load) {
  const nlohmann::json& job = root.at("jobs").at(0);
  double rate = 0, milliseconds = 0, bytes = 0;
  for (const char* direction : {"read", "write"}) {
    rate += job.at(direction).at("bw_bytes").get<double>();
    bytes += job.at(direction).at("io_bytes").get<double>();
    milliseconds = std::max(milliseconds, job.at(direction).at("runtime").get<double>());
  }
  const double busy = (job.at("usr_cpu").get<double>() + job.at("sys_cpu").get<double>()) / 100;
  return {load.bytes() / rate, busy * milliseconds * 1e-3 * load.bytes() / bytes};
}

}  // namespace

Fio::Fio() : engine_("io_uring") {
  const Output version = run_command("fio --version 2>/dev/null");
  if (version.good) version_ = version.text.substr(0, version.text.find('\n'));
}

std::optional<IoTrial> Fio::run(const IoFile& file, const IoLoad& load) {
  for (;;) {
    const Output output = run_command(fio_command(file, load, engine_) + " 2>&1");
    const std::size_t start = output.text.find("\n{");
    const std::string json = output.text.substr(output.text.starts_with("{") ? 0 : std::min(start, output.text.size()));
    const auto root = nlohmann::json::parse(json, nullptr, false);
    if (output.good && !root.is_discarded()) return read_result(root, load);
    reason_ = output.text.substr(0, output.text.find('\n'));
    if (engine_ == "libaio") return std::nullopt;
    engine_ = "libaio";
  }
}

}  // namespace strata::bench
