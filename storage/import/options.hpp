// What a conversion is asked to do. The command line (tools/strata_convert.cpp) fills this in; design.md section 9
// names the options.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "kernels/base/types.hpp"
#include "storage/shard.hpp"

namespace strata {

enum class SourceKind : std::uint8_t { ogb, npy, snap, graphsaint, mag240m, synthetic };
enum class Partitioner : std::uint8_t { automatic, metis, random, none };
enum class FeatureNorm : std::uint8_t { none, row, standard };

const char* source_kind_name(SourceKind kind);
const char* partitioner_name(Partitioner partitioner);
const char* feature_norm_name(FeatureNorm norm);

// Shares of train, valid and test among the labelled nodes; they add up to at most 1.
using SplitFractions = std::array<double, 3>;

// A degree-corrected stochastic block model (synthetic_model.hpp).
struct SyntheticOptions {
  std::uint64_t nodes = 0;
  std::uint64_t edges = 0;  // draws; self-loops and repeats among them are cleaned like those of any source
  std::uint64_t classes = 16;
  std::uint64_t communities = 0;  // 0: one per class, more when labels are clustered; a multiple of classes
  std::uint64_t feature_dim = 128;
  double signal = 0.1;
  double homophily = 0.8;
  double power_law = 2.5;  // exponent of the degree distribution, > 1; 0: equal expected degrees
  bool multi_label = false;
  double labelled = 1.0;
  bool labelled_clustered = false;
};

struct ImportOptions {
  SourceKind from = SourceKind::ogb;
  std::filesystem::path input;
  std::filesystem::path output;
  std::filesystem::path tmp;  // empty: the folder that holds the output
  std::uint64_t memory = std::uint64_t{2} << 30;
  std::uint64_t shards = 0;  // 0: by size
  Partitioner partitioner = Partitioner::automatic;
  bool undirected = false;
  bool keep_self_loops = false;
  bool keep_duplicates = false;
  bool reverse = true;
  ColumnChoice columns = ColumnChoice::smaller;
  Codec feature_codec = Codec::fp32;
  int zstd_level = 0;  // 0: no compression
  FeatureNorm feature_norm = FeatureNorm::none;
  bool inductive = false;           // a training graph beside the full one
  bool zero_nan_features = false;   // instead of refusing the source
  bool edge_feature_means = false;  // as node features
  std::string split;                // empty: the source's own choice; "random": drawn among the labelled nodes
  std::optional<std::uint64_t> split_index;
  SplitFractions split_fractions = {0.6, 0.2, 0.2};
  std::filesystem::path labels, features;  // snap: files beside the edge list; empty: found or none
  bool verify = false;
  bool force = false;
  std::uint64_t seed = 1;
  SyntheticOptions synthetic;
};

}  // namespace strata
