#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "tests/kernels/graphs.hpp"
#include "tests/support/differential.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

constexpr Codec kCodecs[] = {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8, Codec::fp64};

struct Factors {
  bool destination = false, source = false, self_loop = false;
};

std::string text(Codec codec, const TestGraph& g, std::size_t cols, const Factors& f) {
  return std::string(codec_name(codec)) + ", rows " + std::to_string(g.rows()) + ", edges " +
         std::to_string(g.columns.size()) + ", cols " + std::to_string(cols) +
         (f.destination ? ", destination scale" : "") + (f.source ? ", source scale" : "") +
         (f.self_loop ? ", self-loop" : "") + (g.to_global.empty() ? "" : ", local columns") +
         (g.edge_weight.empty() ? "" : ", edge weights");
}

void spmm_case(Codec codec, const TestGraph& g, std::size_t cols, std::size_t padding, const Factors& f,
               std::uint64_t seed) {
  Random random(seed);
  Case c("spmm", text(codec, g, cols, f), seed);
  const auto values = random.reals(g.sources * cols);
  const std::size_t stride = encoded_row_bytes(codec, cols) + padding * value_bytes(codec);
  const auto x = c.raw(encode_rows(codec, std::vector<float>(values.begin(), values.end()), g.sources, cols, stride));
  const auto offsets = c.raw(g.offsets);
  const auto columns = c.raw(g.columns);
  const auto to_global = c.raw(g.to_global);
  const auto weights = c.raw(g.edge_weight);
  const auto destination = c.input(random.reals(f.destination ? g.sources : 0));
  const auto source = c.input(random.reals(f.source ? g.sources : 0));
  const auto out = c.output(g.rows(), cols, cols + padding);
  c.exact();
  const NodeId first_row = g.first_row;
  const std::size_t rows = g.rows();
  const std::size_t sources = g.sources;
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    const SparseRows sparse{rows,
                            first_row,
                            a.template raw<const EdgeId>(offsets),
                            a.template raw<const std::uint32_t>(columns),
                            a.template raw<const NodeId>(to_global),
                            a.template raw<const float>(weights)};
    const EdgeScale<T> scale{a.reals(destination), a.reals(source), f.self_loop};
    const EncodedRows encoded{codec, a.template raw<const std::byte>(x), sources, cols, stride};
    body.spmm(sparse, scale, encoded, a.out(out));
  });
}

// What the header promises, computed differently: dense weights first, sums after, in double.
std::vector<double> dense_product(const TestGraph& g, const EdgeScale<double>& scale, const std::vector<double>& x,
                                  std::size_t cols) {
  std::vector<double> out(g.rows() * cols, 0.0);
  for (std::size_t r = 0; r < g.rows(); ++r) {
    const NodeId i = g.first_row + static_cast<NodeId>(r);
    std::map<NodeId, double> row;
    for (EdgeId e = g.offsets[r]; e < g.offsets[r + 1]; ++e) {
      row[g.source(e)] += g.edge_weight.empty() ? 1.0 : static_cast<double>(g.edge_weight[e]);
    }
    if (scale.self_loop) row[i] += 1;
    for (const auto& [j, w] : row) {
      const double weight = w * (scale.destination != nullptr ? scale.destination[i] : 1) *
                            (scale.source != nullptr ? scale.source[j] : 1);
      for (std::size_t c = 0; c < cols; ++c) out[r * cols + c] += weight * x[j * cols + c];
    }
  }
  return out;
}

std::vector<double> reference_product(const TestGraph& g, const EdgeScale<double>& scale, const std::vector<double>& x,
                                      std::size_t cols) {
  std::vector<double> out(g.rows() * cols);
  const EncodedRows rows{Codec::fp64, reinterpret_cast<const std::byte*>(x.data()), g.sources, cols, cols * 8};
  ref::spmm(g.view(), scale, rows, MatrixView<double>(out.data(), g.rows(), cols));
  return out;
}

// The reversed graph over the same ids, rows being the sources of `g`.
TestGraph reversed(const TestGraph& g) {
  std::map<NodeId, std::vector<std::pair<NodeId, float>>> in;
  for (std::size_t r = 0; r < g.rows(); ++r) {
    for (EdgeId e = g.offsets[r]; e < g.offsets[r + 1]; ++e) {
      in[g.source(e)].emplace_back(g.first_row + static_cast<NodeId>(r), g.edge_weight.empty() ? 1 : g.edge_weight[e]);
    }
  }
  TestGraph t;
  t.sources = g.sources;
  for (NodeId j = 0; j < g.sources; ++j) {
    for (const auto& [i, w] : in[j]) {
      t.columns.push_back(i);
      if (!g.edge_weight.empty()) t.edge_weight.push_back(w);
    }
    t.offsets.push_back(t.columns.size());
  }
  return t;
}

}  // namespace

