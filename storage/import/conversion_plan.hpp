// What a conversion will do and take, from headers and options alone: the same numbers serve --explain and the run.
#pragma once

#include <cstdint>
#include <string>

#include "storage/import/options.hpp"
#include "storage/import/source.hpp"

namespace strata {

struct ConversionPlan {
  bool symmetric = false;     // every edge goes both ways
  std::uint64_t entries = 0;  // directed entries, before repeats are removed
  std::uint64_t shards = 0;
  Partitioner partitioner = Partitioner::none;  // never automatic
  std::string partitioner_reason;
  std::uint64_t spool_bytes = 0;
  std::uint64_t spool_memory = 0;  // what the spool may take of the budget
  bool spool_on_disk = false;
  std::uint64_t node_bytes = 0;   // arrays of one value per node
  std::uint64_t order_bytes = 0;  // the peak of finding the order
  std::uint64_t feature_window_memory = 0;
  std::uint64_t feature_windows = 0;
  std::uint64_t temporary_bytes = 0;  // on disk
  std::uint64_t store_bytes = 0;
  std::uint64_t least_memory = 0;
};

// UsageError for options that contradict the facts; ResourceError when the budget cannot do (naming the least that
// would).
[[nodiscard]] ConversionPlan plan_conversion(const ImportOptions& options, const SourceFacts& facts);

// Several lines for --explain.
[[nodiscard]] std::string explain(const ImportOptions& options, const SourceFacts& facts, const ConversionPlan& plan);

}  // namespace strata
