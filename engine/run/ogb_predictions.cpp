#include "engine/run/ogb_predictions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/evaluation.hpp"
#include "engine/run/export_rows.hpp"
#include "kernels/base/error.hpp"
#include "storage/npy.hpp"
#include "storage/npz_writer.hpp"

namespace strata {

namespace {

constexpr const char* kMag240m = "mag240m";

// The logits of predictions.npy, tile by tile: on_tile(first row, rows x classes).
template <class OnTile>
void each_tile(const RunDirectory& run, std::size_t classes, MemoryBudget& budget, OnTile&& on_tile) {
  NpyReader reader(run.predictions());
  const std::uint64_t rows = reader.header().rows();
  const Array<float> values(budget, kChunkRows * classes, "tile of predictions");
  for (std::uint64_t first = 0; first < rows; first += kChunkRows) {
    const std::size_t count = std::min<std::uint64_t>(kChunkRows, rows - first);
    reader.read_as_float({values.data(), count * classes});
    on_tile(first, MatrixView<const float>(values.data(), count, classes));
  }
}

void append_ids(NpzWriter& writer, const RunDirectory& run) {
  NpyReader reader(run.prediction_ids());
  writer.begin("node_ids", npy_type<std::int64_t>(), reader.header().shape);
  std::int64_t piece[kChunkRows];
  while (reader.remaining() > 0) {
    const std::span<std::int64_t> ids(piece, std::min<std::uint64_t>(kChunkRows, reader.remaining()));
    reader.read_as_int64(ids);
    writer.append(std::span<const std::int64_t>(ids));
  }
}

void append_classes(NpzWriter& writer, MatrixView<const float> logits) {
  std::int64_t classes[kChunkRows];
  for (std::size_t i = 0; i < logits.rows; ++i) classes[i] = predicted_class<float>(logits.row_span(i));
  writer.append(std::span<const std::int64_t>(classes, logits.rows));
}

// Test rows that OGB counts to test-dev; the others are test-challenge.
constexpr bool is_dev(std::size_t index) { return index % 5 < 3; }

struct Submission {
  const char* part;
  bool dev, challenge;
  [[nodiscard]] bool takes(std::size_t index) const { return is_dev(index) ? dev : challenge; }
};

constexpr Submission kSubmissions[] = {{"", true, true}, {"_test-dev", true, false}, {"_test-challenge", false, true}};

// The predicted test rows, in ascending order of ids; the leaderboard takes the set's own split to be in that order.
void write_submission(const Submission& submission, const RunDirectory& run, std::span<const NodeId> ids,
                      std::span<const NodeId> test, std::size_t classes, MemoryBudget& budget) {
  std::size_t taken = 0;
  for (std::size_t i = 0; i < test.size(); ++i) taken += submission.takes(i) ? 1 : 0;
  NpzWriter writer(run.mag240m_submission(submission.part));
  writer.begin("y_pred", npy_type<std::int16_t>(), {taken});
  std::size_t next = 0;  // in test
  each_tile(run, classes, budget, [&](std::size_t first, MatrixView<const float> logits) {
    std::int16_t piece[kChunkRows];
    std::size_t count = 0;
    for (std::size_t i = 0; i < logits.rows && next < test.size(); ++i) {
      if (ids[first + i] != test[next]) continue;
      if (submission.takes(next++)) {
        piece[count++] = static_cast<std::int16_t>(predicted_class<float>(logits.row_span(i)));
      }
    }
    writer.append(std::span<const std::int16_t>(piece, count));
  });
  writer.commit();
}

}  // namespace

void check_ogb_predictions(const StoreInfo& store) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int16_t>::max();
  if (store.source != kMag240m || store.classes <= kMost) return;
  throw UsageError(fmt::format("--predict-format ogb: MAG240M's submissions hold classes below {}, the store has {}",
                               kMost, store.classes));
}

void write_ogb_predictions(const RunDirectory& run, std::span<const NodeId> original_ids, const Store& store,
                           MemoryBudget& budget) {
  const std::uint64_t classes = store.info().classes, rows = original_ids.size();
  const bool mag240m = store.info().source == kMag240m;
  {
    NpzWriter writer(run.ogb_predictions());
    if (store.info().task == Task::multilabel) {
      writer.begin("y_pred", npy_type<float>(), {rows, classes});
      each_tile(run, classes, budget, [&](std::size_t, MatrixView<const float> logits) {
        writer.append(std::span<const float>(logits.data, logits.rows * logits.cols));
      });
    } else {
      writer.begin("y_pred", npy_type<std::int64_t>(),
                   mag240m ? std::vector<std::uint64_t>{rows} : std::vector<std::uint64_t>{rows, 1});
      each_tile(run, classes, budget,
                [&](std::size_t, MatrixView<const float> logits) { append_classes(writer, logits); });
    }
    append_ids(writer, run);
    writer.commit();
  }
  if (!mag240m || !store.has_split("test")) return;
  const Array<NodeId> test = select_nodes("test", store, budget);
  if (!std::includes(original_ids.begin(), original_ids.end(), test.begin(), test.end())) return;
  for (const Submission& submission : kSubmissions) {
    write_submission(submission, run, original_ids, test.span(), classes, budget);
  }
}

}  // namespace strata
