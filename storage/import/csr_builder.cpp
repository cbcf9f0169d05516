#include "storage/import/csr_builder.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

using Block = tbb::blocked_range<std::size_t>;

// Puts every entry of the wanted rows behind its row's cursor. Serial for weighted graphs, where the order of arrival
// decides which of several repeats stays; otherwise threads may mix, since rows are sorted afterwards.
class Scatter {
 public:
  Scatter(const CsrRequest& request, std::span<const NodeId> new_of, CsrRange& out, std::span<EdgeId> cursors)
      : request_(request), new_of_(new_of), out_(out), cursors_(cursors) {}

  void operator()(std::span<const EdgePair> pairs, std::span<const float> weights) {
    if (!weights.empty()) {
      for (std::size_t i = 0; i < pairs.size(); ++i) place(pairs[i], weights[i]);
      return;
    }
    tbb::parallel_for(Block(0, pairs.size(), 8192), [&](const Block& range) {
      for (std::size_t i = range.begin(); i < range.end(); ++i) place(pairs[i], 1.0f);
    });
  }

 private:
  void place(const EdgePair& pair, float weight) {
    if (!joins(request_.only, pair)) return;
    const NodeId source = new_of_.empty() ? pair.source : new_of_[pair.source];
    const NodeId target = new_of_.empty() ? pair.target : new_of_[pair.target];
    if (request_.rows != Rows::by_source) put(target, source, weight);
    if (request_.rows != Rows::by_target) put(source, target, weight);
  }
  void put(NodeId row, NodeId column, float weight) {
    const NodeId local = row - request_.first;  // wraps around below the range
    if (local >= request_.count || (request_.skip_self_loops && row == column)) return;
    const EdgeId at = std::atomic_ref<EdgeId>(cursors_[local]).fetch_add(1, std::memory_order_relaxed);
    out_.columns[at] = column;
    if (!out_.weights.empty()) out_.weights[at] = weight;
  }

  const CsrRequest& request_;
  std::span<const NodeId> new_of_;
  CsrRange& out_;
  std::span<EdgeId> cursors_;
};

// Sorts one weighted row by column, keeping the order of repeats.
void sort_weighted_row(NodeId* columns, float* weights, std::size_t length,
                       std::vector<std::pair<NodeId, float>>& scratch) {
  scratch.resize(length);
  for (std::size_t i = 0; i < length; ++i) scratch[i] = {columns[i], weights[i]};
  std::stable_sort(scratch.begin(), scratch.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < length; ++i) std::tie(columns[i], weights[i]) = scratch[i];
}

// Removes all but the first of equal neighbours; returns the new length.
std::size_t drop_repeats(NodeId* columns, float* weights, std::size_t length) {
  if (weights == nullptr) return static_cast<std::size_t>(std::unique(columns, columns + length) - columns);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < length; ++i) {
    if (kept != 0 && columns[kept - 1] == columns[i]) continue;
    columns[kept] = columns[i];
    weights[kept++] = weights[i];
  }
  return kept;
}

// Sorts rows in place. On entry cursors[r] is the end of row r; on return it is the length of what stays of the row.
void sort_rows(CsrRange& csr, bool keep_duplicates, std::span<EdgeId> cursors) {
  tbb::parallel_for(Block(0, csr.count(), 256), [&](const Block& range) {
    std::vector<std::pair<NodeId, float>> scratch;
    for (std::size_t row = range.begin(); row < range.end(); ++row) {
      const std::size_t length = cursors[row] - csr.offsets[row];
      NodeId* columns = csr.columns.data() + csr.offsets[row];
      float* weights = csr.weights.empty() ? nullptr : csr.weights.data() + csr.offsets[row];
      if (weights != nullptr) {
        sort_weighted_row(columns, weights, length, scratch);
      } else {
        std::sort(columns, columns + length);
      }
      cursors[row] = keep_duplicates ? length : drop_repeats(columns, weights, length);
    }
  });
}

// Closes the gaps that removed repeats left.
void compact(CsrRange& csr, std::span<const EdgeId> lengths) {
  EdgeId to = 0, from = 0;
  for (std::size_t row = 0; row < csr.count(); ++row) {
    const EdgeId next = csr.offsets[row + 1];
    if (to != from) {
      std::copy_n(csr.columns.data() + from, lengths[row], csr.columns.data() + to);
      if (!csr.weights.empty()) std::copy_n(csr.weights.data() + from, lengths[row], csr.weights.data() + to);
    }
    csr.offsets[row] = to;
    to += lengths[row];
    from = next;
  }
  csr.duplicates = from - to;
  csr.offsets[csr.count()] = to;
}

}  // namespace

std::uint64_t csr_bytes(std::uint64_t rows, std::uint64_t entries, bool weighted) {
  const std::uint64_t arrays = 3;  // each rounded up to pages
  return 2 * sizeof(EdgeId) * (rows + 1) + entries * (sizeof(NodeId) + (weighted ? sizeof(float) : 0)) +
         (arrays + 1) * kBlockAlignment;
}

CsrRange build_csr(const EdgeSpool& spool, const CsrRequest& request, std::span<const NodeId> new_of,
                   std::span<const NodeId> original_of, std::span<const std::uint32_t> raw_degrees,
                   MemoryBudget& budget) {
  CsrRange csr;
  csr.first = request.first;
  csr.offsets = Array<EdgeId>(budget, std::size_t{request.count} + 1, "row offsets");
  for (std::size_t row = 0; row < request.count; ++row) {
    const NodeId id = request.first + static_cast<NodeId>(row);
    csr.offsets[row + 1] = csr.offsets[row] + raw_degrees[original_of.empty() ? id : original_of[id]];
  }
  csr.columns = Array<NodeId>(budget, csr.edges(), "sorted edges");
  csr.weights = Array<float>(budget, spool.weighted() ? csr.edges() : 0, "sorted edge weights");
  const Array<EdgeId> cursors(budget, request.count, "row cursors");
  std::copy_n(csr.offsets.data(), request.count, cursors.data());
  Scatter scatter(request, new_of, csr, cursors.span());
  spool.scan([&scatter](std::span<const EdgePair> pairs, std::span<const float> weights) { scatter(pairs, weights); });
  for (std::size_t row = 0; row < request.count; ++row) STRATA_ASSERT(cursors[row] <= csr.offsets[row + 1]);
  sort_rows(csr, request.keep_duplicates, cursors.span());
  compact(csr, cursors.span());
  return csr;
}

}  // namespace strata
