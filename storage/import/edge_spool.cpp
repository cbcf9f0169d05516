#include "storage/import/edge_spool.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

constexpr std::size_t kBlockEdges = std::size_t{1} << 19;

}  // namespace

EdgeSpool::EdgeSpool(MemoryBudget& budget, const std::filesystem::path& directory, std::uint64_t capacity,
                     bool weighted, std::uint64_t memory_limit)
    : weighted_(weighted) {
  const bool fits = capacity * edge_bytes(weighted) <= memory_limit;
  const std::size_t room = fits ? capacity : std::min<std::uint64_t>(capacity, kBlockEdges);
  pairs_ = Array<EdgePair>(budget, room, "the edges");
  weights_ = Array<float>(budget, weighted ? room : 0, "the edge weights");
  if (!fits) file_ = File(directory / "edges.spool", File::Mode::create);
}

void EdgeSpool::append(std::span<const EdgePair> pairs, std::span<const float> weights) {
  STRATA_ASSERT(weights.size() == (weighted_ ? pairs.size() : 0));
  edges_ += pairs.size();
  while (!pairs.empty()) {
    if (filled_ == pairs_.size()) flush();
    const std::size_t count = std::min(pairs.size(), pairs_.size() - filled_);
    std::copy_n(pairs.data(), count, pairs_.data() + filled_);
    pairs = pairs.subspan(count);
    if (weighted_) {
      std::copy_n(weights.data(), count, weights_.data() + filled_);
      weights = weights.subspan(count);
    }
    filled_ += count;
  }
}

void EdgeSpool::flush() {
  STRATA_ASSERT(file_.is_open());
  file_.write_at(file_bytes_, std::as_bytes(std::span<const EdgePair>(pairs_.data(), filled_)));
  file_bytes_ += filled_ * sizeof(EdgePair);
  if (weighted_) {
    file_.write_at(file_bytes_, std::as_bytes(std::span<const float>(weights_.data(), filled_)));
    file_bytes_ += filled_ * sizeof(float);
  }
  filled_ = 0;
}

void EdgeSpool::finish() {
  if (file_.is_open() && filled_ != 0) flush();
}

void EdgeSpool::scan(const GraphSource::EdgeSink& sink) const {
  const std::size_t block = file_.is_open() ? pairs_.size() : kBlockEdges;
  std::uint64_t offset = 0;
  for (std::uint64_t first = 0; first < edges_; first += block) {
    const std::size_t count = std::min<std::uint64_t>(block, edges_ - first);
    if (!file_.is_open()) {
      sink({pairs_.data() + first, count}, {weights_.data() + (weighted_ ? first : 0), weighted_ ? count : 0});
      continue;
    }
    const std::span<EdgePair> pairs(pairs_.data(), count);
    file_.read_at(offset, std::as_writable_bytes(pairs));
    offset += count * sizeof(EdgePair);
    const std::span<float> weights(weights_.data(), weighted_ ? count : 0);
    if (weighted_) file_.read_at(offset, std::as_writable_bytes(weights));
    offset += weights.size() * sizeof(float);
    sink(pairs, weights);
  }
}

}  // namespace strata
