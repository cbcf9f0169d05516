#include <fmt/format.h>

#include <iterator>
#include <map>

#include "engine/active_sets.hpp"
#include "engine/run/resources.hpp"
#include "kernels/base/error.hpp"

namespace strata {

namespace {

std::string line(const std::string& name, std::uint64_t read, std::uint64_t written, double io, double cpu,
                 double seconds) {
  return fmt::format("  {:<38}{:>12}{:>12}{:>9.2f}{:>9.2f}{:>9.2f}\n", name, format_bytes(read), format_bytes(written),
                     io, cpu, seconds);
}

std::string table(const std::vector<PlannedPass>& passes) {
  std::string text;
  for (const PlannedPass& pass : passes) {
    text += line(pass.name, pass.traffic.read + pass.graph_bytes, pass.traffic.written, pass.io_seconds,
                 pass.cpu_seconds, pass.seconds());
  }
  return text;
}

std::string totals(const SchedulePlan& plan, const std::vector<PlannedPass>& passes, const char* what, double epochs) {
  const PassTraffic traffic = plan.traffic(passes);
  return fmt::format("  {}: {} read, {} written, {:.2f} s\n", what,
                     format_bytes(static_cast<std::uint64_t>(static_cast<double>(traffic.read) / epochs)),
                     format_bytes(static_cast<std::uint64_t>(static_cast<double>(traffic.written) / epochs)),
                     plan.seconds(passes) / epochs);
}

const char* describe(ProductWay way) {
  switch (way) {
    case ProductWay::automatic: return "each product by columns or by tiles, what reads less";
    case ProductWay::columns: return "columns of all rows";
    case ProductWay::tiles: return "tiles: sums of some rows";
  }
  return "";
}

// The best of each way that was looked at.
std::string describe_ways(const SchedulePlan& plan) {
  std::string text;
  const double epochs = plan.period;
  for (const WayCost& cost : plan.ways) {
    text += fmt::format("  {} {:<54}{:>12} read{:>12} written{:>9.2f} s an epoch\n", cost.way == plan.way ? "*" : " ",
                        describe(cost.way),
                        format_bytes(static_cast<std::uint64_t>(static_cast<double>(cost.traffic.read) / epochs)),
                        format_bytes(static_cast<std::uint64_t>(static_cast<double>(cost.traffic.written) / epochs)),
                        cost.seconds / epochs);
  }
  return text;
}

std::string active_rows(const Session<float>& session) {
  if (!session.inductive) {
    return "active rows (what training touches; evaluation adds its own)\n" + describe(session.sets);
  }
  const TrainGraphInfo& graph = session.store.info().train_graph;
  return fmt::format(
             "inductive: training sees the training graph alone, {} nodes and {} edges\n"
             "active rows of training\n",
             graph.nodes, graph.edges) +
         describe(session.sets) + "active rows of evaluation, over the full graph with the same weights\n" +
         describe(session.full->sets);
}

}  // namespace

std::string explain_schedule(const SchedulePlan& plan, const Session<float>& session) {
  const bool fits = session.plan.fits;
  std::string text = active_rows(session) + "\n";
  text += fmt::format(
      "the way: products hold up to {} in memory, the edges {}, up to {} of blocks stay by plan\n"
      "what products hold, and the best that it comes to (--product-way; * is taken)\n",
      format_bytes(plan.gather_bytes), plan.graph_resident || fits ? "stay in memory" : "are read again for each",
      format_bytes(plan.peak_kept));
  text += describe_ways(plan) + "\n";
  text += fmt::format("  {:<38}{:>12}{:>12}{:>9}{:>9}{:>9}\n", "pass", "read", "written", "disk s", "work s", "s");
  text += table(plan.preparation);
  text += "  -- an epoch, with evaluation" + std::string(plan.period > 1 ? " (all of a period)\n" : "\n");
  text += table(plan.epoch);
  const double epochs = plan.period;
  text += totals(plan, plan.preparation, "before the first epoch", 1);
  text += totals(plan, plan.epoch, "an epoch", epochs);
  text += fmt::format("  epoch floor (every pass reads and writes its rows once, nothing stays): {} read, {} written\n",
                      format_bytes(static_cast<std::uint64_t>(static_cast<double>(plan.floor.read) / epochs)),
                      format_bytes(static_cast<std::uint64_t>(static_cast<double>(plan.floor.written) / epochs)));
  return text;
}

}  // namespace strata
