// One target (STRATA_FUZZ_TARGET) under LLVM's libFuzzer, which watches what the mutated inputs reach:
// CMake option STRATA_LIBFUZZER. Findings replay with strata_fuzz --target NAME --replay FILE.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temp_dir.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::fuzz;
  static const strata::TempDir scratch;
  static const FuzzTarget& target = *find_target(STRATA_FUZZ_TARGET);
  const FuzzInput input = split({reinterpret_cast<const char*>(data), size}, target.files.size());
  const CaseResult result = run_case(target, input, scratch / "case", 0);
  if (result.verdict != Verdict::finding) return 0;
  std::fprintf(stderr, "finding: %s\n", result.message.c_str());
  std::abort();
}
