// Reading edges, features, labels and splits from .npy arrays, whoever holds them: shared by the npz layout of OGB and
// by --from npy.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/import/input_files.hpp"
#include "storage/import/source.hpp"
#include "storage/npz.hpp"

namespace strata {

// Arrays by key: a directory of KEY.npy files, the members of one .npz, or .npy files within an archive.
class ArraySet {
 public:
  explicit ArraySet(const std::filesystem::path& path);
  // `name`: an .npz among the files, or a folder of .npy files ("" for the one that all are in).
  ArraySet(const InputFiles& files, const std::string& name);
  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] NpyReader open(const std::string& key) const;
  [[nodiscard]] std::string file_of(const std::string& key) const;    // for messages
  [[nodiscard]] std::string member_of(const std::string& key) const;  // "member x.npy", or empty
  [[nodiscard]] std::string place(const std::string& key) const;      // both in one
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::vector<std::string> members() const;  // names in the archive; none for a directory
  [[nodiscard]] std::vector<std::filesystem::path> files(const std::vector<std::string>& keys) const;
  [[noreturn]] void fail(const std::string& key, const std::string& where, const std::string& what) const;

 private:
  [[nodiscard]] std::string member(const std::string& key) const { return prefix_ + key + ".npy"; }

  std::filesystem::path path_;  // for messages: the directory or the archive
  std::filesystem::path disk_;  // the file that holds the archive
  std::optional<NpzArchive> archive_;
  std::string prefix_;  // of the members' names
};

// (2,E) or (E,2), C or Fortran order; 2 x 2 is taken as (2,E). InputError for other shapes or types.
[[nodiscard]] std::uint64_t edge_count(const ArraySet& arrays, const std::string& key);
// `nodes` 0 checks no upper bound below 2^32 - 1. weight_key empty: no weights.
void read_edge_arrays(const ArraySet& arrays, const std::string& key, const std::string& weight_key,
                      std::uint64_t nodes, MemoryBudget& budget, const GraphSource::EdgeSink& sink);

// Columns of a feature array (N,) or (N,F), checked to have `nodes` rows in C order.
[[nodiscard]] std::uint64_t feature_columns(const ArraySet& arrays, const std::string& key, std::uint64_t nodes);
void read_feature_array(const ArraySet& arrays, const std::string& key, std::uint64_t nodes, MemoryBudget& budget,
                        const GraphSource::RowSink& sink);

[[nodiscard]] ImportedLabels read_label_array(const ArraySet& arrays, const std::string& key, std::uint64_t nodes,
                                              std::uint64_t known_classes, MemoryBudget& budget);

// Ids, a boolean mask (N,), or masks (S,N) of which row `index` is taken.
[[nodiscard]] ImportedSplit read_split_array(const ArraySet& arrays, const std::string& key, const std::string& name,
                                             std::uint64_t nodes, std::uint64_t index);
[[nodiscard]] bool is_mask_table(const ArraySet& arrays, const std::string& key);

}  // namespace strata
