// `strata-bench io`: asynchronous reads and writes of a file of its own, beside fio in the same minute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/report.hpp"
#include "kernels/base/budget.hpp"
#include "storage/async_io.hpp"

namespace strata::bench {

enum class Pattern { seq_read, rand_read, seq_write, mixed };  // mixed: random, every other request a write
[[nodiscard]] const char* pattern_name(Pattern pattern);

// What one trial does.
struct IoLoad {
  Pattern pattern = Pattern::seq_read;
  std::uint64_t unit = 0;   // bytes of a request
  unsigned depth = 0;       // requests in flight
  std::uint64_t first = 0;  // byte where a sequential trial begins; it goes round at the end of the file
  std::uint64_t count = 0;  // requests
  std::uint64_t seed = 0;

  [[nodiscard]] double bytes() const { return static_cast<double>(unit * count); }
};

struct IoTrial {
  double seconds = 0;
  double cpu_seconds = 0;  // of all threads, in the kernel too
};

// A file whose every block says where it is. It has no name, so that nothing remains of it however the program ends.
class IoFile {
 public:
  // ResourceError when `folder` has not the space.
  IoFile(const std::string& folder, std::uint64_t bytes, MemoryBudget& budget);
  [[nodiscard]] const std::string& path() const { return path_; }  // while this object lives
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool is_direct() const { return file_.is_direct(); }

  // `check`: throws Error when what is read is not what the constructor wrote.
  IoTrial run(AsyncIo::Backend backend, const IoLoad& load, bool check, MemoryBudget& budget) const;
  // Through a mapping, in windows of 2 MiB that are dropped after use; sequential reads only.
  IoTrial run_mapped(const IoLoad& load) const;

 private:
  File file_;
  std::string path_;
  std::uint64_t bytes_;
};

// The same load run by fio, if it is there.
class Fio {
 public:
  Fio();
  [[nodiscard]] const std::string& version() const { return version_; }  // empty: there is none
  // Empty when fio fails; reason() has what it said then.
  [[nodiscard]] std::optional<IoTrial> run(const IoFile& file, const IoLoad& load);
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const std::string& engine() const { return engine_; }

 private:
  std::string version_, engine_, reason_;
};

int bench_io(int argc, char** argv);

}  // namespace strata::bench
