// The generator: its bits, and the statistics it promises.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "kernels/base/error.hpp"
#include "storage/import/synthetic_model.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

SyntheticOptions small(std::uint64_t nodes = 20000) {
  SyntheticOptions s;
  s.nodes = nodes;
  s.edges = 10 * nodes;
  s.classes = 5;
  s.feature_dim = 13;
  return s;
}

// Within six standard deviations of a share p of n draws.
bool near_share(double found, double p, double n) {
  return std::abs(found - p) < 6 * std::sqrt(p * (1 - p) / n) + 1e-9;
}

}  // namespace

TEST_CASE("IdShuffle is a permutation and inverts, at all small sizes") {
  for (const std::uint64_t size : {1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 4095, 4097, 10000}) {
    const IdShuffle shuffle(7, 1, size);
    std::vector<bool> seen(size);
    std::uint64_t fixed = 0;
    for (NodeId n = 0; n < size; ++n) {
      const NodeId image = shuffle.forward(n);
      REQUIRE(image < size);
      REQUIRE_FALSE(seen[image]);
      seen[image] = true;
      REQUIRE(shuffle.inverse(image) == n);
      fixed += image == n ? 1 : 0;
    }
    if (size >= 255) CHECK(fixed < 20);
  }
}

TEST_CASE("RankSampler: ranks in range, and the share of the first ranks is the integral's") {
  for (const double power : {0.0, 1.5, 2.0, 2.5, 3.5}) {
    for (const std::uint64_t members : {1u, 2u, 1000u}) {
      const RankSampler sampler(members, power);
      CHECK(sampler.rank(0) == 0);
      CHECK(sampler.rank(0xffffffffu) == members - 1);
      std::uint64_t low = 0;
      constexpr std::uint32_t kDraws = 100000;
      for (std::uint32_t i = 0; i < kDraws; ++i) {
        const std::uint32_t rank = sampler.rank(i * (0xffffffffu / kDraws));
        REQUIRE(rank < members);
        low += rank < members / 10 ? 1 : 0;
      }
      if (members != 1000) continue;
      const double a = power == 0 ? 0 : 1 / (power - 1);  // weights t^-a over [1, 1001]
      const auto integral = [a](double t) { return a == 1 ? std::log(t) : (std::pow(t, 1 - a) - 1) / (1 - a); };
      const double share = power == 0 ? 0.1 : integral(101) / integral(1001);
      CHECK(static_cast<double>(low) / kDraws == doctest::Approx(share).epsilon(0.002));
    }
  }
}

TEST_CASE("edges, labels and features are functions of the seed and the index alone") {
  const SyntheticModel a(small(), 3), b(small(), 3), other(small(), 4);
  std::vector<float> x(13), y(13);
  int different_edges = 0, different_classes = 0;
  for (std::uint64_t e = 0; e < 2000; ++e) {
    const EdgePair one = a.edge(e), two = b.edge(1999 - e), three = b.edge(e), four = other.edge(e);
    REQUIRE(one.source < 20000);
    REQUIRE(one.target < 20000);
    REQUIRE(two.source < 20000);
    REQUIRE((one.source == three.source && one.target == three.target));
    different_edges += one.source != four.source ? 1 : 0;
    different_classes += a.class_of(static_cast<NodeId>(e)) != other.class_of(static_cast<NodeId>(e)) ? 1 : 0;
  }
  CHECK(different_edges > 1900);
  CHECK(different_classes > 1400);
  a.features(77, x);
  b.features(76, y);
  b.features(77, y);
  CHECK(x == y);
  // Known bits: another platform's would show here.
  CHECK(a.edge(0).source == b.edge(0).source);
}

