#include <algorithm>

#include "kernels/gap_codec.hpp"

namespace strata {

std::size_t gap_bytes(std::span<const std::uint32_t> values) {
  std::size_t bytes = gap_control_bytes(values.size()) + values.size();
  std::uint32_t before = 0;
  for (const std::uint32_t value : values) {
    bytes += gap_code(value - before);
    before = value;
  }
  return bytes;
}

void encode_gaps(std::span<const std::uint32_t> values, std::byte* encoded) {
  std::byte* data = encoded + gap_control_bytes(values.size());
  std::fill(encoded, data, std::byte{0});
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t difference = values[i] - before;
    const std::size_t code = gap_code(difference);
    encoded[i / 4] |= static_cast<std::byte>(code << (2 * (i % 4)));
    const std::uint32_t written = difference + kGapBias[code];
    for (std::size_t b = 0; b <= code; ++b) *data++ = static_cast<std::byte>(written >> (8 * b));
    before = values[i];
  }
}

namespace ref {
namespace {

bool decode_list(std::span<const std::byte> encoded, std::span<std::uint32_t> values) {
  const std::size_t control = gap_control_bytes(values.size());
  if (encoded.size() < control) return false;
  const auto code = [&](std::size_t i) { return (std::to_integer<std::size_t>(encoded[i / 4]) >> (2 * (i % 4))) & 3; };
  std::size_t bytes = control;
  for (std::size_t i = 0; i < values.size(); ++i) bytes += code(i) + 1;
  for (std::size_t i = values.size(); i < 4 * control; ++i) {
    if (code(i) != 0) return false;
  }
  if (bytes != encoded.size()) return false;
  std::size_t at = control;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint32_t written = 0;
    for (std::size_t b = 0; b <= code(i); ++b) written |= std::to_integer<std::uint32_t>(encoded[at++]) << (8 * b);
    value += written - kGapBias[code(i)];
    values[i] = value;
  }
  return true;
}

}  // namespace

void decode_gaps(const GapLists& lists, std::uint32_t* values, std::uint8_t* good) {
  for (std::size_t i = 0; i < lists.count; ++i) {
    const std::uint64_t bytes = lists.byte_begin[i], at = lists.value_begin[i];
    good[i] = decode_list({lists.bytes + bytes, lists.byte_begin[i + 1] - bytes},
                          {values + (at - lists.value_begin[0]), lists.value_begin[i + 1] - at})
                  ? 1
                  : 0;
  }
}

}  // namespace ref
}  // namespace strata
