#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <span>
#include <utility>

#include "bench/io.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/base/types.hpp"

namespace strata::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kFillUnit = std::uint64_t{1} << 20;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Stopwatch {
 public:
  [[nodiscard]] IoTrial stop() const {
    return {std::chrono::duration<double>(Clock::now() - start_).count(), cpu_seconds() - cpu_};
  }

 private:
  Clock::time_point start_ = Clock::now();
  double cpu_ = cpu_seconds();
};

// The first word of each block is its offset.
void stamp(std::span<std::byte> unit, std::uint64_t offset) {
  for (std::size_t at = 0; at < unit.size(); at += kBlockAlignment) {
    *reinterpret_cast<std::uint64_t*>(unit.data() + at) = offset + at;
  }
}

bool is_stamped(std::span<const std::byte> unit, std::uint64_t offset) {
  for (std::size_t at = 0; at < unit.size(); at += kBlockAlignment) {
    if (*reinterpret_cast<const std::uint64_t*>(unit.data() + at) != offset + at) return false;
  }
  return true;
}

// Keeps `depth` requests in flight until `count` are done: each that ends starts the next.
class Loop {
 public:
  struct Request {
    AsyncIo::Kind kind;
    std::uint64_t offset;
  };
  Loop(const File& file, std::vector<Request> requests, std::uint64_t unit, bool check)
      : file_(file), requests_(std::move(requests)), unit_(unit), check_(check) {}

  void run(AsyncIo& io, std::span<std::byte> memory) {
    const std::size_t slots = std::min<std::size_t>(memory.size() / unit_, requests_.size());
    running_ = slots;
    for (std::size_t slot = 0; slot < slots; ++slot) start(io, memory.subspan(slot * unit_, unit_));
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] { return running_ == 0; });
    if (error_) std::rethrow_exception(error_);
    if (wrong_) throw Error(ExitStatus::internal, "what was read is not what was written: no figures");
  }

 private:
  void start(AsyncIo& io, std::span<std::byte> memory) {
    const std::size_t next = next_.fetch_add(1);
    if (next >= requests_.size()) return end(nullptr);
    const auto [kind, offset] = requests_[next];
    if (kind == AsyncIo::Kind::write) stamp(memory, offset);
    io.submit(kind, file_, offset, std::span(&memory, 1),
              [this, &io, memory, request = &requests_[next]](const std::exception_ptr& error) {
                if (error) return end(error);
                if (check_ && request->kind == AsyncIo::Kind::read && !is_stamped(memory, request->offset)) {
                  wrong_ = true;
                }
                start(io, memory);
              });
  }
  void end(const std::exception_ptr& error) {
    const std::lock_guard lock(mutex_);
    if (error) error_ = error;
    if (--running_ == 0) ended_.notify_all();
  }

  const File& file_;
  const std::vector<Request> requests_;
  const std::uint64_t unit_;
  const bool check_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> wrong_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable ended_;
  std::size_t running_ = 0;  // slots
  std::exception_ptr error_;
};

std::vector<Loop::Request> requests_of(const IoLoad& load, std::uint64_t file_bytes) {
  const std::uint64_t units = file_bytes / load.unit;
  const bool sequential = load.pattern == Pattern::seq_read || load.pattern == Pattern::seq_write;
  CounterRng rng(load.seed, Stream::synthetic);
  std::vector<Loop::Request> requests;
  for (std::uint64_t i = 0; i < load.count; ++i) {
    const std::uint64_t unit =
        sequential ? (load.first / load.unit + i) % units : rng.below(static_cast<std::uint32_t>(units));
    const bool write = load.pattern == Pattern::seq_write || (load.pattern == Pattern::mixed && i % 2 == 1);
    requests.push_back({write ? AsyncIo::Kind::write : AsyncIo::Kind::read, unit * load.unit});
  }
  return requests;
}

File make_unnamed(const std::string& folder, std::uint64_t bytes) {
  const std::uint64_t free = free_disk_bytes(folder);
  if (free < bytes + bytes / 16) {
    throw ResourceError(folder + ": " + format_bytes(bytes) + " are to be written, " + format_bytes(free) +
                            " are free: use a smaller --size",
                        bytes);
  }
  std::string name = folder + "/.strata-bench-io-XXXXXX";
  const int fd = ::mkstemp(name.data());
  if (fd < 0) throw_system_error(errno, name, "create");
  ::close(fd);
  try {
    File file(name, File::Mode::read_write, true);
    ::unlink(name.c_str());
    return file;
  } catch (...) {
    ::unlink(name.c_str());
    throw;
  }
}

}  // namespace

const char* pattern_name(Pattern pattern) {
  switch (pattern) {
    case Pattern::seq_read: return "seq-read";
    case Pattern::rand_read: return "rand-read";
    case Pattern::seq_write: return "seq-write";
    case Pattern::mixed: return "mixed";
  }
  return "";
}

IoFile::IoFile(const std::string& folder, std::uint64_t bytes, MemoryBudget& budget)
    : file_(make_unnamed(folder, bytes)),
      path_("/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_.descriptor())),
      bytes_(bytes) {
  Buffer unit(budget, kFillUnit, "what is written");
  CounterRng rng(1, Stream::synthetic);
  for (std::uint32_t& word : unit.as<std::uint32_t>()) word = rng.below(~std::uint32_t{0});  // nothing to compress
  for (std::uint64_t at = 0; at < bytes; at += kFillUnit) {
    const std::span<std::byte> part = unit.bytes().first(std::min(kFillUnit, bytes - at));
    stamp(part, at);
    file_.write_at(at, part);
  }
  file_.sync();
}

IoTrial IoFile::run(AsyncIo::Backend backend, const IoLoad& load, bool check, MemoryBudget& budget) const {
  const Buffer memory(budget, load.unit * load.depth, "requests in flight");
  Loop loop(file_, requests_of(load, bytes_), load.unit, check);
  AsyncIo io({backend, load.depth});
  if (io.backend() != backend) throw ResourceError("this system allows no io_uring");
  const Stopwatch watch;
  loop.run(io, memory.bytes());
  return watch.stop();
}

IoTrial IoFile::run_mapped(const IoLoad& load) const {
  constexpr std::uint64_t kWindow = std::uint64_t{2} << 20;
  const MappedFile mapped(path_);
  mapped.drop();
  const auto amount = load.unit * load.count;
  const Stopwatch watch;
  for (std::uint64_t moved = 0; moved < amount;) {
    const std::uint64_t at = (load.first + moved) % bytes_;
    const std::uint64_t length = std::min({kWindow, bytes_ - at, amount - moved});
    mapped.populate(at, length);
    if (!is_stamped(mapped.bytes().subspan(at, length), at)) {
      throw Error(ExitStatus::internal, "what was mapped is not what was written: no figures");
    }
    mapped.drop(at, length);
    moved += length;
  }
  return watch.stop();
}

}  // namespace strata::bench
