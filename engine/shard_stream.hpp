// The shards of a graph one after the other, each with the rows that a product wants of it: while one is in use the
// next ones are made ready, each by a thread of its own (read, where the graph does not stay in memory).
#pragma once

#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "engine/graph.hpp"
#include "engine/shard_rows.hpp"

namespace strata {

struct OpenShard {
  OpenShard() = default;
  OpenShard(const OpenShard&) = delete;
  OpenShard& operator=(const OpenShard&) = delete;
  ~OpenShard() {
    if (own) own->forget();
  }
  std::optional<Shard> own;  // empty: the graph's own copy
  std::optional<ShardRows> rows;
};

// Which rows of the two sides of a product exist.
struct ProductRows {
  const RowMap* sources = nullptr;
  const RowMap* destinations = nullptr;
  ShardRowsOptions options;
};

template <class T>
class ShardStream {
 public:
  // shards: those wanted, ascending. ahead: how many to make ready before they are asked for. spares: outlive the
  // shards.
  ShardStream(const Graph<T>& graph, bool transposed, const ProductRows& rows, std::vector<std::size_t> shards,
              MemoryBudget& budget, std::size_t ahead, ShardSpares& spares)
      : graph_(graph),
        transposed_(transposed),
        rows_(rows),
        shards_(std::move(shards)),
        budget_(budget),
        ahead_(ahead),
        spares_(spares) {
    start();
  }
  ShardStream(const ShardStream&) = delete;
  ShardStream& operator=(const ShardStream&) = delete;

  // The next one; throws what opening it threw.
  [[nodiscard]] std::shared_ptr<const OpenShard> next() {
    if (next_.empty()) return open(shards_[opened_++]);
    std::future<std::shared_ptr<const OpenShard>> first = std::move(next_.front());
    next_.pop_front();
    std::shared_ptr<const OpenShard> shard = first.get();
    start();
    return shard;
  }

 private:
  void start() {
    while (opened_ < shards_.size() && next_.size() < ahead_) {
      next_.push_back(std::async(std::launch::async, [this, index = shards_[opened_++]] { return open(index); }));
    }
  }

  [[nodiscard]] std::shared_ptr<const OpenShard> open(std::size_t index) const {
    auto shard = std::make_shared<OpenShard>();
    if (!graph_.resident()) shard->own.emplace(graph_.open_shard(transposed_, index, &spares_.ids));
    const Shard& edges = shard->own ? *shard->own : graph_.open_shards(transposed_)[index];
    shard->rows.emplace(edges, *rows_.sources, *rows_.destinations, rows_.options, nullptr, budget_, &spares_);
    return shard;
  }

  const Graph<T>& graph_;
  bool transposed_;
  ProductRows rows_;
  std::vector<std::size_t> shards_;
  MemoryBudget& budget_;
  std::size_t ahead_;
  ShardSpares& spares_;
  std::size_t opened_ = 0;  // of shards_
  std::deque<std::future<std::shared_ptr<const OpenShard>>> next_;
};

}  // namespace strata
