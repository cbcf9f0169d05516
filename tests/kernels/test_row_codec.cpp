#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "kernels/base/small_float.hpp"
#include "tests/support/differential.hpp"
#include "tests/support/random.hpp"

namespace strata::testing {
namespace {

constexpr Codec kCodecs[] = {Codec::fp32, Codec::fp16, Codec::bf16, Codec::int8, Codec::fp64};

// Values of all magnitudes, with those a codec can stumble over among them.
std::vector<double> awkward_values(Random& random, std::size_t count) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double special[] = {0.0,           -0.0,         65504,         65519.99,   65520,      -1e9,     3.39e38,
                            -3.4028234e38, 0x1p-24,      0x1.8p-24,     0x1p-25,    0x1.01p-25, 0x1p-14,  0x1p-149,
                            0x1p-133,      1.0009765625, 1.00048828125, 1.00390625, infinity,   -infinity};
  std::vector<double> values(count);
  for (double& v : values) {
    if (random.chance(0.2)) {
      v = special[random.below(std::size(special))];
    } else {
      v = std::ldexp(random.uniform(), static_cast<int>(random.below(60)) - 30);
    }
  }
  return values;
}

void codec_case(Codec codec, std::size_t rows, std::size_t cols, std::size_t padding, const std::vector<double>& values,
                std::uint64_t seed) {
  const std::string what = std::string(codec_name(codec)) + ", rows " + std::to_string(rows) + ", cols " +
                           std::to_string(cols) + " + " + std::to_string(padding);
  const std::size_t stride = panel_row_bytes(codec, cols) + padding * value_bytes(codec);
  Case encode("encode_panel", what, seed);
  const auto x = encode.input(values, rows, cols, cols + padding);
  const auto encoded = encode.raw(std::vector<std::byte>(rows * stride, std::byte{0xEE}), true);
  encode.exact();
  encode.run(
      [=](auto body, auto& a) { body.encode_panel(codec, a.in(x), a.template raw<std::byte>(encoded), stride); });

  std::vector<std::byte> bytes(rows * stride, std::byte{0xEE});
  const std::vector<float> floats(values.begin(), values.end());
  ref::encode_panel(codec, MatrixView<const float>(floats.data(), rows, cols), bytes.data(), stride);
  Case decode("decode_panel", what, seed);
  const auto from = decode.raw(bytes);
  const auto out = decode.output(rows, cols, cols + padding);
  decode.exact();
  decode.run(
      [=](auto body, auto& a) { body.decode_panel(codec, a.template raw<const std::byte>(from), stride, a.out(out)); });
}

template <class T>
std::vector<T> round_trip(Codec codec, const std::vector<T>& values) {
  std::vector<std::byte> bytes(panel_row_bytes(codec, values.size()));
  std::vector<T> back(values.size());
  cpu::encode_panel(codec, MatrixView<const T>(values.data(), 1, values.size()), bytes.data(), bytes.size());
  cpu::decode_panel(codec, bytes.data(), bytes.size(), MatrixView<T>(back.data(), 1, back.size()));
  return back;
}

}  // namespace

TEST_CASE("every codec gives the same bits in every body") {
  for (const Codec codec : kCodecs) {
    for (std::size_t cols = 0; cols <= kPanelColumns; ++cols) {
      Random random(1000 + cols);
      codec_case(codec, 3, cols, cols % 3, random.reals(3 * cols), 1000 + cols);
      codec_case(codec, 2, cols, 0, awkward_values(random, 2 * cols), 2000 + cols);
    }
    Random random(5);
    codec_case(codec, 1025, 32, 0, awkward_values(random, 1025 * 32), 5);
    codec_case(codec, 1023, 31, 1, random.reals(1023 * 31, -70000, 70000), 6);
    codec_case(codec, 4, 17, 0, std::vector<double>(4 * 17, 0.0), 7);
  }
}

TEST_CASE("a NaN stays a NaN") {
  for (const Codec codec : kCodecs) {
    std::vector<double> values(17 * 2, 0.5);
    values[3] = values[17 + 16] = std::numeric_limits<double>::quiet_NaN();
    codec_case(codec, 2, 17, 0, values, 9);
    const std::vector<float> back = round_trip<float>(codec, std::vector<float>(values.begin(), values.begin() + 17));
    CHECK(std::isnan(back[3]));
    CHECK(std::isnan(back[4]) == (codec == Codec::int8));
  }
}

