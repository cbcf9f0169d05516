// Sparse x dense over row stores: out = A x (or A^T x), [+ add]. Design section 6. One interface, two ways, the same
// bits:
//
//   column_spmm.hpp   some columns of all rows of x in memory, destinations stream past (all columns: resident)
//   tiled_spmm.hpp    the sums of some destinations in memory, the rows of x stream past
//
// Which one is the session's choice: options.product_way, or the planner's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/schedule.hpp"
#include "engine/spmm_way.hpp"

namespace strata {

template <class T>
class ExternalSpmm {
 public:
  using Source = SpmmSource;
  using Output = SpmmOutput;

  // source: the shape of x, whose rows are those of the sources' map. rows.options.part is not looked at. outputs: the
  // train part before the eval part. Takes the memory that the way holds rows or sums in: ResourceError with the least
  // that would do when not even that fits. name: of the product, in the plan and the timeline. graph: one of the
  // session's; null: training's.
  ExternalSpmm(Session<T>& session, std::string name, bool transposed, const RowShape& source, const ProductRows& rows,
               std::vector<Output> outputs, Graph<T>* graph = nullptr);
  ExternalSpmm(const ExternalSpmm&) = delete;
  ExternalSpmm& operator=(const ExternalSpmm&) = delete;
  ~ExternalSpmm();

  // Panels [0, taken_panels()) of x need not be in a row store if take() was given every row.
  [[nodiscard]] std::size_t taken_panels() const { return way_->taken_panels(); }
  // Rows of x from `first` on, all columns; only if taken_panels() > 0. Different rows at the same time are fine.
  void take(std::size_t first, MatrixView<const T> rows) { way_->take(first, rows); }
  // Bytes it holds in memory from construction on.
  [[nodiscard]] std::uint64_t memory_bytes() const { return way_->memory_bytes(); }

  // taken: take() was given every row. The stores may be null when taken and taken_panels() covers all columns.
  void run(const std::vector<Source>& x, bool taken) { way_->run(x, taken); }

 private:
  Session<T>& session_;
  std::unique_ptr<SpmmWay<T>> way_;
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
