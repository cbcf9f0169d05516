#include "engine/row_map.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"

namespace strata {

void RowMap::rows_of(std::span<const NodeId> ids, bool train_only, std::span<std::uint32_t> out) const {
  train_.ranks(ids, kNoRow, out);
  if (train_only || eval_.size() == 0) return;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (out[i] == kNoRow && eval_.contains(ids[i])) out[i] = train_.size() + eval_.rank(ids[i]);
  }
}

void RowMap::nodes(std::size_t first_row, std::span<NodeId> out) const {
  STRATA_ASSERT(first_row + out.size() <= all_rows());
  const std::size_t begin = std::min<std::size_t>(first_row, train_.size());
  const std::size_t in_train = std::min(out.size(), train_.size() - begin);
  train_.members(begin, out.first(in_train));
  if (in_train < out.size()) eval_.members(first_row + in_train - train_.size(), out.subspan(in_train));
}

}  // namespace strata
