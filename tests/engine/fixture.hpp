// A tiny store, and sessions of the engine over it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/methods/method.hpp"
#include "engine/row_access.hpp"
#include "engine/session.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {

// One run of the engine in precision T.
template <class T>
struct Engine {
  Engine(const Store& store, TrainOptions o)
      : options(std::move(o)), budget(options.host_memory), session(options, store, budget) {}
  TrainOptions options;
  MemoryBudget budget;
  Session<T> session;
};

inline TrainOptions base_options(const std::filesystem::path& directory, bool exact) {
  TrainOptions o;
  o.cache_dir = directory / "cache";
  o.host_memory = std::uint64_t{1} << 30;
  o.threads = 1;
  o.model.hidden = 6;
  o.model.layers = 3;
  o.model.activation = Activation::tanh;
  o.optimizer.kind = OptimizerKind::sgd;
  o.optimizer.lr = 1e-2;
  o.seed = 7;
  if (exact) o.codec = o.alpha_codec = Codec::fp64;
  return o;
}

template <class T>
std::vector<T> all_rows(const RowStore& store) {
  std::vector<T> values(store.shape().rows * store.shape().cols);
  for (std::size_t c = 0; c < store.shape().chunks(); ++c) {
    read_chunk<T>(
        store, c,
        {values.data() + c * kChunkRows * store.shape().cols, store.shape().chunk_rows(c), store.shape().cols});
  }
  return values;
}

template <class A, class B>
double relative_difference(const A& a, const B& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    size = std::max(size, std::abs(static_cast<double>(b[i])));
  }
  return size > 0 ? difference / size : difference;
}

}  // namespace strata::test
