// Data sets written by the tests themselves, and stores read back whole in original numbering.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "storage/import/convert.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {

using Lines = std::vector<std::string>;

void write_gz(const std::filesystem::path& path, const Lines& lines);
void write_text(const std::filesystem::path& path, const std::string& text);

// Format version 1 bytes of an .npy file; `shape` such as "(2, 3)".
std::string npy_bytes(const std::string& type, const std::string& shape, const std::string& data, bool fortran = false);
template <class T>
std::string npy_bytes(const std::string& type, const std::string& shape, const std::vector<T>& values,
                      bool fortran = false) {
  return npy_bytes(type, shape, std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)),
                   fortran);
}
// A zip archive with stored or deflated members.
void write_zip(const std::filesystem::path& path, const std::map<std::string, std::string>& members,
               bool deflated = false);
// One zstd frame with a checksum.
std::string zstd_bytes(const std::string& text);

// A graph of 6 nodes with a self-loop, a repeated edge and a reciprocal pair.
//   table: 0-1, 1-2, 2-0, 3-4, 4-3, 3-4, 5-5
struct SixNodes {
  static constexpr std::uint64_t kNodes = 6;
  std::vector<std::pair<int, int>> edges = {{0, 1}, {1, 2}, {2, 0}, {3, 4}, {4, 3}, {3, 4}, {5, 5}};
  std::vector<std::vector<float>> features = {{1, 2}, {0, 0}, {-1, 3}, {0.5f, 0.25f}, {1e-3f, -4}, {7, 8}};
  Lines labels = {"0", "1", "2", "0", "1", "2"};
  Lines train = {"4", "0", "1"}, valid = {"2"}, test = {"5", "3"};
};

// Writes `directory`/{raw,split/S}/...csv.gz.
void write_ogb_csv(const std::filesystem::path& directory, const SixNodes& set, const std::string& split = "time");
void write_ogb_npz(const std::filesystem::path& directory, const SixNodes& set);
// master.csv beside the set of that name.
void write_master(const std::filesystem::path& parent, const std::string& name, bool add_inverse,
                  const std::string& metric, int tasks = 1, int classes = 3, const std::string& split = "time");

struct LoadedEdge {
  NodeId source, target;
  float weight;
  auto operator<=>(const LoadedEdge&) const = default;
};

// A store in original numbering.
struct LoadedStore {
  StoreInfo info;
  std::vector<LoadedEdge> in, out;  // sorted; out as (source, target) too
  std::vector<std::uint32_t> in_degrees;
  std::vector<LoadedEdge> train_in, train_out;  // of the training graph, if there is one
  std::vector<std::uint32_t> train_in_degrees;
  std::vector<std::vector<float>> features;
  std::vector<int> classes;               // multiclass
  std::vector<std::vector<int>> targets;  // multilabel; empty row: unlabelled
  std::map<std::string, std::vector<NodeId>> splits;
};
LoadedStore load_store(const std::filesystem::path& path);

// Pairs of the in-graph, sorted.
std::vector<std::pair<int, int>> pairs_of(const std::vector<LoadedEdge>& edges);

// Options with everything at its default, 64 MiB of memory.
ImportOptions import_options(SourceKind from, const std::filesystem::path& input, const std::filesystem::path& output);
ImportOptions synthetic_options(const std::filesystem::path& output, std::uint64_t nodes, std::uint64_t edges);
ConvertReport convert_with(const ImportOptions& options);

// All bytes of a store but those of convert.json and the manifest (which hold times), by file name.
std::map<std::string, std::string> store_bytes(const std::filesystem::path& store);

// Runs a conversion that must fail with Failure, checks that nothing is left in the output's folder, returns the
// message.
template <class Failure>
std::string failing(const ImportOptions& options);

// Files right in a folder, by name.
std::map<std::string, std::string> file_contents(const std::filesystem::path& folder);

[[nodiscard]] std::vector<std::string> entries_of(const std::filesystem::path& folder);

// What a run of strata-convert came to.
struct Outcome {
  int status = -1;  // 128 + signal when killed
  std::string out, err;
  [[nodiscard]] bool one_line() const;  // one line on stderr, by strata-convert
  [[nodiscard]] bool says(const std::string& text) const { return err.find(text) != std::string::npos; }
};
// `environment`: "NAME=value" or empty. `arguments`: as typed in a shell. Its output goes through files in `logs`.
Outcome run_tool(const TempDir& logs, const std::string& arguments, const std::string& environment = "");

template <class Failure>
std::string failing(const ImportOptions& options) {
  const auto before = entries_of(options.output.parent_path());
  std::string message = "nothing was thrown";
  try {
    convert_with(options);
  } catch (const Failure& failure) {
    message = failure.what();
  } catch (const std::exception& other) {
    message = std::string("another exception: ") + other.what();
  }
  if (entries_of(options.output.parent_path()) != before) message += " (and something was left behind)";
  return message;
}

}  // namespace strata::test
