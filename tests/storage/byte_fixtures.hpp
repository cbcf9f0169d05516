// Bytes for the readers' tests: hexadecimal text to bytes, bytes to files, and a source in memory.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/byte_source.hpp"

namespace strata::test {

using Bytes = std::vector<std::byte>;

inline Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

inline std::filesystem::path write_bytes(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path;
}

inline Bytes read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Bytes bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(Bytes bytes, bool knows_size = true) : bytes_(std::move(bytes)), knows_size_(knows_size) {}
  std::size_t read(std::span<std::byte> to) override {
    const std::size_t count = std::min(to.size(), bytes_.size() - position_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(position_), count, to.begin());
    position_ += count;
    return count;
  }
  std::optional<std::uint64_t> size() const override {
    return knows_size_ ? std::optional<std::uint64_t>(bytes_.size()) : std::nullopt;
  }
  const std::string& path() const override { return path_; }

 private:
  Bytes bytes_;
  bool knows_size_;
  std::size_t position_ = 0;
  std::string path_ = "memory";
};

// All bytes of a source, asked for `step` at a time.
inline Bytes read_all(ByteSource& source, std::size_t step = 4096) {
  Bytes all, piece(step);
  for (;;) {
    const std::size_t got = source.read(piece);
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < step) return all;
  }
}

inline std::string text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// The message of the Failure that `act` must throw; another outcome fails the test.
template <class Failure, class Act>
std::string message_of(Act&& act) {
  try {
    act();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "nothing was thrown";
}

}  // namespace strata::test
