#include "engine/planner.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "engine/tile_plan.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

// What a byte that goes to or from the disk costs in processor time: the request, and its checksum.
constexpr double kSecondsPerByte = 0.15e-9;
// Of the budget, for what is small and many.
constexpr std::uint64_t kSlack = std::uint64_t{1} << 20;

// One way to run: the passes it leads to, and their cost.
struct Candidate {
  ProductWay way = ProductWay::columns;
  std::uint64_t gather_limit = 0;
  bool graph_resident = false;
  bool hold_gathered = false;  // the gathered columns' memory stays taken between products
  std::vector<PassRecord> passes;
  std::vector<std::size_t> epoch_begins;  // of every epoch of the period
  CachePlan cache;
  SchedulePlan plan;
};

template <class T>
class SchedulePlanner {
 public:
  SchedulePlanner(Session<T>& session, Method<T>& method, const std::function<void()>& evaluate, Calibration<T>& rates)
      : session_(session), method_(method), evaluate_(evaluate), rates_(rates) {}

  SchedulePlan run() {
    const std::uint64_t widest = session_.spmm_memory.gather_limit;
    std::optional<Candidate> best;
    std::vector<WayCost> costs;
    for (const ProductWay way : ways()) {
      Candidate of_way = best_of(way, widest);
      costs.push_back({way, of_way.plan.traffic(of_way.plan.epoch), epoch_seconds(of_way)});
      if (!best || epoch_seconds(of_way) < epoch_seconds(*best)) best = std::move(of_way);
    }
    session_.spmm_memory.way = best->way;
    best->plan.ways = std::move(costs);
    session_.spmm_memory.gather_limit = best->gather_limit;
    session_.spmm_memory.keep = best->hold_gathered;
    if (best->graph_resident) session_.make_graphs_resident();
    best->plan.floor = floor();
    if (session_.plan.fits) session_.schedule.keep_unknown();
    session_.schedule.set(std::move(best->passes), std::move(best->cache.retention), std::move(best->epoch_begins));
    return std::move(best->plan);
  }

 private:
  static double epoch_seconds(const Candidate& c) { return c.plan.seconds(c.plan.epoch); }

  Candidate best_of(ProductWay way, std::uint64_t widest) {
    std::optional<Candidate> best;
    for (const std::uint64_t limit : gather_limits(widest, way)) {
      for (const bool resident : {false, true}) {
        if (resident != session_.graph.resident() && (session_.graph.resident() || !graph_fits(limit))) continue;
        for (const bool hold : {true, false}) {
          if (!hold && session_.plan.fits) continue;
          Candidate candidate = record(way, limit, resident, hold);
          if (!best || epoch_seconds(candidate) < epoch_seconds(*best)) best = std::move(candidate);
        }
      }
    }
    return std::move(*best);
  }

  // Where everything fits, columns are gathered straight from the dense passes.
  [[nodiscard]] std::vector<ProductWay> ways() const {
    const ProductWay wanted = session_.options.product_way;
    if (wanted != ProductWay::automatic) return {wanted};
    if (session_.plan.fits || !session_.model.uses_graph()) return {ProductWay::columns};
    if (session_.spmm_memory.gather_limit < least_sums()) return {ProductWay::columns};
    return {ProductWay::columns, ProductWay::tiles, ProductWay::automatic};
  }

  // Limits that cut the products differently: what memory allows, and less, down to one panel of columns or a quarter
  // of the sums.
  [[nodiscard]] std::vector<std::uint64_t> gather_limits(std::uint64_t most, ProductWay way) const {
    std::set<std::uint64_t> limits{most};
    if (session_.plan.fits) return {most};
    if (way != ProductWay::columns) add_tile_limits(limits, most);
    if (way == ProductWay::tiles) return {limits.begin(), limits.end()};
    for (std::size_t l = 1; l < session_.model.layers.size(); ++l) {
      const LayerSpec& layer = session_.model.layers[l];
      if (!layer.aggregates()) continue;
      const std::size_t panels = panel_count(layer.z_width());
      for (std::size_t groups = 1; groups <= panels; ++groups) {
        const std::size_t columns = divide_up(panels, groups) * kPanelColumns;
        const std::uint64_t bytes =
            session_.nodes() * std::max(encoded_row_bytes(session_.options.codec, columns),
                                        encoded_row_bytes(session_.options.alpha_codec, columns));
        if (bytes < most) limits.insert(bytes);
      }
    }
    return {limits.begin(), limits.end()};
  }

