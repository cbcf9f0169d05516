#include "kernels/bitmap_codec.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "tests/support/differential.hpp"
#include "tests/support/guarded_pages.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

using Values = std::vector<std::uint16_t>;

constexpr std::size_t kWidths[] = {1, 2, 7, 15, 16, 17, 31, 32};
constexpr std::size_t kRows[] = {0, 1, 2, 7, 8, 9, 31, 33, 100};
// -0, infinities, NaNs with odd payloads, the smallest subnormal: all to be kept as they are.
constexpr std::uint16_t kOddBits[] = {0x8000, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x7C01, 0x0001, 0xFFFF};

Values random_values(Random& random, std::size_t count, double kept) {
  Values values(count);
  for (std::uint16_t& v : values) {
    if (!random.chance(kept)) continue;
    v = random.chance(0.2) ? kOddBits[random.below(std::size(kOddBits))]
                           : static_cast<std::uint16_t>(1 + random.below(0xFFFF));
  }
  return values;
}

std::size_t kept_of(std::span<const std::uint16_t> values) {
  return values.size() - static_cast<std::size_t>(std::count(values.begin(), values.end(), 0));
}

std::vector<std::byte> packed(const Values& values, std::size_t width) {
  std::vector<std::byte> bytes(bitmap_bytes(values.size() / width, kept_of(values)));
  std::uint32_t length = 0;
  ref::pack_bitmap({1, values.size() / width, width, bytes.size()}, values.data(), bytes.data(), &length);
  REQUIRE(length == bytes.size());
  return bytes;
}

void pack_case(const std::string& what, const BitmapTiles& tiles, const Values& values) {
  Case c("pack_bitmap", what, 21);
  const auto from = c.raw(values);
  const auto to = c.raw(std::vector<std::byte>(tiles.count * tiles.room, std::byte{0xEE}), true);
  const auto bytes = c.raw(std::vector<std::uint32_t>(tiles.count, 77), true);
  c.exact();
  c.run([=](auto body, auto& a) {
    body.pack_bitmap(tiles, a.template raw<const std::uint16_t>(from), a.template raw<std::byte>(to),
                     a.template raw<std::uint32_t>(bytes));
  });
}

void unpack_case(const std::string& what, const BitmapTiles& tiles, const std::vector<std::byte>& bytes) {
  Case c("unpack_bitmap", what, 22);
  const auto from = c.raw(bytes);
  const auto to = c.raw(Values(tiles.count * tiles.rows * tiles.width, 0xEEEE), true);
  const auto good = c.raw(std::vector<std::uint8_t>(tiles.count, 7), true);
  c.exact();
  c.run([=](auto body, auto& a) {
    body.unpack_bitmap(tiles, a.template raw<const std::byte>(from), a.template raw<std::uint16_t>(to),
                       a.template raw<std::uint8_t>(good));
  });
}

TEST_CASE("bitmap_codec: tiles of every width, all bodies") {
  Random random(21);
  for (const std::size_t width : kWidths) {
    for (const std::size_t rows : kRows) {
      for (const double kept : {0.0, 0.1, 0.5, 1.0}) {
        const std::string what = std::to_string(rows) + " x " + std::to_string(width) + " of " + std::to_string(kept);
        const Values values = random_values(random, 3 * rows * width, kept);
        // Room for every tile, and for about half of them.
        const std::size_t most = round_up(bitmap_bytes(rows, rows * width), 4);
        const std::size_t some = round_up(bitmap_bytes(rows, kept_of(values) / 3), 4);
        for (const std::size_t room : {most, some}) pack_case(what, {3, rows, width, room}, values);
        const BitmapTiles tiles{3, rows, width, most};
        std::vector<std::byte> bytes(3 * most, std::byte{0xEE});
        std::vector<std::uint32_t> lengths(3);
        ref::pack_bitmap(tiles, values.data(), bytes.data(), lengths.data());
        unpack_case(what, tiles, bytes);
        Values back(values.size(), 0xEEEE);
        std::vector<std::uint8_t> good(3);
        ref::unpack_bitmap(tiles, bytes.data(), back.data(), good.data());
        CHECK(back == values);
        CHECK(good == std::vector<std::uint8_t>(3, 1));
      }
    }
  }
  pack_case("no tiles", {0, 10, 32, 1024}, {});
  unpack_case("no tiles", {0, 10, 32, 1024}, {});
}

