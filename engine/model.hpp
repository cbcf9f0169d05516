// A model as a list of layers, each an `aggregate` (over in-edges) and a `transform` (dense, per row). What a layer
// computes follows from the model alone, never from budget or threads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/options.hpp"
#include "engine/parameters.hpp"

namespace strata {

inline constexpr std::size_t kNoTensor = static_cast<std::size_t>(-1);

// A layer of GCNII beside its aggregate: gcnii_tile.hpp has what it computes from Z and X^1, the rows of layer 1.
struct InitialResidual {
  double alpha = 0, beta = 0;      // shares of X^1, and of the weights beside the identity
  std::size_t weight = kNoTensor;  // the second one, of X^1; kNoTensor: one for both
};

// X^k = dropout(act(norm(P)) [+ X^{k-skip}]), P = Z W^T + b [+ X^{k-1} W_root^T], Z = A X^{k-1} (or X^{k-1} itself
// without aggregation). With transform_first the same map is read as P = Z + b [+ ...], Z = A (X^{k-1} W^T).
//
// Residuals come after the activation and before dropout (methods.md 13): alpha^k then goes on to X^{k-skip} unchanged
// but for the mask (Lemma 3). A layer that emits logits takes none.
struct LayerSpec {
  std::size_t in = 0, out = 0;
  Aggregation aggregation = Aggregation::none;
  bool transform_first = false;  // A (X W^T) instead of (A X) W^T: full batch, where the layer narrows
  bool has_norm = false;
  std::size_t skip = 0;       // how many layers back the rows lie that are added to the output; 0: none
  bool skipped_over = false;  // layer k+1 adds X^{k-1}, which so has a gradient from there too
  std::size_t hops = 1;       // layer 1 only: Z = A^hops X^0 (sgc)
  Activation activation = Activation::none;
  double input_dropout = 0, output_dropout = 0;
  std::size_t group = 0;
  // indices into Parameters::tensors(); kNoTensor if the layer has none
  std::size_t weight = kNoTensor, bias = kNoTensor, root_weight = kNoTensor, norm_gain = kNoTensor,
              norm_offset = kNoTensor;
  std::optional<InitialResidual> initial;  // gcnii: P is another function of Z, and of X^1

  [[nodiscard]] bool has_root() const { return root_weight != kNoTensor; }
  [[nodiscard]] bool aggregates() const { return aggregation != Aggregation::none; }
  // A residual leads past this layer to its input X^{k-1}: its own, or the next layer's.
  [[nodiscard]] bool passed() const { return skip == 1 || skipped_over; }
  [[nodiscard]] std::size_t z_width() const { return transform_first ? out : in; }
};

struct Model {
  std::vector<LayerSpec> layers;  // layers[k-1] is layer k; with a linear head the last entry is the head
  bool has_head = false;          // the last layer is a linear classifier (group "head")
  std::size_t classes = 0;
  std::vector<TensorSpec> tensors;
  std::vector<std::string> group_names;

  [[nodiscard]] bool uses_graph() const;
  [[nodiscard]] Aggregation aggregation() const;  // that of all layers that aggregate; none if no layer does
  [[nodiscard]] bool has_dropout() const;
};

// Throws UsageError for what does not exist (a model without classes, zero layers, ...). Method sgc: one linear layer
// on A^K X^0 under the names of PyG's SGConv.
[[nodiscard]] Model build_model(const ModelOptions& options, MethodKind method, std::size_t features,
                                std::size_t classes);

inline constexpr double kLayerNormEpsilon = 1e-5;  // PyTorch's

}  // namespace strata
