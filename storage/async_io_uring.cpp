// io_uring with one thread that alone submits and reaps: the kernel can then leave all completion work to the moment
// that thread asks for it (IORING_SETUP_DEFER_TASKRUN) instead of interrupting threads that compute, one call to the
// kernel submits, waits and reaps, and no request is bound to the life of the thread that wanted it.
#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/async_io_backend.hpp"

namespace strata {

namespace {

constexpr unsigned kMostDepth = 4096;
constexpr std::size_t kMostBytesOfOnePiece = std::size_t{1} << 30;  // lengths are 32 bits outside of an iovec

class UringIo final : public IoBackend {
 public:
  explicit UringIo(unsigned depth) : depth_(std::min(depth, kMostDepth)), wake_(::eventfd(0, EFD_CLOEXEC)) {
    if (wake_ < 0) return;
    std::promise<bool> set_up;
    std::future<bool> usable = set_up.get_future();
    try {
      thread_ = std::thread([this, &set_up] {
        const bool good = set_up_ring();
        set_up.set_value(good);
        if (good) run();
      });
    } catch (const std::system_error&) {
      return;
    }
    usable_ = usable.get();
  }
  ~UringIo() override {
    if (usable_) {
      {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
      }
      wake_up();
    }
    if (thread_.joinable()) thread_.join();
    if (wake_ >= 0) ::close(wake_);
  }
  [[nodiscard]] bool usable() const { return usable_; }

  void submit(IoRequest* request) override {
    bool asleep = false;
    {
      const std::lock_guard lock(mutex_);
      arrived_.push(request);
      asleep = std::exchange(asleep_, false);
    }
    if (asleep) wake_up();
  }

 private:
  void wake_up() const {
    const std::uint64_t one = 1;
    const ssize_t written = ::write(wake_, &one, sizeof one);
    STRATA_ASSERT(written == sizeof one);
  }

  // In the thread that will use the ring: it becomes its only submitter.
  bool set_up_ring() {
    for (const unsigned flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0U}) {
      io_uring_params parameters{};
      parameters.flags = flags;
      if (::io_uring_queue_init_params(depth_ + 1, &ring_, &parameters) != 0) continue;
      // NODROP: completions are never lost. RW_CUR_POS came with Linux 5.6, as reads and writes without an iovec did.
      const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS;
      if ((parameters.features & needed) == needed) return true;
      ::io_uring_queue_exit(&ring_);
    }
    return false;
  }

  void run() {
    while (go_on()) {
      watch_for_wake();
      const int result = ::io_uring_submit_and_wait(&ring_, 1);
      if (result == -EAGAIN || result == -ENOMEM) {  // the kernel is out of memory for requests
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      } else {
        STRATA_ASSERT(result >= 0 || result == -EINTR || result == -EBUSY);
      }
      reap();
    }
    // The kernel cancels what a closed ring holds at its leisure: nothing that writes into this object may be left.
    if (watched_) wake_up();
    while (watched_) {
      ::io_uring_submit_and_wait(&ring_, 1);
      reap();
    }
    ::io_uring_queue_exit(&ring_);
  }

  // Starts what may start; false when everything is done and no more is to come. When it returns true, the ring is to
  // be waited for: a submitter that brings more which could start will wake it.
  bool go_on() {
    for (;;) {
      start();
      const std::lock_guard lock(mutex_);
      if (!arrived_.empty()) {
        waiting_.append(arrived_);
        if (in_flight_ < depth_) continue;
      }
      if (stopping_ && in_flight_ == 0) return false;
      asleep_ = in_flight_ < depth_;
      return true;
    }
  }

  void start() {
    std::size_t started = 0;
    while (in_flight_ < depth_) {
      IoRequest* const request = waiting_.pop();
      if (request == nullptr) break;
      ++in_flight_;
      ++started;
      request->started();
      if (!prepare(request)) started_finished_.push(request);
    }
    meter.started(started);
    while (IoRequest* const request = started_finished_.pop()) finish(request);
  }

  // Puts the request's next call into the ring; false: it is finished.
  bool prepare(IoRequest* request) {
    IoCall call;
    if (!request->next(call)) return false;
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    STRATA_ASSERT(entry != nullptr);  // there are depth_ + 1
    const bool read = request->kind() == AsyncIo::Kind::read;
    const int file = request->descriptor();
    if (call.count == 1 && call.pieces->iov_len <= kMostBytesOfOnePiece) {
      const auto bytes = static_cast<unsigned>(call.pieces->iov_len);
      ::io_uring_prep_rw(read ? IORING_OP_READ : IORING_OP_WRITE, entry, file, call.pieces->iov_base, bytes,
                         call.offset);
    } else {
      ::io_uring_prep_rw(read ? IORING_OP_READV : IORING_OP_WRITEV, entry, file, call.pieces, call.count, call.offset);
    }
    ::io_uring_sqe_set_data(entry, request);
    return true;
  }

  void watch_for_wake() {
    if (watched_) return;
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    STRATA_ASSERT(entry != nullptr);
    ::io_uring_prep_read(entry, wake_, &wakes_, sizeof wakes_, 0);
    ::io_uring_sqe_set_data(entry, nullptr);
    watched_ = true;
  }

  void reap() {
    {
      const std::lock_guard lock(mutex_);
      asleep_ = false;
    }
    std::array<io_uring_cqe*, 64> batch;
    for (;;) {
      const unsigned count = ::io_uring_peek_batch_cqe(&ring_, batch.data(), batch.size());
      if (count == 0) return;
      IoLine finished;
      for (unsigned i = 0; i < count; ++i) {
        auto* const request = static_cast<IoRequest*>(::io_uring_cqe_get_data(batch[i]));
        if (request == nullptr) {
          watched_ = false;
        } else if (!request->take(batch[i]->res) || !prepare(request)) {
          finished.push(request);
        }
      }
      ::io_uring_cq_advance(&ring_, count);
      while (IoRequest* const request = finished.pop()) finish(request);
    }
  }

  void finish(IoRequest* request) {
    --in_flight_;
    meter.finished(*request);
    request->finish();
    recycle(request);
  }

  const unsigned depth_;
  const int wake_;  // an eventfd that the ring reads
  bool usable_ = false;
  std::thread thread_;

  std::mutex mutex_;  // guards the next three
  IoLine arrived_;
  bool asleep_ = false;  // the thread waits, or is about to, and would not see what arrives
  bool stopping_ = false;

  // The thread's own.
  io_uring ring_{};
  IoLine waiting_, started_finished_;
  unsigned in_flight_ = 0;  // requests with a call in the ring
  bool watched_ = false;    // a read of wake_ is in the ring
  std::uint64_t wakes_ = 0;
};

}  // namespace

std::unique_ptr<IoBackend> make_uring_backend(unsigned depth) {
  auto backend = std::make_unique<UringIo>(depth);
  if (!backend->usable()) return nullptr;
  return backend;
}

}  // namespace strata
