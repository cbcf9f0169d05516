// Faulty files.
#pragma once

#include "storage/file.hpp"

namespace strata::test {

// Flips the bits of `mask` in the byte at `at`.
inline void flip_bits(const std::filesystem::path& path, std::uint64_t at, std::byte mask = std::byte{1}) {
  const File file(path, File::Mode::read_write);
  std::byte value{};
  file.read_at(at, {&value, 1});
  value ^= mask;
  file.write_at(at, {&value, 1});
}

}  // namespace strata::test
