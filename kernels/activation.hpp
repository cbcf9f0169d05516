// Elementwise activations and their derivative at the pre-activation z (methods.md 1.1):
// ReLU' = [z > 0]; LeakyReLU slope 0.2; ELU' = 1 or e^z; GELU = z Phi(z) (exact, erf), GELU' = Phi(z) + z phi(z);
// sigmoid' = s (1 - s). y and z (dz and dy) may be the same matrix.
#pragma once

#include "kernels/base/types.hpp"

namespace strata {
const char* activation_name(Activation activation);
[[nodiscard]] bool parse_activation(const char* name, Activation& activation);

namespace ref {
template <class T>
void activation_forward(Activation f, MatrixView<const T> z, MatrixView<T> y);
// dz = dy * f'(z)
template <class T>
void activation_backward(Activation f, MatrixView<const T> z, MatrixView<const T> dy, MatrixView<T> dz);
}  // namespace ref
namespace cpu {
template <class T>
void activation_forward(Activation f, MatrixView<const T> z, MatrixView<T> y);
template <class T>
void activation_backward(Activation f, MatrixView<const T> z, MatrixView<const T> dy, MatrixView<T> dz);
}  // namespace cpu
}  // namespace strata
