// What a run will take, before it starts: how many bytes stay in memory, what the row stores come to, the least budget
// that would do, and whether everything fits. `--explain` prints it; a session refuses to start below `least`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model.hpp"
#include "engine/options.hpp"
#include "storage/store.hpp"

namespace strata {

struct PlannedStore {
  std::string name;
  RowShape shape;
  bool bitmap = false;  // DiskForm::bitmap
};

// Whether training sees the store's training graph alone, and evaluation the full one.
[[nodiscard]] bool trains_inductively(const TrainOptions& options, const StoreInfo& store, const Model& model);

// Of the values of X at layer index `layer`, those that are expected not to be zero. drops: written with dropout in
// steps, and without it to evaluate, by turns.
[[nodiscard]] double expected_kept(const Model& model, std::size_t layer, bool drops);

// The row stores a method keeps, in the order it makes them; the store's own features come first. Those of an inductive
// run's evaluation come last.
[[nodiscard]] std::vector<PlannedStore> plan_stores(const TrainOptions& options, const StoreInfo& store,
                                                    const Model& model);

// All in bytes.
struct MemoryPlan {
  std::uint64_t fixed = 0;        // in memory from start to end: labels, splits, normalisation, parameters, bookkeeping
  std::uint64_t transient = 0;    // for a while: degrees, permutations, scores
  std::uint64_t graph = 0;        // all shards open
  std::uint64_t stores = 0;       // all row stores
  std::uint64_t workspace = 0;    // tiles of the widest dense pass, on all workers
  std::uint64_t pins = 0;         // blocks pinned at the same time, and blocks on their way to and from the disk
  std::uint64_t read_ahead = 0;   // of those, on their way from the disk
  std::uint64_t gather_full = 0;  // columns of the widest SpMM, all at once
  std::uint64_t gather_least = 0;   // the narrowest group of columns
  std::uint64_t spmm_overhead = 0;  // open shards
  std::uint32_t shards_ahead = 1;   // of them, made ready before they are needed
  std::uint64_t least = 0;          // the smallest budget that works
  std::uint64_t everything = 0;     // the budget from which nothing is ever written to the cache
  std::uint64_t scratch_disk = 0;   // the row stores on disk, should all of them spill
  bool fits = false;                // everything <= options.host_memory
  std::uint64_t gather_limit = 0;   // what SpMM may gather at most
};

[[nodiscard]] MemoryPlan plan_memory(const TrainOptions& options, const StoreInfo& store, const Model& model,
                                     std::uint32_t threads);

}  // namespace strata
