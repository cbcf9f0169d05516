// Rates of what comes before a product: opening a shard, and finding the rows of its nodes. Each is done by threads of
// its own beside the workers.
#include <algorithm>
#include <optional>
#include <vector>

#include "engine/calibration.hpp"
#include "engine/calibration_samples.hpp"
#include "engine/shard_rows.hpp"

namespace strata {

namespace {

constexpr std::size_t kSampleShards = 3;

}  // namespace

// Of a node, own or halo, of a shard that is opened; its pages are in the page cache by the second time, so that this
// is work and not the disk's.
template <class T>
double Calibration<T>::opened() {
  const std::size_t samples = std::min(session_.graph_for(GraphUse::evaluation).shard_count(false), kSampleShards);
  double seconds = 0, nodes = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    std::optional<Shard> shard;
    seconds += best_of_two([&] {
      shard.reset();
      shard.emplace(session_.graph_for(GraphUse::evaluation).open_shard(false, i));
    });
    nodes += static_cast<double>(shard->locals().size());
    shard->forget();
  }
  const double threads = std::min<double>(session_.workers.threads(), session_.plan.shards_ahead);
  return nodes > 0 ? seconds / nodes / threads : 0;
}

template <class T>
double Calibration<T>::mapped() {
  const RowMap* map = nullptr;
  for (std::size_t l = 0; l < session_.model.layers.size() && map == nullptr; ++l) {
    if (!session_.rows(l).is_identity()) map = &session_.rows(l);
  }
  if (map == nullptr || session_.graph_for(GraphUse::evaluation).shard_count(false) == 0) return 0;
  const SampleShard<T> shard(session_.graph_for(GraphUse::evaluation), false, 0);
  const std::span<const NodeId> nodes = shard->locals();
  std::vector<std::uint32_t> rows(nodes.size());
  const double seconds = seconds_of([&] { map->rows_of(nodes, false, rows); });
  const double threads = std::min<double>(session_.workers.threads(), session_.plan.shards_ahead);
  return nodes.empty() ? 0 : seconds / static_cast<double>(nodes.size()) / threads;
}

// Of a column whose row and scale are laid side by side.
template <class T>
double Calibration<T>::scaled() {
  if (session_.graph_for(GraphUse::evaluation).shard_count(false) == 0) return 0;
  const SampleShard<T> shard(session_.graph_for(GraphUse::evaluation), false, 0);
  const Array<float> scale(session_.budget, session_.nodes(), "a sample of scales");
  const RowMap all = RowMap::identity(session_.nodes());
  const ShardRowsOptions options{RowPart::train, false, true, scale.data()};
  ShardSpares spares;
  const double seconds =
      best_of_two([&] { const ShardRows rows(*shard, all, all, options, nullptr, session_.budget, &spares); });
  const double threads = std::min<double>(session_.workers.threads(), session_.plan.shards_ahead);
  return seconds / std::max<double>(1, static_cast<double>(shard->locals().size())) / threads;
}

template double Calibration<float>::opened();
template double Calibration<float>::mapped();
template double Calibration<float>::scaled();
template double Calibration<double>::opened();
template double Calibration<double>::mapped();
template double Calibration<double>::scaled();

}  // namespace strata