  // What tiles of every product fit into.
  [[nodiscard]] std::uint64_t least_sums() const {
    std::uint64_t bytes = session_.plan.gather_least;
    for (std::size_t l = 1; l < session_.model.layers.size(); ++l) {  // the first aggregate is there already
      const LayerSpec& layer = session_.model.layers[l];
      if (layer.aggregates()) bytes = std::max(bytes, least_tile_bytes(session_.nodes(), layer.z_width(), sizeof(T)));
    }
    return bytes;
  }

  void add_tile_limits(std::set<std::uint64_t>& limits, std::uint64_t most) const {
    for (std::size_t l = 1; l < session_.model.layers.size(); ++l) {
      if (!session_.model.layers[l].aggregates()) continue;
      const std::uint64_t row = session_.model.layers[l].z_width() * sizeof(T);
      for (const std::size_t ranges : {1, 2, 3, 4}) {
        for (const RowMap* rows : {&session_.rows(l - 1), &session_.rows(l)}) {
          const std::uint64_t bytes = divide_up(divide_up(rows->all_rows(), kChunkRows), ranges) * kChunkRows * row;
          if (bytes < most && bytes >= least_sums()) limits.insert(bytes);
        }
      }
    }
  }

  [[nodiscard]] std::uint64_t graph_bytes() const {
    return session_.graph.resident() ? 0 : session_.plan.graph;  // what is open is in use already
  }
  [[nodiscard]] bool graph_fits(std::uint64_t gather) const {
    return room(gather + graph_bytes() + session_.plan.spmm_overhead) > 0;
  }

  // Normalisation in the order of a map's rows.
  static std::uint64_t scale_bytes(const RowMap& rows) { return rows.is_identity() ? 0 : rows.all_rows() * sizeof(T); }

  // For blocks that stay, beside `bytes` of a pass, what is taken now, what is still to come, and the blocks in use.
  [[nodiscard]] std::uint64_t room(std::uint64_t bytes) const {
    std::uint64_t taken = session_.budget.used() - session_.buffers.block_bytes();
    taken += bytes + session_.plan.pins + kSlack;
    for (std::size_t l = 0; l < session_.model.layers.size(); ++l) {
      taken += scale_bytes(session_.rows(l));
      if (session_.full != nullptr) taken += scale_bytes(session_.full->sets.layer(l + 1));
    }
    return session_.budget.limit() > taken ? session_.budget.limit() - taken : 0;
  }

  Candidate record(ProductWay way, std::uint64_t limit, bool resident, bool hold) {
    Candidate candidate;
    candidate.way = way;
    candidate.gather_limit = limit;
    candidate.graph_resident = resident;
    candidate.hold_gathered = hold;
    record_passes(candidate);
    std::uint64_t most_gathered = 0;
    for (const PassRecord& pass : candidate.passes) most_gathered = std::max(most_gathered, pass.gathered);
    std::vector<std::uint64_t> capacity;
    for (PassRecord& pass : candidate.passes) {
      if (resident) pass.graph_bytes = 0;
      if (hold) pass.memory += most_gathered - pass.gathered;
      capacity.push_back(session_.plan.fits ? UINT64_MAX / 4 : room(pass.memory + (resident ? graph_bytes() : 0)));
    }
    candidate.cache = plan_cache(candidate.passes, candidate.epoch_begins.front(), capacity);
    candidate.plan = cost(candidate);
    return candidate;
  }

