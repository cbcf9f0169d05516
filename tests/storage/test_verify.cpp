// Damage: every flipped byte, every truncation and every missing file of a store must be found and named.
#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "storage/array_file.hpp"
#include "storage/file_header.hpp"
#include "storage/store.hpp"
#include "tests/storage/full_store.hpp"
#include "tests/support/damage.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

// What verify says: "" if it finds nothing, else the path that the error names.
std::string verdict(const fs::path& directory, std::string* block = nullptr) {
  try {
    const Store store(directory);
    store.verify([](const std::string&) {});
  } catch (const DamagedError& error) {
    if (block != nullptr) *block = error.block();
    return error.path();
  }
  return "";
}

// The same for one file: the manifests are read with the store, the others on their own.
std::string verdict_of_file(const Store& store, const std::string& name) {
  try {
    store.verify_file(name);
  } catch (const DamagedError& error) {
    return error.path();
  }
  return "";
}

struct Fixture {
  Fixture() {
    FullStore().write(path);
    FullStore::write_derived(path, "key");
    const Store store(path);
    names = store.files();
  }
  TempDir dir;
  fs::path path = dir / "store";
  std::vector<std::string> names;
};

TEST_CASE("verify: every byte of every header, and every byte of the manifests") {
  const Fixture f;
  const Store store(f.path);
  CHECK(f.names.size() == 18 + 4);
  CHECK(verdict(f.path).empty());
  std::size_t places = 0, missed = 0;
  CounterRng rng(1, Stream::synthetic);
  for (const std::string& name : f.names) {
    const fs::path path = f.path / name;
    const std::uint64_t size = fs::file_size(path);
    // Shards, rows and arrays share one header page; one shard and one array are checked at every byte, the rest at a
    // tenth.
    const bool all =
        name == "in-0.shard" || name == "features.rows" || name == "labels.array" || name.ends_with(".json");
    for (std::uint64_t at = 0; at < std::min<std::uint64_t>(size, kHeaderBytes); at += all ? 1 : 1 + rng.below(20)) {
      const auto mask = static_cast<std::byte>(1u << rng.below(8));
      flip_bits(path, at, mask);
      const std::string found = verdict_of_file(store, name);
      flip_bits(path, at, mask);
      ++places;
      if (found != path.string()) {
        ++missed;
        MESSAGE("byte " << at << " of " << name << ": " << found);
      }
    }
  }
  CHECK(missed == 0);
  CHECK(places > 10'000);
  CHECK(verdict(f.path).empty());
}

TEST_CASE("verify: bytes anywhere, through the whole of verify") {
  const Fixture f;
  CounterRng rng(2, Stream::synthetic);
  std::size_t places = 0;
  for (const std::string& name : f.names) {
    const fs::path path = f.path / name;
    const std::uint64_t size = fs::file_size(path);
    for (int i = 0; i < 60; ++i) {
      const std::uint64_t at = i == 0 ? size - 1 : rng.below(static_cast<std::uint32_t>(size));
      const auto mask = static_cast<std::byte>(1u + rng.below(255));
      CAPTURE(name);
      CAPTURE(at);
      flip_bits(path, at, mask);
      std::string block;
      CHECK(verdict(f.path, &block) == path.string());
      CHECK(!block.empty());
      flip_bits(path, at, mask);
      ++places;
    }
  }
  CHECK(places >= 1'000);
  CHECK(verdict(f.path).empty());
}

TEST_CASE("verify: truncated, extended and missing files") {
  const Fixture f;
  for (const std::string& name : f.names) {
    const fs::path path = f.path / name;
    const std::string content = read_file(path);
    std::set<std::uint64_t> sizes{
        0, 1, content.size() / 2, content.size() - 1, content.size() + 1, content.size() + 4096};
    for (std::uint64_t page = 0; page < content.size(); page += 4096) sizes.insert({page, page + 1, page + 4095});
    for (const std::uint64_t size : sizes) {
      if (size == content.size()) continue;
      CAPTURE(name);
      CAPTURE(size);
      fs::resize_file(path, size);
      CHECK(verdict(f.path) == path.string());
      write_file_atomically(path, content);
    }
    if (name == "manifest.json") continue;
    fs::remove(path);
    CHECK(verdict(f.path) == path.string());
    write_file_atomically(path, content);
  }
  CHECK(verdict(f.path).empty());
}

TEST_CASE("verify: files that are whole but not the ones the manifest means") {
  const Fixture f;
  const std::string first = read_file(f.path / "in-0.shard"), second = read_file(f.path / "out-0.shard");
  write_file_atomically(f.path / "in-0.shard", second);
  CHECK(verdict(f.path) == (f.path / "in-0.shard").string());
  write_file_atomically(f.path / "in-0.shard", first);
  const std::string labelled = read_file(f.path / "labelled.array");
  const std::vector<std::uint8_t> other(FullStore::kNodes, 1);
  write_array<std::uint8_t>(f.path / "labelled.array", other);
  CHECK(verdict(f.path) == (f.path / "labelled.array").string());
  MemoryBudget budget(std::uint64_t{1} << 20);
  CHECK_THROWS_AS(static_cast<void>(Store(f.path).labels(budget)), DamagedError);
  write_file_atomically(f.path / "labelled.array", labelled);
  CHECK(verdict(f.path).empty());
}

TEST_CASE("verify: a newer format is bad input, not damage") {
  const Fixture f;
  const fs::path path = f.path / "labelled.array";
  const std::string content = read_file(path);
  FileHeader header = FileHeader::read(File(path, File::Mode::read), kArrayMagic, 1);
  header.put<std::uint32_t>(8, 2);
  header.seal();
  std::string newer = content;
  std::copy_n(reinterpret_cast<const char*>(header.bytes().data()), kHeaderBytes, newer.begin());
  write_file_atomically(path, newer);
  CHECK_THROWS_AS(static_cast<void>(read_array_info(path)), InputError);
}

}  // namespace
}  // namespace strata::test
