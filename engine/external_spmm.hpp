// Sparse x dense over row stores: out = A x (or A^T x), [+ add]. Design section 6: the columns of x that memory holds
// are gathered for all source rows, the edges stream past once for each such group of columns, and every column's sum
// is the same whatever the grouping. With the whole matrix in memory it is the resident way.
//
// The dense pass that computes x hands its rows over as it goes: what the first group holds then never touches a row
// store, unless somebody else wants it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/read_ahead.hpp"
#include "engine/schedule.hpp"
#include "engine/spmm_gather.hpp"
#include "storage/shard.hpp"

namespace strata {

template <class T>
class Session;

template <class T>
class ExternalSpmm {
 public:
  // source: the shape of x. add: null, or a store of out's shape (out itself is allowed) whose rows are added in T
  // after the sum. Takes the memory for the gathered columns: ResourceError with the least that would do when not even
  // the narrowest slice fits. name: of the product, in the plan and the timeline.
  ExternalSpmm(Session<T>& session, std::string name, bool transposed, const RowShape& source, const RowStore* add,
               RowStore& out);
  ExternalSpmm(const ExternalSpmm&) = delete;
  ExternalSpmm& operator=(const ExternalSpmm&) = delete;
  ~ExternalSpmm();

  // Panels [0, taken_panels()) of x need not be in a row store if take() was given every chunk.
  [[nodiscard]] std::size_t taken_panels() const { return taken_panels_; }
  // rows: all columns of x's chunk. Different chunks at the same time are fine.
  void take(std::size_t chunk, MatrixView<const T> rows) { gather_.put(chunk, rows); }
  // Bytes it holds in memory from construction on.
  [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }

  // taken: take() was given every chunk. x may be null when taken and taken_panels() covers all columns.
  void run(const RowStore* x, bool taken);

 private:
  void load(const RowStore& x, const ColumnGroup& group);
  void multiply(const ColumnGroup& group);
  void multiply_chunk(const Shard& shard, std::size_t row, std::size_t slot);
  void store_tile(std::size_t chunk, MatrixView<T> tile);
  void store_slice(std::size_t chunk, MatrixView<T> tile);
  void add_slice(const std::byte* rows, std::size_t panel, MatrixView<T> tile) const;
  [[nodiscard]] std::string group_name(const char* what, const ColumnGroup& group) const;

  Session<T>& session_;
  std::string name_;
  bool transposed_;
  RowShape source_;
  const RowStore* add_;
  RowStore& out_;
  std::vector<ColumnGroup> groups_;
  std::size_t taken_panels_ = 0;
  std::uint64_t memory_bytes_ = 0;
  Gather gather_;
  std::vector<std::span<T>> tiles_;  // by slot
};

// Where a dense pass leaves the rows it computes.
template <class T>
struct RowSink {
  RowStore* store = nullptr;        // null: nobody but spmm wants them
  ExternalSpmm<T>* spmm = nullptr;  // takes the first panels
  bool store_all = true;            // also those that spmm takes

  [[nodiscard]] std::size_t first_stored_panel() const {
    return spmm != nullptr && !store_all ? spmm->taken_panels() : 0;
  }
  void note(Schedule::Scope& scope) const;
  void write(std::size_t chunk, MatrixView<const T> rows) const;
};

extern template class ExternalSpmm<float>;
extern template class ExternalSpmm<double>;
extern template struct RowSink<float>;
extern template struct RowSink<double>;

}  // namespace strata
