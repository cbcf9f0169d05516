// Sparse x dense over row stores: out = A x (or A^T x), [+ add]. Design section 6: the columns of x that memory holds
// are gathered for all its rows, the edges stream past once for each such group of columns, and every column's sum is
// the same whatever the grouping. With the whole matrix in memory it is the resident way.
//
// The dense pass that computes x hands its rows over as it goes: what the first group holds then never touches a row
// store, unless somebody else wants it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/read_ahead.hpp"
#include "engine/row_source.hpp"
#include "engine/schedule.hpp"
#include "engine/shard_stream.hpp"
#include "engine/spmm_gather.hpp"

namespace strata {

template <class T>
class Session;

template <class T>
class ExternalSpmm {
 public:
  // Rows of x that lie in a row store of their own: its row 0 is row `first_row` of x.
  struct Source {
    const RowStore* store = nullptr;
    std::size_t first_row = 0;
  };
  // Rows of the product: those of one part of the destinations' map. add: nothing, or rows that are added in T after
  // the sum: out itself, a store of out's shape, or rows of other nodes' map (those it lacks add nothing).
  struct Output {
    RowPart part = RowPart::train;
    RowSource add;
    RowStore* out = nullptr;
  };
  // source: the shape of x, whose rows are those of the sources' map. rows.options.part is not looked at. Takes the
  // memory for the gathered columns: ResourceError with the least that would do when not even the narrowest slice fits.
  // name: of the product, in the plan and the timeline.
  ExternalSpmm(Session<T>& session, std::string name, bool transposed, const RowShape& source, const ProductRows& rows,
               std::vector<Output> outputs);
  ExternalSpmm(const ExternalSpmm&) = delete;
  ExternalSpmm& operator=(const ExternalSpmm&) = delete;
  ~ExternalSpmm();

  // Panels [0, taken_panels()) of x need not be in a row store if take() was given every row.
  [[nodiscard]] std::size_t taken_panels() const { return taken_panels_; }
  // Rows of x from `first` on, all columns. Different rows at the same time are fine.
  void take(std::size_t first, MatrixView<const T> rows) { gather_.put(first, rows); }
  // Bytes it holds in memory from construction on.
  [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }

  // taken: take() was given every row. The stores may be null when taken and taken_panels() covers all columns.
  void run(const std::vector<Source>& x, bool taken);

 private:
  class Multiplication;  // one group of columns, one output
  void load(const std::vector<Source>& x, const ColumnGroup& group);
  void multiply(const ColumnGroup& group, const Output& output);
  [[nodiscard]] std::string group_name(const char* what, const ColumnGroup& group) const;

  Session<T>& session_;
  std::string name_;
  bool transposed_;
  RowShape source_;
  ProductRows rows_;
  std::vector<Output> outputs_;
  std::vector<ColumnGroup> groups_;
  std::size_t taken_panels_ = 0;
  std::uint64_t memory_bytes_ = 0;
  Gather gather_;
};

// Where a dense pass leaves the rows it computes.
template <class T>
struct RowSink {
  RowStore* store = nullptr;        // null: nobody but spmm wants them
  ExternalSpmm<T>* spmm = nullptr;  // takes the first panels
  bool store_all = true;            // also those that spmm takes
  std::size_t first_row = 0;        // of spmm's source, which is row 0 of the pass

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
