// The features' part of verify_conversion: rows sampled from chunks all over the store are decoded and compared with
// the source's, normalised here by another algorithm (long sums, Welford's variance).
#pragma once

#include <cstdint>
#include <span>

#include "kernels/base/budget.hpp"
#include "storage/import/options.hpp"
#include "storage/import/source.hpp"
#include "storage/store.hpp"

namespace strata {

// original[new] -> original id; training: original ids, ascending. Returns the number of rows compared; DamagedError
// names row and column of the first that differs by more than the codec allows.
std::uint64_t verify_features(GraphSource& source, const ImportOptions& options, const Store& store,
                              std::span<const NodeId> original, std::span<const NodeId> training, MemoryBudget& budget);

}  // namespace strata
