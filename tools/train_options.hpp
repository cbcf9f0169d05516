// The command line of strata-train.
#pragma once

#include "engine/options.hpp"

namespace strata {

// Fills `options` from the command line and --config. False when --help or --version was answered: the program ends
// with status 0. UsageError for what is wrong and for what this version does not support.
[[nodiscard]] bool parse_train_options(int argc, char** argv, TrainOptions& options);

}  // namespace strata
