// What it takes to make the shards of a product ready, as the plan counts it.
#pragma once

#include "engine/schedule.hpp"
#include "storage/shard.hpp"

namespace strata {

struct ShardWork {
  double nodes = 0;  // own and halo
  double edges = 0;

  void add(const ShardInfo& info) {
    nodes += static_cast<double>(info.rows) + static_cast<double>(info.halo);
    edges += static_cast<double>(info.edges);
  }
  // resident: the shards are open already. mapped: their nodes are looked up among the rows that exist.
  void note(Schedule::Scope& scope, bool resident, bool mapped) const {
    if (!resident) scope.works("opened nodes", nodes);
    if (mapped) scope.works("mapped nodes", nodes);
  }
};

}  // namespace strata
