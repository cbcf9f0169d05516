// The aggregating layer of GCNII (Chen et al. 2020) on one tile of rows; LayerTile has the rest (norm, activation,
// mask). Formulas: methods.md 1.2. Beside Z = A X^{k-1} the layer reads X^1, the output of the input layer, at the same
// rows:
//
//   S = (1 - a) Z,  R = a X^1
//   shared weights:   T = S + R,  P = (1 - b) T + b T W
//   two of them:      P = (1 - b) (S + R) + b (S W + R W2)
//
// The weights lie as PyG's GCN2Conv has them, (in, out), to be multiplied from the right: transposed, for linear.hpp.
// All matrices are whole tiles, kChunkRows rows, those beyond the tile's own zero.
#pragma once

#include "engine/model.hpp"
#include "engine/parameters.hpp"

namespace strata {

template <class T>
struct GcniiLayer {
  GcniiLayer(const LayerSpec& layer, const Parameters<T>& parameters);

  T alpha, beta;
  bool shared;
  MatrixView<const T> weight, weight2;  // the second only if not shared
};

// In place, before the others: z <- T if the weights are shared (x is then free); else z <- S, x <- R.
template <class T>
void gcnii_mix(const GcniiLayer<T>& layer, MatrixView<T> z, MatrixView<T> x);
// pre <- P, from what gcnii_mix left.
template <class T>
void gcnii_forward(const GcniiLayer<T>& layer, MatrixView<const T> z, MatrixView<const T> x, MatrixView<T> pre);
// dweight (and dweight2 if not shared) <- the weights' gradients, from the one at P and what gcnii_mix left.
template <class T>
void gcnii_backward_weights(const GcniiLayer<T>& layer, MatrixView<const T> dpre, MatrixView<const T> z,
                            MatrixView<const T> x, MatrixView<T> dweight, MatrixView<T> dweight2);
// dz <- gradient at Z, dx <- this layer's share of the gradient at X^1.
template <class T>
void gcnii_backward_inputs(const GcniiLayer<T>& layer, MatrixView<const T> dpre, MatrixView<T> dz, MatrixView<T> dx);

}  // namespace strata
