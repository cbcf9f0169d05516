// Rates of what comes before a product: opening a shard, and finding the rows of its nodes. Each is done by threads of
// its own beside the workers.
#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "engine/calibration.hpp"

namespace strata {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSampleShards = 3;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

// Of a node, own or halo, of a shard that is opened; its pages are in the page cache by the second time, so that this
// is work and not the disk's.
template <class T>
double Calibration<T>::opened() {
  const std::size_t samples = std::min(session_.graph_for(GraphUse::evaluation).shard_count(false), kSampleShards);
  double seconds = 0, nodes = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    double best = 0;
    for (int time = 0; time < 2; ++time) {
      const Clock::time_point begin = Clock::now();
      const Shard shard = session_.graph_for(GraphUse::evaluation).open_shard(false, i);
      const double taken = seconds_since(begin);
      if (time == 0 || taken < best) best = taken;
      if (time == 1) nodes += static_cast<double>(shard.locals().size());
      if (time == 1) shard.forget();
    }
    seconds += best;
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
  std::optional<Shard> own;
  if (!session_.graph_for(GraphUse::evaluation).resident())
    own.emplace(session_.graph_for(GraphUse::evaluation).open_shard(false, 0));
  const Shard& shard = own ? *own : session_.graph_for(GraphUse::evaluation).open_shards(false)[0];
  const std::span<const NodeId> nodes = shard.locals();
  std::vector<std::uint32_t> rows(nodes.size());
  const Clock::time_point begin = Clock::now();
  map->rows_of(nodes, false, rows);
  const double threads = std::min<double>(session_.workers.threads(), session_.plan.shards_ahead);
  return nodes.empty() ? 0 : seconds_since(begin) / static_cast<double>(nodes.size()) / threads;
}

template double Calibration<float>::opened();
template double Calibration<float>::mapped();
template double Calibration<double>::opened();
template double Calibration<double>::mapped();

}  // namespace strata
