#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "kernels/gap_codec.hpp"
#include "tests/support/differential.hpp"
#include "tests/support/guarded_pages.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

using Values = std::vector<std::uint32_t>;

std::vector<std::byte> encoded(const Values& values) {
  std::vector<std::byte> bytes(gap_bytes(values));
  encode_gaps(values, bytes.data());
  return bytes;
}

// Lists one after the other, as decode_gaps takes them.
struct Lists {
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> byte_begin{0}, value_begin{0};
  Values values;

  void add(const Values& list, const std::vector<std::byte>& as) {
    bytes.insert(bytes.end(), as.begin(), as.end());
    values.insert(values.end(), list.begin(), list.end());
    byte_begin.push_back(bytes.size());
    value_begin.push_back(values.size());
  }
  void add(const Values& list) { add(list, encoded(list)); }
};

void run_case(const std::string& what, const Lists& lists, std::uint64_t seed) {
  Case c("decode_gaps", what, seed);
  const auto bytes = c.raw(lists.bytes);
  const auto byte_begin = c.raw(lists.byte_begin);
  const auto value_begin = c.raw(lists.value_begin);
  const auto values = c.raw(Values(lists.values.size(), 0xEEEEEEEEu), true);
  const auto good = c.raw(std::vector<std::uint8_t>(lists.byte_begin.size() - 1, 7), true);
  const std::size_t count = lists.byte_begin.size() - 1;
  c.exact();
  c.run([=](auto body, auto& a) {
    const GapLists view{a.template raw<const std::byte>(bytes), a.template raw<const std::uint64_t>(byte_begin),
                        a.template raw<const std::uint64_t>(value_begin), count};
    body.decode_gaps(view, a.template raw<std::uint32_t>(values), a.template raw<std::uint8_t>(good));
  });
}

// Rows of ascending columns one after the other: empty ones, hubs, repeats, small and large gaps.
Values random_rows(Random& random, std::size_t rows, std::uint32_t columns) {
  Values values;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t degree = random.chance(0.2) ? 0 : random.chance(0.05) ? random.below(700) : random.below(30);
    const std::size_t begin = values.size();
    for (std::size_t k = 0; k < degree; ++k) {
      values.push_back(static_cast<std::uint32_t>(random.below(random.chance(0.5) ? columns : columns / 64 + 1)));
    }
    std::sort(values.begin() + static_cast<std::ptrdiff_t>(begin), values.end());
    if (degree > 1 && random.chance(0.3)) values.back() = values[values.size() - 2];
  }
  return values;
}

// Decodes with guard bytes on both sides of exactly as much memory as the list takes, at every level.
void check_levels(const Values& values) {
  const std::vector<std::byte> bytes = encoded(values);
  REQUIRE(bytes.size() == gap_bytes(values));
  for (const VectorLevel level : vector_levels()) {
    CAPTURE(vector_level_name(level));
    Values out(values.size() + 32, 0xA5A5A5A5u);
    REQUIRE(cpu::decode_gaps(bytes, std::span(out).subspan(16, values.size()), level));
    CHECK(std::equal(values.begin(), values.end(), out.begin() + 16));
    CHECK(std::all_of(out.begin(), out.begin() + 16, [](std::uint32_t v) { return v == 0xA5A5A5A5u; }));
    CHECK(std::all_of(out.end() - 16, out.end(), [](std::uint32_t v) { return v == 0xA5A5A5A5u; }));
  }
}

