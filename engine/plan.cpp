#include "engine/plan.hpp"

#include <algorithm>
#include <numeric>

#include "engine/layer_tile.hpp"
#include "engine/shard_rows.hpp"
#include "engine/spmm_gather.hpp"
#include "engine/tile_plan.hpp"
#include "storage/shard.hpp"

namespace strata {

namespace {

// Bytes of bookkeeping per tile of a row store (buffer manager).
constexpr std::uint64_t kTileBookkeeping = 64;
constexpr std::uint64_t kMostReadAhead = std::uint64_t{48} << 20;

RowShape rows_of(const StoreInfo& store, std::size_t cols, Codec codec) { return {store.nodes, cols, codec}; }

void add_forward_stores(const TrainOptions& options, const StoreInfo& store, const Model& model,
                        std::vector<PlannedStore>& plan) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const LayerSpec& layer = model.layers[l];
    const std::string number = std::to_string(l + 1);
    if (layer.aggregates())
      plan.push_back({"Z" + number, rows_of(store, layer.z_width(), options.codec), options.bitmap});
    if (layer.hops > 1)
      plan.push_back({"Z" + number + " below", rows_of(store, layer.z_width(), options.codec), options.bitmap});
    if (layer.transform_first) plan.push_back({"U" + number, rows_of(store, layer.out, options.codec), options.bitmap});
    const bool logits = l + 1 == model.layers.size();
    plan.push_back({logits ? "logits" : "X" + number, rows_of(store, layer.out, logits ? Codec::fp32 : options.codec),
                    !logits && options.bitmap});
  }
}

// The forward rows of an evaluation over a graph of its own.
void add_evaluation_stores(const TrainOptions& options, const StoreInfo& store, const Model& model,
                           std::vector<PlannedStore>& plan) {
  const std::size_t first = plan.size();
  add_forward_stores(options, store, model, plan);
  for (std::size_t i = first; i < plan.size(); ++i) plan[i].name += " of the full graph";
}

// The gradients that a method holds at the same time: IGLU one alpha per hidden layer, full batch two neighbouring
// ones.
void add_alpha_stores(const TrainOptions& options, const StoreInfo& store, const Model& model,
                      std::vector<PlannedStore>& plan) {
  std::size_t widest_aggregate = 0, widest_root = 0, initial = 0;
  for (std::size_t l = 1; l < model.layers.size(); ++l) {
    const LayerSpec& layer = model.layers[l];
    plan.push_back({"alpha" + std::to_string(l), rows_of(store, layer.in, options.alpha_codec), options.alpha_bitmap});
    if (layer.transform_first) {
      plan.push_back({"gradient at U" + std::to_string(l + 1), rows_of(store, layer.out, options.alpha_codec),
                      options.alpha_bitmap});
    }
    if (layer.aggregates() && (layer.has_root() || layer.passed())) widest_root = std::max(widest_root, layer.in);
    if (layer.initial) initial = layer.in;
    if (layer.aggregates()) widest_aggregate = std::max(widest_aggregate, layer.z_width());
  }
  // A layer's, and where it has other rows, those of the layer above.
  for (std::size_t i = 0; i < 2 && initial > 0; ++i) {
    plan.push_back({"gradient at X1", rows_of(store, initial, Codec::fp32), false});
  }
  // Where a layer has other rows than its inputs.
  if (widest_root > 0)
    plan.push_back({"gradient at root", rows_of(store, widest_root, options.alpha_codec), options.alpha_bitmap});
  if (widest_aggregate > 0)
    plan.push_back({"gradient at Z", rows_of(store, widest_aggregate, options.alpha_codec), options.alpha_bitmap});
}

