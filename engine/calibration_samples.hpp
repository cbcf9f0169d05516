// What the parts of the calibration share: a clock, and a few of a graph's shards.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "engine/graph.hpp"

namespace strata {

template <class Body>
[[nodiscard]] double seconds_of(Body&& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The better of two: the first one meets cold caches and fresh pages.
template <class Body>
[[nodiscard]] double best_of_two(Body&& body) {
  const double first = seconds_of(body);
  return std::min(first, seconds_of(body));
}

// One shard, whether or not the graph is resident.
template <class T>
class SampleShard {
 public:
  SampleShard(const Graph<T>& graph, bool transposed, std::size_t index) {
    if (!graph.resident()) own_.emplace(graph.open_shard(transposed, index));
    shard_ = own_ ? &*own_ : &graph.open_shards(transposed)[index];
  }
  SampleShard(const SampleShard&) = delete;
  SampleShard& operator=(const SampleShard&) = delete;
  [[nodiscard]] const Shard& operator*() const { return *shard_; }
  [[nodiscard]] const Shard* operator->() const { return shard_; }

 private:
  std::optional<Shard> own_;
  const Shard* shard_ = nullptr;
};

// Seconds an edge over some shards spread over the graph. time(shard, rows): the seconds that the edges of its first
// `rows` rows take, at most `most_rows`.
template <class T, class Time>
[[nodiscard]] double seconds_an_edge(const Graph<T>& graph, bool transposed, std::size_t most_rows, Time&& time) {
  constexpr std::size_t kSamples = 4;
  const std::size_t shards = graph.shard_count(transposed), samples = std::min(shards, kSamples);
  double seconds = 0, edges = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    const SampleShard<T> shard(graph, transposed, i * shards / samples);
    const std::size_t rows = std::min<std::size_t>(shard->info().rows, most_rows);
    const double taken = time(*shard, rows);
    if (i == 0 && shards > 1) continue;  // met cold caches
    seconds += taken;
    edges += static_cast<double>(shard->info().edges) * static_cast<double>(rows) / shard->info().rows;
  }
  return edges > 0 ? seconds / edges : 0;
}

}  // namespace strata
