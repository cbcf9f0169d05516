// The shards of a graph that does not stay in memory, one after the other: while one is in use the next is being read
// by a thread of its own.
#pragma once

#include <future>
#include <memory>

#include "engine/graph.hpp"

namespace strata {

template <class T>
class ShardStream {
 public:
  // ahead: whether to read the next shard before it is asked for.
  ShardStream(const Graph<T>& graph, bool transposed, bool ahead)
      : graph_(graph), transposed_(transposed), ahead_(ahead) {
    if (ahead_) start();
  }
  ShardStream(const ShardStream&) = delete;
  ShardStream& operator=(const ShardStream&) = delete;

  // The next one; throws what opening it threw.
  [[nodiscard]] std::shared_ptr<const Shard> next() {
    if (!ahead_) return std::make_shared<const Shard>(graph_.open_shard(transposed_, opened_++));
    std::shared_ptr<const Shard> shard = next_.get();
    start();
    return shard;
  }

 private:
  void start() {
    if (opened_ == graph_.shard_count(transposed_)) return;
    next_ = std::async(std::launch::async, [this, index = opened_++] {
      return std::make_shared<const Shard>(graph_.open_shard(transposed_, index));
    });
  }

  const Graph<T>& graph_;
  bool transposed_, ahead_;
  std::size_t opened_ = 0;
  std::future<std::shared_ptr<const Shard>> next_;
};

}  // namespace strata
