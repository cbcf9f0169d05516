// Asynchronous I/O that fails, is killed, or has no io_uring.
#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/base/budget.hpp"
#include "kernels/base/error.hpp"
#include "storage/async_io.hpp"
#include "tests/storage/async_io_fixtures.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

[[noreturn]] void rethrow_only(const std::vector<std::exception_ptr>& errors) {
  REQUIRE(errors.size() == 1);
  std::rethrow_exception(errors.front());
}

TEST_CASE("async io: a failing request has the error of File, and the others go on") {
  const TempDir dir;
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const File file(dir / "a", File::Mode::create);
    AsyncIo io({backend, 4});
    Calls calls;
    std::vector<std::byte> bytes(5000);
    fill(bytes, 0);
    const auto write_all = [&](const char* fault) {
      const Failpoint failpoint(fault);
      for (std::size_t i = 0; i < 5; ++i) {
        calls.submit(io, Kind::write, file, i * 1000, Piece(bytes).subspan(i * 1000, 1000));
      }
      return calls.wait();
    };
    CHECK_THROWS_AS(rethrow_only(write_all("write:3:enospc")), ResourceError);
    CHECK_THROWS_AS(rethrow_only(write_all("write:5:eio")), InputError);
    CHECK(write_all("write:2+:enospc").size() == 4);
    CHECK(write_all("").empty());
    CHECK(io.counters().writes == 20);
    CHECK(io.counters().bytes_written == 14'000);
    const Failpoint failpoint("read:1:eio");
    calls.submit(io, Kind::read, file, 0, Piece(bytes));
    CHECK_THROWS_WITH_AS(rethrow_only(calls.wait()), doctest::Contains((dir / "a").c_str()), InputError);
    calls.submit(io, Kind::read, file, 0, Piece(bytes));
    CHECK(calls.wait().empty());
  }
}

TEST_CASE("async io: what the system refuses arrives as an error") {
  const TempDir dir;
  make_known_file(dir / "a", 5000);
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const File file(dir / "a", File::Mode::read);
    AsyncIo io({backend, 4});
    Calls calls;
    std::vector<std::byte> bytes(10);
    calls.submit(io, Kind::write, file, 0, Piece(bytes));  // not open for writing
    CHECK_THROWS_AS(rethrow_only(calls.wait()), InputError);
    const File full("/dev/full", File::Mode::read_write);
    calls.submit(io, Kind::write, full, 0, Piece(bytes));
    CHECK_THROWS_AS(rethrow_only(calls.wait()), ResourceError);
  }
}

TEST_CASE("async io: a file that ends early is damaged") {
  const TempDir dir;
  MemoryBudget budget(std::uint64_t{1} << 20);
  const Buffer memory(budget, 4 * kBlockAlignment, "bytes");
  for (const AsyncIo::Backend backend : kBackends) {
    for (const bool direct : {true, false}) {
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, 2 * kBlockAlignment - 1, 2 * kBlockAlignment, 4 * kBlockAlignment - 1}) {
        CAPTURE(name_of(backend));
        CAPTURE(direct);
        CAPTURE(size);
        make_known_file(dir / "a", size);
        const File file(dir / "a", File::Mode::read, direct);
        AsyncIo io({backend, 4});
        Calls calls;
        calls.submit(io, Kind::read, file, 0, memory.bytes());
        try {
          rethrow_only(calls.wait());
        } catch (const DamagedError& error) {
          CHECK(error.path() == (dir / "a").string());
          const std::size_t end = file.is_direct() ? size / kBlockAlignment * kBlockAlignment : size;
          CHECK(error.block() == "byte " + std::to_string(end));
        }
        CHECK(io.counters().bytes_read == 0);
      }
    }
  }
}

TEST_CASE("async io: a killed write is torn") {
  for (const AsyncIo::Backend backend : kBackends) {
    CAPTURE(name_of(backend));
    const TempDir dir;
    const ChildEnd end = in_child([&] {
      set_failpoint("write:2:kill");
      const File file(dir / "a", File::Mode::create);
      AsyncIo io({backend, 4});
      Calls calls;
      std::vector<std::byte> bytes(1000);
      calls.submit(io, Kind::write, file, 0, Piece(bytes));
      if (!calls.wait().empty()) throw std::runtime_error("the first write failed");
      calls.submit(io, Kind::write, file, 1000, Piece(bytes));
      static_cast<void>(calls.wait());
    });
    CHECK(end == ChildEnd::killed);
    CHECK(fs::file_size(dir / "a") == 1500);
  }
}

// Makes io_uring_setup fail with EPERM for this process, as containers do; false where the system does not let it.
bool forbid_uring() {
  const auto length = static_cast<unsigned short>(4);
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{length, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST_CASE("async io: where io_uring is forbidden, threads do it") {
  const TempDir dir;
  make_known_file(dir / "a", 5000);
  for (const AsyncIo::Backend backend : {AsyncIo::Backend::uring, AsyncIo::Backend::automatic}) {
    const ChildEnd end = in_child([&] {
      if (!forbid_uring()) return;
      const File file(dir / "a", File::Mode::read);
      AsyncIo io({backend, 4});
      Calls calls;
      std::vector<std::byte> bytes(4000);
      calls.submit(io, Kind::read, file, 1000, Piece(bytes));
      const bool good = calls.wait().empty() && holds(bytes, 1000);
      if (!good || io.backend() != AsyncIo::Backend::threads) throw std::runtime_error("not read by threads");
    });
    CHECK(end == ChildEnd::done);
  }
}

}  // namespace
}  // namespace strata::test
