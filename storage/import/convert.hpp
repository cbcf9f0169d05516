// strata-convert as a library: a source and options in, a store out. The store appears as a whole at the end; whatever
// ends the conversion before leaves no trace of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/import/conversion_plan.hpp"
#include "storage/import/options.hpp"
#include "storage/import/source.hpp"

namespace strata {

// What a program shows while a conversion runs. Called from the converting thread.
class ConvertListener {
 public:
  enum class Unit { items, bytes };
  virtual ~ConvertListener() = default;
  virtual void begin_stage(const std::string& name, std::uint64_t total, Unit unit) = 0;
  virtual void advance(std::uint64_t amount) = 0;
  virtual void end_stage() = 0;
  virtual void hint(const std::string& text) = 0;  // something the user should know; not an error
};

struct StageReport {
  std::string name;
  double seconds = 0;
  std::uint64_t bytes_read = 0;  // through system calls, by this process
  std::uint64_t bytes_written = 0;
  std::uint64_t peak_memory = 0;  // VmHWM at the end of the stage: the highest so far
};

struct ConvertReport {
  std::uint64_t nodes = 0;
  std::uint64_t edges_in = 0;    // rows of the source's table
  std::uint64_t edges_out = 0;   // directed entries of the store
  std::uint64_t self_loops = 0;  // rows of the table with both ends equal
  std::uint64_t duplicates = 0;  // directed entries that were there already and were dropped
  std::uint64_t labelled = 0;
  std::uint64_t unlabelled = 0;
  std::uint64_t unlabelled_test = 0;
  std::uint64_t nan_features = 0;
  bool undirected = false;
  std::uint64_t shards = 0;
  std::string partitioner;
  std::uint64_t parts = 0;
  std::uint64_t cut_entries = 0;
  std::uint64_t feature_bytes = 0;
  double sampled_compression = 1;  // of uncompressed features: what zstd would leave of them
  struct TrainGraph {
    std::string origin;  // empty: none; else as TrainGraphInfo has it
    std::uint64_t nodes = 0;
    std::uint64_t edges = 0;       // directed entries of the store
    std::uint64_t duplicates = 0;  // as above, of its edges
    bool undirected = false;
  } train_graph;
  std::uint64_t peak_budget = 0;
  std::vector<std::string> class_names;  // where the source names its classes
  std::vector<std::string> notes;
  struct SourceFile {
    std::string path;
    std::uint64_t bytes = 0;
    std::uint64_t checksum = 0;
  };
  std::vector<SourceFile> sources;
  std::vector<StageReport> stages;
};

// Throws the typed errors of error.hpp. `listener` may be null.
ConvertReport convert(GraphSource& source, const ImportOptions& options, ConvertListener* listener);

// The content of convert.json.
[[nodiscard]] std::string report_json(const ConvertReport& report, const ImportOptions& options,
                                      const SourceFacts& facts);

// Reads the source again and compares the store at options.output with it by other means than those that wrote it:
// edges by comparison sort and multiset checksum, features row by row, labels and splits by value. DamagedError names
// the first difference. Returns one line about what was compared.
std::string verify_conversion(GraphSource& source, const ImportOptions& options, ConvertListener* listener);

}  // namespace strata