std::uint64_t fixed_bytes(const TrainOptions& options, const StoreInfo& store, const Model& model,
                          std::uint64_t tiles) {
  std::uint64_t bytes = store.nodes;  // training mask
  bytes += store.task == Task::multilabel ? store.nodes * (divide_up(store.classes, 8) + 1) : store.nodes * 4;
  for (const SplitInfo& split : store.splits) bytes += 4 * split.nodes;
  if (model.uses_graph()) bytes += store.nodes * 4;
  if (trains_inductively(options, store, model)) bytes += store.nodes * 8;  // normalisation and closure of evaluation
  std::uint64_t parameters = 0;
  for (const TensorSpec& tensor : model.tensors) parameters += tensor.size();
  const bool frozen = options.iglu_order == IgluOrder::backprop && options.iglu_refresh == IgluRefresh::alternate;
  bytes += (frozen ? 5 : 4) * parameters * sizeof(float);
  bytes += tiles * kTileBookkeeping;
  bytes += 24 * divide_up(store.nodes, kChunkRows) * panel_count(store.feature_dim);
  if (!options.batch_file.empty()) bytes += 4 * store.nodes;
  if (options.bitmap || options.alpha_bitmap) bytes += BufferManager::kPackingBytes;
  return bytes + (1u << 20);  // page rounding of many small arrays
}

std::uint64_t group_size(const Model& model, std::size_t group) {
  std::uint64_t size = 0;
  for (const TensorSpec& tensor : model.tensors) size += tensor.group == group ? tensor.size() : 0;
  return size;
}

}  // namespace

bool trains_inductively(const TrainOptions& options, const StoreInfo& store, const Model& model) {
  return options.inductive && store.train_graph.present && model.uses_graph();
}

// Half of what comes out of a ReLU is zero, unless a norm follows; where something is added to it, what is zero in both
// stays so.
double expected_kept(const Model& model, std::size_t layer, bool drops) {
  const LayerSpec& spec = model.layers[layer];
  double zero = spec.activation == Activation::relu && spec.after[0].kind == NormKind::none ? 0.5 : 0;
  if (spec.is_saint() && spec.saint.sum) zero *= zero;
  if (spec.skip > 0) zero *= layer >= spec.skip ? 1 - expected_kept(model, layer - spec.skip, drops) : 0;
  const double dropped = drops ? spec.output_dropout / 2 : 0;
  return (1 - zero) * (1 - dropped);
}

std::vector<PlannedStore> plan_stores(const TrainOptions& options, const StoreInfo& store, const Model& model) {
  std::vector<PlannedStore> plan;
  plan.push_back({"features", rows_of(store, store.feature_dim, store.feature_codec)});
  const bool inductive = trains_inductively(options, store, model);
  StoreInfo trained;
  trained.nodes = inductive ? store.train_graph.nodes : store.nodes;
  add_forward_stores(options, trained, model, plan);
  add_alpha_stores(options, trained, model, plan);
  if (!inductive) return plan;
  for (PlannedStore& rows : plan) {
    if (rows.name == "Z1" || rows.name == "Z1 below")
      rows.shape.rows = store.nodes;  // the first aggregate has them all
  }
  add_evaluation_stores(options, store, model, plan);
  return plan;
}

