#include "storage/async_io.hpp"

#include <algorithm>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/async_io_backend.hpp"

namespace strata {

struct AsyncIo::State {
  std::unique_ptr<IoBackend> backend;
  Backend kind = Backend::threads;
};

AsyncIo::AsyncIo() : AsyncIo(Options{}) {}

AsyncIo::AsyncIo(Options options) : state_(std::make_unique<State>()) {
  const unsigned depth = std::max(1U, options.depth);
  if (options.backend != Backend::threads) state_->backend = make_uring_backend(depth);
  if (state_->backend != nullptr) {
    state_->kind = Backend::uring;
  } else {
    state_->backend = make_thread_backend(depth);
  }
}

AsyncIo::~AsyncIo() = default;

void AsyncIo::submit(Kind kind, const File& file, std::uint64_t offset, std::span<const std::span<std::byte>> pieces,
                     Done done) {
  STRATA_ASSERT(file.is_open() && done != nullptr);
  IoRequest* const request = state_->backend->fresh();
  request->assign(kind, file, offset, pieces, std::move(done));
  state_->backend->submit(request);
}

AsyncIo::Backend AsyncIo::backend() const { return state_->kind; }

AsyncIo::Counters AsyncIo::counters() const { return state_->backend->meter.counters(); }

}  // namespace strata
