#include "engine/cache_plan.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr int kClasses = 256;                // of chunks that share one fate in the simulation
constexpr double kLeastFraction = 1.0 / 64;  // less is not worth its bookkeeping

using Kind = StoreUse::Kind;

std::uint64_t panel_bytes(const RowShape& shape, std::size_t panel) {
  if (shape.rows == 0) return 0;
  const std::size_t last = shape.chunks() - 1;
  return last * (last > 0 ? shape.tile_slot(0, panel) : 0) + shape.tile_slot(last, panel);
}

// A pass's part of a use that several passes share.
struct Part {
  std::size_t pass = 0, use = 0;
  double share = 0;  // of the chunks
};

// One use of one panel.
struct Event {
  std::size_t pass = 0, use = 0, panel = 0;  // panel: within the use
  Kind kind = Kind::read;
  bool scattered = false;
  double share = 1;          // of the chunks
  std::vector<Part> others;  // the passes after `pass` that do the rest of it
  [[nodiscard]] std::size_t last_pass() const { return others.empty() ? pass : others.back().pass; }
};

// A panel of a store, with its uses in the order of the passes.
struct Item {
  std::uint64_t bytes = 0;  // in memory
  double disk_bytes = 0;
  bool attached = false;
  std::vector<Event> events;
};

std::vector<Item> items_of(const std::vector<PassRecord>& passes) {
  std::map<std::pair<std::string, std::size_t>, Item> items;
  for (std::size_t p = 0; p < passes.size(); ++p) {
    for (std::size_t u = 0; u < passes[p].uses.size(); ++u) {
      const StoreUse& use = passes[p].uses[u];
      for (std::size_t i = 0; i < use.panels; ++i) {
        Item& item = items[{use.store, use.first_panel + i}];
        item.bytes = panel_bytes(use.shape, use.first_panel + i);
        item.disk_bytes = static_cast<double>(item.bytes) * use.disk_share;
        item.attached = use.attached;
        if (use.part > 0) {
          STRATA_ASSERT(!item.events.empty() && item.events.back().kind == use.kind);
          item.events.back().others.push_back({p, u, use.share});
        } else {
          item.events.push_back({p, u, i, use.kind, use.scattered, use.share, {}});
        }
      }
    }
  }
  std::vector<Item> list;
  list.reserve(items.size());
  for (auto& [key, item] : items) list.push_back(std::move(item));
  return list;
}

// From an event of an item to the next one. Time is counted in half passes: the end of pass p is 2p + 1, its start 2p.
struct Interval {
  std::size_t item = 0, event = 0;
  std::size_t from = 0, to = 0;  // half passes occupied: [from, to], cyclic in the epoch when to < from
  double saved = 0;              // bytes, for all of the item
  double worth = 0;
};

class Planner {
 public:
  Planner(const std::vector<PassRecord>& passes, std::size_t epoch_begins, const std::vector<std::uint64_t>& capacity)
      : passes_(passes), begins_(epoch_begins), items_(items_of(passes)) {
    for (const std::uint64_t bytes : capacity) {
      room_.push_back(static_cast<double>(bytes));
      room_.push_back(static_cast<double>(bytes));
    }
    for (const PassRecord& pass : passes) {
      PassRetention retention;
      for (const StoreUse& use : pass.uses) {
        retention.emplace_back(use.panels, Retention{Retention::Mode::planned, 0, false});
      }
      plan_.retention.push_back(std::move(retention));
    }
  }

  CachePlan run() {
    std::vector<Interval> epoch, preparation;
    for (std::size_t i = 0; i < items_.size(); ++i) collect(i, epoch, preparation);
    full_room_ = room_;
    serve(epoch);
    serve(preparation);
    for (std::size_t t = 0; t < room_.size(); ++t) {
      plan_.peak_kept = std::max(plan_.peak_kept, static_cast<std::uint64_t>(full_room_[t] - room_[t]));
    }
    for (const Item& item : items_) {
      for (const Event& event : item.events) {
        for (const Part& part : event.others) {
          plan_.retention[part.pass][part.use][event.panel] = retention_of(event);
        }
      }
    }
    simulate();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] Retention& retention_of(const Event& event) const {
    return plan_.retention[event.pass][event.use][event.panel];
  }

  // The event after the e-th: of the preparation that is followed by the first of the epoch, the last of the epoch too.
  [[nodiscard]] std::size_t next_event(const Item& item, std::size_t e) const {
    if (e + 1 < item.events.size()) return e + 1;
    const auto first =
        std::find_if(item.events.begin(), item.events.end(), [&](const Event& event) { return event.pass >= begins_; });
    return first == item.events.end() ? kNone : static_cast<std::size_t>(first - item.events.begin());
  }

  void collect(std::size_t index, std::vector<Interval>& epoch, std::vector<Interval>& preparation) {
    const Item& item = items_[index];
    for (std::size_t e = 0; e < item.events.size(); ++e) {
      const Event& event = item.events[e];
      const std::size_t n = next_event(item, e);
      const bool dead = n == kNone || item.events[n].kind == Kind::overwrite;
      if (dead) {
        retention_of(event).drop = !item.attached;
        retention_of(event).later = event.scattered;
        continue;
      }
      // Of a use in parts: rows that it reads are there until its last pass, rows that it writes from its first one on.
      const Event& next = item.events[n];
      const std::size_t from = 2 * (event.kind == Kind::read ? event.last_pass() : event.pass) + 1;
      const std::size_t to = 2 * (next.kind == Kind::read ? next.last_pass() : next.pass);
      Interval interval{index, e, from, to, item.disk_bytes, 0};
      if (event.kind != Kind::read) interval.saved *= 2;
      interval.worth = interval.saved / (static_cast<double>(item.bytes) * duration(interval.from, interval.to));
      (event.pass >= begins_ ? epoch : preparation).push_back(interval);
    }
  }

