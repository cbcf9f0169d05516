// A set of nodes as bits with a rank directory: N/8 * 1.0625 bytes, charged to the budget; nothing when it has no
// member or all.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/base/budget.hpp"
#include "kernels/base/types.hpp"

namespace strata {

// Bits being set: bit b of word w is node 64 w + b. Words come in lines of eight; bits from `nodes` on stay clear.
class NodeBits {
 public:
  NodeBits() = default;
  NodeBits(std::uint64_t nodes, MemoryBudget& budget, const std::string& what);
  // Words as words() gave them; bits from `nodes` on must be clear.
  NodeBits(std::uint64_t nodes, Array<std::uint64_t> words);
  [[nodiscard]] static std::uint64_t word_count(std::uint64_t nodes) { return round_up(divide_up(nodes, 64), 8); }

  [[nodiscard]] std::uint64_t nodes() const { return nodes_; }
  [[nodiscard]] bool contains(NodeId id) const { return (words_[id / 64] >> (id % 64) & 1) != 0; }
  void insert(NodeId id);  // any threads at a time
  void insert(std::span<const NodeId> ids);
  void unite(const NodeBits& other);
  void subtract(const NodeBits& other);
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] bool any(NodeId first, std::uint64_t count) const;  // of the nodes [first, first + count)
  [[nodiscard]] std::span<std::uint64_t> words() const { return words_.span(); }

 private:
  std::uint64_t nodes_ = 0;
  Array<std::uint64_t> words_;
};

class NodeSet {
 public:
  NodeSet() = default;  // of no nodes
  NodeSet(NodeBits bits, MemoryBudget& budget);
  [[nodiscard]] static NodeSet all(std::uint64_t nodes);
  [[nodiscard]] static NodeSet none(std::uint64_t nodes);

  [[nodiscard]] std::uint64_t nodes() const { return nodes_; }
  [[nodiscard]] NodeId size() const { return size_; }
  [[nodiscard]] bool is_all() const { return size_ == nodes_; }
  [[nodiscard]] bool contains(NodeId id) const { return bits_.nodes() != 0 ? bits_.contains(id) : size_ != 0; }
  // Members below id; id in [0, nodes()].
  [[nodiscard]] NodeId rank(NodeId id) const;
  // Of ascending ids: the rank of each member, `absent` for the others.
  void ranks(std::span<const NodeId> ids, std::uint32_t absent, std::span<std::uint32_t> out) const;
  // The members of ranks [first_rank, first_rank + out.size()), ascending.
  void members(std::size_t first_rank, std::span<NodeId> out) const;
  // The members in [first, first + count), ascending, each less `first`; out is as long as there are some.
  void members_in(NodeId first, std::uint64_t count, std::span<std::uint32_t> out) const;
  // Empty when the set has no member or all.
  [[nodiscard]] std::span<const std::uint64_t> words() const { return bits_.words(); }

 private:
  std::uint64_t nodes_ = 0;
  NodeId size_ = 0;
  NodeBits bits_;
  Array<std::uint32_t> before_;  // [line of eight words]: members before it; one more entry at the end
};

}  // namespace strata
