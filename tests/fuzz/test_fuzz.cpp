// The fuzz targets themselves: their seeds are read well, mutations reach what is read, nothing is found in a few
// hundred of them; and what a finding is.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "kernels/base/error.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::fuzz {
namespace {

constexpr std::uint64_t kMemory = std::uint64_t{256} << 20;

const bool kInMemory = (use_memory_folder(), true);

FuzzTarget target_that(decltype(FuzzTarget::run) run, bool reads_store = false) {
  return {"planted", {"a", "b"}, {{"12,34", "x"}, {"", "yz"}}, reads_store, run};
}

TEST_CASE("every format and every file of a store has a target, whose seeds are read well") {
  std::set<std::string> names;
  for (const FuzzTarget& target : fuzz_targets()) names.insert(target.name);
  CHECK(kInMemory);
  CHECK(names.size() == fuzz_targets().size());
  for (const char* name : {"ogb-csv",
                           "ogb-edge-features",
                           "ogb-npz",
                           "ogb-npz-arrays",
                           "npy",
                           "npz",
                           "zip",
                           "snap",
                           "snap-packed",
                           "musae",
                           "communities",
                           "graphsaint",
                           "graphsage",
                           "mag240m",
                           "torch",
                           "manifest",
                           "derived-manifest",
                           "shard",
                           "rows",
                           "array",
                           "safetensors",
                           "checkpoint",
                           "sealed-json"}) {
    CAPTURE(name);
    CHECK(find_target(name) != nullptr);
  }
  CHECK(find_target("nothing") == nullptr);
  const TempDir scratch;
  for (const FuzzTarget& target : fuzz_targets()) {
    CAPTURE(target.name);
    for (const FuzzInput& seed : target.seeds) {
      const CaseResult result = run_case(target, seed, scratch / "case", kMemory);
      CAPTURE(result.message);
      CHECK(result.verdict == Verdict::accepted);
      CHECK(split(join(seed), target.files.size()) == seed);
    }
  }
}

TEST_CASE("mutated inputs of every target: read well or refused") {
  const TempDir scratch;
  const std::uint64_t count = std::getenv("STRATA_TEST_ALL") != nullptr ? 5000 : 200;
  for (const FuzzTarget& target : fuzz_targets()) {
    CAPTURE(target.name);
    std::uint64_t refused = 0;
    for (std::uint64_t number = 0; number < count; ++number) {
      CAPTURE(number);
      const CaseResult result = run_case(target, mutated(target, 1, number), scratch / "case", kMemory);
      CAPTURE(result.message);
      CHECK(result.verdict != Verdict::finding);
      refused += result.verdict == Verdict::refused ? 1 : 0;
    }
    CHECK(refused >= count / 10);  // the mutations do reach what is read
  }
}

TEST_CASE("a mutation is a function of target, seed and number") {
  for (const FuzzTarget& target : fuzz_targets()) {
    CAPTURE(target.name);
    std::set<std::string> different;
    for (std::uint64_t number = 0; number < 50; ++number) {
      CHECK(mutated(target, 3, number) == mutated(target, 3, number));
      different.insert(join(mutated(target, 3, number)));
    }
    CHECK(different.size() > 25);
    CHECK(mutated(target, 3, 7).size() == target.files.size());
  }
}

TEST_CASE("any bytes are an input") {
  CHECK(split("", 2) == FuzzInput{"", ""});
  CHECK(split(std::string("\x02\0\0\0abc", 7), 2) == FuzzInput{"ab", ""});
  CHECK(split(std::string("\xff\xff\xff\xff"
                          "ab",
                          6),
              1) == FuzzInput{"ab"});
  CHECK(split("\x01", 1) == FuzzInput{""});
  const FuzzInput input{"", std::string(300, '\0'), "x"};
  CHECK(split(join(input), 3) == input);
}

TEST_CASE("what is a finding") {
  const TempDir scratch;
  const auto verdict = [&](const FuzzTarget& target) {
    return run_case(target, target.seeds[0], scratch / "case", kMemory).verdict;
  };
  using Input = const FuzzInput&;
  using Target = const FuzzTarget&;
  using Path = const std::filesystem::path&;
  CHECK(verdict(target_that([](Target, Input, Path) {})) == Verdict::accepted);
  CHECK(verdict(target_that([](Target, Input, Path) { throw InputError("a", "b", "c"); })) == Verdict::refused);
  CHECK(verdict(target_that([](Target, Input, Path) { throw ResourceError("a"); })) == Verdict::refused);
  CHECK(verdict(target_that([](Target, Input, Path) { throw std::bad_alloc(); })) == Verdict::finding);
  CHECK(verdict(target_that([](Target, Input, Path) { throw std::out_of_range("x"); })) == Verdict::finding);
  CHECK(verdict(target_that([](Target, Input, Path) { throw 3; })) == Verdict::finding);
  CHECK(verdict(target_that([](Target, Input, Path) { throw Finding{"x"}; })) == Verdict::finding);
  const auto damage = [](Target, Input, Path) { throw DamagedError("a", "b", "c", "d"); };
  CHECK(verdict(target_that(damage)) == Verdict::finding);
  CHECK(verdict(target_that(damage, true)) == Verdict::refused);
  const auto hungry = [](Target, Input, Path) {
    const std::string much(std::size_t{300} << 20, 'x');
    if (much.back() != 'x') throw Finding{"x"};
  };
  if (!measures_memory()) {
    MESSAGE("SKIPPED: this system does not tell how much memory an input took");
    return;
  }
  CHECK(verdict(target_that(hungry)) == Verdict::finding);
}

}  // namespace
}  // namespace strata::fuzz