TEST_CASE("homophily is the share of edges within a class; degrees follow the power law") {
  for (const double homophily : {0.0, 0.3, 0.8, 1.0}) {
    SyntheticOptions s = small();
    s.homophily = homophily;
    s.communities = homophily == 0.3 ? 20 : 0;
    const SyntheticModel model(s, 11);
    std::uint64_t within = 0;
    for (std::uint64_t e = 0; e < s.edges; ++e) {
      const EdgePair pair = model.edge(e);
      within += model.class_of(pair.source) == model.class_of(pair.target) ? 1 : 0;
    }
    CHECK(near_share(static_cast<double>(within) / static_cast<double>(s.edges), homophily,
                     static_cast<double>(s.edges)));
  }
  for (const double exponent : {2.2, 2.5, 3.0}) {
    SyntheticOptions s = small(50000);
    s.power_law = exponent;
    s.classes = 1;
    s.edges = 2000000;
    const SyntheticModel model(s, 5);
    std::vector<double> degree(s.nodes, 0);
    for (std::uint64_t e = 0; e < s.edges; ++e) degree[model.edge(e).source] += 1;
    std::sort(degree.rbegin(), degree.rend());
    // Hill's estimator of the tail over the top 2%, where expected degrees are large.
    const std::size_t top = s.nodes / 50;
    double sum = 0;
    for (std::size_t i = 0; i < top; ++i) sum += std::log(degree[i] / degree[top]);
    CHECK(1 + static_cast<double>(top) / sum == doctest::Approx(exponent).epsilon(0.08));
  }
  SyntheticOptions s = small();
  s.power_law = 0;
  const SyntheticModel flat(s, 5);
  std::vector<int> degree(s.nodes, 0);
  for (std::uint64_t e = 0; e < s.edges; ++e) ++degree[flat.edge(e).target];
  CHECK(*std::max_element(degree.begin(), degree.end()) < 35);  // Poisson of mean 10
}

TEST_CASE("labels: balanced classes, shares, clusters, overlap") {
  SyntheticOptions s = small();
  s.labelled = 0.5;
  const SyntheticModel spread(s, 9);
  std::vector<double> counts(s.classes, 0);
  double labelled = 0;
  for (NodeId n = 0; n < s.nodes; ++n) {
    counts[spread.class_of(n)] += 1;
    labelled += spread.is_labelled(n) ? 1 : 0;
  }
  CHECK(*std::max_element(counts.begin(), counts.end()) - *std::min_element(counts.begin(), counts.end()) <= 1);
  CHECK(near_share(labelled / 20000, 0.5, 20000));

  s.labelled_clustered = true;
  const SyntheticModel clustered(s, 9);
  std::set<std::uint32_t> classes;
  labelled = 0;
  double across = 0, among = 0;  // edges of labelled sources that leave the labelled nodes
  for (NodeId n = 0; n < s.nodes; ++n) {
    if (!clustered.is_labelled(n)) continue;
    labelled += 1;
    classes.insert(clustered.class_of(n));
  }
  for (std::uint64_t e = 0; e < s.edges; ++e) {
    const EdgePair pair = clustered.edge(e);
    if (!clustered.is_labelled(pair.source)) continue;
    among += 1;
    across += clustered.is_labelled(pair.target) ? 0 : 1;
  }
  CHECK(labelled == 10000);
  CHECK(classes.size() == s.classes);
  CHECK(across / among < 0.15);  // (1 - homophily) / 2; spread labels would give 0.5

  s.labelled = 0.02;  // few labels still have every class
  const SyntheticModel few(s, 9);
  classes.clear();
  labelled = 0;
  for (NodeId n = 0; n < s.nodes; ++n) {
    if (!few.is_labelled(n)) continue;
    labelled += 1;
    classes.insert(few.class_of(n));
  }
  CHECK(labelled == 400);
  CHECK(classes.size() == s.classes);

  SyntheticOptions m = small();
  m.classes = 8;
  m.multi_label = true;
  const SyntheticModel overlap(m, 2);
  double members = 0, both = 0, shared = 0;
  for (NodeId n = 0; n < m.nodes; ++n) {
    for (std::uint32_t c = 0; c < m.classes; ++c) members += overlap.has_class(n, c) ? 1 : 0;
    both += overlap.has_class(n, 0) && overlap.has_class(n, 1) ? 1 : 0;
  }
  CHECK(members == 8 * 5000);                        // a quarter of the nodes each
  CHECK(near_share(both / 20000, 1.0 / 16, 20000));  // independent
  for (std::uint64_t e = 0; e < m.edges; ++e) {
    const EdgePair pair = overlap.edge(e);
    bool any = false;
    for (std::uint32_t c = 0; c < m.classes; ++c)
      any = any || (overlap.has_class(pair.source, c) && overlap.has_class(pair.target, c));
    shared += any ? 1 : 0;
  }
  CHECK(shared / static_cast<double>(m.edges) > 0.8);
}

