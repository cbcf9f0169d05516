#include <doctest/doctest.h>

#include <cstring>
#include <utility>

#include "kernels/base/budget.hpp"
#include "kernels/base/cpu_info.hpp"
#include "kernels/base/device.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "tests/kernels/bodies.hpp"

namespace strata::testing {

TEST_CASE("Philox4x32-10 known answers") {
  // kat_vectors of Random123, the paper's authors' implementation.
  const auto words = [](const Philox& p) { return std::array<std::uint32_t, 4>{p.v[0], p.v[1], p.v[2], p.v[3]}; };
  CHECK(words(philox(0, 0, 0, 0, 0)) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words(philox(~std::uint64_t{0}, ~0u, ~0u, ~0u, ~0u)) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(philox(0x299f31d0a4093822ull, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344)) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("bounded draws stay in their bounds and reach all of them") {
  CounterRng rng(1, Stream::synthetic);
  int seen[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const std::uint32_t draw = rng.below(7);
    REQUIRE(draw < 7);
    ++seen[draw];
  }
  for (const int count : seen) CHECK(std::abs(count - 1000) < 150);  // five standard deviations
}

TEST_CASE("a budget refuses what it does not have, and gets back what was reserved") {
  MemoryBudget budget(1000);
  {
    const Reservation first = budget.reserve(600, "the first");
    CHECK(budget.used() == 600);
    CHECK_THROWS_AS(static_cast<void>(budget.reserve(401, "the second")), ResourceError);
    CHECK(budget.try_reserve(401).bytes() == 0);
    CHECK(budget.try_reserve(400).bytes() == 400);
  }
  CHECK(budget.used() == 0);
  CHECK(budget.peak() == 1000);
}

TEST_CASE("a refused reservation asks the reclaimer first") {
  MemoryBudget budget(100);
  Reservation held = budget.reserve(80, "what can be freed");
  int asked = 0;
  budget.set_reclaimer([&](std::uint64_t missing) {
    ++asked;
    CHECK(missing == 30);
    held.release();
    return true;
  });
  const Reservation second = budget.reserve(50, "the second");
  CHECK(asked == 1);
  CHECK(budget.used() == 50);
}

TEST_CASE("buffers are zero, aligned, charged, and move") {
  MemoryBudget budget(1 << 20);
  Buffer buffer(budget, 5000, "a buffer");
  CHECK(buffer.size() == 5000);
  CHECK(budget.used() >= 5000);
  CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096 == 0);
  for (const std::byte b : buffer.bytes()) REQUIRE(b == std::byte{0});
  Buffer moved = std::move(buffer);
  CHECK(buffer.empty());  // NOLINT(bugprone-use-after-move): the moved-from state is what is tested
  CHECK(moved.size() == 5000);
  moved.release();
  CHECK(budget.used() == 0);
  Array<std::uint32_t> array(budget, 10, "an array");
  array[9] = 7;
  CHECK(array.span().back() == 7);
}

TEST_CASE("devices and libraries describe themselves") {
  CHECK(device_description().find("oneDNN") != std::string::npos);
  CHECK_FALSE(cuda::runtime_description().empty());
  if (cuda::device_count() == 0) {
    MESSAGE("SKIPPED: no CUDA device: " << cuda::runtime_description());
    CHECK_THROWS_AS(cuda::Stream(), Error);
  }
}

}  // namespace strata::testing
