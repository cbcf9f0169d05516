#include "engine/column_spmm.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "engine/read_ahead.hpp"
#include "engine/session.hpp"
#include "engine/shard_work.hpp"
#include "engine/spmm_finish.hpp"
#include "kernels/base/error.hpp"
#include "kernels/spmm.hpp"

namespace strata {

// The edges stream past once: for every chunk of the output, its rows' sums over the gathered columns.
template <class T>
class ColumnSpmm<T>::Multiplication {
 public:
  // scaled: a shard's columns are looked up together with their scales.
  Multiplication(const SpmmJob<T>& job, const SpmmOutput& output, const Gather& gather, bool replaces, bool scaled)
      : session_(job.session),
        graph_(*job.graph),
        transposed_(job.transposed),
        rows_(job.rows),
        output_(output),
        gather_(gather),
        replaces_(replaces),
        scaled_(scaled),
        finish_(output_, *rows_.destinations, gather.group(), replaces) {
    rows_.options.part = output.part;
    const NodeSet& wanted = rows_.destinations->part(output.part);
    const auto& infos = graph_.infos(transposed_);
    for (std::size_t s = 0; s < infos.size(); ++s) {
      const std::size_t end = wanted.rank(infos[s].first_row + infos[s].rows);
      if (end == (ends_.empty() ? 0 : ends_.back())) continue;
      shards_.push_back(s);
      ends_.push_back(end);
    }
    open_.resize(shards_.size());
  }

  // Those of whole shards, an upper bound where not all rows are wanted.
  [[nodiscard]] double edges() const {
    double sum = 0;
    const auto& infos = graph_.infos(transposed_);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      const double share = static_cast<double>(ends_[i] - begin(i)) / infos[shards_[i]].rows;
      sum += static_cast<double>(infos[shards_[i]].edges) * share;
    }
    return sum;
  }
  // Of the shards it reads, whatever rows it wants.
  [[nodiscard]] ShardWork shard_work() const {
    ShardWork work;
    for (const std::size_t s : shards_) work.add(graph_.infos(transposed_)[s]);
    return work;
  }

  void run() {
    const std::size_t rows = output_.out->shape().rows;
    scale_ = session_.scale(graph_, transposed_, *rows_.sources);
    if constexpr (std::is_same_v<T, float>) {
      if (scaled_) rows_.options.source_scale = scale_.source;
    }
    ShardStream<T> stream(graph_, transposed_, rows_, shards_, session_.budget, session_.shards_ahead(), spares_);
    ReadAhead ahead(session_.options.prefetch);
    const std::size_t first_panel = gather_.group().first_panel(), panels = gather_.group().panels();
    if (output_.add) ahead.add(*output_.add.store, first_panel, panels);
    if (!replaces_ && !output_.in_place()) ahead.add(*output_.out, first_panel, panels);
    ScratchMemory::Use scratch(session_.scratch);
    for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
      slots_.push_back({scratch.take<T>(s, kChunkRows * gather_.group().count),
                        scratch.take<T>(s, finish_.added_values()),
                        EdgeSpace(session_.budget),
                        {},
                        {}});
    }
    std::size_t opened = 0, closed = 0;
    const auto end_of = [&](std::size_t chunk) { return std::min(rows, (chunk + 1) * kChunkRows); };
    session_.workers.ordered(
        divide_up(rows, kChunkRows),
        {.before =
             [&](std::size_t chunk) {
               while (opened == 0 || ends_[opened - 1] < end_of(chunk)) {
                 open_[opened] = stream.next();
                 ++opened;
               }
               ahead.advance();
             },
         .work = [&](std::size_t chunk, std::size_t slot) { compute(chunk, end_of(chunk), slots_[slot]); },
         .reduce =
             [&](std::size_t chunk, std::size_t) {
               while (closed < open_.size() && ends_[closed] <= end_of(chunk)) {
                 open_[closed++].reset();
               }
             }});
  }

 private:
  struct Slot {
    std::span<T> tile, added;
    EdgeSpace space;
    std::vector<std::uint32_t> list;
    std::vector<NodeId> nodes;
  };

  [[nodiscard]] std::size_t begin(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }

  void compute(std::size_t chunk, std::size_t end, Slot& slot) {
    const std::size_t first = chunk * kChunkRows;
    const MatrixView<T> tile{slot.tile.data(), end - first, gather_.group().count};
    std::size_t at = first;
    auto i = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), at) - ends_.begin());
    for (; at < end; ++i) {
      const ShardRows& rows = *open_[i]->rows;
      const std::size_t last = std::min(end, ends_[i]) - begin(i);  // of the shard's wanted rows
      for (std::size_t row = at - begin(i); row < last;) {
        const std::size_t next = rows.run_end(row, last);
        cpu::spmm<T>(rows.rows(row, next - row, slot.space, slot.list), scale_, gather_.rows(),
                     tile.rows_range(begin(i) + row - first, next - row));
        row = next;
      }
      at = begin(i) + last;
    }
    finish_.store(chunk, tile, slot.added, slot.nodes);
  }

  Session<T>& session_;
  const Graph<T>& graph_;
  bool transposed_;
  ProductRows rows_;
  const SpmmOutput& output_;
  const Gather& gather_;
  bool replaces_, scaled_;
  SpmmFinish<T> finish_;
  EdgeScale<T> scale_;
  std::vector<std::size_t> shards_;  // those with wanted rows
  std::vector<std::size_t> ends_;    // of their rows in the output
  ShardSpares spares_;
  std::vector<std::shared_ptr<const OpenShard>> open_;
  std::vector<Slot> slots_;
};

