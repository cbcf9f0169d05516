#include "engine/methods/sgc.hpp"

#include <algorithm>
#include <numeric>

#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

LayerInputs inputs_of(const RowStore& power) {
  LayerInputs inputs;
  inputs.z = &power;
  return inputs;
}

std::vector<std::uint32_t> chunks_of_splits(const Store& store, MemoryBudget& budget) {
  std::vector<bool> held(divide_up(store.info().nodes, kChunkRows));
  for (const SplitInfo& split : store.info().splits) {
    const Array<NodeId> ids = store.split(split.name, budget);
    for (const NodeId id : ids.span()) held[id / kChunkRows] = true;
  }
  std::vector<std::uint32_t> chunks;
  for (std::size_t c = 0; c < held.size(); ++c) {
    if (held[c]) chunks.push_back(static_cast<std::uint32_t>(c));
  }
  return chunks;
}

// X W^T + b on some chunks of rows.
template <class T>
void forward_chunks(Session<T>& session, std::span<const std::uint32_t> chunks, RowStore& logits) {
  struct Slot {
    LayerTile<T> tile;
    std::vector<NodeId> ids;
  };
  Schedule::Scope scope(session.schedule, session.buffers, "forward of splits");
  scope.use(session.aggregate, 0, session.aggregate.shape().panels(), StoreUse::Kind::read, true);
  scope.use(logits, 0, logits.shape().panels(), StoreUse::Kind::overwrite, true);
  scope.works("forward 1", static_cast<double>(chunks.size() * kChunkRows));
  if (!scope.begin()) return;
  ReadAhead ahead(session.options.prefetch);
  ahead.add(session.aggregate);
  ahead.chunks({chunks.begin(), chunks.end()});
  ScratchMemory::Use scratch(session.scratch);
  std::vector<Slot> slots;
  for (std::size_t s = 0; s < std::min(session.workers.slots(), chunks.size()); ++s) {
    slots.push_back({{session.model.layers[0], 0, session.parameters, TileNeeds{}, scratch, s}, {}});
  }
  const auto work = [&](std::size_t t, std::size_t s) {
    Slot& slot = slots[s];
    slot.ids.resize(logits.shape().chunk_rows(chunks[t]));
    std::iota(slot.ids.begin(), slot.ids.end(), static_cast<NodeId>(chunks[t] * kChunkRows));
    slot.tile.begin(slot.ids);
    read_chunk<T>(session.aggregate, chunks[t], slot.tile.z());
    slot.tile.forward(Masks{});
    write_chunk<T>(logits, chunks[t], slot.tile.y());
  };
  session.workers.ordered(chunks.size(), {.before = [&](std::size_t) { ahead.advance(); }, .work = work, .reduce = {}});
}

}  // namespace

template <class T>
SgcMethod<T>::SgcMethod(Session<T>& session)
    : session_(session),
      logits_(session.make_exact("logits", session.model.classes)),
      steps_(session),
      split_chunks_(chunks_of_splits(session.store, session.budget)) {}

template <class T>
EpochReport SgcMethod<T>::train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                      const StepObserver<T>& observer) {
  fresh_ = Fresh::nothing;
  steps_.begin(epoch, batches, observer);
  steps_.run(0, inputs_of(session_.aggregate), nullptr, {}, this->global_step_);
  if (observer.progress) observer.progress(1);
  return steps_.report();
}

template <class T>
const RowStore& SgcMethod<T>::logits() {
  if (fresh_ != Fresh::all)
    forward_pass(session_, 0, inputs_of(session_.aggregate), Masks{}, RowSink<T>{&logits_, nullptr, true});
  fresh_ = Fresh::all;
  return logits_;
}

template <class T>
const RowStore& SgcMethod<T>::split_logits() {
  if (fresh_ != Fresh::nothing) return logits_;
  forward_chunks<T>(session_, split_chunks_, logits_);
  fresh_ = Fresh::splits;
  return logits_;
}

template class SgcMethod<float>;
template class SgcMethod<double>;

}  // namespace strata