TEST_CASE("spmm gives the same bits in every body: widths and codecs") {
  for (const Codec codec : kCodecs) {
    for (const std::size_t cols :
         {0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 63, 65, 100, 127, 128, 129, 255, 256, 257, 300, 602}) {
      const TestGraph g = random_graph({}, cols);
      spmm_case(codec, g, cols, cols % 3, {true, true, true}, cols);
    }
  }
}

TEST_CASE("spmm gives the same bits in every body: factors and graphs") {
  std::uint64_t seed = 1;
  for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::int8}) {
    for (int bits = 0; bits < 32; ++bits, ++seed) {
      const Factors factors{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      GraphOptions options;
      options.local_columns = (bits & 8) != 0;
      options.weighted = (bits & 16) != 0;
      spmm_case(codec, random_graph(options, seed), 40, 1, factors, seed);
    }
    for (const std::size_t rows : {0, 1, 1023, 1025}) {
      const GraphOptions options{rows, rows + 70, 33, 3, false, false};
      spmm_case(codec, random_graph(options, seed), 33, 0, {true, false, true}, seed);
      ++seed;
    }
  }
}

TEST_CASE("spmm is the dense product") {
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    GraphOptions options;
    options.local_columns = seed % 2 == 0;
    options.weighted = seed % 3 == 0;
    const TestGraph g = random_graph(options, seed);
    Random random(seed);
    const auto x = random.reals(g.sources * 5);
    const auto destination = random.reals(g.sources), source = random.reals(g.sources);
    const EdgeScale<double> scale{seed % 4 < 2 ? destination.data() : nullptr, seed % 8 < 4 ? source.data() : nullptr,
                                  seed % 5 != 0};
    const auto expected = dense_product(g, scale, x, 5);
    const auto found = reference_product(g, scale, x, 5);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(expected[i] - found[i]) < 1e-12);
  }
}

TEST_CASE("the transpose is spmm over the reversed graph with the scales exchanged") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    GraphOptions options{30, 30, 0, 4, false, seed % 3 == 0};
    const TestGraph g = random_graph(options, seed);
    const TestGraph t = reversed(g);
    Random random(seed);
    const auto x = random.reals(30 * 7), y = random.reals(30 * 7), a = random.reals(30), b = random.reals(30);
    const bool self_loop = seed % 2 == 0;
    const EdgeScale<double> scale{a.data(), seed % 4 < 2 ? b.data() : nullptr, self_loop};
    const EdgeScale<double> exchanged{scale.source, scale.destination, self_loop};
    const double forward = dot(reference_product(g, scale, x, 7), y);
    const double backward = dot(x, reference_product(t, exchanged, y, 7));
    CHECK(std::abs(forward - backward) < 1e-11);
  }
}

TEST_CASE("any split into row ranges and column groups gives the same bits") {
  constexpr std::size_t kCols = 160;
  const TestGraph g = random_graph({50, 90, 20, 6, true, true}, 5);
  Random random(5);
  const auto values = random.reals(g.sources * kCols);
  std::vector<float> scales(g.sources);
  for (float& s : scales) s = static_cast<float>(random.uniform());
  const std::size_t stride = encoded_row_bytes(Codec::int8, kCols);
  const auto x = encode_rows(Codec::int8, values, g.sources, kCols, stride);
  const EdgeScale<float> scale{scales.data(), scales.data(), true};
  std::vector<float> whole(50 * kCols);
  const EncodedRows rows{Codec::int8, x.data(), g.sources, kCols, stride};
  cpu::spmm(g.view(), scale, rows, MatrixView<float>(whole.data(), 50, kCols));
  std::vector<float> pieces(50 * kCols);
  for (std::size_t first = 0; first < 50; first += 7) {
    SparseRows part = g.view();
    part.rows = std::min<std::size_t>(7, 50 - first);
    part.first_row = g.first_row + static_cast<NodeId>(first);
    part.offsets += first;
    for (std::size_t panel = 0; panel < 5; panel += 2) {
      const std::size_t cols = std::min<std::size_t>(64, kCols - panel * 32);
      const EncodedRows group{Codec::int8, x.data() + panel * 34, g.sources, cols, stride};
      cpu::spmm(part, scale, group, MatrixView<float>(&pieces[first * kCols + panel * 32], part.rows, cols, kCols));
    }
  }
  CHECK(pieces == whole);
}

}  // namespace strata::testing
