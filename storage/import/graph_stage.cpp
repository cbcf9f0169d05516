#include "storage/import/graph_stage.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_reduce.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>

#include "kernels/base/error.hpp"
#include "storage/shard_layout.hpp"

namespace strata {
namespace {

using Block = tbb::blocked_range<std::size_t>;

// The budget a shard's writing takes besides its rows: offsets of its own, the table of ids it sees, and the columns of
// 256 rows, of which at most `segment` edges lie in one shard.
std::uint64_t shard_writing_bytes(std::uint64_t nodes, std::uint64_t rows, std::uint64_t segment) {
  return 8 * (rows + 1) + nodes / 64 * 12 + rows / 10 + 9 * segment + (std::uint64_t{1} << 20);
}

std::uint64_t mixed(std::uint64_t x) {  // SplitMix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::string shard_name(EdgeSet edges, Direction direction, std::size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%s-%05zu.shard", edges == EdgeSet::train ? "train-" : "",
                direction == Direction::in ? "in" : "out", index);
  return name;
}

}  // namespace

GraphStage::GraphStage(GraphSource& source, const ImportOptions& options, const ConversionPlan& plan,
                       MemoryBudget& budget, TemporaryDirectory& temporary, Stages& stages, ConvertReport& report)
    : source_(source),
      options_(options),
      plan_(plan),
      budget_(budget),
      temporary_(temporary),
      stages_(stages),
      report_(report) {}

void GraphStage::count(std::span<const EdgePair> pairs) {
  const auto increment = [](std::uint32_t& value) {
    std::atomic_ref<std::uint32_t>(value).fetch_add(1, std::memory_order_relaxed);
  };
  tbb::parallel_for(Block(0, pairs.size(), 8192), [&](const Block& range) {
    for (std::size_t i = range.begin(); i < range.end(); ++i) {
      if (!joins(only_, pairs[i])) continue;
      increment(raw_in_[pairs[i].target]);
      increment(plan_.symmetric ? raw_in_[pairs[i].source] : raw_out_[pairs[i].source]);
    }
  });
}

void GraphStage::read() {
  const SourceFacts& facts = source_.facts();
  stages_.begin("read edges", facts.edges, Stages::Unit::items);
  raw_in_ = Array<std::uint32_t>(budget_, facts.nodes, "degrees");
  if (!plan_.symmetric) raw_out_ = Array<std::uint32_t>(budget_, facts.nodes, "degrees");
  spool_edges(facts.edges, facts.weighted, [&](const GraphSource::EdgeSink& sink) {
    source_.read_edges(budget_, [&](std::span<const EdgePair> pairs, std::span<const float> weights) {
      report_.edges_in += pairs.size();
      report_.self_loops += static_cast<std::uint64_t>(
          std::count_if(pairs.begin(), pairs.end(), [](const EdgePair& e) { return e.source == e.target; }));
      sink(pairs, weights);
    });
  });
  STRATA_ASSERT(report_.edges_in == facts.edges);
  stages_.end();
}

void GraphStage::spool_edges(std::uint64_t capacity, bool weighted,
                             const std::function<void(const GraphSource::EdgeSink&)>& read_from_source) {
  const bool on_disk = capacity * EdgeSpool::edge_bytes(weighted) > plan_.spool_memory;
  spool_.emplace(budget_, on_disk ? temporary_.path() : fs::path(), capacity, weighted, plan_.spool_memory);
  std::vector<EdgePair> kept;  // a block without its self-loops
  std::vector<float> kept_weights;
  read_from_source([&](std::span<const EdgePair> pairs, std::span<const float> weights) {
    stages_.advance(pairs.size());
    const bool loops = std::any_of(pairs.begin(), pairs.end(), [](const EdgePair& e) { return e.source == e.target; });
    if (loops && !options_.keep_self_loops) {
      kept.clear();
      kept_weights.clear();
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (pairs[i].source == pairs[i].target) continue;
        kept.push_back(pairs[i]);
        if (!weights.empty()) kept_weights.push_back(weights[i]);
      }
      pairs = kept;
      weights = kept_weights;
    }
    count(pairs);
    spool_->append(pairs, weights);
  });
  spool_->finish();
}

