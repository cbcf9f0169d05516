#include <atomic>
#include <cstring>

#include "bench/kernels.hpp"

namespace strata::bench {

namespace {

// Integer sums: they vectorise in any order, so that the loop runs at the speed of memory.
std::uint64_t sum_words(const std::uint64_t* words, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += words[i];
  return sum;
}

constexpr std::uint64_t kWord = 0x0101010101010101u;

}  // namespace

StreamProbe::StreamProbe(std::size_t bytes, Workers& workers, MemoryBudget& budget)
    : workers_(workers),
      words_(bytes / sizeof(std::uint64_t) / workers.threads()),
      from_(budget, words_ * sizeof(std::uint64_t) * workers.threads(), "stream source", true),
      to_(budget, from_.size(), "stream target", true) {
  workers_.for_each(workers_.threads(), [this](std::size_t p) {
    std::memset(from_.as<std::uint64_t>().data() + p * words_, 1, words_ * sizeof(std::uint64_t));
  });
}

void StreamProbe::read() const {
  std::atomic<std::uint64_t> total{0};
  workers_.for_each(workers_.threads(),
                    [&](std::size_t p) { total += sum_words(from_.as<std::uint64_t>().data() + p * words_, words_); });
  require_equal(total == words_ * workers_.threads() * kWord, "the sum of the stream");
}

void StreamProbe::copy() const {
  workers_.for_each(workers_.threads(), [this](std::size_t p) {
    std::memcpy(to_.as<std::uint64_t>().data() + p * words_, from_.as<std::uint64_t>().data() + p * words_,
                words_ * sizeof(std::uint64_t));
  });
}

void bench_stream(const KernelBench& bench) {
  const StreamProbe& stream = bench.stream;
  const auto seconds = time_in_turns(bench.options.trials, {[&] { stream.read(); }, [&] { stream.copy(); }});
  bench.report.add({"stream", "read", seconds[0], stream.bytes(), 0, "", "bytes of the array", ""});
  bench.report.add({"stream", "copy", seconds[1], 2 * stream.bytes(), 0, "", "bytes read and bytes written", ""});
}

void add_against_stream(const KernelBench& bench, Measurement measurement, Against against,
                        const std::function<void()>& body) {
  const StreamProbe& stream = bench.stream;
  const bool read = against == Against::read;
  auto seconds = time_in_turns(bench.options.trials, {body, [&] { read ? stream.read() : stream.copy(); }});
  Measurement ceiling;
  ceiling.group = read ? "read" : "copy";
  ceiling.name = "in turns with " + measurement.name;
  ceiling.seconds = std::move(seconds[1]);
  ceiling.bytes = (read ? 1 : 2) * stream.bytes();
  ceiling.counted = read ? "bytes of the array" : "bytes read and bytes written";
  ceiling.in_table = false;
  measurement.seconds = std::move(seconds[0]);
  measurement.ceiling = ceiling.group + "/" + ceiling.name;
  bench.report.add(std::move(ceiling));
  bench.report.add(std::move(measurement));
}

}  // namespace strata::bench
