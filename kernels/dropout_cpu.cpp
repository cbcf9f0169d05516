#include "kernels/dropout.hpp"

namespace strata::cpu {

template <class T>
void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const T> x, MatrixView<T> y) {
  return ref::dropout<T>(p, key, ids, x, y);
}

template void dropout(double, const DropoutKey&, const NodeId*, MatrixView<const float>, MatrixView<float>);
template void dropout(double, const DropoutKey&, const NodeId*, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::cpu
