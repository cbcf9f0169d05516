// The rows of a layer: which node each row of X^k, Z^k and alpha^k belongs to. The members of A_k (what training
// touches) come first, ascending, then those of D_k (what only evaluation touches), ascending.
#pragma once

#include <memory>

#include "engine/node_set.hpp"
#include "kernels/spmm.hpp"

namespace strata {

enum class RowPart : std::uint8_t { train, eval };

class RowMap {
 public:
  RowMap() = default;                  // of no nodes
  RowMap(NodeSet train, NodeSet eval)  // disjoint sets of the same nodes
      : train_(std::move(train)), eval_(std::move(eval)) {}
  [[nodiscard]] static RowMap identity(std::uint64_t nodes) { return {NodeSet::all(nodes), NodeSet::none(nodes)}; }

  // Row i is node i.
  [[nodiscard]] bool is_identity() const { return train_.is_all(); }
  [[nodiscard]] std::uint64_t nodes() const { return train_.nodes(); }  // of the graph
  [[nodiscard]] NodeId train_rows() const { return train_.size(); }
  [[nodiscard]] NodeId eval_rows() const { return eval_.size(); }
  [[nodiscard]] NodeId all_rows() const { return train_.size() + eval_.size(); }
  [[nodiscard]] const NodeSet& part(RowPart part) const { return part == RowPart::train ? train_ : eval_; }
  // The row of a part's first member.
  [[nodiscard]] NodeId first_row(RowPart part) const { return part == RowPart::train ? 0 : train_.size(); }

  // kNoRow: the layer has no row for this node.
  [[nodiscard]] std::uint32_t row_of(NodeId id) const {
    if (train_.contains(id)) return train_.rank(id);
    return eval_.size() != 0 && eval_.contains(id) ? train_.size() + eval_.rank(id) : kNoRow;
  }
  // The same for ascending ids; train_only: kNoRow for the rows of D_k too.
  void rows_of(std::span<const NodeId> ids, bool train_only, std::span<std::uint32_t> out) const;
  // The nodes of rows [first_row, first_row + out.size()).
  void nodes(std::size_t first_row, std::span<NodeId> out) const;

 private:
  NodeSet train_, eval_;
};

}  // namespace strata
