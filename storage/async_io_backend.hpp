// The inside of AsyncIo: a request and its progress, what is counted, and the two ways of carrying requests out.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "kernels/base/timeline.hpp"
#include "storage/async_io.hpp"
#include "storage/failpoint.hpp"

namespace strata {

// What to hand the kernel next for a request; the pieces belong to the request and stay until its result is known.
struct IoCall {
  const iovec* pieces = nullptr;
  unsigned count = 0;  // 1 to IOV_MAX
  std::uint64_t offset = 0;
};

// One request from submission to done. Used by one thread at a time; kept for the next one when it is finished, so that
// a request in the steady state allocates nothing.
class IoRequest {
 public:
  // Counts the request for failpoints.
  void assign(AsyncIo::Kind kind, const File& file, std::uint64_t offset, std::span<const std::span<std::byte>> pieces,
              AsyncIo::Done done);

  void started() { began_ = Timeline::recording() ? Timeline::now() : -1; }  // at the device, for the timeline
  // The next call to make; false: the request is finished, well or not.
  [[nodiscard]] bool next(IoCall& call);
  // The call's result: bytes moved, or minus errno. False: the request is finished.
  [[nodiscard]] bool take(ssize_t result);
  void fail(int error_number);  // finishes it
  void finish();                // calls done, once, and forgets it

  [[nodiscard]] AsyncIo::Kind kind() const { return kind_; }
  [[nodiscard]] int descriptor() const { return file_->descriptor(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool failed() const { return error_ != nullptr; }

  IoRequest* link = nullptr;  // the next in a line of requests; for whoever holds this one

 private:
  [[nodiscard]] bool injected(IoCall& call);
  void advance(std::size_t moved);
  void end_early();
  [[nodiscard]] bool stalled();

  AsyncIo::Kind kind_ = AsyncIo::Kind::read;
  const File* file_ = nullptr;
  std::vector<iovec> pieces_;  // from first_ on: what is still to move, the first one from where it stopped
  std::vector<iovec> torn_;    // of a call that a failpoint wants short
  std::size_t first_ = 0;
  std::uint64_t offset_ = 0;  // of the next byte in the file
  std::uint64_t left_ = 0;    // bytes still to move
  std::uint64_t bytes_ = 0;   // of the whole request
  Fault fault_ = Fault::none;
  unsigned stalls_ = 0;  // calls in a row that moved nothing
  double began_ = -1;    // Timeline::now(); below 0: nobody records
  AsyncIo::Done done_;
  std::exception_ptr error_;
};

// Requests in a line, first in, first out; owns nothing.
class IoLine {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  void push(IoRequest* request);
  [[nodiscard]] IoRequest* pop();  // null when empty
  void append(IoLine& other);      // leaves `other` empty

 private:
  IoRequest* first_ = nullptr;
  IoRequest* last_ = nullptr;
};

// Thread-safe counters. A request counts when it is finished, before its done is called.
class IoMeter {
 public:
  void started(std::size_t requests = 1);
  void finished(const IoRequest& request);
  [[nodiscard]] AsyncIo::Counters counters() const;

 private:
  using Clock = std::chrono::steady_clock;
  mutable std::mutex mutex_;
  AsyncIo::Counters counters_;
  std::size_t in_flight_ = 0;
  Clock::time_point busy_since_;  // when in_flight_ > 0
};

class IoBackend {
 public:
  IoBackend() = default;
  IoBackend(const IoBackend&) = delete;
  IoBackend& operator=(const IoBackend&) = delete;
  virtual ~IoBackend() = default;               // after every request is done
  virtual void submit(IoRequest* request) = 0;  // from then on the backend's; `recycle` gets it back
  IoMeter meter;

  // Finished requests wait here for their next use. Thread-safe.
  [[nodiscard]] IoRequest* fresh();
  void recycle(IoRequest* request);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<IoRequest>> all_;
  IoLine idle_;
};

[[nodiscard]] std::unique_ptr<IoBackend> make_uring_backend(unsigned depth);  // null: the system has or allows none
[[nodiscard]] std::unique_ptr<IoBackend> make_thread_backend(unsigned depth);

}  // namespace strata
