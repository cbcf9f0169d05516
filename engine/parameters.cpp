#include "engine/parameters.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/optimizer.hpp"

namespace strata {

namespace {

template <class T>
void initialise(const TensorSpec& spec, std::uint32_t index, std::uint64_t seed, T* values) {
  const std::size_t n = spec.size();
  if (spec.init != Init::glorot) {
    std::fill_n(values, n, spec.init == Init::one ? T{1} : T{0});
    return;
  }
  const std::size_t fan_in = spec.fan_in != 0 ? spec.fan_in : spec.shape[1];
  const double bound = std::sqrt(6.0 / static_cast<double>(spec.shape[0] + fan_in));
  for (std::size_t i = 0; i < n; ++i) {
    const Philox draw = philox(seed, static_cast<std::uint32_t>(i / 4), static_cast<std::uint32_t>(i >> 34), index,
                               static_cast<std::uint32_t>(Stream::init));
    const double uniform = (draw.v[i % 4] + 0.5) * 0x1p-32;
    values[i] = static_cast<T>(static_cast<float>((2 * uniform - 1) * bound));
  }
}

}  // namespace

template <class T>
Parameters<T>::Parameters(std::vector<TensorSpec> specs, std::vector<std::string> group_names, std::uint64_t seed,
                          MemoryBudget& budget)
    : specs_(std::move(specs)),
      group_names_(std::move(group_names)),
      ranges_(group_names_.size()),
      steps_(group_names_.size(), 0) {
  std::size_t total = 0;
  std::size_t group = 0;
  for (TensorSpec& spec : specs_) {
    if (spec.group == kNoGroup) continue;
    STRATA_ASSERT(spec.group >= group && spec.group < group_names_.size());
    if (spec.group != group || total == 0) ranges_[spec.group].first = total;
    group = spec.group;
    spec.offset = total;
    total += spec.size();
    ranges_[group].second = total;
  }
  for (TensorSpec& spec : specs_) {
    if (spec.group != kNoGroup) continue;
    spec.offset = total;
    total += spec.size();
  }
  values_ = Array<T>(budget, total, "parameters");
  gradients_ = Array<T>(budget, total, "gradients of the parameters");
  m_ = Array<T>(budget, total, "optimiser moments");
  v_ = Array<T>(budget, total, "optimiser moments");
  for (std::uint32_t i = 0; i < specs_.size(); ++i) initialise(specs_[i], i, seed, values_.data() + specs_[i].offset);
}

template <class T>
MatrixView<const T> Parameters<T>::matrix(std::size_t tensor) const {
  const TensorSpec& spec = specs_[tensor];
  const std::size_t cols = spec.shape.back();
  return {values_.data() + spec.offset, spec.size() / cols, cols};
}

template <class T>
void Parameters<T>::zero_gradients(std::size_t group) {
  const auto [first, last] = ranges_[group];
  std::fill(gradients_.begin() + first, gradients_.begin() + last, T{0});
}

namespace {

template <class T>
void clip_norm(std::span<T> gradients, double limit) {
  double sum = 0;
  for (const T g : gradients) sum += static_cast<double>(g) * static_cast<double>(g);
  const double norm = std::sqrt(sum);
  if (norm <= limit) return;
  const T factor = static_cast<T>(limit / (norm + 1e-6));
  for (T& g : gradients) g *= factor;
}

}  // namespace

template <class T>
void Parameters<T>::step(const OptimizerOptions& options, double rate, std::size_t first_group, std::size_t last_group,
                         double gradient_scale) {
  if (options.clip > 0) {
    const std::size_t first = ranges_[first_group].first;
    const std::size_t last = ranges_[last_group - 1].second;
    clip_norm(gradients_.span().subspan(first, last - first), options.clip * gradient_scale);
  }
  for (std::size_t g = first_group; g < last_group; ++g) {
    const auto [first, last] = ranges_[g];
    const double decay = options.decay_first_layer_only && g != 0 ? 0.0 : options.weight_decay * gradient_scale;
    const std::uint64_t t = ++steps_[g];
    if (options.kind == OptimizerKind::sgd) {
      cpu::sgd_step<T>(rate, decay, last - first, values_.data() + first, gradients_.data() + first);
      continue;
    }
    AdamOptions adam;
    adam.lr = rate;
    adam.weight_decay = decay;
    adam.tensorflow_epsilon = options.kind == OptimizerKind::adam_tf;
    cpu::adam_step<T>(adam, t, last - first, values_.data() + first, gradients_.data() + first, m_.data() + first,
                      v_.data() + first);
  }
}

template class Parameters<float>;
template class Parameters<double>;

}  // namespace strata