TEST_CASE("features: signal times the class mean, unit noise") {
  SyntheticOptions s = small(30000);
  s.signal = 2.0;
  s.classes = 3;
  const SyntheticModel model(s, 8);
  std::vector<std::vector<double>> mean(3, std::vector<double>(13, 0.0));
  std::vector<double> square(3, 0.0), count(3, 0.0);
  std::vector<float> x(13);
  for (NodeId n = 0; n < s.nodes; ++n) {
    model.features(n, x);
    const std::uint32_t c = model.class_of(n);
    count[c] += 1;
    for (std::size_t f = 0; f < 13; ++f) mean[c][f] += static_cast<double>(x[f]);
    for (const float v : x) square[c] += static_cast<double>(v) * static_cast<double>(v);
  }
  double prototypes = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    double between = 0;
    for (double& m : mean[c]) {
      m /= count[c];
      between += m * m;
    }
    prototypes += between / 13 / 3;
    const double noise = square[c] / count[c] / 13 - between / 13;
    CHECK(noise == doctest::Approx(1.0).epsilon(0.03));
  }
  CHECK(prototypes == doctest::Approx(4.0).epsilon(0.6));  // 39 values of variance 4
}

TEST_CASE("synthetic stores: counts, split shares, refused combinations") {
  TempDir dir;
  ImportOptions options = synthetic_options(dir / "s", 5000, 40000);
  options.synthetic.labelled = 0.4;
  options.undirected = true;
  const ConvertReport report = convert_with(options);
  CHECK(report.edges_in == 40000);
  CHECK(report.edges_out + report.duplicates + 2 * report.self_loops == 80000);
  CHECK(near_share(static_cast<double>(report.labelled) / 5000, 0.4, 5000));
  const LoadedStore store = load_store(dir / "s");
  CHECK(store.info.classes == 16);
  CHECK(store.splits.at("train").size() + store.splits.at("valid").size() + store.splits.at("test").size() ==
        report.labelled);
  CHECK(near_share(static_cast<double>(store.splits.at("train").size()) / static_cast<double>(report.labelled), 0.6,
                   2000));
  const auto refused = [&](auto&& change) {
    ImportOptions wrong = synthetic_options(dir / "w", 100, 100);
    change(wrong);
    return failing<UsageError>(wrong);
  };
  CHECK(refused([](ImportOptions& o) { o.synthetic.nodes = 0; }).find("--nodes") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.synthetic.classes = 101; }).find("--classes") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.synthetic.homophily = 1.5; }).find("--homophily") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.synthetic.power_law = 1.0; }).find("--power-law") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.synthetic.labelled = -1; }).find("--labelled") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.synthetic.communities = 17; }).find("--communities") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.split = "time"; }).find("split") != std::string::npos);
  CHECK(refused([](ImportOptions& o) { o.input = "x"; }).find("--input") != std::string::npos);
  CHECK(refused([](ImportOptions& o) {
          o.synthetic.multi_label = o.synthetic.labelled_clustered = true;
        }).find("--labelled-clustered") != std::string::npos);
}

}  // namespace strata::test
