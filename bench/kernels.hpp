// `strata-bench kernels`: the CPU bodies of kernels/, called as the engine calls them, against ceilings of the same
// run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "bench/report.hpp"
#include "engine/workers.hpp"
#include "kernels/base/budget.hpp"

namespace strata::bench {

struct KernelOptions {
  std::size_t trials = 5;
  std::size_t rows = 4'000'000;  // of the matrix that SpMM gathers from, at 256 bytes a row; wider rows: fewer
  std::size_t degree = 15;
  std::size_t dense_rows = 262'144;    // of the dense products
  std::size_t stream_bytes = 1 << 30;  // of each array of the stream ceilings
  std::uint64_t seed = 1;
};

class StreamProbe;

struct KernelBench {
  const KernelOptions& options;
  Workers& workers;
  MemoryBudget& budget;
  Report& report;
  const StreamProbe& stream;
};

// Memory bandwidth, after McCalpin's STREAM (1995): sequential read and copy of arrays far larger than the caches, the
// ceiling of everything that is not a dense product.
class StreamProbe {
 public:
  StreamProbe(std::size_t bytes, Workers& workers, MemoryBudget& budget);
  void read() const;  // throws Error when the sum is wrong
  void copy() const;
  [[nodiscard]] double bytes() const { return static_cast<double>(from_.size()); }  // of each array

 private:
  Workers& workers_;
  std::size_t words_;  // of one thread's part
  Buffer from_, to_;
};

// "stream/read", "stream/copy".
void bench_stream(const KernelBench& bench);
// Times `body` (described by `measurement`, whose seconds are empty) in turns with a stream read or copy, its ceiling:
// what else the machine does then meets both.
enum class Against { read, copy };
void add_against_stream(const KernelBench& bench, Measurement measurement, Against against,
                        const std::function<void()>& body);

// SpMM by codec, width and locality, in tiles of kChunkRows destinations.
void bench_spmm(const KernelBench& bench);
// Linear forward and both gradients in tiles of kChunkRows rows, taking turns with one oneDNN product of the whole.
void bench_linear(const KernelBench& bench);
// Encoding and decoding of tiles, by codec.
void bench_codec(const KernelBench& bench);
// The decoder of columns, by instruction set, and SpMM with it.
void bench_gaps(const KernelBench& bench);

// Throws Error (status 1) when a kernel's result is not the reference body's: timing a wrong kernel is worth nothing.
void require_equal(bool equal, const std::string& what);

}  // namespace strata::bench