MemoryPlan plan_memory(const TrainOptions& options, const StoreInfo& store, const Model& model, std::uint32_t threads) {
  MemoryPlan plan;
  const std::uint64_t slots = threads + (threads > 1 ? 1 : 0);
  std::uint64_t tiles = 0, largest_tile = 0;
  std::size_t most_panels = 1;
  for (const PlannedStore& s : plan_stores(options, store, model)) {
    plan.stores += s.shape.total_slot_bytes();
    largest_tile = std::max<std::uint64_t>(largest_tile, s.shape.rows > 0 ? s.shape.tile_slot(0, 0) : 0);
    most_panels = std::max(most_panels, std::min(ChunkPins::kMost, s.shape.panels()));
    tiles += s.shape.chunks() * s.shape.panels();
    if (s.name != "features") plan.scratch_disk += s.shape.total_slot_bytes();
  }
  plan.fixed = fixed_bytes(options, store, model, tiles);
  plan.transient = 8 * store.nodes;
  for (const LayerSpec& layer : model.layers) {
    const auto bytes = LayerTile<float>::memory_bytes(layer, group_size(model, layer.group), {true, true, true});
    plan.workspace = std::max(plan.workspace, slots * bytes);
  }
  // Backward, or forward too, of all but plain sums.
  const bool scales = std::any_of(model.layers.begin(), model.layers.end(), [&](const LayerSpec& layer) {
    return layer.aggregates() && layer.aggregation != Aggregation::sum &&
           store.nodes * cpu::kWidestScaledRow > SpmmMemory{}.cached_bytes;
  });
  std::uint64_t widest = 0;
  std::uint64_t shard = 0, largest_chunk = 0;
  std::vector<const std::vector<ShardInfo>*> graphs{&store.in_shards, &store.out_shards};
  if (trains_inductively(options, store, model)) {
    graphs.insert(graphs.end(), {&store.train_graph.in_shards, &store.train_graph.out_shards});
  }
  for (const std::vector<ShardInfo>* shards : graphs) {
    for (const ShardInfo& info : *shards) {
      plan.graph += Shard::memory_bytes(info);
      shard = std::max(shard, Shard::memory_bytes(info) + ShardRows::memory_bytes(info, scales));
      largest_chunk = std::max(largest_chunk, info.largest_chunk);
    }
  }
  // Every worker reads one group of panels while another is written, and as much again may be on its way to the disk.
  plan.pins = (2 * slots + 2) * most_panels * largest_tile;
  plan.read_ahead = std::max(std::min(options.host_memory / 16, kMostReadAhead), plan.pins / 2);
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const LayerSpec& layer = model.layers[l];
    if (!layer.aggregates()) continue;
    const std::size_t width = layer.z_width();
    widest = std::max<std::uint64_t>(widest, width);
    const auto gathers = [&](Codec codec, Codec out_codec) {
      if (options.product_way == ProductWay::tiles) {
        plan.gather_full = std::max<std::uint64_t>(plan.gather_full, store.nodes * width * sizeof(float));
        plan.gather_least = std::max(plan.gather_least, least_tile_bytes(store.nodes, width, sizeof(float)));
        return;
      }
      const RowShape source = rows_of(store, width, codec);
      plan.gather_full = std::max<std::uint64_t>(plan.gather_full, store.nodes * encoded_row_bytes(codec, width));
      plan.gather_least = std::max(plan.gather_least, least_gather_bytes(source, out_codec));
    };
    gathers(l == 0 ? store.feature_codec : options.codec, options.codec);
    if (layer.hops > 1) gathers(options.codec, options.codec);
    if (l > 0) gathers(options.alpha_codec, options.alpha_codec);
  }
  // SpMM's output tiles share the workspace of the dense passes.
  plan.workspace = std::max<std::uint64_t>(plan.workspace,
                                           2 * slots * round_up(kChunkRows * widest * sizeof(float), kBlockAlignment));
  plan.spmm_overhead = 3 * shard + slots * EdgeSpace::bytes_for(largest_chunk);
  plan.least = plan.fixed + plan.transient + plan.workspace + plan.pins + plan.gather_least + plan.spmm_overhead;
  plan.everything = plan.fixed + plan.transient + plan.graph + plan.stores + plan.gather_full + plan.workspace +
                    plan.pins + plan.read_ahead;
  plan.fits = plan.everything <= options.host_memory;
  // A second one where it costs little: making shards ready is what products of few rows wait for.
  if (threads > 1 && options.host_memory / 32 >= shard && options.host_memory - shard >= plan.least) {
    plan.shards_ahead = 2;
    plan.spmm_overhead += shard;
  }
  const std::uint64_t ahead = plan.shards_ahead > 1 ? shard : 0;
  const std::uint64_t others = ahead + plan.least - plan.gather_least + (plan.fits ? plan.graph + plan.stores : 0);
  const std::uint64_t left = options.host_memory > others ? options.host_memory - others : 0;
  const std::uint64_t window = std::min(plan.read_ahead, (left - std::min(left, plan.gather_least)) / 2);
  plan.pins += window;
  plan.gather_limit = left - window;
  return plan;
}

}  // namespace strata