TEST_CASE("all 65536 fp16 and bf16 patterns survive decode and encode") {
  for (const Codec codec : {Codec::fp16, Codec::bf16}) {
    const std::uint32_t infinity = codec == Codec::fp16 ? 0x7C00 : 0x7F80;
    const std::uint32_t quiet = codec == Codec::fp16 ? 0x200 : 0x40;
    for (std::uint32_t first = 0; first < 65536; first += kPanelColumns) {
      std::uint16_t bits[kPanelColumns];
      for (std::uint32_t i = 0; i < kPanelColumns; ++i) bits[i] = static_cast<std::uint16_t>(first + i);
      float values[kPanelColumns];
      std::uint16_t again[kPanelColumns];
      const auto* from = reinterpret_cast<const std::byte*>(bits);
      cpu::decode_panel(codec, from, 64, MatrixView<float>(values, 1, kPanelColumns));
      cpu::encode_panel(codec, MatrixView<const float>(values, 1, kPanelColumns), reinterpret_cast<std::byte*>(again),
                        64);
      for (std::uint32_t i = 0; i < kPanelColumns; ++i) {
        std::uint32_t expected = first + i;
        const std::uint32_t magnitude = expected & 0x7FFF;
        if (magnitude == infinity) expected -= 1;     // saturates
        if (magnitude > infinity) expected |= quiet;  // NaN
        CHECK(again[i] == expected);
      }
    }
  }
}

TEST_CASE("fp16 and bf16 round to the nearest, ties to even, once") {
  // Between neighbours a < b: everything below the middle gives a, above it b, the middle the even one.
  for (const Codec codec : {Codec::fp16, Codec::bf16}) {
    const std::uint16_t last = codec == Codec::fp16 ? 0x7BFE : 0x7F7E;
    for (std::uint32_t bits = 0; bits <= last; bits += 37) {
      const auto value = [codec](std::uint32_t b) {
        return codec == Codec::fp16 ? fp16_value(static_cast<std::uint16_t>(b))
                                    : bf16_value(static_cast<std::uint16_t>(b));
      };
      const double below = value(bits);
      const double above = value(bits + 1);
      const double middle = (below + above) / 2;
      const double even = bits % 2 == 0 ? below : above;
      // A double just beside the middle is a tie only for those who round to float first.
      const std::vector<double> values = {middle, std::nextafter(middle, -1), std::nextafter(middle, 1e39), -middle};
      const std::vector<double> back = round_trip<double>(codec, values);
      CHECK(back[0] == even);
      CHECK(back[1] == below);
      CHECK(back[2] == above);
      CHECK(back[3] == -even);
    }
  }
}

TEST_CASE("int8 errors stay within half a step, and the scale never lets a value overflow") {
  Random random(77);
  for (int repeat = 0; repeat < 200; ++repeat) {
    const double size = std::ldexp(1.0, static_cast<int>(random.below(24)) - 12);
    std::vector<float> values(32);
    float largest = 0;
    for (float& v : values) {
      v = static_cast<float>(random.uniform(-size, size));
      largest = std::max(largest, std::abs(v));
    }
    const std::vector<float> back = round_trip<float>(Codec::int8, values);
    // The scale is at most one part in 1024 above max / 127, or one subnormal fp16 step (2^-24).
    const double step = largest / 127.0 * (1 + 0x1p-10) + 0x1p-24;
    for (std::size_t i = 0; i < values.size(); ++i) CHECK(std::abs(back[i] - values[i]) <= step / 2 * 1.0001);
  }
}

TEST_CASE("fp64 keeps doubles and fp32 keeps floats") {
  const std::vector<double> doubles = {1.0 / 3, 1e-300, -1e300, 0.1};
  CHECK(round_trip<double>(Codec::fp64, doubles) == doubles);
  const std::vector<float> floats = {1.0f / 3, 1e-38f, -1e38f};
  CHECK(round_trip<float>(Codec::fp32, floats) == floats);
  CHECK(round_trip<float>(Codec::fp64, floats) == floats);
}

TEST_CASE("codec names and sizes") {
  for (const Codec codec : kCodecs) {
    Codec parsed{};
    CHECK(parse_codec(codec_name(codec), parsed));
    CHECK(parsed == codec);
  }
  Codec untouched = Codec::bf16;
  CHECK_FALSE(parse_codec("fp8", untouched));
  CHECK(untouched == Codec::bf16);
  CHECK(panel_row_bytes(Codec::int8, 32) == 34);
  CHECK(encoded_row_bytes(Codec::int8, 33) == 33 + 4);
  CHECK(encoded_row_bytes(Codec::fp16, 100) == 200);
  CHECK(panel_count(0) == 0);
  CHECK(panel_width(33, 1) == 1);
}

}  // namespace strata::testing
