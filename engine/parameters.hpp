// The model's parameters, their gradients and the optimiser's moments, in flat arrays charged to the budget.
// Tensors of a group (what steps together: a layer, or the head) lie side by side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/options.hpp"
#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"

namespace strata {

enum class Init : std::uint8_t { zero, one, glorot };  // glorot: uniform +-sqrt(6 / (in + out)), weights are (out, in)

// Values that belong to the model but are no parameters: no optimiser steps them, the engine sets them (running
// statistics). They lie behind those of all groups.
inline constexpr std::size_t kNoGroup = static_cast<std::size_t>(-1);

struct TensorSpec {
  std::string name;  // PyG's own, e.g. convs.0.lin.weight
  std::vector<std::size_t> shape;
  std::size_t group = 0;
  Init init = Init::zero;
  std::size_t offset = 0;  // into the flat arrays, in elements
  std::size_t fan_in = 0;  // of the whole map that this weight is a part of; 0: shape[1]
  [[nodiscard]] std::size_t size() const {
    std::size_t n = 1;
    for (const std::size_t d : shape) n *= d;
    return n;
  }
};

template <class T>
class Parameters {
 public:
  // specs: in group order, those of kNoGroup anywhere. group_names[g]: "layer1", ..., "head". Values are initialised
  // from (seed, tensor index).
  Parameters(std::vector<TensorSpec> specs, std::vector<std::string> group_names, std::uint64_t seed,
             MemoryBudget& budget);

  [[nodiscard]] const std::vector<TensorSpec>& tensors() const { return specs_; }
  [[nodiscard]] std::size_t groups() const { return group_names_.size(); }
  [[nodiscard]] const std::string& group_name(std::size_t g) const { return group_names_[g]; }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] std::span<T> values() const { return values_.span(); }
  [[nodiscard]] std::span<T> gradients() const { return gradients_.span(); }
  [[nodiscard]] std::span<T> first_moments() const { return m_.span(); }
  [[nodiscard]] std::span<T> second_moments() const { return v_.span(); }
  [[nodiscard]] std::vector<std::uint64_t>& steps() { return steps_; }  // optimiser steps taken, per group
  // [first, last) element of a group.
  [[nodiscard]] std::pair<std::size_t, std::size_t> group_range(std::size_t g) const { return ranges_[g]; }

  [[nodiscard]] T* value(std::size_t tensor) const { return values_.data() + specs_[tensor].offset; }
  // A tensor as a (rows, cols) matrix; vectors are 1 x n.
  [[nodiscard]] MatrixView<const T> matrix(std::size_t tensor) const;

  void zero_gradients(std::size_t group);
  // One optimiser step of `groups` [first, last) at the given learning rate; clips the norm over them first if asked.
  // gradient_scale: how many times larger the gradients are than those of the mean loss; weight decay and the clipping
  // norm are meant for the mean loss and grow with it.
  void step(const OptimizerOptions& options, double rate, std::size_t first_group, std::size_t last_group,
            double gradient_scale = 1.0);

 private:
  std::vector<TensorSpec> specs_;
  std::vector<std::string> group_names_;
  std::vector<std::pair<std::size_t, std::size_t>> ranges_;
  std::vector<std::uint64_t> steps_;
  Array<T> values_, gradients_, m_, v_;
};

extern template class Parameters<float>;
extern template class Parameters<double>;

}  // namespace strata
