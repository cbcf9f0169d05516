// RUN/checkpoint/state.bin: everything a run needs to go on as if it had never stopped. One file, replaced atomically.
//
// - one page: header (storage/file_header.hpp, magic STRACKPT): bytes of the JSON, number of values, checksum of it all
// - JSON: the configuration's fingerprint, the RunState, step counters of the groups, names and shapes of the tensors
// - zeros up to a multiple of kBlockAlignment
// - fp32 arrays, each as it lies in memory: parameters, first moments, second moments, parameters of the best epoch
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "engine/parameters.hpp"
#include "engine/run/configuration.hpp"
#include "engine/run/run_state.hpp"

namespace strata {

class Checkpoint {
 public:
  [[nodiscard]] static std::filesystem::path path_in(const std::filesystem::path& run);

  // best: parameters of state.best.epoch, read only when there is one.
  static void save(const std::filesystem::path& run, const Settings& fingerprint, const RunState& state,
                   Parameters<float>& parameters, std::span<const float> best);

  // Empty when the run has none. Reads and checks all of the file: DamagedError.
  [[nodiscard]] static std::optional<Checkpoint> open(const std::filesystem::path& run);

  [[nodiscard]] const Settings& fingerprint() const { return fingerprint_; }
  [[nodiscard]] const RunState& state() const { return state_; }
  [[nodiscard]] const std::string& device() const { return device_; }  // that wrote it: device_description()
  // DamagedError when the tensors are not those of `parameters`.
  void restore(Parameters<float>& parameters, std::span<float> best) const;

 private:
  explicit Checkpoint(const std::filesystem::path& path);
  void parse(const std::string& json);

  std::filesystem::path path_;
  Settings fingerprint_;
  RunState state_;
  std::string device_;
  std::vector<std::uint64_t> group_steps_;
  std::string tensors_;       // names and shapes
  std::uint64_t values_ = 0;  // elements of each array
  std::uint64_t values_at_ = 0;
};

}  // namespace strata
