// What this machine does, measured when it is first asked for: the passes' own code on a few chunks of rows, products
// over a few shards with a gathered table as large as the run's, a scratch file in the cache directory. The plan's
// seconds are these rates times the amounts that the passes name (WorkItem).
#pragma once

#include <map>
#include <string>

#include "engine/session.hpp"

namespace strata {

struct DiskRates {
  double read = 1.5e9, write = 1.5e9;  // bytes a second, direct, in units of 256 KiB
};

template <class T>
class Calibration {
 public:
  // disk: known already, not to be measured.
  explicit Calibration(Session<T>& session, const DiskRates* disk = nullptr)
      : session_(session), disk_(disk != nullptr ? *disk : DiskRates{}), disk_known_(disk != nullptr) {}
  // Of one unit of work, all workers together; 0 for what takes no time worth counting.
  [[nodiscard]] double seconds_each(const std::string& what);
  // Of the disk below --cache-dir (or the nearest directory above it that exists); measured once, only if asked.
  [[nodiscard]] const DiskRates& disk();

 private:
  [[nodiscard]] double measure(const std::string& what);
  [[nodiscard]] double dense(const std::string& kind, std::size_t layer);
  [[nodiscard]] double product(std::size_t cols, Codec codec);
  [[nodiscard]] double copy();
  [[nodiscard]] double fresh();
  [[nodiscard]] double opened();
  [[nodiscard]] double mapped();
  [[nodiscard]] double scaled();
  [[nodiscard]] double scatter(std::size_t cols, Codec codec);

  Session<T>& session_;
  std::map<std::string, double> known_;
  DiskRates disk_;
  bool disk_known_ = false;
};

extern template class Calibration<float>;
extern template class Calibration<double>;

}  // namespace strata
