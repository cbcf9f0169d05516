// The passes of a run and what each does with the row stores. A method is run dry once (its passes only say what they
// would use), and from that list follows, before the run, what stays in memory between two uses of a row store, how
// many bytes every pass moves, and how long it takes. When the run then comes to the same pass, its stores are told.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "storage/buffer_manager.hpp"

namespace strata {

// Panels [first_panel, first_panel + panels) of every chunk of a row store, once each.
struct StoreUse {
  enum class Kind : std::uint8_t { read, overwrite, update };
  std::string store;
  RowShape shape;
  bool attached = false;  // its rows are on disk from the start
  std::size_t first_panel = 0;
  std::size_t panels = 0;
  Kind kind = Kind::read;
  bool scattered = false;  // a chunk may be pinned several times, so nothing is given up at its first unpin
  double share = 1;        // of the chunks, that are used
  double disk_share = 1;   // expected bytes on disk, of those in memory
  // Passes one after the other that use the chunks between them, each chunk once: this is number `part` of `parts`.
  std::size_t part = 0, parts = 1;
};

// See StoreUse: `chunks` of them in this pass.
struct StorePart {
  std::size_t chunks = 0, part = 0, parts = 1;
};

// Something that takes processor time: `amount` of it (rows, edges) at the rate that `what` names.
struct WorkItem {
  std::string what;
  double amount = 0;
};

struct PassRecord {
  std::string name;
  std::vector<StoreUse> uses;
  std::uint64_t memory = 0;       // bytes it takes beside the row stores' blocks
  std::uint64_t gathered = 0;     // of them, columns that a product holds
  std::uint64_t graph_bytes = 0;  // of shards that are read, when the graph does not stay in memory
  std::vector<WorkItem> work;
};

// What became of a pass, summed over the times it ran.
struct PassMeasured {
  std::uint64_t runs = 0;
  double seconds = 0;
  TierCounters io;
};

// For every pass, for every use, for every panel.
using PassRetention = std::vector<std::vector<Retention>>;

class Schedule {
 public:
  // One pass as it runs: from construction to destruction.
  class Scope;
  // As long as it lives, the passes' names end in this.
  class Phase {
   public:
    Phase(Schedule& schedule, std::string suffix) : schedule_(schedule) { schedule.suffix_ = std::move(suffix); }
    Phase(const Phase&) = delete;
    Phase& operator=(const Phase&) = delete;
    ~Phase() { schedule_.suffix_.clear(); }

   private:
    Schedule& schedule_;
  };

  // Dry run: passes are noted and do nothing.
  void record();
  [[nodiscard]] bool recording() const { return recording_; }
  [[nodiscard]] std::vector<PassRecord> take_record();

  // The passes of the initial sweep, then those of the epochs of one period.
  // epoch_begins: where each epoch of the period starts.
  void set(std::vector<PassRecord> passes, std::vector<PassRetention> retention, std::vector<std::size_t> epoch_begins);
  void start_preparation() { cursor_ = 0; }
  void start_epoch(std::uint32_t epoch) {  // from 1
    if (planned()) cursor_ = epoch_begins_[(epoch - 1) % epoch_begins_.size()];
  }
  // From now on no pass is the plan's: nothing more is dropped.
  void suspend() { suspended_ = true; }
  // The run will not follow the plan: the stores guess what to keep, and nothing is measured.
  void discard() {
    passes_.clear();
    retention_.clear();
  }
  // Everything fits memory: passes that the plan does not know leave their rows there as well.
  void keep_unknown() { unknown_ = {}; }
  [[nodiscard]] bool planned() const { return !passes_.empty(); }
  [[nodiscard]] const std::vector<PassRecord>& passes() const { return passes_; }
  [[nodiscard]] const std::vector<PassMeasured>& measured() const { return measured_; }

 private:
  static constexpr std::size_t kUnknown = static_cast<std::size_t>(-1);
  [[nodiscard]] std::size_t find(const std::string& name);

  bool recording_ = false, suspended_ = false;
  Retention unknown_{Retention::Mode::passing, 0, false};  // of the stores that an unknown pass uses
  std::vector<PassRecord> passes_;                         // the plan's, or those recorded so far
  std::vector<PassRetention> retention_;
  std::vector<PassMeasured> measured_;
  std::vector<std::size_t> epoch_begins_;
  std::size_t cursor_ = 0;  // the pass expected next
  std::string suffix_;      // of a Phase
};

class Schedule::Scope {
 public:
  // Names the pass and the memory it takes; then add its stores; then begin().
  Scope(Schedule& schedule, const BufferManager& buffers, std::string name);
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  void use(const RowStore& store, StoreUse::Kind kind) { use(store, 0, store.shape().panels(), kind); }
  void use(const RowStore& store, std::size_t first_panel, std::size_t panels, StoreUse::Kind kind,
           bool scattered = false, std::size_t chunks = static_cast<std::size_t>(-1));
  void use_part(const RowStore& store, std::size_t first_panel, std::size_t panels, StoreUse::Kind kind,
                const StorePart& part);
  void takes(std::uint64_t bytes) { record_.memory += bytes; }
  void gathers(std::uint64_t bytes) {
    record_.gathered += bytes;
    record_.memory += bytes;
  }
  void reads_graph(std::uint64_t bytes) { record_.graph_bytes += bytes; }
  void works(std::string what, double amount) { record_.work.push_back({std::move(what), amount}); }
  // True when the pass is to run; false in a dry run. Tells the stores what is to stay.
  [[nodiscard]] bool begin();

 private:
  void give_up_rows();
  using Clock = std::chrono::steady_clock;
  Schedule& schedule_;
  const BufferManager& buffers_;
  PassRecord record_;
  std::vector<const RowStore*> stores_;  // of the uses
  std::size_t pass_ = kUnknown;
  bool running_ = false;
  Clock::time_point begin_;
  TierCounters before_;
};

}  // namespace strata
