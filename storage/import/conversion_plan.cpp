#include "storage/import/conversion_plan.hpp"

#include <algorithm>
#include <limits>

#include "kernels/base/error.hpp"
#include "kernels/row_codec.hpp"
#include "storage/import/csr_builder.hpp"
#include "storage/import/edge_spool.hpp"
#include "storage/import/feature_writer.hpp"
#include "storage/import/node_order.hpp"
#include "storage/import/shard_plan.hpp"

namespace strata {
namespace {

// Blocks being read, decoded and written, and small tables.
constexpr std::uint64_t kWorkspace = std::uint64_t{24} << 20;

// Raw and final degrees of both directions, the order both ways, labels, splits; beside them what the source holds.
std::uint64_t bytes_per_node(const SourceFacts& facts) { return 4 * (2 + 2 + 2 + 1 + 1) + (facts.weighted ? 4 : 0); }

// What the symmetric graph and METIS take together, at most.
std::uint64_t metis_peak(const SourceFacts& facts, std::uint64_t symmetric_entries) {
  return csr_bytes(facts.nodes, symmetric_entries, facts.weighted) + metis_bytes(facts.nodes, symmetric_entries) +
         8 * facts.nodes;
}

void choose_partitioner(const ImportOptions& options, const SourceFacts& facts, ConversionPlan& plan) {
  const std::uint64_t symmetric_entries = 2 * facts.edges;
  const std::uint64_t needed =
      metis_peak(facts, symmetric_entries) + plan.node_bytes + kWorkspace + (plan.spool_on_disk ? 0 : plan.spool_bytes);
  const bool indexable = metis_can_index(facts.nodes, symmetric_entries);
  plan.partitioner = options.partitioner;
  if (options.partitioner == Partitioner::automatic) {
    plan.partitioner = Partitioner::none;
    if (plan.shards < 2) {
      plan.partitioner_reason = "one shard holds the graph";
    } else if (!indexable) {
      plan.partitioner_reason = "more edges than METIS can index";
    } else if (needed > options.memory) {
      plan.partitioner_reason = "METIS would need --memory of about " + format_bytes(needed);
    } else {
      plan.partitioner = Partitioner::metis;
      plan.partitioner_reason = "it fits the memory";
    }
  } else {
    plan.partitioner_reason = "as asked";
  }
  if (plan.partitioner == Partitioner::metis) {
    if (!indexable) {
      throw UsageError("--partitioner metis: METIS cannot index " + std::to_string(symmetric_entries) +
                       " entries; use random or none");
    }
    plan.order_bytes = metis_peak(facts, symmetric_entries);
  }
}

std::uint64_t estimate_store(const ImportOptions& options, const SourceFacts& facts, const ConversionPlan& plan) {
  const std::uint64_t directions = plan.symmetric || !options.reverse ? 1 : 2;
  const std::uint64_t halo =
      std::min(plan.entries, facts.nodes * std::min<std::uint64_t>(plan.shards, 8)) * sizeof(NodeId);
  const std::uint64_t graphs = options.inductive ? 2 : 1;  // the training graph is no larger than the full one
  return graphs * directions * (adjacency_bytes(facts.nodes, plan.entries, facts.weighted) + halo) +
         facts.nodes * encoded_row_bytes(options.feature_codec, facts.feature_dim) + 20 * facts.nodes +
         (graphs * directions * plan.shards * 6 + 16) * kBlockAlignment;
}

// The least memory for this way of ordering: every node array, and one shard of average size, thrice for hubs.
std::uint64_t least_memory(const SourceFacts& facts, const ConversionPlan& plan) {
  const std::uint64_t shard =
      3 * csr_bytes(facts.nodes / plan.shards + 1, plan.entries / plan.shards + 1, facts.weighted);
  const std::uint64_t feature_chunk = 2 * kChunkRows * facts.feature_dim * sizeof(float);
  return plan.node_bytes + kWorkspace + std::max({shard, feature_chunk, plan.order_bytes});
}

void check_options(const ImportOptions& options, const SourceFacts& facts) {
  if (facts.nodes == 0) throw InputError(facts.name, "", "the graph has no nodes");
  if (facts.nodes >= std::numeric_limits<NodeId>::max()) {
    throw InputError(facts.name, "", "has " + std::to_string(facts.nodes) + " nodes: at most 2^32 - 2 fit");
  }
  if (facts.feature_dim == 0 && options.feature_norm != FeatureNorm::none) {
    throw UsageError("--feature-norm " + std::string(feature_norm_name(options.feature_norm)) + ": " + facts.name +
                     " has no features");
  }
  if (options.feature_norm == FeatureNorm::standard && facts.split.empty()) {
    throw UsageError("--feature-norm standard: " + facts.name +
                     " has no split, so there are no training rows; try --split random");
  }
  if (options.inductive && facts.split.empty()) {
    throw UsageError("--inductive: " + facts.name +
                     " has no split, so there are no training nodes; try --split random");
  }
}

}  // namespace

ConversionPlan plan_conversion(const ImportOptions& options, const SourceFacts& facts) {
  check_options(options, facts);
  ConversionPlan plan;
  plan.symmetric = facts.each_once || options.undirected;
  plan.entries = facts.edges * (plan.symmetric ? 2 : 1);
  plan.shards = options.shards;
  const std::uint64_t chunks = divide_up(facts.nodes, kChunkRows);
  if (plan.shards == 0) plan.shards = automatic_shards(facts.nodes, plan.entries, facts.weighted);
  if (plan.shards > chunks) {
    throw UsageError("--shards " + std::to_string(plan.shards) +
                     ": a shard has at least 1024 nodes, so this graph has at most " + std::to_string(chunks));
  }
  plan.node_bytes = bytes_per_node(facts) * facts.nodes + facts.held_bytes;
  if (options.inductive) plan.node_bytes += divide_up(facts.nodes, 8);
  plan.spool_bytes = facts.edges * EdgeSpool::edge_bytes(facts.weighted);
  const std::uint64_t fixed = plan.node_bytes + kWorkspace;
  const std::uint64_t free = options.memory > fixed ? options.memory - fixed : 0;
  plan.spool_memory = free / 3;
  plan.spool_on_disk = plan.spool_bytes > plan.spool_memory;
  choose_partitioner(options, facts, plan);
  plan.least_memory = least_memory(facts, plan);
  if (options.memory < plan.least_memory) {
    throw ResourceError("--memory " + format_bytes(options.memory) + " is too little for " + facts.name +
                            ": at least " + format_bytes(plan.least_memory) + " is needed" +
                            (plan.partitioner == Partitioner::metis ? "; --partitioner none or random needs less" : ""),
                        plan.least_memory);
  }
  const RowShape shape{facts.nodes, facts.feature_dim, options.feature_codec};
  const bool identity = plan.partitioner == Partitioner::none;
  plan.feature_window_memory = free / 2;
  plan.feature_windows =
      facts.feature_dim == 0
          ? 0
          : divide_up(facts.nodes, FeatureWriter::window_rows(shape, identity, plan.feature_window_memory));
  plan.temporary_bytes = plan.spool_on_disk ? plan.spool_bytes : 0;
  if (!identity && plan.feature_windows > 1) {
    plan.temporary_bytes = std::max(plan.temporary_bytes, facts.nodes * (facts.feature_dim + 1) * sizeof(float));
  }
  plan.store_bytes = estimate_store(options, facts, plan);
  return plan;
}

std::string explain(const ImportOptions& options, const SourceFacts& facts, const ConversionPlan& plan) {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  std::string text;
  const auto line = [&text](const std::string& key, const std::string& value) {
    text += key + std::string(key.size() < 14 ? 14 - key.size() : 1, ' ') + value + "\n";
  };
  line("source", facts.name + " (" + source_kind_name(options.from) + ")");
  line("graph", number(facts.nodes) + " nodes, " + number(facts.edges) + " edges in the table, " +
                    number(plan.entries) + " directed entries" + (plan.symmetric ? " (each edge both ways)" : "") +
                    " before cleaning" + (facts.weighted ? ", weighted" : ""));
  line("features", facts.feature_dim == 0
                       ? std::string("none")
                       : number(facts.feature_dim) + " columns, " + codec_name(options.feature_codec) +
                             ", normalisation " + feature_norm_name(options.feature_norm));
  line("split", facts.split.empty() ? "none" : facts.split);
  if (options.inductive) {
    line("training",
         facts.train_graph_place.empty()
             ? std::string("the edges between nodes of split train, beside the full graph")
             : number(facts.train_edges) + " edges of the source's own training graph, beside the full one");
  }
  line("order", std::string(partitioner_name(plan.partitioner)) + " (" + plan.partitioner_reason + ")");
  line("shards", number(plan.shards) + (plan.symmetric    ? ""
                                        : options.reverse ? ", and as many of the reverse unless the graph is symmetric"
                                                          : ", no reverse"));
  line("memory", format_bytes(options.memory) + " budget, at least " + format_bytes(plan.least_memory) +
                     "; arrays per node " + format_bytes(plan.node_bytes) +
                     (plan.order_bytes == 0 ? "" : ", METIS with its graph " + format_bytes(plan.order_bytes)));
  line("edges", format_bytes(plan.spool_bytes) + (plan.spool_on_disk ? " in a temporary file" : " in memory") +
                    ", sorted by counting, range by range");
  if (facts.feature_dim != 0) {
    const bool streamed = plan.partitioner == Partitioner::none;
    line("feature pass", streamed ? "streamed chunk by chunk in the original order"
                         : plan.feature_windows == 1
                             ? "all rows in memory, then written in the new order"
                             : number(plan.feature_windows) + " windows through a temporary file");
  }
  for (const std::string& note : facts.notes) line("note", note);
  line("disk", "store about " + format_bytes(plan.store_bytes) + ", temporary " + format_bytes(plan.temporary_bytes));
  return text;
}

}  // namespace strata
