// What the ways of an external SpMM have in common: the product they are asked for, and the interface that
// external_spmm.hpp puts in front of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/row_source.hpp"
#include "engine/shard_stream.hpp"
#include "storage/buffer_manager.hpp"

namespace strata {

template <class T>
class Session;

// Rows of x that lie in a row store of their own: its row 0 is row `first_row` of x.
struct SpmmSource {
  const RowStore* store = nullptr;
  std::size_t first_row = 0;
};

// Rows of the product: those of one part of the destinations' map. add: nothing, or rows that are added in T after
// the sum: out itself, a store of out's shape, or rows of other nodes' map (those it lacks add nothing).
struct SpmmOutput {
  RowPart part = RowPart::train;
  RowSource add;
  RowStore* out = nullptr;

  [[nodiscard]] bool in_place() const { return add.store != nullptr && add.store == out; }
};

template <class T>
struct SpmmJob {
  Session<T>& session;
  std::string name;  // of the product, in the plan and the timeline
  bool transposed = false;
  RowShape source;   // of x, whose rows are those of the sources' map
  ProductRows rows;  // rows.options.part is not looked at
  std::vector<SpmmOutput> outputs;
  Graph<T>* graph = nullptr;  // one of the session's
};

template <class T>
class SpmmWay {
 public:
  SpmmWay() = default;
  SpmmWay(const SpmmWay&) = delete;
  SpmmWay& operator=(const SpmmWay&) = delete;
  virtual ~SpmmWay() = default;

  [[nodiscard]] virtual std::size_t taken_panels() const = 0;
  virtual void take(std::size_t first, MatrixView<const T> rows) = 0;
  [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
  virtual void run(const std::vector<SpmmSource>& x, bool taken) = 0;
};

}  // namespace strata
