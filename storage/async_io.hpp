// Reads and writes that run while the caller computes: io_uring where the kernel has it, else a pool of threads over
// preadv/pwritev. A request is whole or failed: short counts, EINTR and EAGAIN are taken up where they stopped.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>

#include "storage/file.hpp"

namespace strata {

class AsyncIo {
 public:
  enum class Backend : std::uint8_t { automatic, uring, threads };
  struct Options {
    Backend backend = Backend::automatic;  // automatic: io_uring, or threads where it cannot be set up
    unsigned depth = 64;                   // requests at the device at a time; the rest wait in line
  };
  enum class Kind : std::uint8_t { read, write };
  struct Counters {
    std::uint64_t reads = 0, writes = 0;              // requests completed
    std::uint64_t bytes_read = 0, bytes_written = 0;  // by them
    double busy_seconds = 0;                          // with at least one request at the device
  };
  // Called once per request, from a thread of this object: empty when all went well, else the error that
  // File::read_at or write_at would have thrown (DamagedError for a file that ends early, ResourceError for a full
  // disk, ...). It must be short, must not block on other requests, and must not throw.
  using Done = std::function<void(std::exception_ptr)>;

  AsyncIo();
  explicit AsyncIo(Options options);
  AsyncIo(const AsyncIo&) = delete;
  AsyncIo& operator=(const AsyncIo&) = delete;
  ~AsyncIo();  // waits for every request

  // The pieces are neighbours in the file, from `offset` on. File and memory must stay as they are until `done`. For a
  // direct file offset, sizes and addresses are multiples of kBlockAlignment. Never blocks on the device. Thread-safe.
  void submit(Kind kind, const File& file, std::uint64_t offset, std::span<const std::span<std::byte>> pieces,
              Done done);
  [[nodiscard]] Backend backend() const;  // the one in use: uring or threads
  [[nodiscard]] Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
