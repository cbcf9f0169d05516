// The resident way and that of column panels: the columns of x that memory holds are gathered for all its rows, the
// edges stream past once for each such group of columns, and every column's sum is the same whatever the grouping.
// The dense pass that computes x hands its rows over as it goes: what the first group holds then never touches a row
// store, unless somebody else wants it.
#pragma once

#include <string>
#include <vector>

#include "engine/schedule.hpp"
#include "engine/spmm_gather.hpp"
#include "engine/spmm_way.hpp"

namespace strata {

template <class T>
class ColumnSpmm final : public SpmmWay<T> {
 public:
  // Takes the memory for the gathered columns: ResourceError with the least that would do when not even the narrowest
  // slice fits.
  explicit ColumnSpmm(SpmmJob<T> job);
  [[nodiscard]] std::size_t taken_panels() const override { return taken_panels_; }
  void take(std::size_t first, MatrixView<const T> rows) override { gather_.put(first, rows); }
  [[nodiscard]] std::uint64_t memory_bytes() const override { return memory_bytes_; }
  void run(const std::vector<SpmmSource>& x, bool taken) override;

 private:
  class Multiplication;  // one group of columns, one output
  void load(const std::vector<SpmmSource>& x, const ColumnGroup& group);
  void multiply(const ColumnGroup& group, const SpmmOutput& output);
  [[nodiscard]] std::string group_name(const char* what, const ColumnGroup& group) const;

  SpmmJob<T> job_;
  Session<T>& session_;
  std::vector<ColumnGroup> groups_;
  std::size_t taken_panels_ = 0;
  std::uint64_t memory_bytes_ = 0;
  Gather gather_;
};

extern template class ColumnSpmm<float>;
extern template class ColumnSpmm<double>;

}  // namespace strata
