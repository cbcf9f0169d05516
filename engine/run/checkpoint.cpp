#include "engine/run/checkpoint.hpp"

#include <bit>
#include <nlohmann/json.hpp>

#include "kernels/base/cpu_info.hpp"
#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/file.hpp"
#include "storage/file_header.hpp"

namespace strata {

namespace {

constexpr std::string_view kMagic = "STRACKPT";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kJsonBytesAt = 16, kValuesAt = 24, kArraysAt = 32, kContentChecksumAt = 40;
constexpr std::uint64_t kMostArrays = 4;

using Json = nlohmann::json;

// Doubles go through JSON as bit patterns: NaN and infinity stay what they are.
Json bits(double value) { return std::bit_cast<std::uint64_t>(value); }
double from_bits(const Json& value) { return std::bit_cast<double>(value.get<std::uint64_t>()); }

Json json_of(const std::optional<SplitScore>& score) {
  if (!score) return nullptr;
  return {{"metric", bits(score->metric)}, {"loss", bits(score->loss)}, {"nodes", score->nodes}};
}

std::optional<SplitScore> score_of(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return SplitScore{from_bits(json.at("metric")), from_bits(json.at("loss")), json.at("nodes").get<std::uint64_t>()};
}

Json json_of(const EpochScores& scores) {
  return {{"train", json_of(scores.train)}, {"valid", json_of(scores.valid)}, {"test", json_of(scores.test)}};
}

EpochScores scores_of(const Json& json) {
  return {score_of(json.at("train")), score_of(json.at("valid")), score_of(json.at("test"))};
}

Json json_of(const RunState& state) {
  Json json = {{"epoch", state.epoch},
               {"global_step", state.global_step},
               {"seconds", bits(state.seconds)},
               {"stopped_early", state.stopped_early},
               {"last_loss", bits(state.last_loss)},
               {"has_reference", state.has_reference},
               {"reference", bits(state.reference)},
               {"reference_epoch", state.reference_epoch}};
  if (state.last) json["last"] = json_of(*state.last);
  if (state.best.known) json["best"] = {{"epoch", state.best.epoch}, {"scores", json_of(state.best.scores)}};
  return json;
}

RunState state_of(const Json& json) {
  RunState state;
  state.epoch = json.at("epoch").get<std::uint32_t>();
  state.global_step = json.at("global_step").get<std::uint64_t>();
  state.seconds = from_bits(json.at("seconds"));
  state.stopped_early = json.at("stopped_early").get<bool>();
  state.last_loss = from_bits(json.at("last_loss"));
  state.has_reference = json.at("has_reference").get<bool>();
  state.reference = from_bits(json.at("reference"));
  state.reference_epoch = json.at("reference_epoch").get<std::uint32_t>();
  if (json.contains("last")) state.last = scores_of(json.at("last"));
  if (json.contains("best")) {
    const Json& best = json.at("best");
    state.best = {true, best.at("epoch").get<std::uint32_t>(), scores_of(best.at("scores"))};
  }
  return state;
}

std::string tensors_text(const Parameters<float>& parameters) {
  std::string text;
  for (const TensorSpec& tensor : parameters.tensors()) {
    text += tensor.name + "(";
    for (const std::size_t d : tensor.shape) text += std::to_string(d) + " ";
    text += ")";
  }
  return text;
}

template <class Use>
void read_in_pieces(const File& file, std::uint64_t from, std::uint64_t to, Use&& use) {
  std::vector<std::byte> piece(std::size_t{1} << 20);
  for (std::uint64_t at = from; at < to; at += piece.size()) {
    const std::span<std::byte> part(piece.data(), std::min<std::uint64_t>(piece.size(), to - at));
    file.read_at(at, part);
    use(std::span<const std::byte>(part));
  }
}

}  // namespace

std::filesystem::path Checkpoint::path_in(const std::filesystem::path& run) { return run / "checkpoint" / "state.bin"; }

void Checkpoint::save(const std::filesystem::path& run, const Settings& fingerprint, const RunState& state,
                      Parameters<float>& parameters, std::span<const float> best) {
  const Json content = {{"configuration", fingerprint},
                        {"device", device_description()},
                        {"state", json_of(state)},
                        {"group_steps", parameters.steps()},
                        {"tensors", tensors_text(parameters)}};
  const std::string json = content.dump();
  const std::string padding(round_up(json.size(), kBlockAlignment) - json.size(), '\0');
  std::vector<std::span<const float>> arrays{parameters.values(), parameters.first_moments(),
                                             parameters.second_moments()};
  if (state.best.known) arrays.push_back(best);

  ChecksumStream sum;
  sum.update(std::as_bytes(std::span(json)));
  sum.update(std::as_bytes(std::span(padding)));
  for (const auto& array : arrays) sum.update(std::as_bytes(array));
  FileHeader header(kMagic, kVersion);
  header.put<std::uint64_t>(kJsonBytesAt, json.size());
  header.put<std::uint64_t>(kValuesAt, parameters.size());
  header.put<std::uint64_t>(kArraysAt, arrays.size());
  header.put<std::uint64_t>(kContentChecksumAt, sum.value());
  header.seal();

  std::filesystem::create_directories(path_in(run).parent_path());
  AtomicFile file(path_in(run));
  file.append(header.bytes());
  file.append(json);
  file.append(padding);
  for (const auto& array : arrays) file.append(std::as_bytes(array));
  file.commit();
}

std::optional<Checkpoint> Checkpoint::open(const std::filesystem::path& run) {
  const std::filesystem::path path = path_in(run);
  if (!std::filesystem::exists(path)) return std::nullopt;
  return Checkpoint(path);
}

Checkpoint::Checkpoint(const std::filesystem::path& path) : path_(path) {
  const File file(path, File::Mode::read);
  const FileHeader header = FileHeader::read(file, kMagic, kVersion);
  const auto json_bytes = header.get<std::uint64_t>(kJsonBytesAt);
  const auto arrays = header.get<std::uint64_t>(kArraysAt);
  values_ = header.get<std::uint64_t>(kValuesAt);
  // Bounds under which no size below overflows.
  if (json_bytes > file.size() || arrays > kMostArrays || values_ > file.size()) {
    throw DamagedError(
        path.string(), "header: sizes", "parts of " + std::to_string(file.size()) + " bytes",
        std::to_string(json_bytes) + " bytes and " + std::to_string(arrays) + " arrays of " + std::to_string(values_));
  }
  values_at_ = kHeaderBytes + round_up(json_bytes, kBlockAlignment);
  require_file_size(path, values_at_ + arrays * values_ * sizeof(float), file.size());
  ChecksumStream sum;
  read_in_pieces(file, kHeaderBytes, file.size(), [&](std::span<const std::byte> part) { sum.update(part); });
  require_checksum(path, "content", header.get<std::uint64_t>(kContentChecksumAt), sum.value());
  std::string json(json_bytes, '\0');
  file.read_at(kHeaderBytes, std::as_writable_bytes(std::span(json)));
  parse(json);
  require_field(path, "arrays", state_.best.known ? 4 : 3, arrays);
}

void Checkpoint::parse(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    fingerprint_ = json.at("configuration").get<Settings>();
    device_ = json.at("device").get<std::string>();
    state_ = state_of(json.at("state"));
    group_steps_ = json.at("group_steps").get<std::vector<std::uint64_t>>();
    tensors_ = json.at("tensors").get<std::string>();
  } catch (const Json::exception& error) {
    throw DamagedError(path_.string(), "state", "the state of a run", error.what());
  }
}

void Checkpoint::restore(Parameters<float>& parameters, std::span<float> best) const {
  const std::string expected = tensors_text(parameters);
  if (tensors_ != expected || group_steps_.size() != parameters.groups() || values_ != parameters.size()) {
    throw DamagedError(path_.string(), "tensors", expected, tensors_);
  }
  const File file(path_, File::Mode::read);
  std::uint64_t at = values_at_;
  const auto read = [&](std::span<float> to) {
    file.read_at(at, std::as_writable_bytes(to));
    at += to.size_bytes();
  };
  read(parameters.values());
  read(parameters.first_moments());
  read(parameters.second_moments());
  if (state_.best.known) read(best);
  parameters.steps() = group_steps_;
}

}  // namespace strata
