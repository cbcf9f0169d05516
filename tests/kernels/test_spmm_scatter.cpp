#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "kernels/spmm_scatter.hpp"
#include "tests/kernels/graphs.hpp"
#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

constexpr Codec kCodecs[] = {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8, Codec::fp64};

struct Factors {
  bool destination = false, source = false, self_loop = false;
};

// One call over all rows of `g`, read as sources, into `held` of its columns, in every body.
void scatter_case(Codec codec, const TestGraph& g, std::size_t cols, std::size_t padding, const Factors& f,
                  const HeldRows& held, std::size_t held_rows, std::uint64_t seed) {
  Random random(seed);
  Case c("spmm_scatter", std::string(codec_name(codec)) + ", cols " + std::to_string(cols), seed);
  const std::size_t sources = g.out_rows();
  const auto values = random.reals(sources * cols);
  const std::size_t stride = encoded_row_bytes(codec, cols) + padding * value_bytes(codec);
  const auto x = c.raw(encode_rows(codec, std::vector<float>(values.begin(), values.end()), sources, cols, stride));
  const auto offsets = c.raw(g.offsets);
  const auto columns = c.raw(g.columns);
  const auto to_row = c.raw(g.table());
  const auto row_list = c.raw(g.row_list);
  const auto weights = c.raw(g.edge_weight);
  const auto destination = c.input(random.reals(f.destination ? g.sources : 0));
  const auto source = c.input(random.reals(f.source ? g.first_row + g.rows() : 0));
  const auto acc = c.in_out(random.reals(held_rows * cols), held_rows, cols, cols + padding);
  c.exact();
  const SparseRows shape = g.view();
  c.run([=](auto body, auto& a) {
    using T = typename std::remove_reference_t<decltype(a)>::Real;
    SparseRows sparse = shape;
    sparse.offsets = a.template raw<const EdgeId>(offsets);
    sparse.columns = a.template raw<const std::uint32_t>(columns);
    sparse.to_row = a.template raw<const std::uint32_t>(to_row);
    sparse.row_list = a.template raw<const std::uint32_t>(row_list);
    sparse.edge_weight = a.template raw<const float>(weights);
    const EdgeScale<T> scale{a.reals(destination), a.reals(source), f.self_loop};
    const EncodedRows encoded{codec, a.template raw<const std::byte>(x), sources, cols, stride};
    body.spmm_scatter(sparse, scale, encoded, held, a.out(acc));
  });
}

// A whole square graph, its values and scales, and what spmm makes of it.
struct Whole {
  Whole(Codec codec_, std::size_t nodes_, std::size_t cols_, bool weighted, bool self_loop, std::uint64_t seed)
      : codec(codec_), nodes(nodes_), cols(cols_), graph(random_graph({nodes_, nodes_, 0, 5, false, weighted}, seed)) {
    Random random(seed);
    const auto values = random.reals(nodes * cols);
    stride = encoded_row_bytes(codec, cols);
    x = encode_rows(codec, values, nodes, cols, stride);
    for (std::size_t i = 0; i < nodes; ++i) {
      destination.push_back(static_cast<float>(random.uniform()));
      source.push_back(static_cast<float>(random.uniform()));
    }
    scale = {seed % 3 != 0 ? destination.data() : nullptr, seed % 4 != 0 ? source.data() : nullptr, self_loop};
    expected.resize(nodes * cols);
    cpu::spmm(graph.view(), scale, rows(0, nodes, 0, cols), MatrixView<float>(expected.data(), nodes, cols));
  }
  // Rows [first, first + count), columns [column, column + width) (whole panels).
  [[nodiscard]] EncodedRows rows(std::size_t first, std::size_t count, std::size_t column, std::size_t width) const {
    return {codec, x.data() + first * stride + encoded_row_bytes(codec, column), count, width, stride};
  }

