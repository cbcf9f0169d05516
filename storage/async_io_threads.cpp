#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <string>
#include <system_error>
#include <thread>

#include "kernels/base/error.hpp"
#include "storage/async_io_backend.hpp"

namespace strata {

namespace {

constexpr unsigned kMostThreads = 16;

class ThreadIo final : public IoBackend {
 public:
  explicit ThreadIo(unsigned depth) {
    try {
      while (threads_.size() < std::min(depth, kMostThreads)) threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {  // fewer will do
      if (threads_.empty()) throw ResourceError(std::string("cannot start a thread for I/O: ") + error.what());
    }
  }
  ~ThreadIo() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void submit(IoRequest* request) override {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      line_.push(request);
      wake = idle_ > 0;
    }
    if (wake) work_.notify_one();
  }

 private:
  // Ends when nothing is left and nobody, a done of another thread included, can bring more.
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      IoRequest* const request = line_.pop();
      if (request != nullptr) {
        ++working_;
        lock.unlock();
        carry_out(request);
        lock.lock();
        --working_;
        continue;
      }
      if (stopping_ && working_ == 0) break;
      ++idle_;
      work_.wait(lock);
      --idle_;
    }
    lock.unlock();
    work_.notify_all();
  }

  void carry_out(IoRequest* request) {
    meter.started();
    request->started();
    IoCall call;
    while (request->next(call) && request->take(make(*request, call))) {
    }
    meter.finished(*request);
    request->finish();
    recycle(request);
  }

  static ssize_t make(const IoRequest& request, const IoCall& call) {
    const auto count = static_cast<int>(call.count);
    const auto offset = static_cast<off_t>(call.offset);
    const ssize_t result = request.kind() == AsyncIo::Kind::read
                               ? ::preadv(request.descriptor(), call.pieces, count, offset)
                               : ::pwritev(request.descriptor(), call.pieces, count, offset);
    return result < 0 ? -errno : result;
  }

  std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  IoLine line_;
  std::size_t idle_ = 0, working_ = 0;  // threads
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // of the constructor and destructor alone
};

}  // namespace

std::unique_ptr<IoBackend> make_thread_backend(unsigned depth) { return std::make_unique<ThreadIo>(depth); }

}  // namespace strata
