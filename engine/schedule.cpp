#include "engine/schedule.hpp"

#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/timeline.hpp"

namespace strata {

void Schedule::record() {
  STRATA_ASSERT(!recording_ && passes_.empty());
  recording_ = true;
}

std::vector<PassRecord> Schedule::take_record() {
  recording_ = false;
  return std::exchange(passes_, {});
}

void Schedule::set(std::vector<PassRecord> passes, std::vector<PassRetention> retention,
                   std::vector<std::size_t> epoch_begins) {
  STRATA_ASSERT(passes.size() == retention.size() && !epoch_begins.empty());
  passes_ = std::move(passes);
  retention_ = std::move(retention);
  measured_.assign(passes_.size(), {});
  epoch_begins_ = std::move(epoch_begins);
  cursor_ = 0;
}

// The pass that the plan expects now; kUnknown when that is another one.
std::size_t Schedule::find(const std::string& name) {
  if (suspended_ || cursor_ == passes_.size() || passes_[cursor_].name != name) return kUnknown;
  return cursor_++;
}

Schedule::Scope::Scope(Schedule& schedule, const BufferManager& buffers, std::string name)
    : schedule_(schedule), buffers_(buffers) {
  record_.name = std::move(name) + schedule.suffix_;
}

void Schedule::Scope::use(const RowStore& store, std::size_t first_panel, std::size_t panels, StoreUse::Kind kind,
                          bool scattered, std::size_t chunks) {
  const std::size_t all = store.shape().chunks();
  if (panels == 0 || all == 0) return;
  const double share = static_cast<double>(std::min(chunks, all)) / static_cast<double>(all);
  for (std::size_t u = 0; u < stores_.size() && kind == StoreUse::Kind::read; ++u) {
    StoreUse& known = record_.uses[u];
    if (stores_[u] != &store || known.kind != kind || known.first_panel != first_panel || known.panels != panels) {
      continue;
    }
    known.scattered = true;  // read twice, in turns: the first may not end it
    known.share = std::max(known.share, share);
    return;
  }
  record_.uses.push_back({store.name(), store.shape(), store.is_attached(), first_panel, panels, kind, scattered, share,
                          store.disk_form().share(store.shape())});
  stores_.push_back(&store);
}

void Schedule::Scope::use_part(const RowStore& store, std::size_t first_panel, std::size_t panels, StoreUse::Kind kind,
                               const StorePart& part) {
  const std::size_t before = stores_.size();
  use(store, first_panel, panels, kind, false, part.chunks);
  if (stores_.size() == before) return;  // read already, in this very pass
  record_.uses.back().part = part.part;
  record_.uses.back().parts = part.parts;
}

bool Schedule::Scope::begin() {
  if (schedule_.recording_) {
    schedule_.passes_.push_back(record_);
    return false;
  }
  running_ = true;
  begin_ = Clock::now();
  before_ = buffers_.counters();
  if (!schedule_.planned()) return true;
  pass_ = schedule_.find(record_.name);
  for (std::size_t u = 0; u < stores_.size(); ++u) {
    const StoreUse& use = record_.uses[u];
    if (pass_ == kUnknown) {
      stores_[u]->set_retention(use.first_panel, use.panels, schedule_.unknown_);
      continue;
    }
    const std::vector<Retention>& panels = schedule_.retention_[pass_].at(u);
    for (std::size_t p = 0; p < use.panels; ++p) stores_[u]->set_retention(use.first_panel + p, 1, panels.at(p));
  }
  return true;
}

// What could not be dropped at its first unpin, for the pass might have come back to it.
void Schedule::Scope::give_up_rows() {
  for (std::size_t u = 0; u < stores_.size(); ++u) {
    const std::vector<Retention>& panels = schedule_.retention_[pass_][u];
    for (std::size_t p = 0; p < panels.size(); ++p) {
      if (panels[p].drop && panels[p].later) stores_[u]->give_up(record_.uses[u].first_panel + p, 1);
    }
  }
}

Schedule::Scope::~Scope() {
  if (!running_) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  if (Timeline::recording()) Timeline::add("pass", record_.name, Timeline::now() - seconds, Timeline::now());
  if (pass_ == kUnknown) return;
  give_up_rows();
  PassMeasured& measured = schedule_.measured_[pass_];
  const TierCounters after = buffers_.counters();
  ++measured.runs;
  measured.seconds += seconds;
  measured.io.hits += after.hits - before_.hits;
  measured.io.misses += after.misses - before_.misses;
  measured.io.bytes_read += after.bytes_read - before_.bytes_read;
  measured.io.bytes_written += after.bytes_written - before_.bytes_written;
  measured.io.wait_seconds += after.wait_seconds - before_.wait_seconds;
}

}  // namespace strata
