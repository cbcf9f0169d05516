#include "storage/import/verify_features.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/row_codec.hpp"

namespace strata {
namespace {

constexpr std::size_t kSampledChunks = 32;
constexpr std::size_t kRowsPerChunk = 64;
constexpr std::size_t kSampleBytes = std::size_t{8} << 20;

// Decoded rows by original id.
using Sample = std::map<NodeId, std::vector<float>>;

Sample sample_rows(const Store& store, std::span<const NodeId> original, MemoryBudget& budget) {
  const RowFileReader reader = store.features(budget);
  const RowShape& shape = reader.shape();
  const std::size_t chunks = std::min(shape.chunks(), kSampledChunks);
  const std::size_t rows =
      std::clamp<std::size_t>(kSampleBytes / (shape.cols * sizeof(float)) / chunks, 1, kRowsPerChunk);
  const Buffer tile(budget, round_up(kChunkRows * panel_row_bytes(shape.codec, kPanelColumns), kBlockAlignment),
                    "a tile");
  std::vector<float> values(kChunkRows * kPanelColumns);
  Sample sample;
  for (std::size_t i = 0; i < chunks; ++i) {
    const std::size_t chunk = i * shape.chunks() / chunks;
    const std::size_t chunk_rows = shape.chunk_rows(chunk);
    const std::size_t step = divide_up(chunk_rows, rows);
    for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
      const std::size_t width = panel_width(shape.cols, panel);
      reader.read_tile(chunk, panel, tile.bytes());
      ref::decode_panel<float>(shape.codec, tile.data(), panel_row_bytes(shape.codec, width),
                               {values.data(), chunk_rows, width});
      for (std::size_t r = i % step; r < chunk_rows; r += step) {
        std::vector<float>& row = sample[original[chunk * kChunkRows + r]];
        row.insert(row.end(), values.data() + r * width, values.data() + (r + 1) * width);
      }
    }
  }
  return sample;
}

// Welford's running mean and variance, column by column.
struct Moments {
  std::vector<double> mean, squares;
  double count = 0;

  explicit Moments(std::size_t columns) : mean(columns, 0.0), squares(columns, 0.0) {}
  void add(const float* row) {
    count += 1;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double value = std::isfinite(row[c]) ? static_cast<double>(row[c]) : 0.0;
      const double before = value - mean[c];
      mean[c] += before / count;
      squares[c] += before * (value - mean[c]);
    }
  }
  [[nodiscard]] double deviation(std::size_t column) const {
    const double variance = squares[column] / count;
    return variance > 0.0 ? std::sqrt(variance) : 1.0;
  }
};

Moments training_moments(GraphSource& source, std::span<const NodeId> training, MemoryBudget& budget) {
  Moments moments(source.facts().feature_dim);
  std::size_t next = 0;
  source.read_features(budget, [&](std::uint64_t first, MatrixView<const float> rows) {
    for (; next < training.size() && training[next] < first + rows.rows; ++next) {
      moments.add(rows.row(training[next] - first));
    }
  });
  return moments;
}

std::vector<double> expected_row(FeatureNorm norm, const Moments& moments, const float* row, std::size_t columns) {
  std::vector<double> values(columns);
  long double sum = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    values[c] = std::isfinite(row[c]) ? static_cast<double>(row[c]) : 0.0;
    sum += std::abs(static_cast<long double>(values[c]));
  }
  for (std::size_t c = 0; c < columns; ++c) {
    if (norm == FeatureNorm::row && sum > 0) values[c] = static_cast<double>(values[c] / sum);
    if (norm == FeatureNorm::standard) values[c] = (values[c] - moments.mean[c]) / moments.deviation(c);
  }
  return values;
}

// How far a stored value may be from the exact one; `largest` is the largest magnitude in its panel row.
double tolerance(Codec codec, FeatureNorm norm, double value, double largest) {
  const double size = std::abs(value);
  const double computed = norm == FeatureNorm::none ? 0.0 : 2e-6 * (size + 1e-3);
  switch (codec) {
    case Codec::fp64:
    case Codec::fp32: return computed;
    case Codec::fp16: return computed + size * 0x1p-11 + 0x1p-24;
    case Codec::bf16: return computed + size * 0x1p-8;
    case Codec::int8: return computed + largest / 127.0 * 0.51 + 0x1p-18;
  }
  return computed;
}

void check_row(const ImportOptions& options, NodeId node, const std::vector<double>& expected,
               const std::vector<float>& found) {
  for (std::size_t c = 0; c < found.size(); ++c) {
    const std::size_t panel = c / kPanelColumns * kPanelColumns;
    double largest = 0;
    for (std::size_t i = panel; i < std::min(found.size(), panel + kPanelColumns); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
    }
    const double exact =
        options.feature_codec == Codec::fp16 ? std::clamp(expected[c], -65504.0, 65504.0) : expected[c];
    const double allowed = tolerance(options.feature_codec, options.feature_norm, exact, largest);
    if (std::abs(exact - static_cast<double>(found[c])) <= allowed) continue;
    throw DamagedError(options.output.string(), "feature row " + std::to_string(node) + ", column " + std::to_string(c),
                       std::to_string(expected[c]) + " (from the source)", std::to_string(found[c]));
  }
}

}  // namespace

std::uint64_t verify_features(GraphSource& source, const ImportOptions& options, const Store& store,
                              std::span<const NodeId> original, std::span<const NodeId> training,
                              MemoryBudget& budget) {
  const std::size_t columns = source.facts().feature_dim;
  if (columns == 0) return 0;
  const Reservation charge = budget.reserve(kSampleBytes, "sampled features");
  const Sample sample = sample_rows(store, original, budget);
  const bool standard = options.feature_norm == FeatureNorm::standard;
  const Moments moments = standard ? training_moments(source, training, budget) : Moments(0);
  std::uint64_t compared = 0;
  source.read_features(budget, [&](std::uint64_t first, MatrixView<const float> rows) {
    auto at = sample.lower_bound(static_cast<NodeId>(first));
    for (; at != sample.end() && at->first < first + rows.rows; ++at) {
      check_row(options, at->first, expected_row(options.feature_norm, moments, rows.row(at->first - first), columns),
                at->second);
      ++compared;
    }
  });
  STRATA_ASSERT(compared == sample.size());
  return compared;
}

}  // namespace strata
