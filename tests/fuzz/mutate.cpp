#include <algorithm>
#include <array>

#include "kernels/base/rng.hpp"
#include "storage/checksum.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace strata::fuzz {

namespace {

constexpr std::size_t kMostBytes = 1 << 20;  // of a file: mutations double pieces

// What stands before the values of a file, where one byte changed is mostly noticed at once.
std::size_t head_of(const std::string& bytes) {
  if (bytes.starts_with("\x93NUMPY")) return 128;
  return bytes.starts_with("STRA") ? 4096 : 0;
}

// Where to change something: as often behind the head as anywhere, mostly not amid the zeros that pad Strata's files.
std::size_t place_in(const std::string& bytes, CounterRng& random) {
  const std::size_t head = random.below(2) == 0 && bytes.size() > head_of(bytes) ? head_of(bytes) : 0;
  std::size_t at = 0;
  for (int tries = 0; tries < 8; ++tries) {
    at = head + random.below(static_cast<std::uint32_t>(bytes.size() - head));
    if (bytes[at] != 0) break;
  }
  return at;
}

void set_number(std::string& bytes, std::size_t at, CounterRng& random) {
  static constexpr std::array<std::uint64_t, 14> kTelling = {0,         1,          2,
                                                             255,       65535,      65536,
                                                             INT32_MAX, UINT32_MAX, std::uint64_t{1} << 32,
                                                             INT64_MAX, UINT64_MAX, std::uint64_t{1} << 62,
                                                             4095,      4096};
  const std::uint64_t value = kTelling[random.below(kTelling.size())] + random.below(3) - 1;
  const std::size_t width = std::size_t{1} << random.below(4);
  for (std::size_t i = 0; i < width && at + i < bytes.size(); ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// Another number where digits stand, or what a reader of numbers may stumble over.
void set_digits(std::string& bytes, std::size_t at, CounterRng& random) {
  static constexpr std::array<const char*, 16> kTexts = {"0",
                                                         "-1",
                                                         "1",
                                                         "2147483648",
                                                         "4294967296",
                                                         "9223372036854775808",
                                                         "18446744073709551616",
                                                         "1e308",
                                                         "1e400",
                                                         "nan",
                                                         "inf",
                                                         "0.5",
                                                         "-0",
                                                         "",
                                                         "00000000000000000000000000000001",
                                                         "1e-400"};
  const auto is_digit = [&](std::size_t i) { return i < bytes.size() && bytes[i] >= '0' && bytes[i] <= '9'; };
  for (std::size_t tries = 0; tries < bytes.size() && !is_digit(at); ++tries) at = (at + 1) % bytes.size();
  if (!is_digit(at)) return;
  std::size_t end = at;
  while (is_digit(end)) ++end;
  while (at > 0 && is_digit(at - 1)) --at;
  bytes.replace(at, end - at, kTexts[random.below(kTexts.size())]);
}

void repeat(std::string& bytes, std::size_t at, CounterRng& random) {
  const std::string piece = bytes.substr(at, 1 + random.below(64));
  const std::uint32_t times = 1 + random.below(random.below(8) == 0 ? 2000 : 4);
  std::string all;
  for (std::uint32_t i = 0; i < times && bytes.size() + all.size() < kMostBytes; ++i) all += piece;
  bytes.insert(at, all);
}

void change(std::string& bytes, const std::string& other, CounterRng& random) {
  static constexpr std::string_view kTelling = "0-9,\"{}[]:.#%\n\r\t e\\\0\xff";
  if (bytes.empty()) {
    bytes = other.substr(0, random.below(64));
    return;
  }
  const std::size_t at = place_in(bytes, random);
  switch (random.below(12)) {
    case 0: bytes[at] = static_cast<char>(random.next()); break;
    case 1: bytes[at] = static_cast<char>(bytes[at] ^ 1 << random.below(8)); break;
    case 2: bytes.erase(at, 1 + random.below(3)); break;
    case 3: bytes.erase(at, 1 + random.below(200)); break;
    case 4: bytes.insert(at, bytes.substr(at, 1 + random.below(8))); break;
    case 5: bytes.resize(at); break;
    case 6: bytes[at] = kTelling[random.below(static_cast<std::uint32_t>(kTelling.size()))]; break;
    case 7: set_number(bytes, at, random); break;
    case 8: set_number(bytes, at / 8 * 8, random); break;
    case 9: set_digits(bytes, at, random); break;
    case 10: repeat(bytes, at, random); break;
    default: {
      if (other.empty()) break;
      const std::size_t from = place_in(other, random);
      const std::string piece = other.substr(from, 1 + random.below(64));
      random.below(2) == 0 ? bytes.insert(at, piece) : bytes.replace(at, piece.size(), piece);
    }
  }
}

}  // namespace

std::string join(const FuzzInput& input) {
  std::string bytes;
  for (const std::string& file : input) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(file.size() >> (8 * i) & 0xff);
    bytes += file;
  }
  return bytes;
}

FuzzInput split(std::string_view bytes, std::size_t files) {
  FuzzInput input(files);
  for (std::string& file : input) {
    std::size_t length = 0;
    const std::size_t head = std::min<std::size_t>(4, bytes.size());
    for (std::size_t i = 0; i < head; ++i)
      length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    bytes.remove_prefix(head);
    length = std::min(length, bytes.size());
    file = bytes.substr(0, length);
    bytes.remove_prefix(length);
  }
  return input;
}

FuzzInput mutated(const FuzzTarget& target, std::uint64_t seed, std::uint64_t number) {
  const auto name = static_cast<std::uint32_t>(checksum(std::as_bytes(std::span(target.name))));
  CounterRng random(seed ^ number >> 32 << 32, Stream::synthetic, name, static_cast<std::uint32_t>(number));
  const auto pick = [&](std::size_t count) { return random.below(static_cast<std::uint32_t>(count)); };
  FuzzInput input = target.seeds[pick(target.seeds.size())];
  const std::uint32_t changes = 1 + random.below(random.below(2) == 0 ? 1 : 4);
  for (std::uint32_t i = 0; i < changes; ++i) {
    const FuzzInput& other = target.seeds[pick(target.seeds.size())];
    const std::string& piece = other[pick(other.size())];
    change(input[pick(input.size())], piece, random);
  }
  return input;
}

}  // namespace strata::fuzz
