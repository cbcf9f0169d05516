#include <limits.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/async_io_backend.hpp"

namespace strata {

namespace {

constexpr unsigned kStallLimit = 8;  // calls in a row without an error that write nothing

[[maybe_unused]] bool is_aligned(std::uint64_t value) { return value % kBlockAlignment == 0; }

iovec to_iovec(std::span<std::byte> piece) { return {piece.data(), piece.size()}; }

}  // namespace

void IoRequest::assign(AsyncIo::Kind kind, const File& file, std::uint64_t offset,
                       std::span<const std::span<std::byte>> pieces, AsyncIo::Done done) {
  kind_ = kind;
  file_ = &file;
  offset_ = offset;
  first_ = 0;
  left_ = 0;
  stalls_ = 0;
  error_ = nullptr;
  pieces_.clear();
  for (const std::span<std::byte> piece : pieces) {
    if (piece.empty()) continue;
    STRATA_ASSERT(!file.is_direct() ||
                  (is_aligned(piece.size()) && is_aligned(reinterpret_cast<std::uintptr_t>(piece.data()))));
    pieces_.push_back(to_iovec(piece));
    left_ += piece.size();
  }
  STRATA_ASSERT(!file.is_direct() || left_ == 0 || is_aligned(offset));
  bytes_ = left_;
  fault_ = left_ == 0 ? Fault::none : next_fault(kind == AsyncIo::Kind::read ? "read" : "write");
  done_ = std::move(done);
}

bool IoRequest::next(IoCall& call) {
  if (left_ == 0 || failed()) return false;
  call = {pieces_.data() + first_, static_cast<unsigned>(std::min<std::size_t>(pieces_.size() - first_, IOV_MAX)),
          offset_};
  return fault_ == Fault::none || injected(call);
}

// Applies the failpoint to the first call of the request, which the others follow without one.
bool IoRequest::injected(IoCall& call) {
  const Fault fault = fault_ == Fault::kill ? fault_ : std::exchange(fault_, Fault::none);
  if (fails(fault)) return take(-errno);  // after EINTR the call is made
  std::size_t limit = shortened(left_, file_->is_direct());
  torn_.clear();
  for (unsigned i = 0; i < call.count && limit > 0; ++i) {
    torn_.push_back(call.pieces[i]);
    torn_.back().iov_len = std::min(limit, torn_.back().iov_len);
    limit -= torn_.back().iov_len;
  }
  call.pieces = torn_.data();
  call.count = static_cast<unsigned>(torn_.size());
  return true;
}

bool IoRequest::take(ssize_t result) {
  if (fault_ == Fault::kill) kill_this_process();
  if (result < 0) {
    // ECANCELED: io_uring gave the call up without making it.
    if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) return true;
    fail(static_cast<int>(-result));
    return false;
  }
  auto moved = static_cast<std::size_t>(result);
  STRATA_ASSERT(moved <= left_);
  if (file_->is_direct() && moved < left_) moved -= moved % kBlockAlignment;
  if (moved == 0) return stalled();
  stalls_ = 0;
  advance(moved);
  return left_ > 0;
}

bool IoRequest::stalled() {
  if (kind_ == AsyncIo::Kind::read) {
    end_early();
  } else if (++stalls_ == kStallLimit) {
    fail(EIO);
  }
  return !failed();
}

void IoRequest::advance(std::size_t moved) {
  offset_ += moved;
  left_ -= moved;
  for (; moved > 0 && moved >= pieces_[first_].iov_len; ++first_) moved -= pieces_[first_].iov_len;
  if (moved == 0) return;
  iovec& piece = pieces_[first_];
  piece.iov_base = static_cast<std::byte*>(piece.iov_base) + moved;
  piece.iov_len -= moved;
}

void IoRequest::fail(int error_number) {
  const char* const action = kind_ == AsyncIo::Kind::read ? "read at byte " : "write at byte ";
  try {
    throw_system_error(error_number, file_->path().string(), action + std::to_string(offset_));
  } catch (...) {
    error_ = std::current_exception();
  }
}

void IoRequest::end_early() {
  error_ = std::make_exception_ptr(DamagedError(file_->path().string(), "byte " + std::to_string(offset_),
                                                std::to_string(left_) + " more bytes", "the end of the file"));
}

void IoRequest::finish() {
  if (began_ >= 0) {
    Timeline::add_async("io", kind_ == AsyncIo::Kind::read ? "read" : "write", began_, Timeline::now(), bytes_);
  }
  const AsyncIo::Done done = std::exchange(done_, nullptr);
  file_ = nullptr;
  done(std::exchange(error_, nullptr));
}

void IoLine::push(IoRequest* request) {
  request->link = nullptr;
  (first_ == nullptr ? first_ : last_->link) = request;
  last_ = request;
}

IoRequest* IoLine::pop() {
  IoRequest* const request = first_;
  if (request != nullptr) first_ = request->link;
  return request;
}

void IoLine::append(IoLine& other) {
  if (other.empty()) return;
  (first_ == nullptr ? first_ : last_->link) = other.first_;
  last_ = other.last_;
  other.first_ = nullptr;
}

void IoMeter::started(std::size_t requests) {
  if (requests == 0) return;
  const std::lock_guard lock(mutex_);
  if (in_flight_ == 0) busy_since_ = Clock::now();
  in_flight_ += requests;
}

void IoMeter::finished(const IoRequest& request) {
  const std::lock_guard lock(mutex_);
  const bool read = request.kind() == AsyncIo::Kind::read;
  ++(read ? counters_.reads : counters_.writes);
  if (!request.failed()) (read ? counters_.bytes_read : counters_.bytes_written) += request.bytes();
  STRATA_ASSERT(in_flight_ > 0);
  if (--in_flight_ == 0) counters_.busy_seconds += std::chrono::duration<double>(Clock::now() - busy_since_).count();
}

AsyncIo::Counters IoMeter::counters() const {
  const std::lock_guard lock(mutex_);
  AsyncIo::Counters counters = counters_;
  if (in_flight_ > 0) counters.busy_seconds += std::chrono::duration<double>(Clock::now() - busy_since_).count();
  return counters;
}

IoRequest* IoBackend::fresh() {
  const std::lock_guard lock(mutex_);
  if (IoRequest* const idle = idle_.pop()) return idle;
  all_.push_back(std::make_unique<IoRequest>());
  return all_.back().get();
}

void IoBackend::recycle(IoRequest* request) {
  const std::lock_guard lock(mutex_);
  idle_.push(request);
}

}  // namespace strata
