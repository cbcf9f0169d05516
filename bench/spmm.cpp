// SpMM as a pass calls it: each task fills a tile of kChunkRows destinations that stays in its cache, symmetric
// normalisation with self-loops.
//
// Bytes: one encoded row per edge and self-loop, 4 of column and 4 of source scale per edge, 8 of offset per row. Rows
// that caches serve count too, so a local graph may exceed the stream's rate.
#include <algorithm>
#include <cmath>
#include <vector>

#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include "bench/graph.hpp"
#include "bench/kernels.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/row_codec.hpp"
#include "kernels/spmm.hpp"

namespace strata::bench {

namespace {

struct SpmmCase {
  Codec codec;
  std::size_t cols;
};

// Rows so that every case gathers from about the same number of bytes: options.rows at 256 bytes a row.
std::size_t rows_of(const KernelOptions& options, const SpmmCase& c) {
  const std::size_t bytes = encoded_row_bytes(c.codec, c.cols);
  return std::max<std::size_t>(kChunkRows, std::min(options.rows, options.rows * 256 / bytes));
}

// Encoded rows of uniform values in (-1, 1). Every 1,024 rows repeat: what is in a row does not matter to its speed.
Buffer make_rows(const KernelBench& bench, const SpmmCase& c, std::size_t rows) {
  const std::size_t stride = encoded_row_bytes(c.codec, c.cols);
  Buffer buffer(bench.budget, rows * stride, "rows to gather", true);
  std::vector<float> values(kChunkRows * c.cols);
  CounterRng rng(bench.options.seed, Stream::synthetic, 0, 1);
  for (float& value : values) value = static_cast<float>(2 * rng.uniform() - 1);
  bench.workers.for_each(divide_up(rows, kChunkRows), [&](std::size_t chunk) {
    const std::size_t first = chunk * kChunkRows;
    const std::size_t count = std::min(kChunkRows, rows - first);
    std::byte* to = buffer.data() + first * stride;
    for (std::size_t panel = 0; panel < panel_count(c.cols); ++panel) {
      const std::size_t width = panel_width(c.cols, panel);
      cpu::encode_panel<float>(c.codec, {values.data() + panel * kPanelColumns, count, width, c.cols}, to, stride);
      to += panel_row_bytes(c.codec, width);
    }
  });
  return buffer;
}

void check_some_rows(const TimingGraph& graph, const EdgeScale<float>& scale, const EncodedRows& x) {
  constexpr std::size_t kRows = 64;
  const std::size_t count = std::min(kRows, graph.rows);
  std::vector<float> expected(count * x.cols), found(count * x.cols);
  ref::spmm<float>(graph.tile(0, count), scale, x, {expected.data(), count, x.cols});
  cpu::spmm<float>(graph.tile(0, count), scale, x, {found.data(), count, x.cols});
  require_equal(expected == found, "spmm in " + std::string(codec_name(x.codec)));
}

void run_case(const KernelBench& bench, const SpmmCase& c, const TimingGraph& graph, const std::string& locality,
              const Array<float>& scales) {
  const std::size_t rows = graph.rows;
  const Buffer buffer = make_rows(bench, c, rows);
  const EncodedRows x{c.codec, buffer.data(), rows, c.cols, encoded_row_bytes(c.codec, c.cols)};
  const EdgeScale<float> scale{scales.data(), scales.data(), true};
  check_some_rows(graph, scale, x);
  const auto pass = [&] {
    bench.workers.for_each(divide_up(rows, kChunkRows), [&](std::size_t chunk) {
      static thread_local std::vector<float> tile;
      tile.resize(kChunkRows * c.cols);
      const std::size_t first = chunk * kChunkRows;
      const std::size_t count = std::min(kChunkRows, rows - first);
      cpu::spmm<float>(graph.tile(first, count), scale, x, {tile.data(), count, c.cols});
    });
  };
  const auto edges = static_cast<double>(graph.columns.size() + rows);
  const double bytes = edges * static_cast<double>(x.stride) + 8.0 * static_cast<double>(graph.columns.size() + rows);
  add_against_stream(bench,
                     {"spmm",
                      fmt::format("{} d={} {} n={}", codec_name(c.codec), c.cols, locality, rows),
                      {},
                      bytes,
                      edges,
                      "edge",
                      "encoded rows gathered, columns, source scales, offsets; self-loops are edges",
                      ""},
                     Against::read, pass);
}

}  // namespace

void bench_spmm(const KernelBench& bench) {
  for (const std::size_t cols : {std::size_t{128}, std::size_t{256}}) {
    for (const Codec codec : {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8}) {
      const SpmmCase c{codec, cols};
      const std::size_t rows = rows_of(bench.options, c);
      Array<float> scales(bench.budget, rows, "normalisation");
      std::fill(scales.begin(), scales.end(), 1.0f / std::sqrt(static_cast<float>(bench.options.degree + 1)));
      for (const bool local : {false, true}) {
        const TimingGraph graph =
            make_timing_graph(rows, bench.options.degree, local ? 0.7 : 0.0, bench.options.seed, bench.budget);
        run_case(bench, c, graph, local ? "local" : "random", scales);
      }
    }
  }
}

}  // namespace strata::bench
