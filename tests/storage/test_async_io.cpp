// Every case runs on io_uring (where this machine allows it) and on threads; the thread sanitizer runs them too.
#include <doctest/doctest.h>
#include <limits.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/base/timeline.hpp"
#include "storage/async_io.hpp"
#include "tests/storage/async_io_fixtures.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

TEST_CASE("async io: many random reads of a known file, far more than the depth") {
  const TempDir dir;
  const std::size_t size = 600 * kBlockAlignment;
  make_known_file(dir / "a", size);
  MemoryBudget budget(std::uint64_t{64} << 20);
  for (const AsyncIo::Backend backend : kBackends) {
    for (const auto& [direct, unit] : kSizes) {
      for (const unsigned depth : {1U, 4U, 64U}) {
        CAPTURE(name_of(backend));
        CAPTURE(direct);
        CAPTURE(depth);
        const File file(dir / "a", File::Mode::read, direct);
        AsyncIo io({backend, depth});
        Random random(depth);
        Calls calls;
        struct Read {
          std::uint64_t offset;
          Piece bytes;
        };
        std::vector<Read> reads;
        const Buffer memory(budget, 700 * 20 * kBlockAlignment, "reads");
        std::uint64_t bytes = 0;
        for (std::size_t i = 0; i < 700; ++i) {
          const std::size_t units = size / unit;
          const std::size_t count = i == 0 ? 1 : 1 + random.below(static_cast<std::uint32_t>(20 * 4096 / unit));
          const std::uint64_t offset = unit * random.below(static_cast<std::uint32_t>(units - count + 1));
          reads.push_back({offset, memory.bytes().subspan(i * 20 * kBlockAlignment, count * unit)});
          bytes += count * unit;
          const std::vector<Piece> pieces = cut(reads.back().bytes, unit, 1 + count / 3, random);
          calls.submit(io, Kind::read, file, offset, pieces);
        }
        CHECK(calls.wait().empty());
        std::size_t wrong = 0;
        for (const Read& read : reads) wrong += holds(read.bytes, read.offset) ? 0 : 1;
        CHECK(wrong == 0);
        const AsyncIo::Counters counters = io.counters();
        CHECK(counters.reads == 700);
        CHECK(counters.bytes_read == bytes);
        CHECK(counters.writes == 0);
        CHECK(counters.busy_seconds > 0);
        const double busy = io.counters().busy_seconds;  // nothing is at the device: time stands still
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        CHECK(io.counters().busy_seconds == busy);
      }
    }
  }
}

TEST_CASE("async io: writes are read back, whatever the pieces") {
  MemoryBudget budget(std::uint64_t{64} << 20);
  for (const AsyncIo::Backend backend : kBackends) {
    for (const auto& [direct, unit] : kSizes) {
      CAPTURE(name_of(backend));
      CAPTURE(direct);
      const TempDir dir;
      const File file(dir / "a", File::Mode::create, direct);
      AsyncIo io({backend, 8});
      Random random(5);
      Calls calls;
      const std::size_t part = 16 * kBlockAlignment + (direct ? 0 : 1237);
      const std::size_t parts = 50;
      const Buffer memory(budget, parts * part, "writes");
      fill(memory.bytes(), 0);
      for (std::size_t i = 0; i < parts; ++i) {
        const auto pieces = cut(memory.bytes().subspan(i * part, part), unit, 5 * kBlockAlignment / unit, random);
        calls.submit(io, Kind::write, file, i * part, pieces);
      }
      CHECK(calls.wait().empty());
      CHECK(file.size() == parts * part);
      std::vector<std::byte> read(parts * part);
      File(dir / "a", File::Mode::read).read_at(0, read);
      CHECK(holds(read, 0));
      CHECK(io.counters().writes == parts);
      CHECK(io.counters().bytes_written == parts * part);
    }
  }
}

TEST_CASE("async io: no pieces, empty pieces, and more pieces than one call may have") {
  const TempDir dir;
  make_known_file(dir / "a", 3 * IOV_MAX + 5);
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const File file(dir / "a", File::Mode::read_write);
    AsyncIo io({backend, 2});
    Calls calls;
    calls.submit(io, Kind::read, file, 0, std::span<const Piece>());
    calls.submit(io, Kind::write, file, 1 << 20, Piece());
    CHECK(calls.wait().empty());
    CHECK(file.size() == 3 * IOV_MAX + 5);
    std::vector<std::byte> bytes(3 * IOV_MAX + 4);
    std::vector<Piece> pieces;
    for (std::byte& byte : bytes) pieces.push_back({&byte, 1});
    calls.submit(io, Kind::read, file, 1, pieces);
    CHECK(calls.wait().empty());
    CHECK(holds(bytes, 1));
    CHECK(io.counters().reads == 2);
  }
}

