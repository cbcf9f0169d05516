#include "engine/run/run_state.hpp"

#include <cmath>

namespace strata {

bool update_best(RunState& state, std::uint32_t epoch, const EpochScores& scores) {
  if (!scores.valid || scores.valid->nodes == 0 || std::isnan(scores.valid->metric)) return false;
  if (state.best.known) {
    const SplitScore& best = *state.best.scores.valid;
    const bool higher = scores.valid->metric > best.metric;
    const bool tie_won = scores.valid->metric == best.metric && scores.valid->loss < best.loss;
    if (!higher && !tie_won) return false;
  }
  state.best = {true, epoch, scores};
  return true;
}

bool out_of_patience(RunState& state, std::uint32_t epoch, const EpochScores& scores, std::uint32_t patience,
                     double min_delta) {
  if (!scores.valid || scores.valid->nodes == 0) return false;
  const double metric = scores.valid->metric;
  if (!state.has_reference || metric > state.reference + min_delta) {
    state.has_reference = true;
    state.reference = metric;
    state.reference_epoch = epoch;
    return false;
  }
  return patience > 0 && epoch - state.reference_epoch >= patience;
}

}  // namespace strata
