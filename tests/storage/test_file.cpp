#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/file.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 131 + i / 251) & 0xff);
  return bytes;
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t entries(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

TEST_CASE("file: what is written is read back, with interrupted and short calls in between") {
  TempDir dir;
  const std::vector<std::byte> bytes = pattern(100'003);
  for (const char* fault : {"", "write:1:eintr", "write:2+:short", "read:1+:short", "read:2:eintr"}) {
    CAPTURE(fault);
    const Failpoint failpoint(fault);
    const File file(dir / "a", File::Mode::create);
    file.write_at(0, std::span(bytes).first(50'000));
    file.write_at(50'000, std::span(bytes).subspan(50'000));
    CHECK(file.size() == bytes.size());
    std::vector<std::byte> read(bytes.size());
    file.read_at(0, read);
    CHECK(read == bytes);
  }
}

TEST_CASE("file: errors have their kind and name the file") {
  TempDir dir;
  CHECK_THROWS_AS(File(dir / "absent", File::Mode::read), InputError);
  CHECK_THROWS_AS(static_cast<void>(read_file(dir.path())), InputError);
  const std::vector<std::byte> bytes = pattern(10);
  {
    const File file(dir / "a", File::Mode::create);
    file.write_at(0, bytes);
    std::vector<std::byte> more(11);
    try {
      file.read_at(0, more);
      FAIL("read past the end");
    } catch (const DamagedError& error) {
      CHECK(error.path() == (dir / "a").string());
      CHECK(error.block() == "byte 10");
    }
    const Failpoint full("write:1:enospc");
    CHECK_THROWS_AS(file.write_at(0, bytes), ResourceError);
  }
  const Failpoint failing("read:1:eio");
  CHECK_THROWS_AS(static_cast<void>(read_file(dir / "a")), InputError);
}

TEST_CASE("file: move leaves the source closed") {
  TempDir dir;
  File a(dir / "a", File::Mode::create);
  File b = std::move(a);
  CHECK(!a.is_open());
  CHECK(b.is_open());
  b.close();
  CHECK(!b.is_open());
}

TEST_CASE("atomic file: appears only when committed, whatever the piece sizes") {
  TempDir dir;
  const std::vector<std::byte> bytes = pattern((std::size_t{5} << 20) + 17);
  for (const std::size_t piece :
       {std::size_t{1} << 10, (std::size_t{1} << 20) - 1, std::size_t{1} << 20, bytes.size()}) {
    CAPTURE(piece);
    AtomicFile file(dir / "a");
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      file.append(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    CHECK(file.position() == bytes.size());
    file.patch(3, std::span(bytes).subspan(7, 5));
    file.commit();
    std::string expected = text_of(bytes);
    std::copy_n(text_of(bytes).begin() + 7, 5, expected.begin() + 3);
    CHECK(read_file(dir / "a") == expected);
    CHECK(entries(dir.path()) == 1);
  }
  {
    AtomicFile file(dir / "b");
    file.append("lost");
  }
  CHECK(entries(dir.path()) == 1);
}

TEST_CASE("atomic file: two writers of one file exclude each other") {
  TempDir dir;
  AtomicFile first(dir / "a");
  CHECK_THROWS_AS(AtomicFile(dir / "a"), UsageError);
  first.append("x");
  first.commit();
  AtomicFile second(dir / "a");
  second.append("yy");
  second.commit();
  CHECK(read_file(dir / "a") == "yy");
}

TEST_CASE("atomic file: any failing or killed call leaves the old or the new content") {
  const std::string whole(3'000'100, 'n');
  for (const char* operation : {"write", "sync", "rename"}) {
    for (int n = 1; n <= 4; ++n) {
      for (const char* action : {"kill", "enospc", "eio"}) {
        TempDir dir;
        write_file_atomically(dir / "a", "old");
        const std::string point = std::string(operation) + ":" + std::to_string(n) + ":" + action;
        CAPTURE(point);
        in_child([&] {
          set_failpoint(point);
          AtomicFile file(dir / "a");
          file.append(whole.substr(0, 3'000'000));  // written at once
          file.append(whole.substr(3'000'000));     // written by commit()
          file.commit();
        });
        const std::string content = read_file(dir / "a");
        CHECK((content == "old" || content == whole));
        write_file_atomically(dir / "a", "next");  // what a killed writer left does not stand in the way
        CHECK(read_file(dir / "a") == "next");
        CHECK(entries(dir.path()) == 1);
      }
    }
  }
}

TEST_CASE("atomic directory: published as a whole, never over another one unless asked") {
  TempDir dir;
  const auto write = [&](const std::string& content, AtomicDirectory::IfExists if_exists) {
    AtomicDirectory directory(dir.path() / "d/");
    write_file_atomically(directory.path() / "f", content);
    directory.publish(if_exists);
  };
  { const AtomicDirectory abandoned(dir / "d"); }
  CHECK(entries(dir.path()) == 0);
  write("one", AtomicDirectory::IfExists::fail);
  CHECK(read_file(dir.path() / "d" / "f") == "one");
  CHECK_THROWS_AS(write("two", AtomicDirectory::IfExists::fail), UsageError);
  CHECK(read_file(dir.path() / "d" / "f") == "one");
  write("three", AtomicDirectory::IfExists::replace);
  CHECK(read_file(dir.path() / "d" / "f") == "three");
  CHECK(entries(dir.path()) == 1);
  const AtomicDirectory first(dir / "e");
  CHECK_THROWS_AS(AtomicDirectory(dir / "e"), UsageError);
}

TEST_CASE("directory lock: shared with shared, exclusive with none") {
  TempDir dir;
  {
    const DirectoryLock a(dir.path(), DirectoryLock::Kind::shared);
    const DirectoryLock b(dir.path(), DirectoryLock::Kind::shared);
    CHECK_THROWS_AS(DirectoryLock(dir.path(), DirectoryLock::Kind::exclusive), UsageError);
  }
  const DirectoryLock c(dir.path(), DirectoryLock::Kind::exclusive);
  CHECK_THROWS_AS(DirectoryLock(dir.path(), DirectoryLock::Kind::shared), UsageError);
  CHECK_THROWS_AS(DirectoryLock(dir / "absent", DirectoryLock::Kind::shared), InputError);
}

TEST_CASE("mapped file: bytes, populate and drop at sizes around a page") {
  TempDir dir;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{4097}}) {
    const std::vector<std::byte> bytes = pattern(size);
    write_file_atomically(dir / "a", text_of(bytes));
    const MappedFile file(dir / "a");
    file.populate();
    CHECK(std::equal(bytes.begin(), bytes.end(), file.bytes().begin(), file.bytes().end()));
    file.drop();
    CHECK(std::equal(bytes.begin(), bytes.end(), file.bytes().begin(), file.bytes().end()));
  }
}

// Of each page of the mapping, whether it is in memory.
std::vector<bool> resident(std::span<const std::byte> mapped) {
  std::vector<unsigned char> state((mapped.size() + 4095) / 4096);
  REQUIRE(::mincore(const_cast<std::byte*>(mapped.data()), mapped.size(), state.data()) == 0);
  std::vector<bool> pages(state.size());
  for (std::size_t i = 0; i < state.size(); ++i) pages[i] = (state[i] & 1) != 0;
  return pages;
}

TEST_CASE("mapped file: windows are populated outwards and dropped inwards") {
  TempDir dir;
  const std::size_t size = (std::size_t{5} << 20) + 100;  // 1281 pages: the system reads ahead less than that
  const std::vector<std::byte> bytes = pattern(size);
  write_file_atomically(dir / "a", text_of(bytes));
  const MappedFile file(dir / "a");
  const std::span<const std::byte> mapped = file.bytes();
  file.drop();
  const std::vector<bool> dropped = resident(mapped);
  if (std::count(dropped.begin(), dropped.end(), true) > 0) {
    MESSAGE("this file system keeps its files in memory: pages are not looked at");
    return;
  }
  const auto count = [&](std::size_t first, std::size_t last) {  // pages in memory
    const std::vector<bool> pages = resident(mapped);
    return std::count(pages.begin() + static_cast<std::ptrdiff_t>(first),
                      pages.begin() + static_cast<std::ptrdiff_t>(last), true);
  };
  file.populate(4095, (std::size_t{3} << 20) + 2);  // page 0 by a byte, and page 769 by a byte
  CHECK(count(0, 770) == 770);
  file.drop(4095, (std::size_t{3} << 20) + 2);  // pages 1 to 768
  CHECK(count(0, 1) == 1);
  CHECK(count(1, 769) == 0);
  CHECK(count(769, 770) == 1);
  file.drop(100, 4096);  // no whole page
  file.drop(size, 10);
  file.drop(0, 0);
  CHECK(count(0, 1) == 1);
  file.populate(size - 1, ~std::uint64_t{0});  // the last page
  CHECK(count(1280, 1281) == 1);
  file.drop(size - 100, ~std::uint64_t{0});  // a whole page, as far as the file goes
  CHECK(count(1280, 1281) == 0);
  file.populate(size, 1);
  file.populate(10, 0);
  CHECK(count(1280, 1281) == 0);
  CHECK(std::equal(bytes.begin(), bytes.end(), mapped.begin(), mapped.end()));
}

TEST_CASE("mapped file: what cannot be read any more is an error, not a signal") {
  TempDir dir;
  const std::vector<std::byte> bytes = pattern(3 * 4096);
  write_file_atomically(dir / "a", text_of(bytes));
  MappedFile file(dir / "a");
  File(dir / "a", File::Mode::read_write).truncate(4096);
  file.populate(0, 4096);
  try {
    file.populate();
    MESSAGE("this system cannot tell ahead of use that a file became shorter");
  } catch (const InputError& error) {
    CHECK(error.path() == (dir / "a").string());
  }
  const MappedFile moved = std::move(file);
  CHECK(file.bytes().empty());
  CHECK(moved.bytes().size() == bytes.size());
  CHECK(moved.bytes()[17] == bytes[17]);
}

TEST_CASE("checksum: pieces add up to the whole; the value is XXH3's") {
  const std::vector<std::byte> bytes = pattern(10'000);
  CHECK(checksum_text(checksum({})) == "2d06800538d394c2");  // XXH3_64bits of nothing, seed 0, from the xxHash project
  ChecksumStream stream;
  stream.update(std::span(bytes).first(1));
  stream.update(std::span(bytes).subspan(1, 5000));
  stream.update(std::span(bytes).subspan(5001));
  CHECK(stream.value() == checksum(bytes));
}

TEST_CASE("failpoint: a text that is none is refused") {
  for (const char* text : {"write", "write:1", "write:0:kill", "write:x:kill", "write:1:explode", ":::"}) {
    CHECK_THROWS_AS(set_failpoint(text), InputError);
  }
}

TEST_CASE("free disk bytes: also of a place that is not there yet") {
  TempDir dir;
  CHECK(free_disk_bytes(dir.path()) > 0);
  CHECK(free_disk_bytes(dir.path() / "not" / "yet") > 0);
}

}  // namespace
}  // namespace strata::test
