// From feature rows in source order to a row file in the store's order, within a memory budget: in one window when all
// rows fit, else through a temporary file that is written and read once, its regions being the windows of the result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "kernels/base/budget.hpp"
#include "storage/file.hpp"
#include "storage/import/options.hpp"
#include "storage/import/source.hpp"
#include "storage/row_file.hpp"

namespace strata {

// Per-column mean and 1/standard deviation of given rows (population variance; a constant column keeps scale 1).
// Values are summed in row order, shifted by the first row, in double precision.
class ColumnStatistics {
 public:
  ColumnStatistics(std::size_t columns, std::span<const NodeId> rows);  // rows ascending, original ids
  void add(std::uint64_t first_row, MatrixView<const float> rows);
  void finish();
  [[nodiscard]] std::span<const double> mean() const { return mean_; }
  [[nodiscard]] std::span<const double> scale() const { return scale_; }

 private:
  std::span<const NodeId> rows_;
  std::size_t next_ = 0;  // of rows_
  std::vector<double> shift_, mean_, scale_;
};

// row: divided by the sum of absolute values, rows of zeros stay. standard: (x - mean) * scale.
void normalise_rows(FeatureNorm norm, const ColumnStatistics* statistics, MatrixView<float> rows);

class FeatureWriter {
 public:
  struct Target {
    std::filesystem::path file;       // of the store
    std::filesystem::path temporary;  // directory
    int zstd_level = 0;
  };
  // new_of[original] -> new; empty: the identity. memory_limit bounds the window.
  FeatureWriter(const Target& target, const RowShape& shape, std::span<const NodeId> new_of, std::uint64_t memory_limit,
                MemoryBudget& budget);
  void put(std::uint64_t first_row, MatrixView<const float> rows);  // rows of ascending original ids, all of them
  void commit();
  [[nodiscard]] std::uint64_t file_bytes() const { return writer_.file_bytes(); }
  [[nodiscard]] std::size_t windows() const { return windows_; }

  // Rows of a window; at least a chunk. Streams in identical order need only one chunk.
  [[nodiscard]] static std::uint64_t window_rows(const RowShape& shape, bool identity, std::uint64_t memory_limit);

 private:
  struct Region {
    std::size_t filled = 0;     // records in `buffer`
    std::uint64_t written = 0;  // records in the file
  };
  void put_in_window(std::uint64_t row, const float* values);
  void put_in_region(std::uint64_t row, const float* values);
  void flush(std::size_t region);
  void load(std::size_t region);
  void write_window();
  [[nodiscard]] std::size_t record_floats() const { return shape_.cols + 1; }  // the row's new id, then its values

  RowShape shape_;
  std::span<const NodeId> new_of_;
  RowFileWriter writer_;
  std::uint64_t window_rows_;
  std::size_t windows_;
  Array<float> window_;
  std::size_t current_ = 0;      // index of the window being filled
  std::uint64_t in_window_ = 0;  // rows put there
  std::size_t buffered_records_ = 0;
  Array<float> buffers_;  // buffered_records_ records per region
  std::vector<Region> regions_;
  File file_;
};

}  // namespace strata