void GraphStage::order() {
  const auto nodes = static_cast<NodeId>(source_.facts().nodes);
  if (plan_.partitioner == Partitioner::random) {
    stages_.begin("random order", nodes, Stages::Unit::items);
    order_ = random_order(nodes, options_.seed, budget_);
    stages_.end();
  } else if (plan_.partitioner == Partitioner::metis) {
    stages_.begin("order by METIS", nodes, Stages::Unit::items);
    Array<std::uint32_t> both(budget_, plan_.symmetric ? 0 : nodes, "degrees both ways");
    for (std::size_t n = 0; n < both.size(); ++n) both[n] = raw_in_[n] + raw_out_[n];
    CsrRange graph = build_csr(*spool_, {Rows::both, 0, nodes, false, true}, {}, {},
                               plan_.symmetric ? raw_in_.span() : both.span(), budget_);
    both = Array<std::uint32_t>();
    order_ = metis_order(std::move(graph), std::max<std::uint64_t>(plan_.shards, 2), options_.seed, budget_);
    report_.parts = order_.parts;
    report_.cut_entries = order_.cut;
    stages_.end();
  }
  const std::vector<std::uint64_t> in = chunk_entries(raw_in_.span());
  const std::vector<std::uint64_t> out =
      plan_.symmetric || !options_.reverse ? std::vector<std::uint64_t>() : chunk_entries(raw_out_.span());
  shards_ = cut_into_shards(nodes, plan_.shards, in, out);
}

std::vector<std::uint64_t> GraphStage::chunk_entries(std::span<const std::uint32_t> raw_degrees) const {
  std::vector<std::uint64_t> entries(divide_up(raw_degrees.size(), kChunkRows));
  for (std::size_t n = 0; n < raw_degrees.size(); ++n) {
    entries[n / kChunkRows] += raw_degrees[order_.is_identity() ? n : order_.original_of[n]];
  }
  return entries;
}

std::uint64_t GraphStage::entries_of(const ShardRange& range, std::span<const std::uint32_t> raw_degrees) const {
  std::uint64_t entries = 0;
  for (NodeId n = range.first; n < range.first + range.count; ++n) {
    entries += raw_degrees[order_.is_identity() ? n : order_.original_of[n]];
  }
  return entries;
}

std::size_t GraphStage::group_end(std::size_t first, std::span<const std::uint32_t> raw_degrees) const {
  const std::uint64_t free = budget_.limit() - budget_.used();
  std::uint64_t rows = 0, entries = 0, largest = 0, segment = 0;
  std::size_t last = first;
  for (; last < shards_.size(); ++last) {
    rows += shards_[last].count;
    entries += entries_of(shards_[last], raw_degrees);
    largest = std::max<std::uint64_t>(largest, shards_[last].count);
    for (NodeId row = 0; row < shards_[last].count; row += kSegmentRows) {
      const auto count = static_cast<NodeId>(std::min<std::size_t>(kSegmentRows, shards_[last].count - row));
      segment = std::max(segment, entries_of({shards_[last].first + row, count, 0}, raw_degrees));
    }
    const std::uint64_t needed =
        csr_bytes(rows, entries, spool_->weighted()) + shard_writing_bytes(raw_degrees.size(), largest, segment);
    if (needed <= free) continue;
    if (last != first) break;
    throw ResourceError("sorting one shard of " + std::to_string(entries) + " edges needs " + format_bytes(needed) +
                            " of memory, " + format_bytes(free) + " are left: use a larger --memory (" +
                            format_bytes(budget_.used() + needed) + " would do) or more --shards",
                        budget_.used() + needed);
  }
  return last;
}

