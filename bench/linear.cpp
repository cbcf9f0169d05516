// Dense products as the engine calls them, tiles of kChunkRows rows inside tasks, each on one thread, taking turns with
// oneDNN alone: one product of all rows, split over the same number of threads by oneDNN itself.
#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include "bench/kernels.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/linear.hpp"

namespace strata::bench {

namespace {

struct LinearCase {
  std::size_t rows, in, out;
};

void fill(const Array<float>& values, std::uint64_t seed, std::uint32_t which) {
  CounterRng rng(seed, Stream::synthetic, which, 3);
  for (float& value : values) value = static_cast<float>(2 * rng.uniform() - 1);
}

struct LinearData {
  LinearData(const KernelBench& bench, const LinearCase& c)
      : x(bench.budget, c.rows * c.in, "x"),
        w(bench.budget, c.out * c.in, "w"),
        y(bench.budget, c.rows * c.out, "y"),
        dx(bench.budget, c.rows * c.in, "dx"),
        dw(bench.budget, c.out * c.in, "dw"),
        partial(bench.budget, bench.workers.slots() * c.out * c.in, "dw of tiles") {
    fill(x, bench.options.seed, 0);
    fill(w, bench.options.seed, 1);
  }
  Array<float> x, w, y, dx, dw, partial;
};

// Row-major c (m x n) = op(a) op(b) on `threads` threads of oneDNN's own.
void whole_product(unsigned threads, char op_a, char op_b, std::size_t m, std::size_t n, std::size_t k, const float* a,
                   std::size_t lda, const float* b, std::size_t ldb, float* c) {
  omp_set_num_threads(static_cast<int>(threads));
  const auto size = [](std::size_t value) { return static_cast<dnnl_dim_t>(value); };
  const dnnl_status_t status =
      dnnl_sgemm(op_a, op_b, size(m), size(n), size(k), 1.0f, a, size(lda), b, size(ldb), 0.0f, c, size(n));
  omp_set_num_threads(1);
  require_equal(status == dnnl_success, "the status of dnnl_sgemm");
}

// The engine's order for weight gradients: tiles side by side, added in tile order.
void weight_gradient(const KernelBench& bench, const LinearCase& c, const LinearData& d) {
  const std::size_t size = c.out * c.in;
  std::fill(d.dw.begin(), d.dw.end(), 0.0f);
  const auto work = [&](std::size_t tile, std::size_t slot) {
    const std::size_t first = tile * kChunkRows;
    cpu::linear_backward_weight<float>({d.y.data() + first * c.out, kChunkRows, c.out},
                                       {d.x.data() + first * c.in, kChunkRows, c.in},
                                       {d.partial.data() + slot * size, c.out, c.in}, false);
  };
  const auto reduce = [&](std::size_t, std::size_t slot) {
    const float* from = d.partial.data() + slot * size;
    for (std::size_t i = 0; i < size; ++i) d.dw[i] += from[i];
  };
  bench.workers.ordered(c.rows / kChunkRows, {.before = {}, .work = work, .reduce = reduce});
}

// |found - expected| over all values, against the size of a sum of `terms` products below 1 in fp32.
bool close(const std::vector<float>& expected, const float* found, std::size_t terms) {
  const double bound = 1.2e-7 * static_cast<double>(terms) + 1e-5;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!(std::abs(static_cast<double>(expected[i]) - found[i]) <= bound)) return false;
  }
  return true;
}

void add_pair(const KernelBench& bench, const LinearCase& c, const std::string& what,
              const std::function<void()>& tiles, const std::function<void()>& whole) {
  const auto seconds = time_in_turns(bench.options.trials, {tiles, whole});
  const double flops = 2.0 * static_cast<double>(c.rows) * static_cast<double>(c.in) * static_cast<double>(c.out);
  const std::string shape = fmt::format("{} {}x{} m={}", what, c.in, c.out, c.rows);
  bench.report.add({"onednn", shape, seconds[1], 0, flops, "flop", "2 m k n", ""});
  bench.report.add({"linear", shape, seconds[0], 0, flops, "flop", "2 m k n", "onednn/" + shape});
}