  // The sweep before the first epoch, then the epochs of a period in their steady state: the second one.
  void record_passes(Candidate& candidate) {
    const std::uint64_t before = session_.spmm_memory.gather_limit;
    const ProductWay way_before = session_.spmm_memory.way;
    session_.spmm_memory.gather_limit = candidate.gather_limit;
    session_.spmm_memory.way = candidate.way;
    const auto taken = [&](const std::function<void()>& run) {
      session_.schedule.record();
      run();
      return session_.schedule.take_record();
    };
    method_.forget_outputs();
    candidate.passes = taken([&] { method_.prepare(); });
    method_.expect_evaluation(true);
    const std::uint32_t period = method_.period();
    for (std::uint32_t epoch = 1; epoch <= 2 * period; ++epoch) {
      std::vector<PassRecord> passes = taken([&] {
        static_cast<void>(method_.train_epoch(epoch, nullptr, {}));
        evaluate_();
      });
      if (epoch <= period) continue;
      candidate.epoch_begins.push_back(candidate.passes.size());
      std::move(passes.begin(), passes.end(), std::back_inserter(candidate.passes));
    }
    method_.forget_outputs();
    session_.spmm_memory.gather_limit = before;
    session_.spmm_memory.way = way_before;
  }

  [[nodiscard]] SchedulePlan cost(const Candidate& candidate) {
    SchedulePlan plan;
    plan.way = candidate.way;
    plan.period = static_cast<std::uint32_t>(candidate.epoch_begins.size());
    plan.graph_resident = candidate.graph_resident;
    plan.peak_kept = candidate.cache.peak_kept;
    std::uint64_t gathered_before = 0;
    for (std::size_t p = 0; p < candidate.passes.size(); ++p) {
      const PassRecord& record = candidate.passes[p];
      plan.gather_bytes = std::max(plan.gather_bytes, record.gathered);
      PlannedPass pass{record.name, candidate.cache.traffic[p], record.graph_bytes, 0, 0};
      const double moved = static_cast<double>(pass.traffic.read + pass.traffic.written + pass.graph_bytes);
      if (moved > 0) {
        pass.io_seconds = static_cast<double>(pass.traffic.read + pass.graph_bytes) / rates_.disk().read +
                          static_cast<double>(pass.traffic.written) / rates_.disk().write;
      }
      pass.cpu_seconds = moved * kSecondsPerByte / session_.workers.threads();
      for (const WorkItem& item : record.work) pass.cpu_seconds += item.amount * rates_.seconds_each(item.what);
      // What was given back comes again from the system, and the blocks that took its place once more.
      if (!candidate.hold_gathered && record.gathered > gathered_before) {
        pass.cpu_seconds +=
            2 * static_cast<double>(record.gathered - gathered_before) * rates_.seconds_each("fresh bytes");
      }
      gathered_before = record.gathered;
      (p < candidate.epoch_begins.front() ? plan.preparation : plan.epoch).push_back(pass);
    }
    return plan;
  }

  // With products that hold all columns at once.
  PassTraffic floor() {
    Candidate whole;
    whole.gather_limit = UINT64_MAX / 4;
    record_passes(whole);
    return epoch_floor(whole.passes, whole.epoch_begins.front());
  }

  Session<T>& session_;
  Method<T>& method_;
  const std::function<void()>& evaluate_;
  Calibration<T>& rates_;
};

}  // namespace

PassTraffic SchedulePlan::traffic(const std::vector<PlannedPass>& passes) const {
  PassTraffic sum;
  for (const PlannedPass& pass : passes) {
    sum.read += pass.traffic.read + pass.graph_bytes;
    sum.written += pass.traffic.written;
  }
  return sum;
}

double SchedulePlan::seconds(const std::vector<PlannedPass>& passes) const {
  double sum = 0;
  for (const PlannedPass& pass : passes) sum += pass.seconds();
  return sum;
}

template <class T>
SchedulePlan plan_schedule(Session<T>& session, Method<T>& method, const std::function<void()>& evaluate,
                           Calibration<T>& rates) {
  return SchedulePlanner<T>(session, method, evaluate, rates).run();
}

template SchedulePlan plan_schedule(Session<float>&, Method<float>&, const std::function<void()>&, Calibration<float>&);
template SchedulePlan plan_schedule(Session<double>&, Method<double>&, const std::function<void()>&,
                                    Calibration<double>&);

}  // namespace strata
