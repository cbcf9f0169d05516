// Dense streams over the rows of one layer (design section 5): read what the layer's transform needs, compute a tile at
// a time on all workers, write rows back, add parameter gradients in tile order.
#pragma once

#include <span>

#include "engine/external_spmm.hpp"
#include "engine/initial_gradient.hpp"
#include "engine/layer_tile.hpp"
#include "engine/read_ahead.hpp"
#include "engine/session.hpp"

namespace strata {

// Where a layer's rows come from: z is the aggregate Z^k (or X^{k-1} for a layer that does not aggregate), root is
// X^{k-1} for a layer with a root term, else null; skip is X^{k-skip} for a layer with a residual, which only forward
// passes read; initial is X^1 for a layer with an initial residual.
struct LayerInputs {
  RowSource z, root, skip, initial;
};

// out <- X^k for the rows (a whole part). With Masks::batch and batch norm the statistics of these rows come first.
template <class T>
void forward_pass(Session<T>& session, std::size_t layer, const PassRows& rows, const LayerInputs& inputs,
                  const Masks& masks, const RowSink<T>& out);

template <class T>
struct BackwardPass {
  std::size_t layer = 0;
  const RowMap* map = nullptr;  // of its rows; null: the session's for this layer
  LayerInputs inputs;
  Masks masks;
  // X^k of this very forward, rows kept exactly, where LayerTile::output_suffices: spares recomputing it. Changes no
  // bit.
  const RowStore* output = nullptr;
  bool statistics_known = false;    // batch norm: the session's statistics are those of these rows
  const RowStore* alpha = nullptr;  // gradient at the layer's output; null: the loss at its logits
  RowSource above;                  // alpha^{k+1}, where layer k+1 skips over this one and `below` is wanted
  T loss_scale = 1;                 // the loss is loss_scale * sum over training rows
  const std::vector<std::uint32_t>* rows = nullptr;  // of the layer's train part, ascending; null: all
  bool parameters = false;                           // add this pass's gradients to the session's (zero them before)
  RowSink<T> dz;                                     // gradient at the aggregate, all rows; empty: not wanted
  RowStore* dx = nullptr;     // gradient at X^{k-1} beside the aggregate: root term, residual; all rows
  InitialGradient initial;    // of a layer with an initial residual, where `below` is wanted
  ReadAhead* scan = nullptr;  // of the scan over many batches that this one is a part of

  [[nodiscard]] bool wants_inputs() const {
    return dz.store != nullptr || dz.spmm != nullptr || dx != nullptr || initial.store != nullptr;
  }
};

struct PassTotals {
  double loss_sum = 0;        // unscaled loss of the training rows (alpha == null)
  std::uint64_t counted = 0;  // training rows
  double inner = 0;           // sum of <alpha_i, X_i> over the rows (alpha != null)
  std::uint64_t rows = 0;
};

// The steps of one layer's mini-batches as one pass over its rows: what they read is read ahead from batch to batch.
// batches: ascending rows of the layer's train part each, in their order.
template <class T>
class StepScan {
 public:
  StepScan(Session<T>& session, std::size_t layer, const LayerInputs& inputs, const RowStore* alpha,
           const std::vector<std::vector<std::uint32_t>>& batches);
  // False in a dry run: take no step.
  [[nodiscard]] bool begin() { return scope_.begin(); }
  [[nodiscard]] ReadAhead* ahead() { return &ahead_; }

 private:
  Schedule::Scope scope_;
  ReadAhead ahead_;
};

template <class T>
PassTotals backward_pass(Session<T>& session, const BackwardPass<T>& pass);

// The same over all rows, with the gradient at the layer's input rows X^{k-1} (x where the layer transforms first, the
// train part of layer k-1's map) written to `below` (null: not wanted): through the transposed aggregation, plus the
// root term, plus the residual that leads past the layer, or (layer 2) what was gathered of X^1, added in T after the
// sum. pass.dz and pass.dx are set here.
template <class T>
PassTotals backward_to_inputs(Session<T>& session, BackwardPass<T> pass, const RowStore* x, RowStore* below);

}  // namespace strata
