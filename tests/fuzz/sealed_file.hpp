// Fuzz targets over one file that Strata writes. An input is the file and a mode: "sealed" has all checksums made anew
// over the mutated bytes, so that what lies behind them is reached; anything else takes the bytes as they are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "storage/checksum.hpp"
#include "storage/file_header.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace strata::fuzz {

inline constexpr std::uint64_t kBudget = std::uint64_t{64} << 20;
inline constexpr const char* kSealed = "sealed";

template <class T>
T load(const std::string& bytes, std::size_t at) {
  T value{};
  if (at <= bytes.size() && bytes.size() - at >= sizeof value) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

inline void put(std::string& bytes, std::size_t at, std::uint64_t value) {
  if (at <= bytes.size() && bytes.size() - at >= sizeof value) std::memcpy(bytes.data() + at, &value, sizeof value);
}

// The checksum of a stretch as far as the file has it.
inline std::uint64_t checksum_of(const std::string& bytes, std::uint64_t at, std::uint64_t count) {
  const std::uint64_t first = std::min<std::uint64_t>(at, bytes.size());
  const std::uint64_t length = std::min<std::uint64_t>(count, bytes.size() - first);
  return checksum(std::as_bytes(std::span(bytes).subspan(first, length)));
}

inline void seal_header(std::string& bytes) {
  constexpr std::size_t kChecksumAt = kHeaderBytes - sizeof(std::uint64_t);
  put(bytes, kChecksumAt, checksum_of(bytes, 0, kChecksumAt));
}

// Arrays: a header with the checksum of all that follows.
template <std::size_t checksum_at>
void seal_content(std::string& bytes) {
  put(bytes, checksum_at, checksum_of(bytes, kHeaderBytes, bytes.size()));
  seal_header(bytes);
}

template <void (*seal)(std::string&)>
std::string file_of(const FuzzInput& input) {
  std::string bytes = input[0];
  if (input[1] == kSealed) seal(bytes);
  return bytes;
}

inline FuzzTarget file_target(const std::string& name, decltype(FuzzTarget::run) run, const std::string& bytes) {
  return {name, {"file", "mode"}, {{bytes, kSealed}, {bytes, "as it is"}}, true, run};
}

}  // namespace strata::fuzz
