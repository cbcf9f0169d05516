#include "storage/import/feature_writer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/base/error.hpp"

namespace strata {

ColumnStatistics::ColumnStatistics(std::size_t columns, std::span<const NodeId> rows)
    : rows_(rows), shift_(columns, 0.0), mean_(columns, 0.0), scale_(columns, 0.0) {}

void ColumnStatistics::add(std::uint64_t first_row, MatrixView<const float> rows) {
  for (; next_ < rows_.size() && rows_[next_] < first_row + rows.rows; ++next_) {
    const float* row = rows.row(rows_[next_] - first_row);
    if (next_ == 0) std::copy_n(row, rows.cols, shift_.begin());
    for (std::size_t c = 0; c < rows.cols; ++c) {
      const double value = row[c] - shift_[c];
      mean_[c] += value;
      scale_[c] += value * value;
    }
  }
}

void ColumnStatistics::finish() {
  STRATA_ASSERT(next_ == rows_.size() && next_ != 0);
  const auto count = static_cast<double>(next_);
  for (std::size_t c = 0; c < mean_.size(); ++c) {
    const double mean = mean_[c] / count;
    const double variance = std::max(0.0, scale_[c] / count - mean * mean);
    mean_[c] = shift_[c] + mean;
    scale_[c] = variance > 0.0 ? 1.0 / std::sqrt(variance) : 1.0;
  }
}

void normalise_rows(FeatureNorm norm, const ColumnStatistics* statistics, MatrixView<float> rows) {
  if (norm == FeatureNorm::none) return;
  for (std::size_t r = 0; r < rows.rows; ++r) {
    float* row = rows.row(r);
    if (norm == FeatureNorm::standard) {
      for (std::size_t c = 0; c < rows.cols; ++c) {
        row[c] = static_cast<float>((row[c] - statistics->mean()[c]) * statistics->scale()[c]);
      }
      continue;
    }
    double sum = 0.0;
    for (std::size_t c = 0; c < rows.cols; ++c) sum += std::abs(static_cast<double>(row[c]));
    if (sum == 0.0) continue;
    for (std::size_t c = 0; c < rows.cols; ++c) row[c] = static_cast<float>(row[c] / sum);
  }
}

std::uint64_t FeatureWriter::window_rows(const RowShape& shape, bool identity, std::uint64_t memory_limit) {
  if (identity) return kChunkRows;
  const std::uint64_t rows = memory_limit / std::max<std::uint64_t>(1, shape.cols * sizeof(float));
  if (rows >= shape.rows) return round_up(std::max<std::uint64_t>(shape.rows, 1), kChunkRows);
  return std::max<std::uint64_t>(1, rows / kChunkRows) * kChunkRows;
}

FeatureWriter::FeatureWriter(const Target& target, const RowShape& shape, std::span<const NodeId> new_of,
                             std::uint64_t memory_limit, MemoryBudget& budget)
    : shape_(shape),
      new_of_(new_of),
      writer_(target.file, shape, {target.zstd_level}, budget),
      window_rows_(window_rows(shape, new_of.empty(), memory_limit)),
      windows_(divide_up(shape.rows, window_rows_)),
      window_(budget, std::min<std::uint64_t>(window_rows_, shape.rows) * shape.cols, "a window of features") {
  if (new_of.empty() || windows_ <= 1) return;
  regions_.resize(windows_);
  const std::uint64_t share = std::max<std::uint64_t>(memory_limit / 4, std::uint64_t{1} << 20);
  buffered_records_ = std::clamp<std::uint64_t>(share / windows_ / (record_floats() * sizeof(float)), 1, 4096);
  buffers_ = Array<float>(budget, windows_ * buffered_records_ * record_floats(), "buffers of the feature windows");
  file_ = File(target.temporary / "features.spool", File::Mode::create);
}

void FeatureWriter::put(std::uint64_t first_row, MatrixView<const float> rows) {
  for (std::size_t r = 0; r < rows.rows; ++r) {
    const std::uint64_t original = first_row + r;
    const std::uint64_t row = new_of_.empty() ? original : new_of_[original];
    if (regions_.empty()) {
      put_in_window(row, rows.row(r));
    } else {
      put_in_region(row, rows.row(r));
    }
  }
}

void FeatureWriter::put_in_window(std::uint64_t row, const float* values) {
  const std::uint64_t local = row - current_ * window_rows_;
  STRATA_ASSERT(local < window_rows_);
  std::copy_n(values, shape_.cols, window_.data() + local * shape_.cols);
  const std::uint64_t expected = std::min(window_rows_, shape_.rows - current_ * window_rows_);
  if (++in_window_ == expected) write_window();
}

void FeatureWriter::write_window() {
  const std::uint64_t first = current_ * window_rows_;
  const std::size_t first_chunk = first / kChunkRows;
  for (std::size_t at = 0; at < in_window_; at += kChunkRows) {
    const std::size_t rows = std::min<std::uint64_t>(kChunkRows, in_window_ - at);
    writer_.write_chunk(first_chunk + at / kChunkRows, {window_.data() + at * shape_.cols, rows, shape_.cols});
  }
  ++current_;
  in_window_ = 0;
}

void FeatureWriter::put_in_region(std::uint64_t row, const float* values) {
  const std::size_t region = row / window_rows_;
  Region& r = regions_[region];
  float* record = buffers_.data() + (region * buffered_records_ + r.filled) * record_floats();
  record[0] = std::bit_cast<float>(static_cast<std::uint32_t>(row));
  std::copy_n(values, shape_.cols, record + 1);
  if (++r.filled == buffered_records_) flush(region);
}

void FeatureWriter::flush(std::size_t region) {
  Region& r = regions_[region];
  const std::uint64_t record_bytes = record_floats() * sizeof(float);
  const std::span<const float> records(buffers_.data() + region * buffered_records_ * record_floats(),
                                       r.filled * record_floats());
  file_.write_at((region * window_rows_ + r.written) * record_bytes, std::as_bytes(records));
  r.written += r.filled;
  r.filled = 0;
}

// Reads a region's records, which lie in source order, and writes the window they make.
void FeatureWriter::load(std::size_t region) {
  const std::uint64_t record_bytes = record_floats() * sizeof(float);
  const std::uint64_t records = regions_[region].written;
  const std::size_t piece = buffers_.size() / record_floats();
  for (std::uint64_t at = 0; at < records; at += piece) {
    const std::size_t count = std::min<std::uint64_t>(piece, records - at);
    const std::span<float> values(buffers_.data(), count * record_floats());
    file_.read_at((region * window_rows_ + at) * record_bytes, std::as_writable_bytes(values));
    for (std::size_t i = 0; i < count; ++i) {
      const float* record = values.data() + i * record_floats();
      put_in_window(std::bit_cast<std::uint32_t>(record[0]), record + 1);
    }
  }
}

void FeatureWriter::commit() {
  for (std::size_t region = 0; region < regions_.size(); ++region) flush(region);
  for (std::size_t region = 0; region < regions_.size(); ++region) load(region);
  STRATA_ASSERT(in_window_ == 0 && current_ == windows_);
  writer_.commit();
}

}  // namespace strata
