#include "storage/import/synthetic_model.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"

namespace strata {
namespace {

// The third counter word: what a draw under Stream::synthetic is for.
enum Purpose : std::uint32_t {
  kEdge = 0,
  kOtherCommunity = 1,
  kNoise = 2,
  kPrototype = 3,
  kLabelled = 4,
  kShuffle = 5
};

Philox draw(std::uint64_t seed, std::uint64_t index, std::uint32_t part, Purpose purpose) {
  // Edges number below 2^40 and use one part; nodes and classes number below 2^32: the words never collide.
  return philox(seed, static_cast<std::uint32_t>(index), part ^ static_cast<std::uint32_t>(index >> 32), purpose,
                static_cast<std::uint32_t>(Stream::synthetic));
}

std::uint32_t scaled(std::uint32_t uniform, std::uint64_t bound) {
  return static_cast<std::uint32_t>((std::uint64_t{uniform} * bound) >> 32);
}

// Four standard normal values (Box and Muller, 1958).
void four_normals(const Philox& bits, float out[4]) {
  for (int pair = 0; pair < 2; ++pair) {
    const float u = (static_cast<float>(bits.v[2 * pair] >> 8) + 1.0f) * 0x1p-24f;  // in (0, 1]
    const float angle = static_cast<float>(bits.v[2 * pair + 1] >> 8) * (0x1p-24f * 2.0f * std::numbers::pi_v<float>);
    const float radius = std::sqrt(-2.0f * std::log(u));
    out[2 * pair] = radius * std::cos(angle);
    out[2 * pair + 1] = radius * std::sin(angle);
  }
}

std::uint32_t mix(std::uint32_t x) {  // MurmurHash3's finaliser
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16);
}

}  // namespace

IdShuffle::IdShuffle(std::uint64_t seed, std::uint32_t key, std::uint64_t size) : size_(size) {
  const int bits = size > 1 ? static_cast<int>(std::bit_width(size - 1)) : 1;
  half_bits_ = static_cast<std::uint32_t>((bits + 1) / 2);
  half_mask_ = (1u << half_bits_) - 1;
  const Philox words = draw(seed, key, 0, kShuffle);
  std::copy(std::begin(words.v), std::end(words.v), keys_);
}

NodeId IdShuffle::forward(NodeId index) const {
  do {
    std::uint32_t left = index >> half_bits_, right = index & half_mask_;
    for (int round = 0; round < kRounds; ++round) {
      const std::uint32_t next = left ^ (mix(right ^ keys_[round]) & half_mask_);
      left = right;
      right = next;
    }
    index = (left << half_bits_) | right;
  } while (index >= size_);
  return index;
}

NodeId IdShuffle::inverse(NodeId image) const {
  do {
    std::uint32_t left = image >> half_bits_, right = image & half_mask_;
    for (int round = kRounds - 1; round >= 0; --round) {
      const std::uint32_t before = right ^ (mix(left ^ keys_[round]) & half_mask_);
      right = left;
      left = before;
    }
    image = (left << half_bits_) | right;
  } while (image >= size_);
  return image;
}

RankSampler::RankSampler(std::uint64_t members, double power_law) : members_(members), flat_(power_law == 0.0) {
  power_ = flat_ ? 1.0 : 1.0 - 1.0 / (power_law - 1.0);
  if (std::abs(power_) < 1e-9) power_ = 0.0;
  const double end = static_cast<double>(members) + 1.0;
  range_ = power_ == 0.0 ? std::log(end) : std::pow(end, power_) - 1.0;
}

std::uint32_t RankSampler::rank(std::uint32_t uniform) const {
  if (flat_) return scaled(uniform, members_);
  const double u = (uniform + 0.5) * 0x1p-32;
  const double t = power_ == 0.0 ? std::exp(u * range_) : std::pow(1.0 + u * range_, 1.0 / power_);
  return static_cast<std::uint32_t>(std::min(t - 1.0, static_cast<double>(members_ - 1)));
}

std::uint64_t community_count(const SyntheticOptions& options) {
  if (options.communities != 0) return options.communities;
  if (!options.labelled_clustered || options.multi_label) return options.classes;
  const std::uint64_t room = options.nodes / (16 * options.classes);
  const double wanted = 4.0 / std::max(options.labelled, 1e-6);
  return options.classes *
         std::max<std::uint64_t>(1, std::min(room, std::max<std::uint64_t>(16, static_cast<std::uint64_t>(wanted))));
}

