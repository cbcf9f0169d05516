#include "engine/source_tiles.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/base/error.hpp"
#include "kernels/row_codec.hpp"

namespace strata {

namespace {

// Nodes of a chunk in a set, counted from the chunk's first.
void members_of_chunk(const NodeSet& set, std::size_t chunk, std::vector<std::uint32_t>& out) {
  const auto first = static_cast<NodeId>(chunk * kChunkRows);
  const std::uint64_t count = std::min<std::uint64_t>(kChunkRows, set.nodes() - first);
  out.resize(set.rank(static_cast<NodeId>(first + count)) - set.rank(first));
  set.members_in(first, count, out);
}

}  // namespace

SourceTiles::SourceTiles(const std::vector<SpmmSource>& x, const RowMap& map, bool train_only,
                         const ColumnGroup& columns)
    : map_(map), train_only_(train_only), columns_(columns) {
  STRATA_ASSERT(columns.panels() <= ChunkPins::kMost);
  for (const SpmmSource& source : x) {
    STRATA_ASSERT(source.store != nullptr && columns.whole_panels(source.store->shape().cols));
    row_bytes_ = encoded_row_bytes(source.store->shape().codec, columns.count);
    stores_.push_back({source, {}});
  }
}

std::vector<std::uint32_t> SourceTiles::chunks(const RowMap& map, bool train_only) {
  const NodeSet &train = map.part(RowPart::train), &eval = map.part(RowPart::eval);
  std::vector<std::uint32_t> chunks;
  for (std::uint64_t first = 0; first < map.nodes(); first += kChunkRows) {
    const auto begin = static_cast<NodeId>(first);
    const auto end = static_cast<NodeId>(std::min<std::uint64_t>(first + kChunkRows, map.nodes()));
    const bool any = train.rank(end) > train.rank(begin) || (!train_only && eval.rank(end) > eval.rank(begin));
    if (any) chunks.push_back(static_cast<std::uint32_t>(first / kChunkRows));
  }
  return chunks;
}

void SourceTiles::load(std::size_t chunk, std::byte* to, Rows& rows) {
  const auto first = static_cast<NodeId>(chunk * kChunkRows);
  members_of_chunk(map_.part(RowPart::train), chunk, rows.train);
  rows.eval.clear();
  if (!train_only_) members_of_chunk(map_.part(RowPart::eval), chunk, rows.eval);
  rows.count = rows.train.size() + rows.eval.size();
  rows.list.resize(rows.count);
  // Both parts become places in the merged order.
  std::size_t t = 0, e = 0;
  for (std::uint32_t place = 0; place < rows.count; ++place) {
    const bool from_train = e == rows.eval.size() || (t < rows.train.size() && rows.train[t] < rows.eval[e]);
    std::uint32_t& node = from_train ? rows.train[t++] : rows.eval[e++];
    rows.list[place] = node;
    node = place;
  }
  if (rows.count == std::min<std::uint64_t>(kChunkRows, map_.nodes() - first)) rows.list.clear();
  copy(map_.part(RowPart::train).rank(first), rows.train.size(), rows.train, to);
  if (!rows.eval.empty()) {
    copy(map_.first_row(RowPart::eval) + map_.part(RowPart::eval).rank(first), rows.eval.size(), rows.eval, to);
  }
}

// Rows of x from `first_row` on; row i goes to places[i].
void SourceTiles::copy(std::size_t first_row, std::size_t count, const std::vector<std::uint32_t>& places,
                       std::byte* to) {
  for (std::size_t done = 0; done < count;) {
    const std::size_t row = first_row + done;
    const auto store = std::find_if(stores_.begin(), stores_.end(), [&](const Store& s) {
      return row >= s.source.first_row && row - s.source.first_row < s.source.store->shape().rows;
    });
    STRATA_ASSERT(store != stores_.end());
    const std::size_t first = row - store->source.first_row;
    const std::size_t chunk_end =
        std::min<std::size_t>(store->source.store->shape().rows, (first / kChunkRows + 1) * kChunkRows);
    const std::size_t now = std::min(count - done, chunk_end - first);
    copy_from(*store, first, now, places.data() + done, to);
    done += now;
  }
}

std::shared_ptr<SourceTiles::Shared> SourceTiles::share(Store& store, std::size_t chunk) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Shared>& shared = store.open[chunk];
  if (!shared) {
    shared = std::make_shared<Shared>();
    shared->left = store.source.store->shape().chunk_rows(chunk);
  }
  return shared;
}

// Within one chunk of the store.
void SourceTiles::copy_from(Store& store, std::size_t first, std::size_t count, const std::uint32_t* places,
                            std::byte* to) {
  const RowStore& rows = *store.source.store;
  const std::size_t chunk = first / kChunkRows, first_panel = columns_.first_panel();
  const std::shared_ptr<Shared> shared = share(store, chunk);
  {
    const std::lock_guard lock(shared->mutex);
    if (shared->pins.count() == 0) rows.pin_read(chunk, first_panel, columns_.panels(), shared->pins);
  }
  std::size_t offset = 0;
  for (std::size_t p = 0; p < columns_.panels(); ++p) {
    const std::size_t bytes = panel_row_bytes(rows.shape().codec, panel_width(rows.shape().cols, first_panel + p));
    const std::byte* from = shared->pins.bytes(p).data() + (first - chunk * kChunkRows) * bytes;
    for (std::size_t i = 0; i < count; ++i) std::memcpy(to + places[i] * row_bytes_ + offset, from + i * bytes, bytes);
    offset += bytes;
  }
  const std::lock_guard lock(mutex_);
  shared->left -= count;
  if (shared->left == 0) store.open.erase(chunk);
}

}  // namespace strata
