// A model as a list of layers, each an `aggregate` (over in-edges) and a `transform` (dense, per row). What a layer
// computes follows from the model alone, never from budget or threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/options.hpp"
#include "engine/parameters.hpp"

namespace strata {

inline constexpr std::size_t kNoTensor = static_cast<std::size_t>(-1);
inline constexpr double kLayerNormEpsilon = 1e-5;       // PyTorch's
inline constexpr double kSmallLayerNormEpsilon = 1e-9;  // VR-GCN's, GraphSAINT's and IGLU's
inline constexpr double kBatchNormEpsilon = 1e-5;       // PyTorch's

// A norm that stands behind the activation.
struct NormSpec {
  NormKind kind = NormKind::none;
  double epsilon = kLayerNormEpsilon;
  std::size_t gain = kNoTensor, offset = kNoTensor;
  std::size_t mean = kNoTensor, variance = kNoTensor;  // batch norm's running statistics
};

// GraphSAINT's layer of order 1 in IGLU's variant (methods.md 1.2): B_0 = norm(act(X^{k-1} W_root^T)) and
// B_1 = norm(act(Z W^T)) without biases, side by side or added. The last layer holds the linear classifier too, without
// a bias, and emits logits: they step together (methods.md 2.3), so they are one group.
struct SaintSpec {
  std::size_t branch = 0;  // width of a branch; 0: a layer of another model
  bool sum = false;
  bool l2 = false;                     // the last layer: rows scaled to length 1 before ...
  double dropout = 0;                  // ... dropout on them, and ...
  std::size_t classifier = kNoTensor;  // ... this
  [[nodiscard]] std::size_t width() const { return sum ? branch : 2 * branch; }
};

// A layer of GCNII beside its aggregate: gcnii_tile.hpp has what it computes from Z and X^1, the rows of layer 1.
struct InitialResidual {
  double alpha = 0, beta = 0;      // shares of X^1, and of the weights beside the identity
  std::size_t weight = kNoTensor;  // the second one, of X^1; kNoTensor: one for both
};

// X^k = dropout(act(norm(P)) [+ X^{k-skip}]), P = Z W^T + b [+ X^{k-1} W_root^T], Z = A X^{k-1} (or X^{k-1} itself
// without aggregation). With transform_first the same map is read as P = Z + b [+ ...], Z = A (X^{k-1} W^T).
// Batch norm comes after the activation, as in IGLU (A.5): X^k = dropout(norm(act(P)) [+ ...]); so do saint's norms.
//
// Residuals come after the activation and before dropout (methods.md 13): alpha^k then goes on to X^{k-skip} unchanged
// but for the mask (Lemma 3). A layer that emits logits takes none.
struct LayerSpec {
  std::size_t in = 0, out = 0;
  Aggregation aggregation = Aggregation::none;
  bool transform_first = false;  // A (X W^T) instead of (A X) W^T: full batch, where the layer narrows
  bool has_norm = false;         // before the activation
  double norm_epsilon = kLayerNormEpsilon;
  std::size_t skip = 0;       // how many layers back the rows lie that are added to the output; 0: none
  bool skipped_over = false;  // layer k+1 adds X^{k-1}, which so has a gradient from there too
  std::size_t hops = 1;       // layer 1 only: Z = A^hops X^0 (sgc)
  Activation activation = Activation::none;
  double input_dropout = 0, output_dropout = 0;
  bool drops_root_input = false;  // input dropout has a mask for X^{k-1} at the root term as well
  std::size_t group = 0;
  // indices into Parameters::tensors(); kNoTensor if the layer has none
  std::size_t weight = kNoTensor, bias = kNoTensor, root_weight = kNoTensor, norm_gain = kNoTensor,
              norm_offset = kNoTensor;
  std::optional<InitialResidual> initial;  // gcnii: P is another function of Z, and of X^1
  std::array<NormSpec, 2> after;           // behind the activation; of saint those of branches 0 and 1
  SaintSpec saint;

  [[nodiscard]] bool has_root() const { return root_weight != kNoTensor; }
  [[nodiscard]] bool is_saint() const { return saint.branch > 0; }
  [[nodiscard]] bool activates_first() const { return is_saint() || after[0].kind != NormKind::none; }
  [[nodiscard]] bool has_batch_norm() const { return after[0].kind == NormKind::batch; }
  // Columns of its batch norm.
  [[nodiscard]] std::size_t norm_columns() const { return is_saint() ? 2 * saint.branch : out; }
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
  [[nodiscard]] bool has_batch_norm() const;
};

// Throws UsageError for what does not exist (a model without classes, zero layers, ...). Method sgc: one linear layer
// on A^K X^0 under the names of PyG's SGConv.
[[nodiscard]] Model build_model(const ModelOptions& options, MethodKind method, std::size_t features,
                                std::size_t classes);

// The norm of the hidden rows: what the options say, or the model's own.
[[nodiscard]] NormKind norm_of(const ModelOptions& options);

}  // namespace strata
