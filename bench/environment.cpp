#include "bench/environment.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include "bench/build_info.hpp"
#include "kernels/base/cpu_info.hpp"
#include "kernels/base/error.hpp"

namespace strata::bench {

namespace {

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string system_text() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release;
}

// Other work on the machine when the run began spoils its figures; the load says so.
std::string load_text() {
  double load[1] = {0};
  return getloadavg(load, 1) == 1 ? std::to_string(load[0]).substr(0, 4) : "unknown";
}

}  // namespace

Environment describe_environment(unsigned threads) {
  const auto memory =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  Environment environment;
  environment.entries = {{"cpu", cpu_name()},
                         {"cores", std::to_string(std::thread::hardware_concurrency())},
                         {"threads", std::to_string(threads)},
                         {"memory", format_bytes(memory)},
                         {"system", system_text()},
                         {"load", load_text()},
                         {"commit", STRATA_BENCH_COMMIT},
                         {"build", STRATA_BENCH_BUILD_TYPE ", " STRATA_BENCH_COMPILER},
                         {"kernels", device_description()},
                         {"time", now_utc()}};
  environment.release = std::string(STRATA_BENCH_BUILD_TYPE) == "Release";
  return environment;
}

}  // namespace strata::bench
