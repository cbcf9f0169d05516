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
  bool scaled = false;  // sources' scales are at hand by column, too (with local columns)
};

std::string text(Codec codec, const TestGraph& g, std::size_t cols, const Factors& f) {
  return std::string(codec_name(codec)) + ", rows " + std::to_string(g.rows()) + ", edges " +
         std::to_string(g.columns.size()) + ", cols " + std::to_string(cols) +
         (f.destination ? ", destination scale" : "") + (f.source ? ", source scale" : "") +
         (f.self_loop ? ", self-loop" : "") + (f.scaled ? ", scaled columns" : "") +
         (g.to_global.empty() ? "" : ", local columns") + (g.to_row.empty() ? "" : ", some rows of x") +
         (g.row_list.empty() ? "" : ", listed rows") + (g.edge_weight.empty() ? "" : ", edge weights");
}

std::vector<ScaledRow> scaled_columns(const TestGraph& g, const std::vector<double>& source) {
  std::vector<ScaledRow> table;
  for (const std::uint32_t row : g.table()) table.push_back({row, row == kNoRow ? 0 : static_cast<float>(source[row])});
  return table;
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
  const auto to_row = c.raw(g.table());
  const auto row_list = c.raw(g.row_list);
  const auto weights = c.raw(g.edge_weight);
  const auto destination = c.input(random.reals(f.destination ? g.sources : 0));
  const auto source_scale = random.reals(f.source ? g.sources : 0);
  const auto source = c.input(source_scale);
  const auto scaled = c.raw(f.scaled ? scaled_columns(g, source_scale) : std::vector<ScaledRow>());
  const auto out = c.output(g.out_rows(), cols, cols + padding);
  c.exact();
  const SparseRows shape = g.view();
  const std::size_t sources = g.sources;
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    SparseRows sparse = shape;
    sparse.offsets = a.template raw<const EdgeId>(offsets);
    sparse.columns = a.template raw<const std::uint32_t>(columns);
    sparse.to_row = a.template raw<const std::uint32_t>(to_row);
    sparse.scaled = a.template raw<const ScaledRow>(scaled);
    sparse.row_list = a.template raw<const std::uint32_t>(row_list);
    sparse.edge_weight = a.template raw<const float>(weights);
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

TEST_CASE("spmm gives the same bits with scales at hand by column") {
  std::uint64_t seed = 1;
  for (const Codec codec : kCodecs) {
    for (const std::size_t cols : {1, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 128}) {
      for (int bits = 0; bits < 8; ++bits, ++seed) {
        GraphOptions options;
        options.local_columns = true;
        options.weighted = (bits & 1) != 0;
        options.partial = (bits & 2) != 0;
        spmm_case(codec, random_graph(options, seed), cols, seed % 2, {true, true, (bits & 4) != 0, true}, seed);
      }
    }
  }
  for (const std::size_t rows : {0, 1, 1023}) {
    const GraphOptions options{rows, rows + 70, 33, 3, true, false, rows > 1};
    spmm_case(Codec::fp16, random_graph(options, seed), 32, 0, {true, true, true, true}, seed);
    ++seed;
  }
}

TEST_CASE("spmm gives the same bits in every body: factors and graphs") {
  std::uint64_t seed = 1;
  for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::int8}) {
    for (int bits = 0; bits < 64; ++bits, ++seed) {
      const Factors factors{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      GraphOptions options;
      options.local_columns = (bits & 8) != 0;
      options.weighted = (bits & 16) != 0;
      options.partial = (bits & 32) != 0;
      spmm_case(codec, random_graph(options, seed), 40, 1, factors, seed);
    }
    for (const std::size_t rows : {0, 1, 1023, 1025}) {
      const GraphOptions options{rows, rows + 70, 33, 3, rows % 2 == 1, false, rows % 2 == 1};
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

// The graph without the edges from nodes that x does not hold, in global columns, over rows in the order of their ids.
struct Filtered {
  TestGraph graph;
  std::vector<float> rows, source_scale;  // by node
};

Filtered filtered(const TestGraph& g, const std::vector<float>& x, const std::vector<float>& source, std::size_t cols) {
  Filtered f{{}, std::vector<float>(g.sources * cols), std::vector<float>(g.sources)};
  f.graph.sources = g.sources;
  f.graph.first_row = g.first_row;
  for (std::size_t column = 0; column < g.to_row.size(); ++column) {
    const std::uint32_t row = g.to_row[column];
    if (row == kNoRow) continue;
    f.source_scale[g.to_global[column]] = source[row];
    std::copy_n(x.data() + row * cols, cols, f.rows.data() + g.to_global[column] * cols);
  }
  for (std::size_t r = 0; r < g.rows(); ++r) {
    for (EdgeId e = g.offsets[r]; e < g.offsets[r + 1]; ++e) {
      if (g.to_row[g.columns[e]] != kNoRow) f.graph.columns.push_back(g.source(e));
    }
    f.graph.offsets.push_back(f.graph.columns.size());
  }
  return f;
}

TEST_CASE("absent rows of x, their order and lists of rows change no bit of what is left") {
  for (const std::size_t cols : {1, 16, 40, 128, 300}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(cols);
      CAPTURE(seed);
      const TestGraph g = random_graph({60, 150, 30, 6, true, false, true}, seed);
      REQUIRE(!g.row_list.empty());
      Random random(seed);
      const auto values = random.reals(g.sources * cols), scales = random.reals(g.sources);
      const std::vector<float> x(values.begin(), values.end()), scale(scales.begin(), scales.end());
      const Filtered whole = filtered(g, x, scale, cols);
      const auto rows = [&](const std::vector<float>& data) {
        return EncodedRows{Codec::fp32, reinterpret_cast<const std::byte*>(data.data()), g.sources, cols, cols * 4};
      };
      // Without self-loops: those of absent rows are left out on one side only.
      std::vector<float> expected(g.rows() * cols), found(g.out_rows() * cols);
      cpu::spmm(whole.graph.view(), {scale.data(), whole.source_scale.data(), false}, rows(whole.rows),
                MatrixView<float>(expected.data(), g.rows(), cols));
      cpu::spmm(g.view(), {scale.data(), scale.data(), false}, rows(x),
                MatrixView<float>(found.data(), g.out_rows(), cols));
      for (std::size_t i = 0; i < g.out_rows(); ++i) {
        CHECK(std::equal(&found[i * cols], &found[i * cols] + cols, &expected[g.row_list[i] * cols]));
      }
      // With them: rows that x holds.
      cpu::spmm(whole.graph.view(), {scale.data(), whole.source_scale.data(), true}, rows(whole.rows),
                MatrixView<float>(expected.data(), g.rows(), cols));
      cpu::spmm(g.view(), {scale.data(), scale.data(), true}, rows(x),
                MatrixView<float>(found.data(), g.out_rows(), cols));
      std::size_t held = 0;
      for (std::size_t i = 0; i < g.out_rows(); ++i) {
        if (g.to_row[g.first_local() + g.row_list[i]] == kNoRow) continue;
        CHECK(std::equal(&found[i * cols], &found[i * cols] + cols, &expected[g.row_list[i] * cols]));
        ++held;
      }
      CHECK(held > 0);
    }
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
    part.first_local = g.first_local() + static_cast<std::uint32_t>(first);
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
