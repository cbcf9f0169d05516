// What the cases of asynchronous I/O share: a file whose bytes follow from their place, pieces, and waiting.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/types.hpp"
#include "storage/async_io.hpp"
#include "tests/support/random.hpp"

namespace strata::test {

using Kind = AsyncIo::Kind;
using Piece = std::span<std::byte>;
using testing::Random;

inline constexpr AsyncIo::Backend kBackends[] = {AsyncIo::Backend::uring, AsyncIo::Backend::threads};

inline std::string name_of(AsyncIo::Backend backend) {
  return backend == AsyncIo::Backend::uring ? "io_uring" : "threads";
}

inline std::byte value_at(std::uint64_t offset) { return static_cast<std::byte>((offset * 131 + offset / 251) & 0xff); }

inline void fill(Piece to, std::uint64_t offset) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = value_at(offset + i);
}

inline bool holds(std::span<const std::byte> bytes, std::uint64_t offset) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != value_at(offset + i)) return false;
  }
  return true;
}

inline void make_known_file(const fs::path& path, std::size_t size) {
  std::vector<std::byte> bytes(size);
  fill(bytes, 0);
  File(path, File::Mode::create).write_at(0, bytes);
}

// Counts what was submitted through it, keeps the errors, and waits.
class Calls {
 public:
  void submit(AsyncIo& io, Kind kind, const File& file, std::uint64_t offset, std::span<const Piece> pieces) {
    {
      const std::lock_guard lock(mutex_);
      ++open_;
    }
    io.submit(kind, file, offset, pieces, [this](std::exception_ptr error) { ended(std::move(error)); });
  }
  void submit(AsyncIo& io, Kind kind, const File& file, std::uint64_t offset, Piece piece) {
    submit(io, kind, file, offset, std::span(&piece, 1));
  }
  // The errors since the last time.
  [[nodiscard]] std::vector<std::exception_ptr> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_ == 0; });
    return std::exchange(errors_, {});
  }

 private:
  void ended(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (error) errors_.push_back(std::move(error));
    --open_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t open_ = 0;
  std::vector<std::exception_ptr> errors_;
};

// Cuts `bytes` into pieces of random sizes (multiples of `unit`), some of them empty.
inline std::vector<Piece> cut(Piece bytes, std::size_t unit, std::size_t most_units, Random& random) {
  std::vector<Piece> pieces;
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), random.below(static_cast<std::uint32_t>(most_units + 1)) * unit);
    pieces.push_back(bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return pieces;
}

struct Sizes {
  bool direct;
  std::size_t unit;  // of offsets and sizes
};
inline constexpr Sizes kSizes[] = {{true, kBlockAlignment}, {false, 1}};

}  // namespace strata::test
