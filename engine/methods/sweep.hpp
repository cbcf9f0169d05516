// The forward rows of all layers, X^k and Z^k: what every sweep fills and every pass reads. Each has a train part, the
// rows of A_k, and an eval part, those of D_k, which only a sweep for evaluation fills.
#pragma once

#include <memory>
#include <vector>

#include "engine/layer_pass.hpp"
#include "engine/session.hpp"

namespace strata {

// What a sweep covers.
enum class SweepParts : std::uint8_t { train, all };

template <class T>
class ForwardRows {
 public:
  // keep_hidden: X of every layer is wanted as it is, not only to be aggregated. sets must outlive this. use: over
  // which of the session's graphs.
  ForwardRows(Session<T>& session, const ActiveSets& sets, bool keep_hidden, GraphUse use = GraphUse::training);

  // X^k of layer index l from its inputs; masks are for the train part. Where nobody but the next layer's aggregation
  // wants X, its columns go straight into that product's memory: aggregate(l + 1) of the same parts must come next.
  void transform(std::size_t layer, const Masks& masks, SweepParts parts);
  // Z of layer index l (> 0) from X of l - 1; nothing for a layer that does not aggregate.
  void aggregate(std::size_t layer, SweepParts parts);
  // Both, for layers [0, last), and the aggregate of layer `last`, if there is one.
  void sweep(std::size_t last, const Masks& masks, SweepParts parts);

  // Whether evaluation touches rows that training does not.
  [[nodiscard]] bool has_eval_rows() const { return has_eval_rows_; }
  [[nodiscard]] LayerInputs inputs(std::size_t layer, RowPart part = RowPart::train) const;
  // X of layer index l, train part; only where stores_x.
  [[nodiscard]] const RowStore& x(std::size_t layer) const { return x_[layer].train; }
  [[nodiscard]] bool stores_x(std::size_t layer) const;
  // By node: X of layer index l (where it is stored), the last one being the logits.
  [[nodiscard]] RowSource by_node(std::size_t layer) const;
  [[nodiscard]] RowSource logits() const { return by_node(x_.size() - 1); }

 private:
  struct Parts {
    RowStore train, eval;  // empty handles where there is nothing
    [[nodiscard]] const RowStore& part(RowPart p) const { return p == RowPart::train ? train : eval; }
    [[nodiscard]] RowStore& part(RowPart p) { return p == RowPart::train ? train : eval; }
  };
  [[nodiscard]] const RowMap& map(std::size_t layer) const { return sets_.layer(layer + 1); }
  [[nodiscard]] RowSource input_rows(std::size_t layer, std::size_t back, RowPart part) const;
  [[nodiscard]] std::unique_ptr<ExternalSpmm<T>> make_product(std::size_t layer, std::size_t cols, SweepParts parts);
  void aggregate_projected(std::size_t layer, SweepParts parts);

  Session<T>& session_;
  const ActiveSets& sets_;
  bool keep_hidden_, has_eval_rows_ = false;
  GraphUse use_;
  std::string suffix_;                        // of the row stores' names: no two of a session may have the same
  std::vector<Parts> x_;                      // by layer index; the last one holds the logits
  std::vector<Parts> z_;                      // none for layer 0 and for layers that do not aggregate
  std::unique_ptr<ExternalSpmm<T>> product_;  // of the next layer, which holds columns of the last X already
};

extern template class ForwardRows<float>;
extern template class ForwardRows<double>;

}  // namespace strata
