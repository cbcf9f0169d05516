#include "engine/run/metrics_log.hpp"

#include <nlohmann/json.hpp>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

using Json = nlohmann::ordered_json;

Json metric_of(const std::optional<SplitScore>& score) { return score ? Json(score->metric) : Json(nullptr); }
Json loss_of(const std::optional<SplitScore>& score) { return score ? Json(score->loss) : Json(nullptr); }

// The end of line `number` (from 1, which must hold that epoch), given its start.
std::size_t checked_line_end(const std::filesystem::path& path, const std::string& text, std::size_t start,
                             std::uint32_t number) {
  const std::string where = "line " + std::to_string(number);
  const std::string expected = "the metrics of epoch " + std::to_string(number);
  const std::size_t end = text.find('\n', start);
  if (end == std::string::npos) throw DamagedError(path.string(), where, expected, "the end of the file");
  const Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(start),
                                text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
  if (!line.is_object() || !line.contains("epoch") || line["epoch"] != number) {
    throw DamagedError(path.string(), where, expected, text.substr(start, std::min<std::size_t>(end - start, 60)));
  }
  return end + 1;
}

}  // namespace

std::string metrics_line(const EpochMetrics& m) {
  Json line;
  line["epoch"] = m.epoch;
  line["loss"] = m.loss;
  line["train"] = metric_of(m.scores.train);
  line["val"] = metric_of(m.scores.valid);
  line["test"] = metric_of(m.scores.test);
  line["metric"] = m.metric;
  line["train_loss"] = loss_of(m.scores.train);
  line["val_loss"] = loss_of(m.scores.valid);
  line["test_loss"] = loss_of(m.scores.test);
  line["lr"] = m.lr;
  line["steps"] = m.steps;
  line["node_visits"] = m.node_visits;
  line["seconds"] = m.seconds;
  line["seconds_total"] = m.seconds_total;
  line["seconds_prepare"] = m.seconds_prepare;
  line["seconds_sample"] = 0;                   // full and iglu sample nothing
  line["seconds_io_wait"] = m.io.wait_seconds;  // of all threads together, within the other parts
  line["seconds_compute"] = m.seconds_compute;
  line["seconds_eval"] = m.seconds_eval;
  line["bytes_read"] = m.io.bytes_read;
  line["bytes_written"] = m.io.bytes_written;
  line["hits"] = {{"host", m.io.hits}, {"disk", m.io.misses}};
  line["peak_host_bytes"] = m.peak_host_bytes;
  line["peak_gpu_bytes"] = 0;
  if (m.has_step_losses) line["step_losses"] = m.step_losses;
  return line.dump();
}

MetricsLog::MetricsLog(const std::filesystem::path& path, std::uint32_t epochs)
    : file_(path, epochs == 0 ? File::Mode::create : File::Mode::update) {
  if (epochs == 0) return;
  const std::string text = read_file(path);
  std::size_t end = 0;
  for (std::uint32_t epoch = 1; epoch <= epochs; ++epoch) end = checked_line_end(path, text, end, epoch);
  size_ = end;
  file_.truncate(size_);
}

void MetricsLog::append(const EpochMetrics& metrics) {
  const std::string line = metrics_line(metrics) + "\n";
  file_.write_at(size_, std::as_bytes(std::span(line)));
  size_ += line.size();
}

}  // namespace strata
