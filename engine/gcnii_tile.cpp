#include "engine/gcnii_tile.hpp"

#include "kernels/base/error.hpp"
#include "kernels/linear.hpp"

namespace strata {

namespace {

// out(i, c) <- value(i, c), row by row.
template <class T, class Value>
void fill(MatrixView<T> out, Value&& value) {
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t c = 0; c < out.cols; ++c) out(i, c) = value(i, c);
  }
}

template <class T>
void scale(T factor, MatrixView<T> m) {
  fill(m, [&](std::size_t i, std::size_t c) { return factor * m(i, c); });
}

}  // namespace

template <class T>
GcniiLayer<T>::GcniiLayer(const LayerSpec& layer, const Parameters<T>& parameters)
    : alpha(static_cast<T>(layer.initial->alpha)),
      beta(static_cast<T>(layer.initial->beta)),
      shared(layer.initial->weight == kNoTensor),
      weight(parameters.matrix(layer.weight)) {
  if (!shared) weight2 = parameters.matrix(layer.initial->weight);
}

template <class T>
void gcnii_mix(const GcniiLayer<T>& layer, MatrixView<T> z, MatrixView<T> x) {
  const T own = 1 - layer.alpha;
  if (layer.shared) {
    fill(z, [&](std::size_t i, std::size_t c) { return own * z(i, c) + layer.alpha * x(i, c); });
    return;
  }
  scale(own, z);
  scale(layer.alpha, x);
}

template <class T>
void gcnii_forward(const GcniiLayer<T>& layer, MatrixView<const T> z, MatrixView<const T> x, MatrixView<T> pre) {
  const T identity = 1 - layer.beta;
  cpu::linear_backward_input<T>(z, layer.weight, pre, false);
  if (layer.shared) {
    fill(pre, [&](std::size_t i, std::size_t c) { return identity * z(i, c) + layer.beta * pre(i, c); });
    return;
  }
  cpu::linear_backward_input<T>(x, layer.weight2, pre, true);
  fill(pre, [&](std::size_t i, std::size_t c) { return identity * (z(i, c) + x(i, c)) + layer.beta * pre(i, c); });
}

template <class T>
void gcnii_backward_weights(const GcniiLayer<T>& layer, MatrixView<const T> dpre, MatrixView<const T> z,
                            MatrixView<const T> x, MatrixView<T> dweight, MatrixView<T> dweight2) {
  cpu::linear_backward_weight<T>(z, dpre, dweight, false);
  scale(layer.beta, dweight);
  if (layer.shared) return;
  cpu::linear_backward_weight<T>(x, dpre, dweight2, false);
  scale(layer.beta, dweight2);
}

template <class T>
void gcnii_backward_inputs(const GcniiLayer<T>& layer, MatrixView<const T> dpre, MatrixView<T> dz, MatrixView<T> dx) {
  const T identity = 1 - layer.beta, own = 1 - layer.alpha;
  cpu::linear_forward<T>(dpre, layer.weight, nullptr, dz, false);
  if (!layer.shared) cpu::linear_forward<T>(dpre, layer.weight2, nullptr, dx, false);
  const MatrixView<T> through = layer.shared ? dz : dx;  // what W, or W2, leads back
  for (std::size_t i = 0; i < dz.rows; ++i) {
    for (std::size_t c = 0; c < dz.cols; ++c) {
      const T past = identity * dpre(i, c);
      dx(i, c) = layer.alpha * (past + layer.beta * through(i, c));
      dz(i, c) = own * (past + layer.beta * dz(i, c));
    }
  }
}

#define STRATA_INSTANTIATE(T)                                                                                    \
  template struct GcniiLayer<T>;                                                                                 \
  template void gcnii_mix<T>(const GcniiLayer<T>&, MatrixView<T>, MatrixView<T>);                                \
  template void gcnii_forward<T>(const GcniiLayer<T>&, MatrixView<const T>, MatrixView<const T>, MatrixView<T>); \
  template void gcnii_backward_weights<T>(const GcniiLayer<T>&, MatrixView<const T>, MatrixView<const T>,        \
                                          MatrixView<const T>, MatrixView<T>, MatrixView<T>);                    \
  template void gcnii_backward_inputs<T>(const GcniiLayer<T>&, MatrixView<const T>, MatrixView<T>, MatrixView<T>);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
