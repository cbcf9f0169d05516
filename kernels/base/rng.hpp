// Counter-based randomness: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A draw is a pure function of (seed, counter), so results never depend on threads, order or launch shape, and
// the CPU and CUDA bodies agree bit for bit.
#pragma once

#include <array>
#include <cstdint>

#if defined(__CUDACC__)
#define STRATA_HOST_DEVICE __host__ __device__
#else
#define STRATA_HOST_DEVICE
#endif

namespace strata {

struct Philox {
  std::uint32_t v[4];
};

STRATA_HOST_DEVICE inline Philox philox(std::uint64_t seed, std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                        std::uint32_t c3) {
  std::uint32_t k0 = static_cast<std::uint32_t>(seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// What a draw is for: the fourth counter word, so that no two uses share a stream.
enum class Stream : std::uint32_t { dropout = 1, init = 2, batches = 3, visit_order = 4, synthetic = 5, split = 6 };

// A sequential view of the same generator for host code that needs "the next" number under a fixed key.
class CounterRng {
 public:
  CounterRng(std::uint64_t seed, Stream stream, std::uint32_t a = 0, std::uint32_t b = 0)
      : seed_(seed), stream_(static_cast<std::uint32_t>(stream)), a_(a), b_(b) {}

  std::uint32_t next() {
    if (used_ == 4) {
      block_ = philox(seed_, index_++, a_, b_, stream_);
      used_ = 0;
    }
    return block_.v[used_++];
  }
  double uniform() { return (next() + 0.5) * 0x1p-32; }  // in (0, 1)
  // Unbiased integer in [0, bound), bound > 0.
  std::uint32_t below(std::uint32_t bound) {
    const std::uint32_t limit = static_cast<std::uint32_t>(-bound) % bound;
    for (;;) {
      const std::uint64_t product = std::uint64_t{next()} * bound;
      if (static_cast<std::uint32_t>(product) >= limit) return static_cast<std::uint32_t>(product >> 32);
    }
  }

 private:
  std::uint64_t seed_;
  std::uint32_t stream_, a_, b_;
  std::uint32_t index_ = 0;
  int used_ = 4;
  Philox block_{};
};

}  // namespace strata