template <class T>
ColumnSpmm<T>::ColumnSpmm(SpmmJob<T> job)
    : job_(std::move(job)),
      session_(job_.session),
      groups_(
          plan_column_groups(job_.source, job_.outputs.front().out->shape().codec, session_.spmm_memory.gather_limit)) {
  memory_bytes_ = gather_bytes(job_.source, groups_);
  if (groups_.front().whole_panels(job_.source.cols)) taken_panels_ = groups_.front().panels();
  if (session_.schedule.recording()) return;
  session_.spmm_memory.hold(session_.budget, memory_bytes_);
  gather_ = Gather(job_.source, groups_.front(), session_.spmm_memory.buffer.data());
}

template <class T>
void ColumnSpmm<T>::run(const std::vector<SpmmSource>& x, bool taken) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (g > 0 || !taken) load(x, groups_[g]);
    for (const SpmmOutput& output : job_.outputs) multiply(groups_[g], output);
  }
}

template <class T>
std::string ColumnSpmm<T>::group_name(const char* what, const ColumnGroup& group) const {
  std::string text = std::string(what) + " " + job_.name;
  if (groups_.size() > 1) {
    text += ", columns " + std::to_string(group.first) + "-" + std::to_string(group.first + group.count - 1);
  }
  return text;
}

template <class T>
void ColumnSpmm<T>::load(const std::vector<SpmmSource>& x, const ColumnGroup& group) {
  Schedule::Scope scope(session_.schedule, session_.buffers, group_name("gather", group));
  for (const SpmmSource& part : x) {
    STRATA_ASSERT(part.store != nullptr);
    scope.use(*part.store, group.first_panel(), group.panels(), StoreUse::Kind::read);
  }
  scope.gathers(memory_bytes_);
  scope.works("copied bytes",
              static_cast<double>(job_.source.rows * encoded_row_bytes(job_.source.codec, group.count)));
  if (!scope.begin()) return;
  gather_ = Gather(job_.source, group, session_.spmm_memory.buffer.data());
  for (const SpmmSource& part : x) {
    const std::size_t chunks = part.store->shape().chunks();
    ReadAhead ahead(session_.options.prefetch);
    ahead.add(*part.store, group.first_panel(), group.panels());
    session_.workers.ordered(
        chunks, {.before = [&](std::size_t) { ahead.advance(); },
                 .work = [&](std::size_t chunk, std::size_t) { gather_.load(*part.store, part.first_row, chunk); },
                 .reduce = {}});
  }
}

template <class T>
void ColumnSpmm<T>::multiply(const ColumnGroup& group, const SpmmOutput& output) {
  using Kind = StoreUse::Kind;
  if (output.out->shape().rows == 0) return;
  const char* what = output.part == RowPart::train ? "multiply" : "multiply to evaluate";
  Schedule::Scope scope(session_.schedule, session_.buffers, group_name(what, group));
  const bool in_place = output.in_place();
  if (output.add && !in_place) {
    scope.use(*output.add.store, group.first_panel(), group.panels(), Kind::read, output.add.map != nullptr);
  }
  // A slice that begins a panel may leave what follows undefined: the next ones fill it.
  const bool update = in_place || group.first % kPanelColumns != 0;
  scope.use(*output.out, group.first_panel(), group.panels(), update ? Kind::update : Kind::overwrite);
  scope.gathers(memory_bytes_);
  scope.takes(session_.plan.spmm_overhead);
  const bool scaled = job_.graph->scale(job_.transposed).source != nullptr &&
                      session_.spmm_memory.wants_scaled(job_.source.codec, group.count, job_.source.rows);
  Multiplication product(job_, output, gather_, !update, scaled);
  scope.works("edges " + std::to_string(group.count) + " " + codec_name(job_.source.codec), product.edges());
  scope.works("rows out " + std::to_string(group.count), static_cast<double>(output.out->shape().rows));
  product.shard_work().note(scope, job_.graph->resident(), !job_.rows.sources->is_identity(), scaled);
  if (scope.begin()) product.run();
}

template class ColumnSpmm<float>;
template class ColumnSpmm<double>;

}  // namespace strata
