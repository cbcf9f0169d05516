// Coded columns: their decoder by instruction set, into a chunk's space that stays in the cache, as Shard::rows calls
// it; and SpMM over decoded columns beside SpMM over raw ones, the difference being what coding costs a resident graph.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "bench/graph.hpp"
#include "bench/kernels.hpp"
#include "kernels/base/error.hpp"
#include "kernels/gap_codec.hpp"

namespace strata::bench {

namespace {

constexpr std::size_t kSegmentRows = 256;
constexpr std::size_t kColumns = 128;  // of the dense matrix

struct CodedGraph {
  const TimingGraph& graph;
  std::size_t degree;
  std::vector<std::uint64_t> begin;  // bytes, by segment
  Buffer bytes;

  CodedGraph(const TimingGraph& raw, std::size_t edges_of_a_row, MemoryBudget& budget)
      : graph(raw), degree(edges_of_a_row), begin(segments() + 1) {
    for (std::size_t s = 0; s < segments(); ++s) begin[s + 1] = begin[s] + gap_bytes(columns(s));
    bytes = Buffer(budget, begin.back(), "coded columns", true);
    for (std::size_t s = 0; s < segments(); ++s) encode_gaps(columns(s), bytes.data() + begin[s]);
  }
  [[nodiscard]] std::size_t segments() const { return divide_up(graph.rows, kSegmentRows); }
  [[nodiscard]] std::span<const std::uint32_t> columns(std::size_t segment) const {
    const std::size_t first = segment * kSegmentRows * degree;
    return graph.columns.span().subspan(first, std::min(kSegmentRows * degree, graph.columns.size() - first));
  }
  // The columns of one chunk.
  [[nodiscard]] bool decode(std::size_t chunk, std::uint32_t* to, VectorLevel level) const {
    bool good = true;
    const std::size_t first = chunk * (kChunkRows / kSegmentRows);
    for (std::size_t s = first; s < std::min(segments(), first + kChunkRows / kSegmentRows); ++s) {
      const std::span<std::uint32_t> out(to, columns(s).size());
      good = cpu::decode_gaps(bytes.bytes().subspan(begin[s], begin[s + 1] - begin[s]), out, level) && good;
      to += out.size();
    }
    return good;
  }
};

void run_decoder(const KernelBench& bench, const CodedGraph& coded, const char* locality, VectorLevel level) {
  const std::size_t chunks = divide_up(coded.graph.rows, kChunkRows);
  std::atomic<bool> good = true;
  const auto pass = [&] {
    bench.workers.for_each(chunks, [&](std::size_t chunk) {
      static thread_local std::vector<std::uint32_t> space;
      space.resize(kChunkRows * coded.degree);
      if (!coded.decode(chunk, space.data(), level)) good = false;
    });
  };
  std::vector<std::uint32_t> decoded(kChunkRows * coded.degree);
  for (std::size_t chunk = 0; chunk < chunks; chunk += std::max<std::size_t>(1, chunks / 16)) {
    const std::size_t first = chunk * decoded.size();
    const std::size_t count = std::min(decoded.size(), coded.graph.columns.size() - first);
    require_equal(coded.decode(chunk, decoded.data(), level) &&
                      std::equal(decoded.begin(), decoded.begin() + static_cast<std::ptrdiff_t>(count),
                                 coded.graph.columns.data() + first),
                  "decoded columns");
  }
  const auto edges = static_cast<double>(coded.graph.columns.size());
  const auto bytes = static_cast<double>(coded.begin.back());
  add_against_stream(bench,
                     {"gaps",
                      fmt::format("decode {} {} {:.1f} bits", vector_level_name(level), locality, 8 * bytes / edges),
                      {},
                      bytes,
                      edges,
                      "edge",
                      "coded columns, read",
                      ""},
                     Against::read, pass);
  require_equal(good, "decoded columns");
}

// Both in turns: raw columns where they lie, and columns decoded chunk by chunk first.
void run_spmm(const KernelBench& bench, const CodedGraph& coded, const char* locality) {
  const TimingGraph& graph = coded.graph;
  const Buffer values(bench.budget, graph.rows * kColumns * 2, "rows to aggregate", true);
  const EncodedRows x{Codec::fp16, values.data(), graph.rows, kColumns, kColumns * 2};
  const auto pass = [&](bool decode) {
    bench.workers.for_each(divide_up(graph.rows, kChunkRows), [&](std::size_t chunk) {
      static thread_local std::vector<float> tile(kChunkRows * kColumns);
      static thread_local std::vector<std::uint32_t> space;
      const std::size_t first = chunk * kChunkRows, count = std::min(kChunkRows, graph.rows - first);
      SparseRows rows = graph.tile(first, count);
      if (decode) {
        space.resize(kChunkRows * coded.degree);
        require_equal(coded.decode(chunk, space.data(), vector_level()), "decoded columns");
        rows.columns = space.data();
        rows.offsets = graph.offsets.data();  // every row has as many edges
      }
      cpu::spmm<float>(rows, {}, x, {tile.data(), count, kColumns});
    });
  };
  const auto seconds = time_in_turns(bench.options.trials, {[&] { pass(false); }, [&] { pass(true); }});
  const auto edges = static_cast<double>(graph.columns.size());
  const std::string raw = fmt::format("spmm fp16 d={} {} raw", kColumns, locality);
  bench.report.add({"gaps", raw, seconds[0], 0, edges, "edge", "columns as they are", ""});
  bench.report.add({"gaps", fmt::format("spmm fp16 d={} {} decoded", kColumns, locality), seconds[1], 0, edges, "edge",
                    "columns decoded first", "gaps/" + raw});
}

}  // namespace

void bench_gaps(const KernelBench& bench) {
  const std::size_t rows = bench.options.rows;
  for (const bool local : {false, true}) {
    const TimingGraph graph =
        make_timing_graph(rows, bench.options.degree, local ? 0.7 : 0.0, bench.options.seed, bench.budget);
    const CodedGraph coded(graph, bench.options.degree, bench.budget);
    const char* const locality = local ? "local" : "random";
    for (const VectorLevel level : vector_levels()) run_decoder(bench, coded, locality, level);
    run_spmm(bench, coded, locality);
  }
}

}  // namespace strata::bench
