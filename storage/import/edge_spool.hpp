// The edges of a source between its one reading and the passes that sort them: in memory when they fit, else in a
// temporary file that is scanned front to back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "kernels/base/budget.hpp"
#include "storage/file.hpp"
#include "storage/import/source.hpp"

namespace strata {

class EdgeSpool {
 public:
  // `capacity` edges at most. memory_limit: what the spool may take of the budget; more than that goes to a file in
  // `directory`, through a block of a few MiB.
  EdgeSpool(MemoryBudget& budget, const std::filesystem::path& directory, std::uint64_t capacity, bool weighted,
            std::uint64_t memory_limit);

  void append(std::span<const EdgePair> pairs, std::span<const float> weights);
  void finish();  // after the last append
  // Every edge in the order of appending, in blocks.
  void scan(const GraphSource::EdgeSink& sink) const;

  [[nodiscard]] std::uint64_t edges() const { return edges_; }
  [[nodiscard]] bool weighted() const { return weighted_; }
  [[nodiscard]] bool in_memory() const { return !file_.is_open(); }
  [[nodiscard]] std::uint64_t bytes() const { return edges_ * edge_bytes(weighted_); }
  [[nodiscard]] static std::uint64_t edge_bytes(bool weighted) {
    return sizeof(EdgePair) + (weighted ? sizeof(float) : 0);
  }

 private:
  void flush();
  Array<EdgePair> pairs_;  // everything, or the block being filled
  Array<float> weights_;
  std::size_t filled_ = 0;  // of pairs_
  std::uint64_t edges_ = 0;
  bool weighted_;
  File file_;  // blocks of pairs, each followed by its weights
  std::uint64_t file_bytes_ = 0;
};

}  // namespace strata
