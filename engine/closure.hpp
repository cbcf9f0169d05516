// One hop towards the sources, for the active sets.
#pragma once

#include "engine/node_set.hpp"
#include "engine/workers.hpp"
#include "storage/store.hpp"

namespace strata {

// Two sets that grow side by side, the first within the second.
struct NestedSets {
  NodeBits inner, outer;
};

// Adds to `to` the in-neighbours of `of`, set by set. Shards without a member are not opened; returns how many were.
std::uint64_t add_in_neighbours(const Store& store, const NestedSets& of, NestedSets& to, Workers& workers,
                                MemoryBudget& budget);

}  // namespace strata