  Codec codec;
  std::size_t nodes, cols, stride = 0;
  TestGraph graph;
  std::vector<std::byte> x;
  std::vector<float> destination, source, expected;
  EdgeScale<float> scale;
};

struct Cut {
  std::size_t sources, destinations, columns;  // of a piece
};

// All sources in ascending order, piece by piece, for every held range and every group of columns.
std::vector<float> scattered(const Whole& w, const Cut& cut) {
  const TestGraph out = reversed(w.graph);
  std::vector<float> acc(w.nodes * w.cols);
  for (std::size_t lo = 0; lo < w.nodes; lo += cut.destinations) {
    const std::size_t held = std::min(cut.destinations, w.nodes - lo);
    for (std::size_t column = 0; column < w.cols; column += cut.columns) {
      const std::size_t width = std::min(cut.columns, w.cols - column);
      const MatrixView<float> sums(acc.data() + lo * w.cols + column, held, width, w.cols);
      for (std::size_t first = 0; first < w.nodes; first += cut.sources) {
        SparseRows piece = out.view();
        piece.rows = std::min(cut.sources, w.nodes - first);
        piece.first_row = static_cast<NodeId>(first);
        piece.offsets += first;
        const auto begin = static_cast<std::uint32_t>(lo);
        cpu::spmm_scatter(piece, w.scale, w.rows(first, piece.rows, column, width),
                          HeldRows{begin, begin + static_cast<std::uint32_t>(held), begin}, sums);
      }
    }
  }
  return acc;
}

}  // namespace

TEST_CASE("spmm_scatter gives the same bits in every body") {
  std::uint64_t seed = 1;
  for (const Codec codec : kCodecs) {
    for (const std::size_t cols : {0, 1, 15, 16, 17, 31, 33, 64, 127, 129, 256, 257, 300}) {
      const TestGraph g = random_graph({}, cols);
      scatter_case(codec, g, cols, cols % 3, {true, true, true}, {0, 50, 0}, 50, ++seed);
    }
  }
  for (int bits = 0; bits < 64; ++bits, ++seed) {
    GraphOptions options;
    options.local_columns = (bits & 8) != 0;
    options.weighted = (bits & 16) != 0;
    options.partial = (bits & 32) != 0;
    const TestGraph g = random_graph(options, seed);
    const HeldRows held{static_cast<std::uint32_t>(seed % 3), static_cast<std::uint32_t>(15 + seed % 13),
                        static_cast<std::uint32_t>(seed % 9)};
    const Factors factors{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    scatter_case(Codec::fp32, g, 40, 1, factors, held, 20 + seed % 11, seed);
  }
  for (const std::size_t rows : {0, 1, 1023, 1025}) {
    const GraphOptions options{rows, rows + 70, 33, 3, false, false};
    const auto end = static_cast<std::uint32_t>(rows + 70);
    scatter_case(Codec::int8, random_graph(options, seed), 33, 0, {true, false, true}, {0, end, 0}, rows + 70, seed);
    scatter_case(Codec::fp16, random_graph(options, seed), 33, 0, {true, false, true}, {5, end, 5}, 0, seed);
    ++seed;
  }
}

TEST_CASE("scattering all sources in ascending order is spmm, bit for bit") {
  std::uint64_t seed = 1;
  for (const Codec codec : kCodecs) {
    for (const std::size_t cols : {1, 32, 33, 160, 300}) {
      for (const bool weighted : {false, true}) {
        for (const bool self_loop : {false, true}) {
          const Whole w(codec, 90, cols, weighted, self_loop, ++seed);
          CAPTURE(codec_name(codec));
          CAPTURE(seed);
          for (const Cut& cut : {Cut{90, 90, 512}, Cut{7, 90, 512}, Cut{90, 11, 64}, Cut{13, 29, 32}}) {
            CHECK(scattered(w, cut) == w.expected);
          }
        }
      }
    }
  }
}

}  // namespace strata::testing
