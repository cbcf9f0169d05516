// What a run left behind, read into a BudgetTrial, and what trials come to together.
#include <algorithm>
#include <initializer_list>
#include <map>
#include <span>
#include <sstream>

#include "bench/budget.hpp"
#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"

namespace strata::bench {

namespace {

using Json = nlohmann::ordered_json;

Json parsed(const fs::path& file, const std::string& where, const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) throw InputError(file.string(), where, "expected a JSON object");
  return json;
}

// 0 or empty where the key is absent or not a number: other versions write other keys.
std::optional<double> number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

std::uint64_t count(const Json& object, const char* key) {
  const double value = number(object, key).value_or(0);
  return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

const Json& part(const Json& object, const char* key) {
  static const Json none = Json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : none;
}

std::optional<double> first_of(const Json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto value = number(object, key)) return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> whole(std::optional<double> value) {
  return value ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

void read_metrics(const fs::path& file, BudgetTrial& trial) {
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);) {
    const Json json = parsed(file, "line " + std::to_string(trial.epochs.size() + 1), line);
    const Json& hits = part(json, "hits");
    trial.epochs.push_back({number(json, "seconds").value_or(0), number(json, "seconds_eval").value_or(0),
                            count(json, "bytes_read"), count(json, "bytes_written"), count(hits, "host"),
                            count(hits, "disk"), count(json, "node_visits")});
    trial.prepare_seconds += number(json, "seconds_prepare").value_or(0);
    if (!(trial.epochs.back().seconds > 0)) throw InputError(file.string(), "", "an epoch without seconds");
  }
  if (trial.epochs.empty()) throw InputError(file.string(), "", "no epoch in it");
}

void read_summary(const fs::path& file, BudgetTrial& trial) {
  const Json json = parsed(file, "", read_file(file));
  const Json& store = part(json, "store");
  trial.nodes = count(store, "nodes");
  trial.edges = count(store, "edges");
  trial.plan = part(json, "plan");
  trial.measured = part(json, "measured");
  const Json& last = part(json, "last");
  trial.train = number(last, "train");
  trial.valid = number(last, "val");
  trial.test = number(last, "test");
  if (json.contains("metric") && json["metric"].is_string()) trial.metric = json["metric"].get<std::string>();
  trial.peak_host_bytes = whole(number(trial.measured, "peak_host_bytes"));
  trial.predicted_seconds =
      first_of(trial.plan, {"seconds_per_epoch", "predicted_seconds_per_epoch", "epoch_seconds", "predicted_seconds"});
  trial.predicted_bytes =
      first_of(trial.plan, {"bytes_per_epoch", "predicted_bytes_per_epoch", "epoch_bytes", "predicted_bytes"});
  const auto read = first_of(trial.plan, {"bytes_read_per_epoch", "epoch_bytes_read"});
  const auto written = first_of(trial.plan, {"bytes_written_per_epoch", "epoch_bytes_written"});
  if (!trial.predicted_bytes && read && written) trial.predicted_bytes = *read + *written;
  trial.edges_per_epoch = trial.edges;
  for (const Json* from : {&trial.measured, &trial.plan}) {
    const std::uint64_t entries = count(*from, "entries");
    const std::uint64_t products = count(*from, "products");
    if (products > 0) {
      trial.edges_per_epoch = (entries > 0 ? entries : trial.edges) * products;
      break;
    }
  }
}

std::string file_checksum(const fs::path& path) {
  if (!fs::exists(path)) return {};
  const File file(path, File::Mode::read);
  std::vector<std::byte> piece(1 << 20);
  ChecksumStream stream;
  for (std::uint64_t offset = 0, size = file.size(); offset < size;) {
    const std::span part(piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size - offset)));
    file.read_at(offset, part);
    stream.update(part);
    offset += part.size();
  }
  return checksum_text(stream.value());
}

// Median of a value over the epochs after the first, or of the first where it is alone.
template <class Value>
double later_median(const std::vector<BudgetEpoch>& epochs, Value value) {
  STRATA_ASSERT(!epochs.empty());
  std::vector<double> values;
  for (std::size_t i = epochs.size() > 1 ? 1 : 0; i < epochs.size(); ++i) {
    values.push_back(static_cast<double>(value(epochs[i])));
  }
  return median(std::move(values));
}

template <class Value>
double trial_median(const std::vector<const BudgetTrial*>& trials, Value value) {
  std::vector<double> values;
  values.reserve(trials.size());
  for (const BudgetTrial* trial : trials) values.push_back(value(*trial));
  return median(std::move(values));
}

