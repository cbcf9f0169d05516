#include "engine/run/resources.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "engine/run/machine.hpp"
#include "kernels/base/error.hpp"
#include "storage/file.hpp"

namespace strata {

namespace {

std::uint64_t parameter_bytes(const Model& model) {
  std::uint64_t count = 0;
  for (const TensorSpec& tensor : model.tensors) count += tensor.size();
  return count * sizeof(float);
}

std::uint64_t rows_of(const std::string& what, const StoreInfo& store) {
  if (what == "none") return 0;
  std::uint64_t rows = 0;
  for (const SplitInfo& split : store.splits) {
    if (what == "splits" || what == split.name) rows += split.nodes;
  }
  return what == "splits" || what == "test" ? rows : store.nodes;
}

std::uint64_t output_bytes(const TrainOptions& options, const StoreInfo& store, const Model& model) {
  const std::uint64_t parameters = parameter_bytes(model);
  const std::uint64_t predictions = rows_of(options.predict, store) * (model.classes * sizeof(float) + 8);
  // Scores or classes, ids, and for MAG240M the test rows' classes twice.
  const std::uint64_t ogb_row = std::max<std::uint64_t>(model.classes * sizeof(float), 8) + 12;
  const std::uint64_t ogb = options.predict_ogb ? rows_of(options.predict, store) * ogb_row : 0;
  const LayerSpec& last = model.layers.back();
  const std::uint64_t embeddings = rows_of(options.embeddings, store) * (last.in * sizeof(float) + 8);
  // model.safetensors, and two checkpoints of four arrays: the new one is written before the old one goes.
  return predictions + ogb + embeddings + 9 * parameters + (std::uint64_t{1} << 20);
}

void require_space(const fs::path& where, std::uint64_t needed, const std::string& advice) {
  const std::uint64_t free = free_bytes_for(where);
  if (needed <= free) return;
  throw ResourceError(fmt::format("{}: up to {} may be written there and {} are free; {} ({} bytes would do)",
                                  where.string(), format_bytes(needed), format_bytes(free), advice, needed),
                      needed);
}

}  // namespace

RunPlan plan_run(const TrainOptions& options, const StoreInfo& store, const Model& model) {
  RunPlan plan;
  plan.threads = options.threads != 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  plan.memory = plan_memory(options, store, model, plan.threads);
  plan.run_bytes = 2 * round_up(parameter_bytes(model), kBlockAlignment);
  plan.least = plan.memory.least + plan.run_bytes;
  const bool all_fits = plan.memory.fits && options.host_memory >= plan.memory.everything + plan.run_bytes;
  plan.cache_bytes = all_fits ? 0 : plan.memory.scratch_disk;
  plan.output_bytes = output_bytes(options, store, model);
  return plan;
}

void check_memory(const TrainOptions& options, const RunPlan& plan) {
  if (options.host_memory < plan.least) {
    throw ResourceError(
        fmt::format("--host-memory {}: too little for this store and model; at least {} would do ({} bytes)",
                    format_bytes(options.host_memory), format_bytes(plan.least), plan.least),
        plan.least);
  }
}

void check_disk(const TrainOptions& options, const RunPlan& plan) {
  if (plan.cache_bytes > options.disk_limit) {
    throw ResourceError(fmt::format("--disk-limit {}: up to {} of row stores may go to {}; raise the limit to that ({} "
                                    "bytes) or --host-memory to {}",
                                    format_bytes(options.disk_limit), format_bytes(plan.cache_bytes),
                                    options.cache_dir.string(), plan.cache_bytes, format_bytes(plan.memory.everything)),
                        plan.cache_bytes);
  }
  require_space(options.cache_dir, plan.cache_bytes,
                "choose another --cache-dir or raise --host-memory to " + format_bytes(plan.memory.everything));
  require_space(options.run, plan.output_bytes, "choose another --run");
}

}  // namespace strata
