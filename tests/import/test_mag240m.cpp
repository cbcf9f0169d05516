// --from mag240m: float16 features, NaN labels, torch's files and plain arrays for the splits.
#include <doctest/doctest.h>

#include <cmath>

#include "kernels/base/error.hpp"
#include "storage/import/torch_file.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// A length of one byte in front.
std::string short_text(const std::string& text) {
  return std::string("X") + static_cast<char>(text.size()) + std::string(3, '\0') + text;
}

// The pickle (protocol 2) of a numpy array of int64 below 128, as numpy 1 writes it.
std::string pickled_array(const std::vector<int>& values) {
  std::string data;
  for (const int value : values) data += std::string(1, static_cast<char>(value)) + std::string(7, '\0');
  const auto count = static_cast<char>(values.size());
  return "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK" + std::string(1, '\0') +
         "\x85"
         "c_codecs\nencode\n" +
         short_text("b") + short_text("latin1") + "\x86R\x87R(K\x01K" + count +
         "\x85"
         "cnumpy\ndtype\n" +
         short_text("i8") + "\x89\x88\x87R(K\x03" + short_text("<") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" +
         std::string(1, '\0') +
         "tb\x89"
         "c_codecs\nencode\n" +
         short_text(data) + short_text("latin1") + "\x86Rtb";
}

std::string pickled(const std::string& items) { return "\x80\x02}(" + items + "u."; }

void write_torch(const fs::path& path, const std::string& pickle) {
  write_zip(path, {{path.stem().string() + "/data.pkl", pickle}, {path.stem().string() + "/version", "3\n"}});
}

void write_mag(const fs::path& folder) {
  // 1, 2, -0.5, 0, 65504, 3 in float16
  const std::vector<std::uint16_t> halves = {0x3c00, 0x4000, 0xb800, 0x0000, 0x7bff, 0x4200};
  write_text(folder / "processed/paper/node_feat.npy", npy_bytes("<f2", "(3, 2)", halves));
  write_text(folder / "processed/paper/node_label.npy", npy_bytes("<f4", "(3,)", std::vector<float>{2, NAN, 0}));
  write_text(folder / "processed/paper___cites___paper/edge_index.npy",
             npy_bytes("<i8", "(2, 3)", std::vector<std::int64_t>{0, 1, 2, 1, 2, 0}));
  write_torch(folder / "meta.pt", pickled(short_text("paper") + "K\x03" + short_text("author") + "M\x01\x02" +
                                          short_text("num_classes") + "K\x05"));
  write_torch(folder / "split_dict.pt", pickled(short_text("train") + pickled_array({2}) + short_text("valid") +
                                                pickled_array({0}) + short_text("test-whole") + pickled_array({1})));
}

}  // namespace

TEST_CASE("mag240m: papers and citations, float16, hidden test labels, torch's splits or arrays") {
  TempDir dir;
  const fs::path set = dir / "mag240m_kddcup2021";
  write_mag(set);
  const ImportOptions options = import_options(SourceKind::mag240m, dir.path(), dir / "s");
  const ConvertReport report = convert_with(options);
  CHECK(report.unlabelled == 1);
  CHECK(verify_conversion(*open_source(options), options, nullptr).find("verified") == 0);
  const LoadedStore store = load_store(dir / "s");
  CHECK(store.features == std::vector<std::vector<float>>{{1, 2}, {-0.5f, 0}, {65504, 3}});
  CHECK(store.classes == std::vector<int>{2, -1, 0});
  CHECK(store.info.classes == 5);
  CHECK(pairs_of(store.in) == std::vector<std::pair<int, int>>{{0, 1}, {1, 2}, {2, 0}});
  CHECK(store.splits == std::map<std::string, std::vector<NodeId>>{{"train", {2}}, {"valid", {0}}, {"test", {1}}});
  fs::remove(set / "split_dict.pt");
  for (const auto& [name, id] : std::map<std::string, std::int64_t>{{"train", 0}, {"valid", 2}, {"test", 1}}) {
    write_text(set / (name + ".npy"), npy_bytes("<i8", "(1,)", std::vector<std::int64_t>{id}));
  }
  convert_with(import_options(SourceKind::mag240m, set, dir / "t"));
  CHECK(load_store(dir / "t").splits ==
        std::map<std::string, std::vector<NodeId>>{{"train", {0}}, {"valid", {2}}, {"test", {1}}});
}

TEST_CASE("torch files: bytes above 127, and what is not read") {
  TempDir dir;
  const auto message = [&](const std::string& pickle) -> std::string {
    write_torch(dir / "x.pt", pickle);
    try {
      static_cast<void>(read_torch_file(InputFile(dir / "x.pt"), dir.path()));
    } catch (const InputError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  std::string wide = pickled(short_text("a") + pickled_array({1}));
  const std::size_t at = wide.find(short_text("\x01" + std::string(7, '\0')));
  REQUIRE(at != std::string::npos);
  wide.replace(at, 13, short_text("\xc3\xbf" + std::string(7, '\0')));  // U+00FF
  write_torch(dir / "x.pt", wide);
  CHECK(read_torch_file(InputFile(dir / "x.pt"), dir.path()).at("a").values == std::vector<std::int64_t>{255});

  CHECK(message("\x80\x02"
                "cposix\nsystem\n" +
                short_text("ls") + "\x85R.")
            .find("posix.system") != std::string::npos);
  CHECK(message(pickled(short_text("a") + "Q")).find("holds other things than numbers") != std::string::npos);
  CHECK(message(pickled(short_text("a"))).find("no dictionary to fill") != std::string::npos);
  CHECK(message("\x80\x02}").find("the pickle ends here") != std::string::npos);
  CHECK(message("\x80\x02h\x07.").find("was not remembered") != std::string::npos);
  CHECK(message("\x80\x02K\x01.").find("is no dictionary") != std::string::npos);
  CHECK(message("u").find("no mark") != std::string::npos);
  CHECK(message(".").find("nothing to take") != std::string::npos);
  CHECK(message("\x80\x02}q\x01" + short_text("me") + "h\x01s.") == "nothing was thrown");  // holds itself
  CHECK(message(std::string(5000, '(')).find("nested too deep") != std::string::npos);
  CHECK(message("X\xff\xff\xff\x7f").find("2147483647 bytes were expected") != std::string::npos);
  write_zip(dir / "y.pt", {{"y/version", "3"}});
  CHECK_THROWS_AS(static_cast<void>(read_torch_file(InputFile(dir / "y.pt"), dir.path())), InputError);
}

}  // namespace strata::test