  // Half passes in an interval, each counted with what it moves.
  [[nodiscard]] double duration(std::size_t from, std::size_t to) const {
    double sum = 1;
    for_points(from, to, [&](std::size_t t) {
      for (const StoreUse& use : passes_[t / 2].uses) sum += static_cast<double>(use.panels * use.shape.rows);
    });
    return sum;
  }

  template <class Body>
  void for_points(std::size_t from, std::size_t to, Body&& body) const {
    if (from <= to) {
      for (std::size_t t = from; t <= to; ++t) body(t);
      return;
    }
    for (std::size_t t = from; t < room_.size(); ++t) body(t);
    for (std::size_t t = 2 * begins_; t <= to; ++t) body(t);
  }

  // From the most worthy on, as much as there is room for. An interval from the preparation into the epoch gets what
  // the epoch's own one into the same use got.
  void serve(std::vector<Interval>& intervals) {
    std::stable_sort(intervals.begin(), intervals.end(),
                     [](const Interval& a, const Interval& b) { return a.worth > b.worth; });
    for (const Interval& interval : intervals) {
      const Item& item = items_[interval.item];
      const Event& event = item.events[interval.event];
      double fraction = item.bytes > 0 ? 1.0 : 0.0;
      const bool crosses = event.pass < begins_ && interval.to >= 2 * begins_;
      const std::size_t last_point = crosses ? 2 * begins_ - 1 : interval.to;
      for_points(interval.from, last_point, [&](std::size_t t) {
        fraction = std::min(fraction, room_[t] / static_cast<double>(std::max<std::uint64_t>(item.bytes, 1)));
      });
      if (crosses) fraction = std::min(fraction, retention_of(item.events.back()).keep);
      if (fraction < kLeastFraction) fraction = 0;
      for_points(interval.from, last_point,
                 [&](std::size_t t) { room_[t] -= fraction * static_cast<double>(item.bytes); });
      retention_of(event).keep = fraction;
    }
  }

  // Of the chunks, by all passes of a use.
  [[nodiscard]] static double share_of(const Event& event) {
    double share = event.share;
    for (const Part& part : event.others) share += part.share;
    return share;
  }

  // The fate of every class of chunks through the preparation and two periods.
  void simulate() {
    plan_.traffic.assign(passes_.size(), {});
    double first_read = 0, first_written = 0;
    for (const Item& item : items_) {
      std::vector<double> read(passes_.size()), written(passes_.size());
      for (int c = 0; c < kClasses; ++c) {
        const double position = (c + 0.5) / kClasses;
        const double bytes = item.disk_bytes / kClasses;
        bool resident = false, dirty = false, on_disk = item.attached;
        const auto play = [&](const Event& event, double& in, double& out) {
          if (event.kind != Kind::overwrite && !resident && on_disk) in += bytes * share_of(event);
          if (event.kind != Kind::read) {
            dirty = true;
            on_disk = false;
          }
          const Retention& r = retention_of(event);
          resident = !r.drop && position < r.keep;
          if (r.drop) {
            dirty = on_disk = false;
          } else if (!resident && dirty) {
            out += bytes;
            dirty = false;
            on_disk = true;
          }
        };
        const auto play_pass = [&](const Event& event) {
          double in = 0, out = 0;
          play(event, in, out);
          const double all = share_of(event);
          const auto add = [&](std::size_t pass, double share) {
            read[pass] += in * share / all;
            written[pass] += out * share / all;
          };
          add(event.pass, event.share);
          for (const Part& part : event.others) add(part.pass, part.share);
        };
        for (const Event& event : item.events) {
          if (event.pass < begins_) {
            play_pass(event);
          } else {
            play(event, first_read, first_written);
          }
        }
        for (const Event& event : item.events) {
          if (event.pass >= begins_) play_pass(event);
        }
      }
      for (std::size_t p = 0; p < passes_.size(); ++p) {
        plan_.traffic[p].read += static_cast<std::uint64_t>(read[p]);
        plan_.traffic[p].written += static_cast<std::uint64_t>(written[p]);
      }
    }
    plan_.first_epochs = {static_cast<std::uint64_t>(first_read), static_cast<std::uint64_t>(first_written)};
  }

  const std::vector<PassRecord>& passes_;
  const std::size_t begins_;
  std::vector<Item> items_;
  std::vector<double> room_, full_room_;  // bytes left at each half pass
  mutable CachePlan plan_;
};

}  // namespace

CachePlan plan_cache(const std::vector<PassRecord>& passes, std::size_t epoch_begins,
                     const std::vector<std::uint64_t>& capacity) {
  STRATA_ASSERT(capacity.size() == passes.size() && epoch_begins <= passes.size());
  return Planner(passes, epoch_begins, capacity).run();
}

PassTraffic epoch_floor(const std::vector<PassRecord>& passes, std::size_t epoch_begins) {
  PassTraffic floor;
  for (std::size_t p = epoch_begins; p < passes.size(); ++p) {
    for (const StoreUse& use : passes[p].uses) {
      std::uint64_t bytes = 0;
      for (std::size_t i = 0; i < use.panels; ++i) {
        bytes += static_cast<std::uint64_t>(static_cast<double>(panel_bytes(use.shape, use.first_panel + i)) *
                                            use.share * use.disk_share);
      }
      if (use.kind != Kind::overwrite) floor.read += bytes;
      if (use.kind != Kind::read) floor.written += bytes;
    }
    floor.read += passes[p].graph_bytes;
  }
  return floor;
}

}  // namespace strata
