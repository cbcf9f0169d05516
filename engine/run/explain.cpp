#include <fmt/format.h>

#include <iterator>

#include "engine/run/configuration.hpp"
#include "engine/run/machine.hpp"
#include "engine/run/resources.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

class Table {
 public:
  explicit Table(std::string& text) : text_(text) {}
  void size(const char* what, std::uint64_t bytes, const std::string& note = {}) {
    fmt::format_to(std::back_inserter(text_), "  {:<34}{:>12}", what, format_bytes(bytes));
    if (!note.empty()) text_ += "  " + note;
    text_ += '\n';
  }

 private:
  std::string& text_;
};

void add_row_stores(std::string& text, const TrainOptions& options, const StoreInfo& store, const Model& model) {
  fmt::format_to(std::back_inserter(text), "  {:<26}{:>14}{:>9}{:>7}{:>14}\n", "row store", "rows", "columns", "codec",
                 "bytes");
  for (const PlannedStore& rows : plan_stores(options, store, model)) {
    fmt::format_to(std::back_inserter(text), "  {:<26}{:>14}{:>9}{:>7}{:>14}\n", rows.name, rows.shape.rows,
                   rows.shape.cols, row_codec_name(rows.shape.codec, rows.bitmap),
                   format_bytes(rows.shape.total_slot_bytes()));
  }
}

std::string verdict(const TrainOptions& options, const RunPlan& plan) {
  if (options.host_memory < plan.least) {
    return fmt::format("--host-memory {} is too little: at least {} would do ({} bytes)\n",
                       format_bytes(options.host_memory), format_bytes(plan.least), plan.least);
  }
  if (plan.memory.fits) return "everything fits in memory: nothing is written to the cache\n";
  return fmt::format("not everything fits: row stores spill to {}; from {} on nothing would\n",
                     options.cache_dir.string(), format_bytes(plan.memory.everything));
}

}  // namespace

std::string explain(const TrainOptions& options, const StoreInfo& store, const Model& model, const RunPlan& plan) {
  std::string text =
      fmt::format("store {}: {} nodes, {} edges, {} features, {} classes; method {}, model {}, {} threads\n\n",
                  store.name, store.nodes, store.edges, store.feature_dim, store.classes, method_name(options.method),
                  model_name(options.model.kind), plan.threads);
  if (trains_inductively(options, store, model)) {
    text.insert(
        text.size() - 1,
        fmt::format("inductive: training on the training graph ({} nodes, {} edges), evaluation on the full one\n",
                    store.train_graph.nodes, store.train_graph.edges));
  }
  add_row_stores(text, options, store, model);
  text += "\nmemory\n";
  Table table(text);
  const MemoryPlan& m = plan.memory;
  table.size("from start to end", m.fixed + plan.run_bytes, "labels, splits, normalisation, parameters, bookkeeping");
  table.size("for a while", m.transient, "degrees, permutations, scores");
  table.size("graph, all shards", m.graph, m.fits ? "kept open" : "a few shards at a time when memory is short");
  table.size("row stores, all", m.stores, m.fits ? "kept in memory" : "as much as fits, the rest on disk");
  table.size("dense passes", m.workspace);
  table.size("sparse products, one pass", m.gather_full + m.spmm_overhead);
  table.size("sparse products, least", m.gather_least + m.spmm_overhead, "in many passes");
  table.size("least budget", plan.least, fmt::format("{} bytes", plan.least));
  table.size("budget that keeps everything", m.everything + plan.run_bytes);
  table.size("budget (--host-memory)", options.host_memory);
  text += "\ndisk\n";
  table.size("cache, at most", plan.cache_bytes, "below " + options.cache_dir.string());
  table.size("cache, free there", free_bytes_for(options.cache_dir));
  table.size("results and checkpoint, at most", plan.output_bytes, "below " + options.run.string());
  table.size("results, free there", free_bytes_for(options.run));
  return text + "\n" + verdict(options, plan);
}

}  // namespace strata