SyntheticModel::SyntheticModel(const SyntheticOptions& options, std::uint64_t seed) : options_(options), seed_(seed) {
  communities_ = community_count(options);
  homophily_limit_ = static_cast<std::uint64_t>(options.homophily * 0x1p32);
  if (options.multi_label) {
    const double share = std::min(0.3, 2.0 / static_cast<double>(options.classes));
    members_ = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(share * static_cast<double>(options.nodes)));
    samplers_.emplace_back(members_, options.power_law);
    for (std::uint32_t c = 0; c < options.classes; ++c) shuffles_.emplace_back(seed, c, options.nodes);
  } else {
    const std::uint64_t small = options.nodes / communities_;
    samplers_.emplace_back(std::max<std::uint64_t>(small, 1), options.power_law);
    samplers_.emplace_back(small + 1, options.power_law);
    shuffles_.emplace_back(seed, 0, options.nodes);
  }
  prototypes_.resize(options.classes * options.feature_dim);
  for (std::uint32_t c = 0; c < options.classes; ++c) {
    for (std::uint64_t f = 0; f < options.feature_dim; f += 4) {
      float values[4];
      four_normals(draw(seed, c, static_cast<std::uint32_t>(f / 4), kPrototype), values);
      const std::uint64_t count = std::min<std::uint64_t>(4, options.feature_dim - f);
      std::copy_n(values, count, prototypes_.data() + c * options.feature_dim + f);
    }
  }
}

// Communities are consecutive ranges of internal indices whose sizes differ by at most one.
SyntheticModel::Range SyntheticModel::community(std::uint64_t index) const {
  const std::uint64_t first = index * options_.nodes / communities_;
  return {first, (index + 1) * options_.nodes / communities_ - first};
}

std::uint64_t SyntheticModel::community_of(std::uint64_t index) const {
  return ((index + 1) * communities_ - 1) / options_.nodes;
}

EdgePair SyntheticModel::edge(std::uint64_t index) const {
  if (options_.multi_label) return overlapping_edge(index);
  const Philox bits = draw(seed_, index, 0, kEdge);
  const std::uint64_t from = scaled(bits.v[0], communities_);
  std::uint64_t to = from;
  if (bits.v[1] >= homophily_limit_ && options_.classes > 1) {
    const Philox other = draw(seed_, index, 0, kOtherCommunity);
    const std::uint64_t classes = options_.classes;
    const std::uint64_t other_class = (from % classes + 1 + scaled(other.v[0], classes - 1)) % classes;
    to = other_class + classes * scaled(other.v[1], communities_ / classes);
  }
  const auto pick = [&](std::uint64_t which, std::uint32_t uniform) {
    const Range range = community(which);
    const RankSampler& sampler = samplers_[range.count > options_.nodes / communities_ ? 1 : 0];
    return shuffles_[0].forward(static_cast<NodeId>(range.first + sampler.rank(uniform)));
  };
  return {pick(from, bits.v[2]), pick(to, bits.v[3])};
}

EdgePair SyntheticModel::overlapping_edge(std::uint64_t index) const {
  const Philox bits = draw(seed_, index, 0, kEdge);
  const IdShuffle& members = shuffles_[scaled(bits.v[0], options_.classes)];
  const NodeId source = members.forward(samplers_[0].rank(bits.v[2]));
  if (bits.v[1] < homophily_limit_) return {source, members.forward(samplers_[0].rank(bits.v[3]))};
  return {source, scaled(bits.v[3], options_.nodes)};
}

std::uint32_t SyntheticModel::class_of(NodeId node) const {
  return static_cast<std::uint32_t>(community_of(shuffles_[0].inverse(node)) % options_.classes);
}

bool SyntheticModel::has_class(NodeId node, std::uint32_t label) const {
  return shuffles_[label].inverse(node) < members_;
}

bool SyntheticModel::is_labelled(NodeId node) const {
  if (options_.labelled >= 1.0) return true;
  if (options_.labelled_clustered) {
    const auto limit = static_cast<std::uint64_t>(options_.labelled * static_cast<double>(options_.nodes));
    return shuffles_[0].inverse(node) < limit;
  }
  const auto limit = static_cast<std::uint64_t>(options_.labelled * 0x1p32);
  return draw(seed_, node, 0, kLabelled).v[0] < limit;
}

void SyntheticModel::add_prototype(std::uint32_t label, std::span<float> out) const {
  const float signal = static_cast<float>(options_.signal);
  const float* prototype = prototypes_.data() + label * options_.feature_dim;
  for (std::size_t f = 0; f < out.size(); ++f) out[f] += signal * prototype[f];
}

void SyntheticModel::features(NodeId node, std::span<float> out) const {
  STRATA_ASSERT(out.size() == options_.feature_dim);
  for (std::size_t f = 0; f < out.size(); f += 4) {
    float values[4];
    four_normals(draw(seed_, node, static_cast<std::uint32_t>(f / 4), kNoise), values);
    std::copy_n(values, std::min<std::size_t>(4, out.size() - f), out.data() + f);
  }
  if (!options_.multi_label) return add_prototype(class_of(node), out);
  for (std::uint32_t c = 0; c < options_.classes; ++c) {
    if (has_class(node, c)) add_prototype(c, out);
  }
}

int random_split_of(std::uint64_t seed, NodeId node, const SplitFractions& fractions) {
  const Philox bits = philox(seed, node, 0, 0, static_cast<std::uint32_t>(Stream::split));
  const double u = (bits.v[0] + 0.5) * 0x1p-32;
  double end = 0.0;
  for (int part = 0; part < 3; ++part) {
    end += fractions[static_cast<std::size_t>(part)];
    if (u < end) return part;
  }
  return 3;
}

}  // namespace strata
