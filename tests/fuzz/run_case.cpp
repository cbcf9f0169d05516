#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "kernels/base/error.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace strata::fuzz {

namespace {

namespace fs = std::filesystem;

// "VmHWM" or "VmRSS" of /proc/self/status, in bytes; 0 where there is none.
std::uint64_t memory_of(const char* what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what)) return std::strtoull(line.c_str() + std::strlen(what) + 1, nullptr, 10) * 1024;
  }
  return 0;
}

// From now on VmHWM is the peak since.
bool reset_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

CaseResult result_of(const FuzzTarget& target, const FuzzInput& input, const fs::path& scratch) {
  try {
    target.run(target, input, scratch);
    return {};
  } catch (const Finding& finding) {
    return {Verdict::finding, finding.what};
  } catch (const Error& error) {
    const bool ours = error.status() == ExitStatus::internal;
    const bool wrong = error.status() == ExitStatus::damaged && !target.reads_store;
    if (ours || wrong) return {Verdict::finding, std::string("a wrong kind of error: ") + error.what()};
    return {Verdict::refused, error.what()};
  } catch (const std::exception& error) {
    return {Verdict::finding, std::string("an exception that is no strata::Error: ") + error.what()};
  } catch (...) {
    return {Verdict::finding, "an exception of an unknown type"};
  }
}

}  // namespace

void use_memory_folder() {
  constexpr const char* kFolder = "/dev/shm";
  if (std::getenv("TMPDIR") == nullptr && fs::is_directory(kFolder) && ::access(kFolder, W_OK) == 0) {
    ::setenv("TMPDIR", kFolder, 1);
  }
}

bool measures_memory() { return reset_peak() && memory_of("VmHWM") > 0; }

CaseResult run_case(const FuzzTarget& target, const FuzzInput& input, const fs::path& scratch, std::uint64_t memory) {
  fs::remove_all(scratch);
  fs::create_directories(scratch);
  const bool measured = memory > 0 && reset_peak();
  const std::uint64_t before = memory_of("VmRSS");
  CaseResult result = result_of(target, input, scratch);
  const std::uint64_t peak = measured ? memory_of("VmHWM") : 0;
  if (result.verdict != Verdict::finding && peak > before + memory) {
    result = {Verdict::finding, "took " + format_bytes(peak - before) + " of memory, more than " +
                                    format_bytes(memory) + "; " + result.message};
  }
  fs::remove_all(scratch);
  return result;
}

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = [] {
    std::vector<FuzzTarget> all = import_targets();
    for (FuzzTarget& target : store_targets()) all.push_back(std::move(target));
    for (FuzzTarget& target : run_targets()) all.push_back(std::move(target));
    return all;
  }();
  return targets;
}

const FuzzTarget* find_target(std::string_view name) {
  for (const FuzzTarget& target : fuzz_targets()) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

}  // namespace strata::fuzz
