// What it takes to make the shards of a product ready, as the plan counts it.
#pragma once

#include "engine/schedule.hpp"
#include "storage/shard.hpp"

namespace strata {

struct ShardWork {
  double nodes = 0;  // own and halo
  double edges = 0;
  std::uint64_t file_bytes = 0;

  void add(const ShardInfo& info) {
    nodes += static_cast<double>(info.rows) + static_cast<double>(info.halo);
    edges += static_cast<double>(info.edges);
    file_bytes += info.file_bytes;
  }
  // resident: the shards are open already. mapped: their nodes are looked up among the rows that exist. scaled: and
  // their scales, ShardRowsOptions::source_scale.
  void note(Schedule::Scope& scope, bool resident, bool mapped, bool scaled) const {
    if (mapped) scope.works("mapped nodes", nodes);
    if (scaled) scope.works("scaled nodes", nodes);
    if (resident) return;
    scope.works("opened nodes", nodes);
    scope.reads_graph(file_bytes);
  }
};

}  // namespace strata