TEST_CASE("bitmap_codec: a whole chunk, every level") {
  Random random(22);
  for (const double kept : {0.0, 0.01, 0.5, 0.99, 1.0}) {
    const Values values = random_values(random, kChunkRows * kPanelColumns, kept);
    const std::vector<std::byte> expected = packed(values, kPanelColumns);
    for (const VectorLevel level : vector_levels()) {
      CAPTURE(vector_level_name(level));
      std::vector<std::byte> bytes(expected.size() + 8, std::byte{0xEE});
      CHECK(cpu::pack_bitmap(values, kPanelColumns, bytes, level) == expected.size());
      CHECK(std::equal(expected.begin(), expected.end(), bytes.begin()));
      CHECK(std::all_of(bytes.end() - 8, bytes.end(), [](std::byte b) { return b == std::byte{0xEE}; }));
      Values back(values.size(), 0xEEEE);
      CHECK(cpu::unpack_bitmap(bytes, kPanelColumns, back, level));
      CHECK(back == values);
    }
  }
}

TEST_CASE("bitmap_codec: golden bytes") {
  // Rows (0, -0, 1) and (2, 0, infinity) in fp16.
  const Values values{0x0000, 0x8000, 0x3C00, 0x4000, 0x0000, 0x7C00};
  const unsigned char golden[] = {0x06, 0, 0, 0, 0x05, 0, 0, 0, 0x00, 0x80, 0x00, 0x3C, 0x00, 0x40, 0x00, 0x7C};
  const std::vector<std::byte> bytes = packed(values, 3);
  REQUIRE(bytes.size() == sizeof golden);
  CHECK(std::memcmp(bytes.data(), golden, sizeof golden) == 0);
}

TEST_CASE("bitmap_codec: nothing behind an end is read or written") {
  Random random(23);
  const GuardedPages from(4096), to(4096);
  for (const std::size_t width : kWidths) {
    for (std::size_t rows = 1; rows <= 40; ++rows) {
      const Values values = random_values(random, rows * width, random.chance(0.3) ? 1 : 0.5);
      const std::vector<std::byte> expected = packed(values, width);
      for (const VectorLevel level : vector_levels()) {
        auto* const in = reinterpret_cast<std::uint16_t*>(from.last(values.size() * 2));
        std::copy(values.begin(), values.end(), in);
        std::byte* const out = to.last(expected.size());
        REQUIRE(cpu::pack_bitmap({in, values.size()}, width, {out, expected.size()}, level) == expected.size());
        REQUIRE(std::equal(expected.begin(), expected.end(), out));
        std::byte* const bytes = from.last(expected.size());
        std::copy(expected.begin(), expected.end(), bytes);
        const std::span<std::uint16_t> back(reinterpret_cast<std::uint16_t*>(to.last(values.size() * 2)),
                                            values.size());
        REQUIRE(cpu::unpack_bitmap({bytes, expected.size()}, width, back, level));
        REQUIRE(std::equal(values.begin(), values.end(), back.begin()));
      }
    }
  }
}

TEST_CASE("bitmap_codec: too little room leaves the bytes alone, cut and damaged tiles leave the values alone") {
  Random random(24);
  for (const std::size_t width : kWidths) {
    const Values values = random_values(random, 20 * width, 0.5);
    const std::vector<std::byte> whole = packed(values, width);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      for (const VectorLevel level : vector_levels()) {
        std::vector<std::byte> bytes(size, std::byte{0xEE});
        CHECK(cpu::pack_bitmap(values, width, bytes, level) == whole.size());
        CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0xEE}; }));
        Values back(values.size(), 0xEEEE);
        CHECK_FALSE(cpu::unpack_bitmap(std::span(whole).first(size), width, back, level));
        CHECK(std::all_of(back.begin(), back.end(), [](std::uint16_t v) { return v == 0xEEEE; }));
      }
    }
    int refused = 0;
    for (std::size_t at = 0; at < 80; ++at) {  // in the masks
      std::vector<std::byte> bytes = whole;
      bytes[at] ^= static_cast<std::byte>(1u << random.below(8));
      bytes.resize(round_up(bytes.size(), 4));
      Values back(values.size(), 0xEEEE), expected = back;
      std::uint8_t good = 7;
      ref::unpack_bitmap({1, 20, width, bytes.size()}, bytes.data(), expected.data(), &good);
      refused += good == 0 ? 1 : 0;
      for (const VectorLevel level : vector_levels()) {
        CHECK(cpu::unpack_bitmap(bytes, width, back, level) == (good == 1));
        CHECK(back == expected);
      }
      unpack_case("damaged at " + std::to_string(at), {1, 20, width, bytes.size()}, bytes);
    }
    CHECK(refused > 0);
  }
}

}  // namespace
}  // namespace strata::testing
