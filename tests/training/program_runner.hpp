// strata-train as a process of its own, and the stores and files its tests look at.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {

using Words = std::vector<std::string>;

struct Outcome {
  int status = 0;     // exit status; 128 + signal when a signal ended it
  std::string out;    // standard output
  std::string error;  // standard error
};

// One running strata-train. Its output goes to files in `scratch`.
class Program {
 public:
  // environment: "NAME=value" entries added to the caller's.
  Program(const std::filesystem::path& scratch, const Words& arguments, const Words& environment = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();
  void send(int signal) const;
  [[nodiscard]] bool running();
  [[nodiscard]] Outcome wait();

 private:
  std::filesystem::path scratch_;
  pid_t process_ = -1;
  int raw_status_ = 0;
};

[[nodiscard]] Outcome train(const std::filesystem::path& scratch, const Words& arguments,
                            const Words& environment = {});

// A store of a few chunks and shards whose reordering is not the identity. Returns original_of_reordered. sparse_ids:
// the source called node n sparse_id(n). source: the format it came in.
std::vector<NodeId> make_reordered_store(const std::filesystem::path& directory, std::uint32_t nodes,
                                         bool multilabel = false, bool sparse_ids = false,
                                         const std::string& source = "test");
[[nodiscard]] inline std::int64_t sparse_id(std::int64_t node) { return 10 * node + 7; }

// Enough nodes for the rows not to fit the least budget, which is mostly what one tile of rows takes.
inline constexpr std::uint32_t kSpillingNodes = 20000;

// A reordered store and runs of strata-train on it, all below one temporary directory.
class StoreRuns {
 public:
  explicit StoreRuns(bool multilabel = false) : StoreRuns(2500, multilabel) {}
  explicit StoreRuns(std::uint32_t nodes, bool multilabel = false, bool sparse_ids = false);
  [[nodiscard]] std::filesystem::path run(const std::string& name) const { return directory_.path() / name; }
  [[nodiscard]] std::filesystem::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] const std::filesystem::path& path() const { return directory_.path(); }
  // A whole command line. Options in `more` take the place of the standard ones: 64MiB, 16 hidden, 4 epochs, 2 threads.
  [[nodiscard]] Words words(const std::string& name, const Words& more) const;
  Outcome go(const std::string& name, const Words& more = {}, const Words& environment = {}) const;
  // The bytes that --explain calls the least budget.
  [[nodiscard]] std::uint64_t least_budget(const Words& more) const;

 private:
  TempDir directory_;
};

// The same weights, predictions and metrics to the byte (but for times and counts of bytes).
void check_same_results(const std::filesystem::path& a, const std::filesystem::path& b);

[[nodiscard]] std::string content(const std::filesystem::path& file);  // "" when it does not exist
[[nodiscard]] std::vector<std::string> lines(const std::filesystem::path& file);
// metrics.jsonl without what may differ between two runs: seconds, bytes, hits and memory.
[[nodiscard]] std::vector<std::string> lasting_metrics(const std::filesystem::path& run);

}  // namespace strata::test
