#include "engine/closure.hpp"

#include <algorithm>
#include <bit>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

constexpr std::size_t kPieceWords = 1024;

// Within a shard sources are marked by their column, one bit each, and carried over to the graph's nodes afterwards: an
// edge costs its column and a bit in the cache.
struct Marks {
  NodeBits inner, outer;
};

void mark_sources(const SparseRows& rows, const NestedSets& of, Marks& marks) {
  for (std::size_t r = 0; r < rows.rows; ++r) {
    const NodeId id = rows.first_row + static_cast<NodeId>(r);
    if (!of.outer.contains(id)) continue;
    const bool inner = of.inner.contains(id);
    for (EdgeId e = rows.offsets[r]; e < rows.offsets[r + 1]; ++e) {
      marks.outer.insert(rows.columns[e]);
      if (inner) marks.inner.insert(rows.columns[e]);
    }
  }
}

void carry_over(const NodeBits& marks, std::span<const NodeId> ids, std::size_t first_word, NodeBits& to) {
  const std::span<const std::uint64_t> words = marks.words();
  const std::size_t end = std::min(first_word + kPieceWords, words.size());
  for (std::size_t w = first_word; w < end; ++w) {
    for (std::uint64_t word = words[w]; word != 0; word &= word - 1) {
      to.insert(ids[w * 64 + static_cast<std::size_t>(std::countr_zero(word))]);
    }
  }
}

}  // namespace

std::uint64_t add_in_neighbours(const Store& store, const NestedSets& of, NestedSets& to, Workers& workers,
                                MemoryBudget& budget) {
  std::uint64_t opened = 0;
  std::vector<EdgeSpace> spaces;
  for (std::size_t slot = 0; slot < workers.slots(); ++slot) spaces.emplace_back(budget);
  const std::vector<ShardInfo>& infos = store.shards(Direction::in);
  for (std::size_t s = 0; s < infos.size(); ++s) {
    if (infos[s].edges == 0 || !of.outer.any(infos[s].first_row, infos[s].rows)) continue;
    const Shard shard = store.open_shard(Direction::in, s, budget);
    ++opened;
    const std::span<const NodeId> ids = shard.locals();
    Marks marks{{ids.size(), budget, "sources of the training nodes in a shard"},
                {ids.size(), budget, "sources of the labelled nodes in a shard"}};
    workers.ordered(divide_up(infos[s].rows, kChunkRows),
                    {.before = {},
                     .work =
                         [&](std::size_t chunk, std::size_t slot) {
                           const std::size_t first = chunk * kChunkRows;
                           const std::size_t count = std::min<std::size_t>(kChunkRows, infos[s].rows - first);
                           mark_sources(shard.rows(first, count, spaces[slot]), of, marks);
                         },
                     .reduce = {}});
    workers.for_each(divide_up(NodeBits::word_count(ids.size()), kPieceWords), [&](std::size_t piece) {
      carry_over(marks.inner, ids, piece * kPieceWords, to.inner);
      carry_over(marks.outer, ids, piece * kPieceWords, to.outer);
    });
  }
  return opened;
}

}  // namespace strata
