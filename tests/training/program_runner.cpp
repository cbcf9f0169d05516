#include "tests/training/program_runner.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <regex>
#include <sstream>
#include <system_error>

#include "kernels/base/budget.hpp"
#include "kernels/base/rng.hpp"
#include "storage/row_file.hpp"
#include "storage/shard.hpp"
#include "storage/store_writer.hpp"

namespace strata::test {

namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

void write_graph(StoreWriter& writer, const TinyGraph& graph, NodeId shard_rows) {
  std::vector<std::uint32_t> degrees;
  for (const auto& row : graph.in) degrees.push_back(static_cast<std::uint32_t>(row.size()));
  writer.write_degrees(Direction::in, degrees);
  int number = 0;
  const auto nodes = static_cast<NodeId>(graph.in.size());
  for (NodeId first = 0; first < nodes; first += shard_rows) {
    std::vector<EdgeId> offsets{0};
    std::vector<NodeId> sources;
    for (NodeId i = first; i < std::min<NodeId>(nodes, first + shard_rows); ++i) {
      sources.insert(sources.end(), graph.in[i].begin(), graph.in[i].end());
      offsets.push_back(sources.size());
    }
    const std::string name = "in-" + std::to_string(number++) + ".shard";
    writer.add_shard(Direction::in, write_shard(writer.path(), name, first, offsets, sources, {}));
  }
}

void write_targets(StoreWriter& writer, const TinyGraph& graph, std::uint32_t classes) {
  const std::size_t stride = divide_up(classes, 8);
  std::vector<std::uint8_t> bits(graph.targets.size() * stride);
  for (std::size_t i = 0; i < graph.targets.size(); ++i) {
    for (std::uint32_t c = 0; c < classes; ++c) {
      bits[i * stride + c / 8] |= static_cast<std::uint8_t>(graph.targets[i][c] << (c % 8));
    }
  }
  writer.write_labels(bits, stride, std::vector<std::uint8_t>(graph.targets.size(), 1));
}

std::vector<NodeId> random_permutation(std::uint32_t n) {
  std::vector<NodeId> result(n);
  std::iota(result.begin(), result.end(), NodeId{0});
  CounterRng rng(99, Stream::synthetic, 5);
  for (std::uint32_t i = n; i > 1; --i) std::swap(result[i - 1], result[rng.below(i)]);
  return result;
}

}  // namespace