void GraphStage::write_shards(StoreWriter& writer, Direction direction, const CsrRange& csr, std::size_t first,
                              std::size_t last, std::span<std::uint32_t> degrees, std::span<float> weighted_degrees) {
  for (std::size_t s = first; s < last; ++s) {
    const ShardRange& shard = shards_[s];
    const EdgeId* offsets = csr.offsets.data() + (shard.first - csr.first);
    const EdgeId begin = offsets[0], count = offsets[shard.count] - begin;
    Array<EdgeId> local(budget_, std::size_t{shard.count} + 1, "row offsets of a shard");
    for (std::size_t row = 0; row <= shard.count; ++row) local[row] = offsets[row] - begin;
    const float* weights = csr.weights.empty() ? nullptr : csr.weights.data() + begin;
    for (std::size_t row = 0; row < shard.count; ++row) {
      degrees[shard.first + row] = static_cast<std::uint32_t>(local[row + 1] - local[row]);
      if (weights == nullptr || weighted_degrees.empty()) continue;
      double sum = 0.0;
      for (EdgeId e = local[row]; e < local[row + 1]; ++e) sum += static_cast<double>(weights[e]);
      weighted_degrees[shard.first + row] = static_cast<float>(sum);
    }
    writer.add_shard(direction,
                     write_shard(writer.path(), shard_name(edges_written_, direction, s), shard.first, local.span(),
                                 {csr.columns.data() + begin, count}, {weights, weights == nullptr ? 0 : count},
                                 &budget_, options_.columns),
                     edges_written_);
    stages_.advance(shard.count);
  }
}

GraphStage::Written GraphStage::write_direction(StoreWriter& writer, Direction direction, Rows rows,
                                                std::span<const std::uint32_t> raw_degrees) {
  const std::uint64_t nodes = raw_degrees.size();
  Array<std::uint32_t> degrees(budget_, nodes, "degrees");
  Array<float> weighted(budget_, spool_->weighted() && direction == Direction::in ? nodes : 0, "weighted degrees");
  Written written;
  for (std::size_t first = 0; first < shards_.size();) {
    const std::size_t last = group_end(first, raw_degrees);
    const ShardRange& end = shards_[last - 1];
    CsrRequest request{
        rows, shards_[first].first, end.first + end.count - shards_[first].first, options_.keep_duplicates, false,
        only_};
    const CsrRange csr =
        build_csr(*spool_, request, order_.new_of.span(), order_.original_of.span(), raw_degrees, budget_);
    written.edges += csr.edges();
    written.duplicates += csr.duplicates;
    const auto add = [&csr](const Block& range, Symmetry sum) {
      for (std::size_t row = range.begin(); row < range.end(); ++row) {
        const std::uint64_t target = csr.first + row;
        for (EdgeId e = csr.offsets[row]; e < csr.offsets[row + 1]; ++e) {
          const std::uint64_t source = csr.columns[e];
          const std::uint64_t weight =
              csr.weights.empty() ? 0 : mixed(std::bit_cast<std::uint32_t>(csr.weights[e]) + 1u);
          sum.forward += mixed((source << 32 | target) ^ weight);
          sum.backward += mixed((target << 32 | source) ^ weight);
        }
      }
      return sum;
    };
    const Symmetry part =
        tbb::parallel_reduce(Block(0, csr.count(), 1024), Symmetry{}, add, [](Symmetry a, Symmetry b) {
          return Symmetry{a.forward + b.forward, a.backward + b.backward};
        });
    written.symmetry.forward += part.forward;
    written.symmetry.backward += part.backward;
    write_shards(writer, direction, csr, first, last, degrees.span(), weighted.span());
    first = last;
  }
  writer.write_degrees(direction, degrees.span(), edges_written_);
  if (!weighted.empty()) writer.write_weighted_degrees(weighted.span(), edges_written_);
  return written;
}

void GraphStage::write(StoreWriter& writer) {
  const std::uint64_t nodes = raw_in_.size();
  stages_.begin("sort and write in-edges", nodes, Stages::Unit::items);
  const Written in =
      write_direction(writer, Direction::in, plan_.symmetric ? Rows::both : Rows::by_target, raw_in_.span());
  stages_.end();
  report_.edges_out = in.edges;
  report_.duplicates = in.duplicates;
  report_.undirected = in.symmetry.forward == in.symmetry.backward;
  report_.shards = shards_.size();
  if (!report_.undirected) {
    stages_.hint("the graph is directed and stays so: --undirected on would add the reverse of every edge");
    if (options_.reverse) {
      stages_.begin("sort and write out-edges", nodes, Stages::Unit::items);
      const Written out = write_direction(writer, Direction::out, Rows::by_source, raw_out_.span());
      STRATA_ASSERT(out.edges == in.edges);
      stages_.end();
    }
  }
}

void GraphStage::release_edges() {
  spool_.reset();
  raw_in_ = Array<std::uint32_t>();
  raw_out_ = Array<std::uint32_t>();
}

}  // namespace strata