double visits_or_nodes(const BudgetTrial& trial) {
  const double visits = later_median(trial.epochs, [](const BudgetEpoch& e) { return e.node_visits; });
  return visits > 0 ? visits : static_cast<double>(trial.nodes);
}

std::optional<double> known_median(const std::vector<const BudgetTrial*>& trials,
                                   std::optional<std::uint64_t> BudgetTrial::*value) {
  const bool known = std::all_of(trials.begin(), trials.end(), [&](const auto* t) { return (t->*value).has_value(); });
  if (!known) return std::nullopt;
  return trial_median(trials, [&](const BudgetTrial& t) { return static_cast<double>((t.*value).value()); });
}

BudgetFigures figures_of(const std::vector<const BudgetTrial*>& trials, const std::map<std::size_t, double>& largest) {
  BudgetFigures f;
  f.budget = trials.front()->budget;
  f.seconds = trial_median(trials, [](const BudgetTrial& t) { return t.later_seconds(); });
  f.first_seconds = trial_median(trials, [](const BudgetTrial& t) { return t.epochs.front().seconds; });
  f.ratio = trial_median(trials, [&](const BudgetTrial& t) { return t.later_seconds() / largest.at(t.round); });
  f.nodes_per_second =
      trial_median(trials, [](const BudgetTrial& t) { return visits_or_nodes(t) / t.later_seconds(); });
  f.edges_per_second = trial_median(
      trials, [](const BudgetTrial& t) { return static_cast<double>(t.edges_per_epoch) / t.later_seconds(); });
  const auto of_epochs = [&](auto value) {
    return trial_median(trials, [&](const BudgetTrial& t) { return later_median(t.epochs, value); });
  };
  f.bytes_read = of_epochs([](const BudgetEpoch& e) { return e.bytes_read; });
  f.bytes_written = of_epochs([](const BudgetEpoch& e) { return e.bytes_written; });
  f.hit_rate = of_epochs([](const BudgetEpoch& e) {
    const auto asked = static_cast<double>(e.hits + e.misses);
    return asked > 0 ? static_cast<double>(e.hits) / asked : 0.0;
  });
  for (const BudgetTrial* trial : trials) {
    f.peak_host_bytes = std::max(f.peak_host_bytes, trial->peak_host_bytes.value_or(0));
    f.cgroup_peak_bytes = std::max(f.cgroup_peak_bytes, trial->cgroup_peak_bytes.value_or(0));
    f.trials.push_back(trial->later_seconds());
  }
  f.disk_read = known_median(trials, &BudgetTrial::disk_read_bytes);
  f.disk_written = known_median(trials, &BudgetTrial::disk_write_bytes);
  f.predicted_seconds = trials.front()->predicted_seconds;
  f.predicted_bytes = trials.front()->predicted_bytes;
  return f;
}

}  // namespace

double BudgetTrial::later_seconds() const {
  return bench::later_median(epochs, [](const BudgetEpoch& e) { return e.seconds; });
}

double BudgetTrial::later_median(std::uint64_t BudgetEpoch::*value) const {
  return bench::later_median(epochs, [value](const BudgetEpoch& e) { return e.*value; });
}

void read_run(const fs::path& run, BudgetTrial& trial) {
  read_metrics(run / "metrics.jsonl", trial);
  read_summary(run / "summary.json", trial);
  trial.model_checksum = file_checksum(run / "model.safetensors");
  trial.predictions_checksum = file_checksum(run / "predictions.npy");
}

std::vector<BudgetFigures> summarise(const std::vector<BudgetTrial>& trials) {
  std::map<std::uint64_t, std::vector<const BudgetTrial*>, std::greater<>> by_budget;
  for (const BudgetTrial& trial : trials) by_budget[trial.budget].push_back(&trial);
  std::map<std::size_t, double> largest;  // seconds of the largest budget, by round
  if (!by_budget.empty()) {
    for (const BudgetTrial* trial : by_budget.begin()->second) largest[trial->round] = trial->later_seconds();
  }
  std::vector<BudgetFigures> figures;
  for (auto& [budget, of_budget] : by_budget) {
    std::sort(of_budget.begin(), of_budget.end(), [](const auto* a, const auto* b) { return a->round < b->round; });
    figures.push_back(figures_of(of_budget, largest));
  }
  return figures;
}

bool same_bits(const std::vector<BudgetTrial>& trials) {
  return std::all_of(trials.begin(), trials.end(), [&](const BudgetTrial& trial) {
    return trial.model_checksum == trials.front().model_checksum &&
           trial.predictions_checksum == trials.front().predictions_checksum;
  });
}

}  // namespace strata::bench