Program::Program(const std::filesystem::path& scratch, const Words& arguments, const Words& environment)
    : scratch_(scratch) {
  std::vector<std::string> words{STRATA_TRAIN_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> settings = environment;
  for (char** entry = environ; *entry != nullptr; ++entry) settings.emplace_back(*entry);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, (scratch / "stdout").c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (scratch / "stderr").c_str(), kFlags, 0600);
  const int error =
      ::posix_spawn(&process_, words[0].c_str(), &actions, nullptr, pointers(words).data(), pointers(settings).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::system_error(error, std::generic_category(), words[0]);
}

Program::~Program() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void Program::send(int signal) const {
  if (process_ > 0) ::kill(process_, signal);
}

bool Program::running() {
  if (process_ <= 0) return false;
  if (::waitpid(process_, &raw_status_, WNOHANG) == 0) return true;
  process_ = -1;
  return false;
}

Outcome Program::wait() {
  if (process_ > 0) {
    while (::waitpid(process_, &raw_status_, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
  }
  const int status = WIFSIGNALED(raw_status_) ? 128 + WTERMSIG(raw_status_) : WEXITSTATUS(raw_status_);
  return {status, content(scratch_ / "stdout"), content(scratch_ / "stderr")};
}

Outcome train(const std::filesystem::path& scratch, const Words& arguments, const Words& environment) {
  return Program(scratch, arguments, environment).wait();
}

std::vector<NodeId> make_reordered_store(const std::filesystem::path& directory, std::uint32_t nodes, bool multilabel,
                                         bool sparse_ids, const std::string& source) {
  TinyStoreOptions o;
  o.nodes = nodes;
  o.edges = 4 * nodes;
  o.features = 37;
  o.classes = 5;
  o.seed = 4;
  const TinyGraph graph = make_tiny_graph(o);
  const std::vector<NodeId> original = random_permutation(nodes);
  MemoryBudget budget(std::uint64_t{1} << 30);
  StoreWriter writer(directory, false, budget);
  write_graph(writer, graph, kChunkRows);
  if (multilabel) {
    write_targets(writer, graph, o.classes);
  } else {
    writer.write_labels(graph.labels);
  }
  writer.write_permutation(original);
  if (sparse_ids) {
    std::vector<std::uint64_t> ids(nodes);
    for (std::uint32_t n = 0; n < nodes; ++n) ids[n] = static_cast<std::uint64_t>(sparse_id(n));
    writer.write_external_ids(ids);
  }
  writer.write_split("train", graph.train);
  writer.write_split("valid", graph.valid);
  writer.write_split("test", graph.test);
  const RowShape shape{o.nodes, o.features, Codec::fp32};
  RowFileWriter features(writer.path() / StoreWriter::kFeatures, shape, {}, budget);
  for (std::size_t c = 0; c < shape.chunks(); ++c) {
    features.write_chunk(c, {graph.features.data() + c * kChunkRows * o.features, shape.chunk_rows(c), o.features});
  }
  features.commit();
  writer.add_features(o.features, Codec::fp32, "none");
  StoreInfo info;
  info.name = "reordered";
  info.source = source;
  info.nodes = o.nodes;
  info.undirected = true;
  info.has_reverse = true;
  info.classes = o.classes;
  info.metric = multilabel ? "micro-f1" : "accuracy";
  info.partitioner = "random";
  writer.finish(info, "{}\n");
  return original;
}

StoreRuns::StoreRuns(std::uint32_t nodes, bool multilabel, bool sparse_ids) {
  make_reordered_store(store(), nodes, multilabel, sparse_ids);
}

Words StoreRuns::words(const std::string& name, const Words& more) const {
  Words all{"--store", store().string(), "--run", run(name).string()};
  for (const auto& [option, value] : std::map<std::string, std::string>{
           {"--host-memory", "64MiB"}, {"--hidden", "16"}, {"--epochs", "4"}, {"--threads", "2"}}) {
    if (std::find(more.begin(), more.end(), option) != more.end()) continue;
    if (option == "--hidden" && std::find(more.begin(), more.end(), "sgc") != more.end()) continue;  // has none
    all.push_back(option);
    all.push_back(value);
  }
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Outcome StoreRuns::go(const std::string& name, const Words& more, const Words& environment) const {
  return train(path(), words(name, more), environment);
}

std::uint64_t StoreRuns::least_budget(const Words& more) const {
  Words all = more;
  all.push_back("--explain");
  const Outcome outcome = go("explained", all);
  REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
  CHECK_FALSE(std::filesystem::exists(run("explained")));
  std::smatch match;
  REQUIRE(std::regex_search(outcome.out, match, std::regex("least budget .* ([0-9]+) bytes")));
  return std::stoull(match[1]);
}

void check_same_results(const std::filesystem::path& a, const std::filesystem::path& b) {
  CHECK(content(a / "model.safetensors") == content(b / "model.safetensors"));
  CHECK(content(a / "predictions.npy") == content(b / "predictions.npy"));
  CHECK(content(a / "prediction_ids.npy") == content(b / "prediction_ids.npy"));
  CHECK_FALSE(content(a / "model.safetensors").empty());
  CHECK(lasting_metrics(a) == lasting_metrics(b));
  CHECK(std::filesystem::exists(a / "summary.json"));
  CHECK_FALSE(std::filesystem::exists(a / "cache"));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(a)) {
    CAPTURE(entry.path().string());
    CHECK_FALSE(entry.path().filename().string().ends_with(".partial"));
  }
}

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> lines(const std::filesystem::path& file) {
  std::istringstream stream(content(file));
  std::vector<std::string> result;
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

std::vector<std::string> lasting_metrics(const std::filesystem::path& run) {
  std::vector<std::string> result;
  for (const std::string& line : lines(run / "metrics.jsonl")) {
    nlohmann::json metrics = nlohmann::json::parse(line);
    for (const char* name : {"bytes_read", "bytes_written", "hits", "peak_host_bytes"}) metrics.erase(name);
    nlohmann::json kept;
    for (const auto& [name, value] : metrics.items()) {
      if (!name.starts_with("seconds")) kept[name] = value;
    }
    result.push_back(kept.dump());
  }
  return result;
}

}  // namespace strata::test
