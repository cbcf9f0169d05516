#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/dropout.hpp"

namespace strata::ref {

template <class T>
void dropout(double p, const DropoutKey& key, const NodeId* ids, MatrixView<const T> x, MatrixView<T> y) {
  STRATA_ASSERT(x.rows == y.rows && x.cols == y.cols && p >= 0 && p < 1);
  const std::uint32_t threshold = dropout_threshold(p);
  const std::uint32_t stream = key.layer << 8 | static_cast<std::uint32_t>(Stream::dropout);
  const T scale = dropout_scale<T>(threshold);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t c = 0; c < x.cols; ++c) {
      const Philox block = philox(key.seed, ids[i], static_cast<std::uint32_t>(c / 8), key.step, stream);
      const std::uint32_t lane = block.v[c % 8 / 2] >> (c % 2 * 16) & 0xFFFFu;
      y(i, c) = lane >= threshold ? x(i, c) * scale : T{0};
    }
  }
}

template void dropout(double, const DropoutKey&, const NodeId*, MatrixView<const float>, MatrixView<float>);
template void dropout(double, const DropoutKey&, const NodeId*, MatrixView<const double>, MatrixView<double>);

}  // namespace strata::ref