void bench_forward(const KernelBench& bench, const LinearCase& c, const LinearData& d) {
  const auto tiles = [&] {
    bench.workers.for_each(c.rows / kChunkRows, [&](std::size_t tile) {
      const std::size_t first = tile * kChunkRows;
      cpu::linear_forward<float>({d.x.data() + first * c.in, kChunkRows, c.in}, {d.w.data(), c.out, c.in}, nullptr,
                                 {d.y.data() + first * c.out, kChunkRows, c.out}, false);
    });
  };
  const auto whole = [&] {
    whole_product(bench.workers.threads(), 'N', 'T', c.rows, c.out, c.in, d.x.data(), c.in, d.w.data(), c.in,
                  d.y.data());
  };
  tiles();
  std::vector<float> expected(8 * c.out);
  ref::linear_forward<float>({d.x.data(), 8, c.in}, {d.w.data(), c.out, c.in}, nullptr, {expected.data(), 8, c.out},
                             false);
  require_equal(close(expected, d.y.data(), c.in), "linear forward");
  add_pair(bench, c, "forward", tiles, whole);
}

// The first tile's gradients against the reference body's.
void check_gradients(const LinearCase& c, const LinearData& d) {
  const MatrixView<const float> x(d.x.data(), kChunkRows, c.in), w(d.w.data(), c.out, c.in);
  const MatrixView<const float> dy(d.y.data(), kChunkRows, c.out);
  std::vector<float> expected(8 * c.in);
  ref::linear_backward_input<float>(dy.rows_range(0, 8), w, {expected.data(), 8, c.in}, false);
  cpu::linear_backward_input<float>(dy, w, {d.dx.data(), kChunkRows, c.in}, false);
  require_equal(close(expected, d.dx.data(), c.out), "linear gradient of the input");
  expected.resize(c.out * c.in);
  ref::linear_backward_weight<float>(dy, x, {expected.data(), c.out, c.in}, false);
  cpu::linear_backward_weight<float>(dy, x, {d.dw.data(), c.out, c.in}, false);
  require_equal(close(expected, d.dw.data(), kChunkRows), "linear gradient of the weight");
}

void bench_gradients(const KernelBench& bench, const LinearCase& c, const LinearData& d) {
  fill(d.y, bench.options.seed, 2);
  check_gradients(c, d);
  const auto input_tiles = [&] {
    bench.workers.for_each(c.rows / kChunkRows, [&](std::size_t tile) {
      const std::size_t first = tile * kChunkRows;
      cpu::linear_backward_input<float>({d.y.data() + first * c.out, kChunkRows, c.out}, {d.w.data(), c.out, c.in},
                                        {d.dx.data() + first * c.in, kChunkRows, c.in}, false);
    });
  };
  const auto input_whole = [&] {
    whole_product(bench.workers.threads(), 'N', 'N', c.rows, c.in, c.out, d.y.data(), c.out, d.w.data(), c.in,
                  d.dx.data());
  };
  add_pair(bench, c, "grad input", input_tiles, input_whole);
  const auto weight_tiles = [&] { weight_gradient(bench, c, d); };
  const auto weight_whole = [&] {
    whole_product(bench.workers.threads(), 'T', 'N', c.out, c.in, c.rows, d.y.data(), c.out, d.x.data(), c.in,
                  d.dw.data());
  };
  add_pair(bench, c, "grad weight", weight_tiles, weight_whole);
}

}  // namespace

void bench_linear(const KernelBench& bench) {
  const std::size_t rows = round_up(bench.options.dense_rows, kChunkRows);
  for (const LinearCase& c : {LinearCase{rows, 128, 256}, LinearCase{rows, 256, 256}, LinearCase{rows, 256, 40}}) {
    const LinearData data(bench, c);
    bench_forward(bench, c, data);
    bench_gradients(bench, c, data);
  }
}

}  // namespace strata::bench
