#include "engine/graph.hpp"

#include <cmath>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

double node_scale(Aggregation aggregation, double degree) {
  switch (aggregation) {
    case Aggregation::mean: return degree > 0 ? 1.0 / degree : 0.0;
    case Aggregation::row_with_self: return 1.0 / (degree + 1.0);
    case Aggregation::sym: return 1.0 / std::sqrt(degree + 1.0);
    case Aggregation::sum:
    case Aggregation::none: break;
  }
  return 1.0;
}

}  // namespace

template <class T>
Graph<T>::Graph(const Store& store, Aggregation aggregation, MemoryBudget& budget)
    : store_(&store), budget_(&budget), aggregation_(aggregation) {
  if (aggregation == Aggregation::none) return;
  if (!store.info().has_reverse) {
    throw UsageError(
        store.path().string() +
        ": the graph was converted with --reverse off, and training needs the reversed edges; convert it again "
        "with --reverse on");
  }
  if (aggregation == Aggregation::sum) return;
  scale_ = Array<T>(budget, store.info().nodes, "normalisation of the graph");
  if (store.info().weighted) {
    const Array<float> degrees = store.weighted_degrees(budget);
    for (std::size_t i = 0; i < scale_.size(); ++i) scale_[i] = static_cast<T>(node_scale(aggregation, degrees[i]));
  } else {
    const Array<std::uint32_t> degrees = store.degrees(Direction::in, budget);
    for (std::size_t i = 0; i < scale_.size(); ++i) scale_[i] = static_cast<T>(node_scale(aggregation, degrees[i]));
  }
}

template <class T>
EdgeScale<T> Graph<T>::scale(bool transposed) const {
  EdgeScale<T> scale;
  scale.self_loop = aggregation_ == Aggregation::sym || aggregation_ == Aggregation::row_with_self;
  if (scale_.empty()) return scale;
  const bool symmetric = aggregation_ == Aggregation::sym;
  if (symmetric || !transposed) scale.destination = scale_.data();
  if (symmetric || transposed) scale.source = scale_.data();
  return scale;
}

template <class T>
const std::vector<ShardInfo>& Graph<T>::infos(bool transposed) const {
  return store_->shards(transposed ? Direction::out : Direction::in);
}

template <class T>
std::uint64_t Graph<T>::edges(bool transposed) const {
  std::uint64_t sum = 0;
  for (const ShardInfo& info : infos(transposed)) sum += info.edges;
  return sum;
}

template <class T>
std::uint64_t Graph<T>::file_bytes(bool transposed) const {
  std::uint64_t sum = 0;
  for (const ShardInfo& info : infos(transposed)) sum += info.file_bytes;
  return sum;
}

template <class T>
void Graph<T>::make_resident() {
  if (resident_ || aggregation_ == Aggregation::none) return;
  for (std::size_t s = 0; s < shard_count(false); ++s) in_shards_.push_back(open_shard(false, s));
  if (!store_->info().undirected) {
    for (std::size_t s = 0; s < shard_count(true); ++s) out_shards_.push_back(open_shard(true, s));
  }
  resident_ = true;
}

template <class T>
const std::vector<Shard>& Graph<T>::open_shards(bool transposed) const {
  STRATA_ASSERT(resident_);
  return transposed && !store_->info().undirected ? out_shards_ : in_shards_;
}

template <class T>
Shard Graph<T>::open_shard(bool transposed, std::size_t index, SpareMemory* spares) const {
  Shard shard = store_->open_shard(transposed ? Direction::out : Direction::in, index, *budget_, spares);
  bytes_read_ += shard.info().file_bytes;
  return shard;
}

template class Graph<float>;
template class Graph<double>;

}  // namespace strata