TEST_CASE("async io: interrupted and short calls go unnoticed") {
  const TempDir dir;
  MemoryBudget budget(std::uint64_t{64} << 20);
  for (const AsyncIo::Backend backend : kBackends) {
    for (const auto& [direct, unit] : kSizes) {
      for (const char* fault :
           {"write:1:eintr", "write:2:short", "write:1+:short", "write:1+:eintr", "read:1+:short", "read:3+:eintr"}) {
        CAPTURE(name_of(backend));
        CAPTURE(direct);
        CAPTURE(fault);
        const Failpoint failpoint(fault);
        const File file(dir / "a", File::Mode::create, direct);
        AsyncIo io({backend, 3});
        Random random(7);
        Calls calls;
        const std::size_t part = 9 * kBlockAlignment;
        const Buffer memory(budget, 10 * part, "bytes");
        fill(memory.bytes(), 0);
        for (std::size_t i = 0; i < 10; ++i) {
          const auto pieces = cut(memory.bytes().subspan(i * part, part), unit, 2 * kBlockAlignment / unit, random);
          calls.submit(io, Kind::write, file, i * part, pieces);
        }
        CHECK(calls.wait().empty());
        std::fill(memory.bytes().begin(), memory.bytes().end(), std::byte{});
        for (std::size_t i = 0; i < 10; ++i) {
          const auto pieces = cut(memory.bytes().subspan(i * part, part), unit, 2 * kBlockAlignment / unit, random);
          calls.submit(io, Kind::read, file, i * part, pieces);
        }
        CHECK(calls.wait().empty());
        CHECK(holds(memory.bytes(), 0));
      }
    }
  }
}

TEST_CASE("async io: the destructor waits, also for what a done submits") {
  const TempDir dir;
  make_known_file(dir / "a", 100'000);
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const File file(dir / "a", File::Mode::read);
    std::vector<std::byte> bytes(2 * 100 * 1000);
    std::atomic<int> ended = 0, failed = 0;
    {
      AsyncIo io({backend, 3});
      for (std::size_t i = 0; i < 100; ++i) {
        const auto read = [&, i](std::size_t to, AsyncIo::Done done) {
          const Piece piece = Piece(bytes).subspan((2 * i + to) * 1000, 1000);
          io.submit(Kind::read, file, i * 1000, std::span(&piece, 1), std::move(done));
        };
        const auto count = [&](const std::exception_ptr& error) {
          failed += error ? 1 : 0;
          ++ended;
        };
        read(0, [read, count](const std::exception_ptr& error) {
          read(1, count);
          count(error);
        });
      }
    }
    CHECK(ended == 200);
    CHECK(failed == 0);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < 200; ++i) wrong += holds(Piece(bytes).subspan(i * 1000, 1000), i / 2 * 1000) ? 0 : 1;
    CHECK(wrong == 0);
  }
}

TEST_CASE("async io: several threads submit, and end before their requests do") {
  const TempDir dir;
  const std::size_t size = 1 << 20;
  make_known_file(dir / "a", size);
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const File file(dir / "a", File::Mode::read);
    AsyncIo io({backend, 16});
    Calls calls;
    constexpr std::size_t kThreads = 4, kReads = 300, kBytes = 777;
    std::vector<std::byte> bytes(kThreads * kReads * kBytes);
    std::vector<std::uint64_t> offsets(kThreads * kReads);
    {
      std::vector<std::jthread> threads;
      for (std::size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          Random random(t);
          for (std::size_t i = t * kReads; i < (t + 1) * kReads; ++i) {
            offsets[i] = random.below(size - kBytes);
            calls.submit(io, Kind::read, file, offsets[i], Piece(bytes).subspan(i * kBytes, kBytes));
            if (i % 16 == 15) std::this_thread::yield();
          }
        });
      }
    }
    CHECK(calls.wait().empty());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      wrong += holds(Piece(bytes).subspan(i * kBytes, kBytes), offsets[i]) ? 0 : 1;
    }
    CHECK(wrong == 0);
    CHECK(io.counters().reads == kThreads * kReads);
  }
}

TEST_CASE("async io: each request is a span of the timeline") {
  const TempDir dir;
  make_known_file(dir / "a", 5000);
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const Timeline timeline;
    const File file(dir / "a", File::Mode::read_write);
    std::vector<std::byte> bytes(8 * 4321);  // requests are under way side by side: each has its own
    {
      AsyncIo io({backend, 4});
      Calls calls;
      for (std::size_t i = 0; i < 7; ++i) calls.submit(io, Kind::read, file, 0, Piece(bytes).subspan(i * 4321, 4321));
      calls.submit(io, Kind::write, file, 0, Piece(bytes).subspan(7 * 4321, 1234));
      CHECK(calls.wait().empty());
    }
    timeline.write(dir / "trace");
    const std::string trace = read_file(dir / "trace");
    const auto count = [&trace](const std::string& text) {
      std::size_t found = 0;
      for (std::size_t at = trace.find(text); at != std::string::npos; at = trace.find(text, at + 1)) ++found;
      return found;
    };
    CHECK(count("\"name\": \"read\"") == 7);
    CHECK(count("\"bytes\": 4321") == 7);
    CHECK(count("\"name\": \"write\"") == 1);
    CHECK(count("\"bytes\": 1234") == 1);
  }
}

TEST_CASE("async io: a backend is in use, threads when asked for") {
  CHECK(AsyncIo({AsyncIo::Backend::threads, 2}).backend() == AsyncIo::Backend::threads);
  const AsyncIo::Backend automatic = AsyncIo().backend();
  CHECK(automatic != AsyncIo::Backend::automatic);
  if (automatic == AsyncIo::Backend::threads) MESSAGE("no io_uring here: its cases ran on threads");
  const AsyncIo unused({AsyncIo::Backend::automatic, 0});  // at least one request at a time, and none submitted
  CHECK(unused.counters().busy_seconds == 0);
}

}  // namespace
}  // namespace strata::test
