// The plan of a run: what the products hold and how they are cut, whether the edges stay in memory, what every row
// store keeps between its uses; and what that costs. Of the ways that fit the budget the fastest by the rates of this
// machine is taken. Design section 6.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/cache_plan.hpp"
#include "engine/calibration.hpp"
#include "engine/methods/method.hpp"
#include "engine/session.hpp"

namespace strata {

struct PlannedPass {
  std::string name;
  PassTraffic traffic;            // of row stores
  std::uint64_t graph_bytes = 0;  // of shards
  double io_seconds = 0, cpu_seconds = 0;
  // Reading, computing and writing overlap; what a pass fills and drains at its ends does not.
  [[nodiscard]] double seconds() const {
    return std::max(io_seconds, cpu_seconds) + 0.05 * std::min(io_seconds, cpu_seconds);
  }
};

// The best that a way of the products came to; automatic: each product the way that reads less.
struct WayCost {
  ProductWay way = ProductWay::columns;
  PassTraffic traffic;  // of all of a period, shards included
  double seconds = 0;
};

struct SchedulePlan {
  std::vector<PlannedPass> preparation, epoch;  // epoch: all of a period
  ProductWay way = ProductWay::columns;         // that was taken
  std::vector<WayCost> ways;                    // that were looked at
  std::uint32_t period = 1;                     // epochs
  std::uint64_t gather_bytes = 0;               // that the largest one holds
  bool graph_resident = false;
  PassTraffic floor;            // of an epoch (epoch_floor)
  std::uint64_t peak_kept = 0;  // bytes of blocks kept by plan
  [[nodiscard]] PassTraffic traffic(const std::vector<PlannedPass>& passes) const;
  [[nodiscard]] double seconds(const std::vector<PlannedPass>& passes) const;
};

// Runs the method dry, with every way that fits, and sets the session's schedule to the best. evaluate: what the run
// does with the logits after an epoch, as passes. What the budget has used by then counts as taken.
template <class T>
[[nodiscard]] SchedulePlan plan_schedule(Session<T>& session, Method<T>& method, const std::function<void()>& evaluate,
                                         Calibration<T>& rates);

}  // namespace strata
