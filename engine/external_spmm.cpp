#include "engine/external_spmm.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"
#include "kernels/spmm.hpp"

namespace strata {

namespace {

// Columns [first, first + count) that are gathered together: whole panels, or a slice of one.
struct ColumnGroup {
  std::size_t first = 0;
  std::size_t count = 0;
  [[nodiscard]] bool whole_panels(std::size_t cols) const {
    return first % kPanelColumns == 0 && (count % kPanelColumns == 0 || first + count == cols);
  }
};

constexpr std::size_t kNarrowestSlice = 4;

// An int8 output row needs its whole panel at once (one scale), so its panels are not sliced.
std::size_t narrowest(std::size_t cols, Codec out_codec) {
  const std::size_t first_panel = std::min(cols, kPanelColumns);
  return out_codec == Codec::int8 ? first_panel : std::min(first_panel, kNarrowestSlice);
}

std::vector<ColumnGroup> plan_groups(std::size_t rows, std::size_t cols, Codec codec, Codec out_codec,
                                     std::uint64_t limit) {
  const auto bytes = [&](std::size_t width) {
    return static_cast<std::uint64_t>(rows) * encoded_row_bytes(codec, width);
  };
  std::size_t width = cols;
  if (bytes(cols) > limit) {
    width = kPanelColumns;
    while (width < cols && bytes(width + kPanelColumns) <= limit) width += kPanelColumns;
    while (width > narrowest(cols, out_codec) && bytes(width) > limit) width /= 2;
    width = std::max(width, narrowest(cols, out_codec));
  }
  if (bytes(std::min(width, cols)) > limit) {
    throw ResourceError("not enough memory to aggregate over the graph: " + format_bytes(bytes(width)) +
                            " are needed for the narrowest group of columns and " + format_bytes(limit) + " are left",
                        bytes(width) - limit);
  }
  std::vector<ColumnGroup> groups;
  for (std::size_t c = 0; c < cols; c += width) groups.push_back({c, std::min(width, cols - c)});
  return groups;
}

template <class T>
class SpmmRun {
 public:
  SpmmRun(const Graph<T>& graph, bool transposed, const RowStore& x, const RowStore* add, RowStore& out,
          Workers& workers, ScratchMemory& scratch, MemoryBudget& budget)
      : graph_(graph), transposed_(transposed), x_(x), add_(add), out_(out), workers_(workers), scratch_(scratch) {
    for (std::size_t s = 0; s < workers_.slots(); ++s) spaces_.emplace_back(budget);
  }

  void run(const ColumnGroup& group, Buffer& gathered) {
    group_ = group;
    load(gathered);
    const RowShape& shape = x_.shape();
    const EncodedRows source{shape.codec, gathered.data(), shape.rows, group.count,
                             encoded_row_bytes(shape.codec, group.count)};
    ScratchMemory::Use scratch(scratch_);
    tiles_.clear();
    for (std::size_t s = 0; s < workers_.slots(); ++s) tiles_.push_back(scratch.take<T>(s, kChunkRows * group.count));
    if (graph_.resident()) {
      multiply_resident(source);
    } else {
      for (std::size_t s = 0; s < graph_.shard_count(transposed_); ++s) {
        const Shard shard = graph_.open_shard(transposed_, s);
        multiply({&shard, 1}, source);
      }
    }
  }

 private:
  // Copies the group's columns of every tile side by side: row i of the gathered matrix is its encoded row.
  void load(Buffer& gathered) {
    const RowShape& shape = x_.shape();
    const std::size_t stride = encoded_row_bytes(shape.codec, group_.count);
    workers_.for_each(shape.chunks(), [&](std::size_t chunk) {
      std::byte* to = gathered.data() + chunk * kChunkRows * stride;
      std::size_t column = group_.first;
      while (column < group_.first + group_.count) {
        const std::size_t panel = column / kPanelColumns;
        const std::size_t width = panel_width(shape.cols, panel);
        const std::size_t in_panel = column % kPanelColumns;
        const std::size_t take = std::min(width - in_panel, group_.first + group_.count - column);
        copy_columns(chunk, panel, in_panel, take, to, stride);
        to += panel_row_bytes(shape.codec, take);
        column += take;
      }
    });
  }

  void copy_columns(std::size_t chunk, std::size_t panel, std::size_t first, std::size_t take, std::byte* to,
                    std::size_t stride) const {
    const RowShape& shape = x_.shape();
    const std::size_t from_stride = panel_row_bytes(shape.codec, panel_width(shape.cols, panel));
    const std::size_t scale = shape.codec == Codec::int8 ? 2 : 0;  // an int8 row starts with its scale
    const std::size_t value = value_bytes(shape.codec);
    const Pin pin = x_.pin_read(chunk, panel);
    const std::byte* from = pin.bytes().data();
    for (std::size_t r = 0; r < shape.chunk_rows(chunk); ++r, from += from_stride, to += stride) {
      std::memcpy(to, from, scale);
      std::memcpy(to + scale, from + scale + first * value, take * value);
    }
  }

