// A training run from start to end: what strata-train does once its options are known.
#pragma once

#include "engine/options.hpp"

namespace strata {

// Trains (or with options.explain prints the plan, or with epochs == 0 only predicts) and leaves the results in
// options.run. Returns the exit status: 0, or 128 + the number of the signal that stopped it after an epoch. Throws the
// errors of kernels/base/error.hpp; what the run has done up to its last checkpoint is then kept.
[[nodiscard]] int run_training(TrainOptions options);

}  // namespace strata
