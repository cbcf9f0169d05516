// A reader under mutation. An input is the contents of a target's files; whatever stands in them, reading must end well
// or with a typed error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::fuzz {

// Contents by number of file, as FuzzTarget::files names them.
using FuzzInput = std::vector<std::string>;

struct FuzzTarget {
  std::string name;
  std::vector<std::string> files;
  std::vector<FuzzInput> seeds;  // inputs that are read well
  bool reads_store = false;      // a file of Strata's own, of which an answer may be that it is damaged
  // Reads the input; everything it writes goes below `scratch`, an empty folder. Throws what the reader throws, and
  // Finding for what is wrong though nothing was thrown.
  void (*run)(const FuzzTarget& target, const FuzzInput& input, const std::filesystem::path& scratch) = nullptr;
};

// Something that a fuzz target must never do.
struct Finding {
  std::string what;
};

// All targets: one for each format that strata-convert reads, one for each kind of file that Strata writes.
[[nodiscard]] const std::vector<FuzzTarget>& fuzz_targets();
[[nodiscard]] const FuzzTarget* find_target(std::string_view name);  // null: there is none
[[nodiscard]] std::vector<FuzzTarget> import_targets();
[[nodiscard]] std::vector<FuzzTarget> store_targets();
[[nodiscard]] std::vector<FuzzTarget> run_targets();

// An input as one run of bytes, which is how findings are kept and libFuzzer sees them: for every file its length (u32,
// little-endian) and its bytes. split takes any bytes: lengths are cut at the end, missing files are empty.
[[nodiscard]] std::string join(const FuzzInput& input);
[[nodiscard]] FuzzInput split(std::string_view bytes, std::size_t files);

// One to four changes of a seed; a function of the arguments alone.
[[nodiscard]] FuzzInput mutated(const FuzzTarget& target, std::uint64_t seed, std::uint64_t number);

enum class Verdict : std::uint8_t { accepted, refused, finding };
struct CaseResult {
  Verdict verdict = Verdict::accepted;
  std::string message;  // of the error or the finding
};
// Puts temporary files into memory, where the system has a folder for that and TMPDIR does not say otherwise: most of
// the time goes into writing them.
void use_memory_folder();

// Whether the system tells how much memory an input took (Linux, where /proc/self/clear_refs may be written).
[[nodiscard]] bool measures_memory();

// Runs one input. A finding is: an exception that is no Error, an Error that means a bug of ours, or (reads_store off)
// damage; something left behind in `scratch` that should not be; more than `memory` bytes of resident memory above what
// the process had before (0: not measured).
[[nodiscard]] CaseResult run_case(const FuzzTarget& target, const FuzzInput& input,
                                  const std::filesystem::path& scratch, std::uint64_t memory);

}  // namespace strata::fuzz
