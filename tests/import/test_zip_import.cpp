// Sets of every format inside a zip archive give the stores of the same files in a folder.
#include <doctest/doctest.h>

#include "kernels/base/error.hpp"
#include "storage/import/input_files.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// All files below a folder, by their path in it with `prefix` in front.
std::map<std::string, std::string> files_below(const fs::path& folder, const std::string& prefix) {
  std::map<std::string, std::string> members;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const fs::path name = entry.path().lexically_relative(folder);
    members[prefix + name.generic_string()] = file_contents(entry.path().parent_path()).at(name.filename().string());
  }
  return members;
}

}  // namespace

TEST_CASE("zip: OGB's two layouts, with and without a folder around them, stored and deflated") {
  TempDir dir;
  const SixNodes set;
  write_ogb_csv(dir / "text/arxiv", set);
  write_ogb_npz(dir / "binary/arxiv", set);
  for (const char* layout : {"text", "binary"}) {
    fs::remove_all(dir / "s");
    convert_with(import_options(SourceKind::ogb, dir / layout / "arxiv", dir / "s"));
    for (const char* prefix : {"", "arxiv/"}) {
      for (const bool deflated : {false, true}) {
        CAPTURE(layout);
        CAPTURE(deflated);
        fs::remove_all(dir / "t");
        write_zip(dir / "arxiv.zip", files_below(dir / layout / "arxiv", prefix), deflated);
        const ImportOptions options = import_options(SourceKind::ogb, dir / "arxiv.zip", dir / "t");
        convert_with(options);
        CHECK(verify_conversion(*open_source(options), options, nullptr).find("verified") == 0);
        CHECK(store_bytes(dir / "t") == store_bytes(dir / "s"));
        CHECK(load_store(dir / "t").info.name == "arxiv");
      }
    }
  }
}

TEST_CASE("zip: arrays and an npz within") {
  TempDir dir;
  const std::map<std::string, std::string> arrays = {
      {"edge_index.npy", npy_bytes("<i8", "(2, 2)", std::vector<std::int64_t>{0, 1, 1, 2})},
      {"node_feat.npy", npy_bytes("<f4", "(3, 1)", std::vector<float>{1, 2, 3})}};
  for (const auto& [name, bytes] : arrays) write_text(dir / "x" / name, bytes);
  convert_with(import_options(SourceKind::npy, dir / "x", dir / "s"));
  write_zip(dir / "x.npz", arrays, true);
  for (const bool deflated : {false, true}) {
    for (const bool nested : {false, true}) {
      std::map<std::string, std::string> members = files_below(dir / "x", "x/");
      if (nested) members = {{"x/x.npz", file_contents(dir.path()).at("x.npz")}, {"x/README", "text"}};
      write_zip(dir / "x.zip", members, deflated);
      fs::remove_all(dir / "t");
      convert_with(import_options(SourceKind::npy, dir / "x.zip", dir / "t/"));  // unpacks beside it, not in it
      CHECK(store_bytes(dir / "t") == store_bytes(dir / "s"));
    }
  }
}

TEST_CASE("zip: names, folders and places of files") {
  TempDir dir;
  write_zip(dir / "a set.zip", {{"top/raw/x.csv", "1\n"}, {"top/y", "2"}, {"__MACOSX/z", "3"}});
  const InputFiles files(dir / "a set.zip");
  CHECK(files.name() == "top");
  CHECK(files.list() == std::vector<std::string>{"raw/x.csv", "y"});
  CHECK(files.has("raw/x.csv"));
  CHECK_FALSE(files.has("raw"));
  CHECK(files.has_folder("raw"));
  CHECK_FALSE(files.has_folder("ra"));
  CHECK(files.place("y") == (dir / "a set.zip").string() + "/top/y");
  write_zip(dir / "b.zip", {{"raw/x.csv", "1\n"}});
  CHECK(InputFiles(dir / "b.zip").name() == "b");
  CHECK(InputFiles(dir / "b.zip").has("raw/x.csv"));
  CHECK_THROWS_AS(InputFiles(dir / "none"), InputError);
}

}  // namespace strata::test
