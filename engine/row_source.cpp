#include "engine/row_source.hpp"

#include <algorithm>

#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

// body(first, count) for runs of consecutive numbers.
template <class Body>
void for_runs(std::span<const std::uint32_t> numbers, Body&& body) {
  for (std::size_t begin = 0; begin < numbers.size();) {
    std::size_t end = begin + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    body(begin, end - begin);
    begin = end;
  }
}

template <class T>
void read_split(const RowSource& source, std::span<std::uint32_t> rows, std::size_t first_panel, MatrixView<T> out) {
  const std::uint32_t border = source.map->train_rows();
  const auto kind = [&](std::uint32_t row) { return row == kNoRow ? 2 : row < border ? 0 : 1; };
  for (std::size_t begin = 0; begin < rows.size();) {
    const int what = kind(rows[begin]);
    std::size_t end = begin + 1;
    while (end < rows.size() && kind(rows[end]) == what) ++end;
    const std::span<std::uint32_t> part = rows.subspan(begin, end - begin);
    begin = end;
    const std::size_t first = begin - part.size();
    if (what == 2) {
      for (std::size_t i = first; i < begin; ++i) std::fill_n(out.row(i), out.cols, T{0});
      continue;
    }
    if (what == 1) {
      STRATA_ASSERT(source.eval != nullptr);
      for (std::uint32_t& row : part) row -= border;
    }
    read_row_panels<T>(what == 0 ? *source.store : *source.eval, part, first_panel, out.rows_range(first, part.size()));
  }
}

}  // namespace

std::span<const std::uint32_t> PassRows::rows(std::size_t t) const {
  STRATA_ASSERT(list_ != nullptr);
  return std::span(*list_).subspan(t * kChunkRows, std::min(kChunkRows, count() - t * kChunkRows));
}

std::span<const NodeId> PassRows::nodes(std::size_t t, std::vector<NodeId>& storage) const {
  const std::size_t first = t * kChunkRows;
  storage.resize(std::min(kChunkRows, count() - first));
  if (list_ == nullptr) {
    map_->nodes(map_->first_row(part_) + first, storage);
    return storage;
  }
  const std::span<const std::uint32_t> listed = rows(t);
  if (map_->is_identity()) return listed;
  for_runs(listed,
           [&](std::size_t begin, std::size_t n) { map_->nodes(listed[begin], std::span(storage).subspan(begin, n)); });
  return storage;
}

template <class T>
void read_nodes(const RowSource& source, std::span<const NodeId> nodes, MatrixView<T> out, std::size_t first_panel) {
  if (source.map == nullptr || source.map->is_identity()) {
    read_row_panels<T>(*source.store, nodes, first_panel, out);
    return;
  }
  std::uint32_t rows[kChunkRows];
  STRATA_ASSERT(nodes.size() <= kChunkRows);
  const std::span<std::uint32_t> mapped = std::span(rows).first(nodes.size());
  source.map->rows_of(nodes, source.eval == nullptr, mapped);  // a lone train part: others have no row
  read_split(source, mapped, first_panel, out);
}

template <class T>
void read_tile(const RowSource& source, const PassRows& rows, std::size_t t, std::span<const NodeId> nodes,
               MatrixView<T> out) {
  if (source.map != nullptr) {
    read_nodes<T>(source, nodes, out);
  } else if (rows.whole_chunks()) {
    read_chunk<T>(*source.store, t, out);
  } else {
    read_rows<T>(*source.store, rows.rows(t), out);
  }
}

std::vector<std::uint32_t> chunks_read(const RowSource& source, const PassRows& rows) {
  std::vector<std::uint32_t> chunks;
  const auto add = [&](std::uint32_t row) {
    const auto chunk = static_cast<std::uint32_t>(row / kChunkRows);
    if (chunks.empty() || chunks.back() != chunk) chunks.push_back(chunk);
  };
  std::vector<NodeId> nodes;
  std::vector<std::uint32_t> mapped;
  for (std::size_t t = 0; t < rows.tiles(); ++t) {
    if (source.map == nullptr) {
      if (rows.whole_chunks()) {
        add(static_cast<std::uint32_t>(t * kChunkRows));
      } else {
        for (const std::uint32_t row : rows.rows(t)) add(row);
      }
      continue;
    }
    const std::span<const NodeId> ids = rows.nodes(t, nodes);
    mapped.resize(ids.size());
    source.map->rows_of(ids, true, mapped);
    for (const std::uint32_t row : mapped) {
      if (row != kNoRow) add(row);
    }
  }
  return chunks;
}

#define STRATA_INSTANTIATE(T)                                                                         \
  template void read_nodes<T>(const RowSource&, std::span<const NodeId>, MatrixView<T>, std::size_t); \
  template void read_tile<T>(const RowSource&, const PassRows&, std::size_t, std::span<const NodeId>, MatrixView<T>);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
