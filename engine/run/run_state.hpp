// What a run knows besides its parameters: how far it is, its best epoch, how long it waited for a better one. A
// checkpoint holds all of it.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/evaluation.hpp"

namespace strata {

// The splits' scores at one epoch; a split the store does not have is empty.
struct EpochScores {
  std::optional<SplitScore> train, valid, test;
};

struct BestEpoch {
  bool known = false;
  std::uint32_t epoch = 0;
  EpochScores scores;
};

struct RunState {
  std::uint32_t epoch = 0;  // the last one finished; 0: none
  std::uint64_t global_step = 0;
  double seconds = 0;  // of all epochs so far, also those of earlier processes
  bool stopped_early = false;
  double last_loss = 0;             // mean training loss of `epoch`
  std::optional<EpochScores> last;  // of the last evaluated epoch
  BestEpoch best;
  // Early stopping: the validation metric to beat by more than min_delta, and the epoch that set it.
  bool has_reference = false;
  double reference = 0;
  std::uint32_t reference_epoch = 0;
};

// Takes in the scores of `epoch`. True when it is the best so far: a higher validation metric, or the same with a lower
// validation loss. Epochs without validation scores are never best.
[[nodiscard]] bool update_best(RunState& state, std::uint32_t epoch, const EpochScores& scores);

// Moves the reference of early stopping; true when `patience` epochs (0: never) passed since it moved last.
[[nodiscard]] bool out_of_patience(RunState& state, std::uint32_t epoch, const EpochScores& scores,
                                   std::uint32_t patience, double min_delta);

}  // namespace strata
