// RUN: the directory of one training run, its lock, and what lies in it. While a RunDirectory lives nobody else can
// write there.
#pragma once

#include <filesystem>
#include <string>

#include "storage/file.hpp"

namespace strata {

class RunDirectory {
 public:
  enum class Start { fresh, resume, replace };
  // Creates and locks the directory. fresh: UsageError when it holds a run. replace: a run in it is removed.
  RunDirectory(const std::filesystem::path& path, Start start);
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;
  // A directory that was created for nothing, because the run failed before it began, goes again.
  ~RunDirectory();

  // Whether `path` holds anything of a run.
  [[nodiscard]] static bool holds_run(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  [[nodiscard]] std::filesystem::path summary() const { return path_ / "summary.json"; }
  [[nodiscard]] std::filesystem::path model() const { return path_ / "model.safetensors"; }
  [[nodiscard]] std::filesystem::path predictions() const { return path_ / "predictions.npy"; }
  [[nodiscard]] std::filesystem::path prediction_ids() const { return path_ / "prediction_ids.npy"; }
  [[nodiscard]] std::filesystem::path ogb_predictions() const { return path_ / "ogb_predictions.npz"; }
  // What a submission to OGB-LSC's leaderboard of MAG240M is called; part: "", "_test-dev" or "_test-challenge".
  [[nodiscard]] std::filesystem::path mag240m_submission(const std::string& part) const {
    return path_ / ("y_pred_mag240m" + part + ".npz");
  }
  [[nodiscard]] std::filesystem::path embeddings() const { return path_ / "embeddings.npy"; }
  [[nodiscard]] std::filesystem::path embedding_ids() const { return path_ / "embedding_ids.npy"; }
  // The weights after `step` steps: steps/000012.safetensors.
  [[nodiscard]] std::filesystem::path step(std::uint64_t step) const;

  // Removes everything of a run but not the directory, the lock, or files that are not a run's.
  void clear() const;

 private:
  void remove_partial_files() const;
  std::filesystem::path path_;
  bool created_ = false;
  DirectoryLock lock_;
};

}  // namespace strata
