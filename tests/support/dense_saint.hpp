// The naive twin's saint layer: every Jacobian of a row written out, in double. See dense_model.hpp.
#pragma once

#include <array>
#include <vector>

#include "engine/model.hpp"
#include "engine/parameters.hpp"
#include "tests/support/dense_model.hpp"

namespace strata::test {

// What the way back needs of the forward.
struct DenseSaint {
  std::array<Dense, 2> inputs, pre, hidden;  // of branches 0 and 1
  Dense sum, rows;                           // what they make together, and what the classifier reads
};

// LayerNorm or no norm; without dropout.
[[nodiscard]] Dense dense_saint_forward(const LayerSpec& layer, const Parameters<double>& p, const Dense& a,
                                        const Dense& x, DenseSaint& tape);
// Adds to gradients (laid out like the parameters), returns the gradient at x.
[[nodiscard]] Dense dense_saint_backward(const LayerSpec& layer, const Parameters<double>& p, const Dense& a,
                                         const DenseSaint& tape, Dense dy, std::vector<double>& gradients);

}  // namespace strata::test
