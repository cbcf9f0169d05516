// A degree-corrected stochastic block model (Karrer and Newman, "Stochastic blockmodels and community structure in
// networks", 2011) whose every edge, label and feature is a pure function of (seed, index): nothing is kept, any part
// can be made at any time, and threads change nothing.
//
//   nodes       N ids, each the image of an internal index under a keyed permutation; communities are ranges of
//   indices. degrees     a node of rank r (from 0) in its community is drawn with probability proportional to the
//   integral of t^-a
//               over [r + 1, r + 2], a = 1 / (A - 1): expected degrees follow a power law with exponent A.
//   edge e      a community is drawn uniformly, the source in it by rank; with probability H the target comes from the
//   same
//               community, otherwise from one of another class: H is the share of edges within a class.
//   labels      class = community mod C. Multi-label: every class is its own community over its own permutation of the
//               nodes, so memberships overlap independently; an edge joins two members of one class with probability H,
//               else its target is any node.
//   features    S * (prototype of the class, or the sum over the classes of a multi-label node) + noise; prototypes and
//               noise are standard normal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/types.hpp"
#include "storage/import/options.hpp"
#include "storage/import/source.hpp"

namespace strata {

// A keyed permutation of [0, size): a balanced Feistel network on the next even number of bits, walked until the value
// falls below size (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class IdShuffle {
 public:
  IdShuffle(std::uint64_t seed, std::uint32_t key, std::uint64_t size);
  [[nodiscard]] NodeId forward(NodeId index) const;
  [[nodiscard]] NodeId inverse(NodeId image) const;

 private:
  static constexpr int kRounds = 4;
  std::uint64_t size_;
  std::uint32_t half_bits_;
  std::uint32_t half_mask_;
  std::uint32_t keys_[kRounds];
};

// Draws a rank in [0, members) from a uniform 32-bit number by inverting the cumulative distribution.
class RankSampler {
 public:
  RankSampler(std::uint64_t members, double power_law);
  [[nodiscard]] std::uint32_t rank(std::uint32_t uniform) const;

 private:
  std::uint64_t members_;
  double power_;  // 1 - a; 0 when a is 1
  double range_;  // (members + 1)^power - 1, or log(members + 1)
  bool flat_;
};

// The number of communities: as asked, else one per class; with clustered labels so many (at least 16 per class where
// the nodes suffice for 16 each) that the labelled ones have every class about four times.
[[nodiscard]] std::uint64_t community_count(const SyntheticOptions& options);

class SyntheticModel {
 public:
  SyntheticModel(const SyntheticOptions& options, std::uint64_t seed);

  [[nodiscard]] EdgePair edge(std::uint64_t index) const;
  // `out` has feature_dim values.
  void features(NodeId node, std::span<float> out) const;
  [[nodiscard]] std::uint32_t class_of(NodeId node) const;               // single-label
  [[nodiscard]] bool has_class(NodeId node, std::uint32_t label) const;  // multi-label
  [[nodiscard]] bool is_labelled(NodeId node) const;

 private:
  struct Range {
    std::uint64_t first, count;
  };
  [[nodiscard]] Range community(std::uint64_t index) const;
  [[nodiscard]] std::uint64_t community_of(std::uint64_t index) const;
  [[nodiscard]] EdgePair overlapping_edge(std::uint64_t index) const;
  void add_prototype(std::uint32_t label, std::span<float> out) const;

  SyntheticOptions options_;
  std::uint64_t seed_;
  std::uint64_t communities_;
  std::uint64_t members_ = 0;  // of a multi-label class
  std::uint64_t homophily_limit_;
  std::vector<IdShuffle> shuffles_;    // one, or one per class
  std::vector<RankSampler> samplers_;  // for communities of the smaller and of the larger size
  std::vector<float> prototypes_;      // classes x feature_dim
};

// Which split a labelled node belongs to: 0 train, 1 valid, 2 test, 3 none. A pure function of (seed, node).
[[nodiscard]] int random_split_of(std::uint64_t seed, NodeId node, const SplitFractions& fractions);

}  // namespace strata
