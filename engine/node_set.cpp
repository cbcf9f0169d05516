#include "engine/node_set.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

constexpr std::size_t kLineWords = 8;
constexpr std::size_t kLineNodes = kLineWords * 64;

std::uint64_t below(std::uint64_t bit) { return (std::uint64_t{1} << bit) - 1; }  // bit < 64

NodeId popcount(std::uint64_t word) { return static_cast<NodeId>(std::popcount(word)); }

}  // namespace

NodeBits::NodeBits(std::uint64_t nodes, MemoryBudget& budget, const std::string& what)
    : nodes_(nodes), words_(budget, word_count(nodes), what) {}

NodeBits::NodeBits(std::uint64_t nodes, Array<std::uint64_t> words) : nodes_(nodes), words_(std::move(words)) {
  STRATA_ASSERT(words_.size() == word_count(nodes));
}

void NodeBits::insert(NodeId id) {
  const std::atomic_ref<std::uint64_t> word(words_[id / 64]);
  const std::uint64_t bit = std::uint64_t{1} << (id % 64);
  if ((word.load(std::memory_order_relaxed) & bit) == 0) word.fetch_or(bit, std::memory_order_relaxed);
}

void NodeBits::insert(std::span<const NodeId> ids) {
  for (const NodeId id : ids) words_[id / 64] |= std::uint64_t{1} << (id % 64);
}

void NodeBits::unite(const NodeBits& other) {
  STRATA_ASSERT(other.nodes_ == nodes_);
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
}

void NodeBits::subtract(const NodeBits& other) {
  STRATA_ASSERT(other.nodes_ == nodes_);
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= ~other.words_[w];
}

std::uint64_t NodeBits::count() const {
  return std::transform_reduce(words_.begin(), words_.end(), std::uint64_t{0}, std::plus<>(), popcount);
}

bool NodeBits::any(NodeId first, std::uint64_t count) const {
  const std::uint64_t end = first + count;
  for (std::uint64_t id = first; id < end;) {
    std::uint64_t word = words_[id / 64] >> (id % 64);
    const std::uint64_t left = std::min<std::uint64_t>(64 - id % 64, end - id);
    if (left < 64) word &= below(left);
    if (word != 0) return true;
    id += left;
  }
  return false;
}

NodeSet::NodeSet(NodeBits bits, MemoryBudget& budget) : nodes_(bits.nodes()), size_(0) {
  size_ = static_cast<NodeId>(bits.count());
  if (size_ == 0 || size_ == nodes_) return;
  bits_ = std::move(bits);
  const std::span<const std::uint64_t> words = bits_.words();
  const std::size_t lines = words.size() / kLineWords;
  before_ = Array<std::uint32_t>(budget, lines + 1, "ranks of a set of nodes");
  for (std::size_t line = 0; line < lines; ++line) {
    NodeId members = before_[line];
    for (std::size_t w = line * kLineWords; w < (line + 1) * kLineWords; ++w) members += popcount(words[w]);
    before_[line + 1] = members;
  }
}

NodeSet NodeSet::all(std::uint64_t nodes) {
  NodeSet set;
  set.nodes_ = nodes;
  set.size_ = static_cast<NodeId>(nodes);
  return set;
}

NodeSet NodeSet::none(std::uint64_t nodes) {
  NodeSet set;
  set.nodes_ = nodes;
  return set;
}

NodeId NodeSet::rank(NodeId id) const {
  STRATA_ASSERT(id <= nodes_);
  if (bits_.nodes() == 0) return size_ == 0 ? 0 : id;
  const std::span<const std::uint64_t> words = bits_.words();
  NodeId rank = before_[id / kLineNodes];
  for (std::size_t w = id / kLineNodes * kLineWords; w < id / 64; ++w) rank += popcount(words[w]);
  return id % 64 == 0 ? rank : rank + popcount(words[id / 64] & below(id % 64));
}

void NodeSet::ranks(std::span<const NodeId> ids, std::uint32_t absent, std::span<std::uint32_t> out) const {
  STRATA_ASSERT(ids.size() == out.size());
  if (bits_.nodes() == 0) {
    if (size_ == 0) {
      std::fill(out.begin(), out.end(), absent);
    } else {
      std::copy(ids.begin(), ids.end(), out.begin());
    }
    return;
  }
  const std::span<const std::uint64_t> words = bits_.words();
  std::size_t word = 0;  // `rank` members are before it
  NodeId rank = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::size_t at = ids[i] / 64;
    if (at >= word + kLineWords) {
      word = at / kLineWords * kLineWords;
      rank = before_[at / kLineWords];
    }
    for (; word < at; ++word) rank += popcount(words[word]);
    const std::uint64_t bit = ids[i] % 64;
    out[i] = (words[at] >> bit & 1) != 0 ? rank + popcount(words[at] & below(bit)) : absent;
  }
}

void NodeSet::members(std::size_t first_rank, std::span<NodeId> out) const {
  STRATA_ASSERT(first_rank + out.size() <= size_);
  if (out.empty()) return;
  if (bits_.nodes() == 0) {
    std::iota(out.begin(), out.end(), static_cast<NodeId>(first_rank));
    return;
  }
  const std::span<const std::uint64_t> words = bits_.words();
  // The last line with at most first_rank members before it, then the word, then the bit.
  const auto line = std::upper_bound(before_.begin(), before_.end(), first_rank) - before_.begin() - 1;
  std::size_t w = static_cast<std::size_t>(line) * kLineWords;
  std::size_t skip = first_rank - before_[static_cast<std::size_t>(line)];
  for (; skip >= popcount(words[w]); ++w) skip -= popcount(words[w]);
  std::uint64_t word = words[w];
  for (; skip > 0; --skip) word &= word - 1;
  for (NodeId& id : out) {
    while (word == 0) word = words[++w];
    id = static_cast<NodeId>(w * 64 + static_cast<std::size_t>(std::countr_zero(word)));
    word &= word - 1;
  }
}

void NodeSet::members_in(NodeId first, std::uint64_t count, std::span<std::uint32_t> out) const {
  const NodeId from = rank(first);
  STRATA_ASSERT(out.size() == rank(static_cast<NodeId>(first + count)) - from);
  members(from, out);
  for (std::uint32_t& id : out) id -= first;
}

}  // namespace strata
