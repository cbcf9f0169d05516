// Seeded test data. Everything is a function of the seed, which every failure message prints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/base/rng.hpp"

namespace strata::testing {

class Random {
 public:
  explicit Random(std::uint64_t seed) : rng_(seed, Stream::synthetic) {}

  double uniform(double low = -1, double high = 1) { return low + (high - low) * rng_.uniform(); }
  std::uint32_t below(std::uint32_t bound) { return rng_.below(bound); }  // bound > 0
  bool chance(double p) { return rng_.uniform() < p; }

  std::vector<double> reals(std::size_t count, double low = -1, double high = 1) {
    std::vector<double> values(count);
    for (double& v : values) v = uniform(low, high);
    return values;
  }
  template <class Integer>
  std::vector<Integer> integers(std::size_t count, std::uint32_t bound) {
    std::vector<Integer> values(count);
    for (Integer& v : values) v = static_cast<Integer>(below(bound));
    return values;
  }

 private:
  CounterRng rng_;
};

}  // namespace strata::testing