  void multiply_resident(const EncodedRows& source) { multiply(graph_.open_shards(transposed_), source); }

  void multiply(std::span<const Shard> shards, const EncodedRows& source) {
    std::vector<std::pair<const Shard*, std::size_t>> work;  // (shard, first local row), a chunk each
    for (const Shard& shard : shards) {
      for (std::size_t row = 0; row < shard.info().rows; row += kChunkRows) work.emplace_back(&shard, row);
    }
    workers_.ordered(
        work.size(),
        [&](std::size_t i, std::size_t slot) {
          const auto [shard, row] = work[i];
          const std::size_t rows = std::min<std::size_t>(kChunkRows, shard->info().rows - row);
          const MatrixView<T> tile{tiles_[slot].data(), rows, group_.count};
          cpu::spmm<T>(shard->rows(row, rows, spaces_[slot]), graph_.scale(transposed_), source, tile);
          store_tile((shard->info().first_row + row) / kChunkRows, tile);
        },
        [](std::size_t, std::size_t) {});
  }

  void store_tile(std::size_t chunk, MatrixView<T> tile) {
    if (group_.whole_panels(out_.shape().cols)) {
      const std::size_t first_panel = group_.first / kPanelColumns;
      if (add_ != nullptr) add_panels<T>(*add_, chunk, first_panel, tile);
      write_panels<T>(out_, chunk, first_panel, tile);
      return;
    }
    store_slice(chunk, tile);
  }

  // A slice of one panel: its columns of `add` come in, its columns of `out` are replaced.
  void store_slice(std::size_t chunk, MatrixView<T> tile) {
    const RowShape& shape = out_.shape();
    const std::size_t panel = group_.first / kPanelColumns;
    const std::size_t stride = panel_row_bytes(shape.codec, panel_width(shape.cols, panel));
    const std::size_t offset = (group_.first % kPanelColumns) * value_bytes(shape.codec);
    if (add_ != nullptr) add_slice(chunk, panel, tile);
    const Pin pin = out_.pin_update(chunk, panel);
    cpu::encode_panel<T>(shape.codec, tile, pin.bytes().data() + offset, stride);
  }

  void add_slice(std::size_t chunk, std::size_t panel, MatrixView<T> tile) const {
    const RowShape& shape = add_->shape();
    const std::size_t width = panel_width(shape.cols, panel);
    const std::size_t stride = panel_row_bytes(shape.codec, width);
    const std::size_t in_panel = group_.first % kPanelColumns;
    const Pin pin = add_->pin_read(chunk, panel);
    T row[kPanelColumns];
    for (std::size_t r = 0; r < tile.rows; ++r) {
      cpu::decode_panel<T>(shape.codec, pin.bytes().data() + r * stride, stride, {row, 1, width});
      for (std::size_t c = 0; c < tile.cols; ++c) tile(r, c) += row[in_panel + c];
    }
  }

  const Graph<T>& graph_;
  bool transposed_;
  const RowStore& x_;
  const RowStore* add_;
  RowStore& out_;
  Workers& workers_;
  ScratchMemory& scratch_;
  ColumnGroup group_;
  std::vector<std::span<T>> tiles_;  // by slot
  std::vector<EdgeSpace> spaces_;    // by slot
};

}  // namespace

template <class T>
void external_spmm(const Graph<T>& graph, bool transposed, const RowStore& x, const RowStore* add, RowStore& out,
                   Workers& workers, SpmmMemory& memory, ScratchMemory& scratch, MemoryBudget& budget) {
  const RowShape& shape = x.shape();
  STRATA_ASSERT(out.shape().rows == shape.rows && out.shape().cols == shape.cols);
  const auto groups = plan_groups(shape.rows, shape.cols, shape.codec, out.shape().codec, memory.gather_limit);
  std::uint64_t bytes = 0;
  for (const ColumnGroup& g : groups) {
    bytes = std::max<std::uint64_t>(bytes, shape.rows * encoded_row_bytes(shape.codec, g.count));
  }
  if (memory.buffer.size() < bytes) {
    memory.buffer.release();
    memory.buffer = Buffer(budget, bytes, "the columns that SpMM gathers", true);
  }
  SpmmRun<T> run(graph, transposed, x, add, out, workers, scratch, budget);
  for (const ColumnGroup& group : groups) run.run(group, memory.buffer);
  if (!memory.keep) memory.buffer.release();
}

std::uint64_t least_gather_bytes(std::uint64_t rows, std::uint64_t cols, Codec codec, Codec out_codec) {
  return rows * encoded_row_bytes(codec, narrowest(cols, out_codec));
}

#define STRATA_INSTANTIATE(T)                                                                                  \
  template void external_spmm<T>(const Graph<T>&, bool, const RowStore&, const RowStore*, RowStore&, Workers&, \
                                 SpmmMemory&, ScratchMemory&, MemoryBudget&);
STRATA_INSTANTIATE(float)
STRATA_INSTANTIATE(double)
#undef STRATA_INSTANTIATE

}  // namespace strata