TEST_CASE("gap_codec: lists of random rows, all bodies") {
  Random random(11);
  for (const std::uint32_t columns : {1u, 200u, 40'000u, 5'000'000u, 0xFFFFFFFFu}) {
    Lists lists;
    for (const std::size_t rows : {0u, 1u, 15u, 16u, 17u, 256u}) lists.add(random_rows(random, rows, columns));
    lists.add({});
    run_case("columns " + std::to_string(columns), lists, 11);
  }
  run_case("no lists", {}, 11);
}

TEST_CASE("gap_codec: every length around the widths of the loops, every level") {
  Random random(12);
  for (std::size_t count = 0; count <= 70; ++count) {
    for (const std::uint32_t range : {200u, 40'000u, 3'000'000u, 0xFFFFFFFFu}) {
      CAPTURE(count);
      CAPTURE(range);
      Values values(count);
      for (std::uint32_t& v : values) v = static_cast<std::uint32_t>(random.below(range));
      check_levels(values);
      std::sort(values.begin(), values.end());
      check_levels(values);
    }
  }
  check_levels(random_rows(random, 256, 0xFFFFFFFFu));
}

TEST_CASE("gap_codec: differences at the borders of the codes") {
  const std::uint32_t borders[] = {0,          1,          0xFF,       0x100,      0xBFFF,     0xC000,
                                   0xFFFF,     0x7FFFFF,   0x800000,   0x80000000, 0xFF7FFFFF, 0xFF800000,
                                   0xFF800001, 0xFFFFBFFF, 0xFFFFC000, 0xFFFFC001, 0xFFFFFFFF};
  const std::size_t codes[] = {0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 2, 2, 2, 1, 1, 1};
  Values values;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < std::size(borders); ++i) {
    CHECK(gap_code(borders[i]) == codes[i]);
    values.push_back(value += borders[i]);
    for (const std::uint32_t next : borders) values.push_back(value += next);
  }
  check_levels(values);
}

TEST_CASE("gap_codec: golden bytes") {
  // 3; +2; -1 (a new row); +300; back by 2^24: codes 0, 0, 1, 1 | 3
  const Values values{3, 5, 4, 304, 304 - 0x1000000u};
  const unsigned char golden[] = {0x50, 0x03, 3, 2, 0xFF, 0x3F, 0x2C, 0x41, 0x00, 0x00, 0x00, 0xFF};
  const std::vector<std::byte> bytes = encoded(values);
  REQUIRE(bytes.size() == sizeof golden);
  CHECK(std::memcmp(bytes.data(), golden, sizeof golden) == 0);
  check_levels(values);
}

// Copies of exactly the right size on the heap, so that a sanitizer sees any access beyond them.
TEST_CASE("gap_codec: damaged bytes are refused, or give values, alike at every level") {
  Random random(13);
  for (const std::size_t count : {1u, 5u, 16u, 17u, 66u, 300u}) {
    Values values(count);
    for (std::uint32_t& v : values) v = static_cast<std::uint32_t>(random.below(random.chance(0.5) ? 300 : 1u << 30));
    std::sort(values.begin(), values.end());
    const std::vector<std::byte> whole = encoded(values);
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
        std::vector<std::byte> bytes = whole;
        bytes[at] ^= static_cast<std::byte>(flip);
        const Lists lists = [&] {
          Lists one;
          one.add(values, bytes);
          return one;
        }();
        Values expected(count);
        std::uint8_t good = 7;
        ref::decode_gaps({lists.bytes.data(), lists.byte_begin.data(), lists.value_begin.data(), 1}, expected.data(),
                         &good);
        REQUIRE(good <= 1);
        refused += good == 0 ? 1 : 0;
        for (const VectorLevel level : vector_levels()) {
          const std::unique_ptr<std::uint32_t[]> out(new std::uint32_t[count]);
          CHECK(cpu::decode_gaps(bytes, {out.get(), count}, level) == (good == 1));
          if (good == 1) CHECK(std::equal(expected.begin(), expected.end(), out.get()));
        }
        if (at % 7 == 0) run_case("damaged at " + std::to_string(at), lists, 13);
      }
    }
    CHECK(refused >= 3 * gap_control_bytes(count) / 2);
  }
}

TEST_CASE("gap_codec: nothing behind the bytes is read, nothing behind the values is written") {
  Random random(15);
  const GuardedPages from(4096), to(4096);
  for (std::size_t count = 1; count <= 150; ++count) {
    Values values(count);
    for (std::uint32_t& v : values) v = random.below(random.chance(0.5) ? 300 : 0xFFFFFFFFu);
    const std::vector<std::byte> whole = encoded(values);
    std::byte* const bytes = from.last(whole.size());
    std::copy(whole.begin(), whole.end(), bytes);
    const std::span<std::uint32_t> out(reinterpret_cast<std::uint32_t*>(to.last(count * 4)), count);
    for (const VectorLevel level : vector_levels()) {
      std::fill(out.begin(), out.end(), 0xEEEEEEEEu);
      CHECK(cpu::decode_gaps({bytes, whole.size()}, out, level));
      CHECK(std::equal(values.begin(), values.end(), out.begin()));
    }
  }
}

TEST_CASE("gap_codec: lists cut short or with bytes behind them are refused") {
  Random random(14);
  const Values values = random_rows(random, 20, 100'000);
  const std::vector<std::byte> whole = encoded(values);
  Lists lists;
  for (std::size_t size = 0; size <= whole.size() + 8; ++size) {
    std::vector<std::byte> bytes(size, std::byte{0});
    std::copy_n(whole.begin(), std::min(size, whole.size()), bytes.begin());
    lists.add(values, bytes);
    for (const VectorLevel level : vector_levels()) {
      Values out(values.size());
      CHECK(cpu::decode_gaps(bytes, out, level) == (size == whole.size()));
      if (size == whole.size()) CHECK_FALSE(cpu::decode_gaps(bytes, std::span(out).first(out.size() - 1), level));
    }
    if (size % 32 == 0) run_case("of size " + std::to_string(size), lists, 14);
  }
}

}  // namespace
}  // namespace strata::testing
