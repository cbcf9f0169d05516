// The training graph's part of a conversion: the same spool, sorting and writing as the full graph's, of the edges
// between training nodes alone.
#include <algorithm>

#include "kernels/base/error.hpp"
#include "storage/import/graph_stage.hpp"

namespace strata {

// The source's own table in place of the full graph's.
void GraphStage::spool_train_edges(std::span<const std::uint64_t> training) {
  const SourceFacts& facts = source_.facts();
  spool_.reset();
  spool_edges(facts.train_edges, false, [&](const GraphSource::EdgeSink& sink) {
    source_.read_train_edges(budget_, [&](std::span<const EdgePair> pairs, std::span<const float> weights) {
      for (const EdgePair& edge : pairs) {
        if (joins(training, edge)) continue;
        const NodeId outside = joins(training, {edge.source, edge.source}) ? edge.target : edge.source;
        throw InputError(facts.train_graph_place,
                         "edge " + std::to_string(edge.source) + " -> " + std::to_string(edge.target),
                         "node " + std::to_string(outside) + " is no training node");
      }
      sink(pairs, weights);
    });
  });
}

void GraphStage::count_degrees() {
  std::fill(raw_in_.begin(), raw_in_.end(), 0u);
  std::fill(raw_out_.begin(), raw_out_.end(), 0u);
  spool_->scan([&](std::span<const EdgePair> pairs, std::span<const float>) { count(pairs); });
}

void GraphStage::write_train_graph(StoreWriter& writer, std::span<const NodeId> training) {
  const std::uint64_t nodes = raw_in_.size();
  const Array<std::uint64_t> members(budget_, divide_up(nodes, 64), "training nodes");
  for (const NodeId id : training) members[id / 64] |= std::uint64_t{1} << (id % 64);
  const bool own = !source_.facts().train_graph_place.empty();
  if (own) {
    stages_.begin("read training edges", source_.facts().train_edges, Stages::Unit::items);
    spool_train_edges(members.span());
    stages_.end();
  }
  edges_written_ = EdgeSet::train;
  only_ = members.span();
  stages_.begin("sort and write training edges", nodes, Stages::Unit::items);
  count_degrees();
  const Written in =
      write_direction(writer, Direction::in, plan_.symmetric ? Rows::both : Rows::by_target, raw_in_.span());
  stages_.end();
  const bool undirected = in.symmetry.forward == in.symmetry.backward;
  if (!undirected && options_.reverse) {
    stages_.begin("sort and write reversed training edges", nodes, Stages::Unit::items);
    const Written out = write_direction(writer, Direction::out, Rows::by_source, raw_out_.span());
    STRATA_ASSERT(out.edges == in.edges);
    stages_.end();
  }
  report_.train_graph = {own ? "source" : "split", training.size(), in.edges, in.duplicates, undirected};
  writer.set_train_graph(report_.train_graph.origin, undirected);
  if (in.edges == 0) stages_.hint("no edge joins two training nodes: training sees every node alone");
  only_ = {};
}

}  // namespace strata
