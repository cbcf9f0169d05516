// The parts that the readers of text are made of: JSON, quoted csv, ids, zstd.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/base/error.hpp"
#include "storage/import/csv_records.hpp"
#include "storage/import/id_table.hpp"
#include "storage/import/json_reader.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

InputFile text_file(const TempDir& dir, const std::string& text) {
  write_text(dir / "x", text);
  return InputFile(dir / "x");
}

std::string all_of(const TempDir& dir, std::size_t piece) {
  const std::unique_ptr<ByteSource> source = InputFile(dir / "x").open_text();
  std::string text;
  std::vector<std::byte> bytes(piece);
  for (std::size_t got = piece; got == piece;) {
    got = source->read(bytes);
    text.append(reinterpret_cast<const char*>(bytes.data()), got);
  }
  return text;
}

}  // namespace

TEST_CASE("json: values, escapes, nesting and what is skipped") {
  TempDir dir;
  JsonReader json(text_file(dir,
                            " {\"skip\": {\"a\":[1,{\"b\":null},[]], \"c\":\"]}\"}, \"n\": [-1, 2.5e1 "
                            ",NaN],\n\"s\":\"\\u00e4\\n\\ud83d\\ude00\\\"\",\"t\":true,\"e\":{}}  "));
  std::string key;
  json.begin_object();
  REQUIRE(json.next_key(key));
  CHECK(key == "skip");
  json.skip_value();
  REQUIRE(json.next_key(key));
  json.begin_array();
  REQUIRE(json.next_element());
  CHECK(json.take_integer() == -1);
  REQUIRE(json.next_element());
  CHECK(json.take_number() == 25.0);
  REQUIRE(json.next_element());
  CHECK(std::isnan(json.take_number()));
  CHECK_FALSE(json.next_element());
  REQUIRE(json.next_key(key));
  CHECK(json.take_string() == "\xc3\xa4\n\xf0\x9f\x98\x80\"");
  REQUIRE(json.next_key(key));
  CHECK(json.take_boolean());
  REQUIRE(json.next_key(key));
  CHECK(json.peek() == JsonReader::Kind::object);
  json.skip_value();
  CHECK_FALSE(json.next_key(key));
  json.end();
}

TEST_CASE("json: damage is named with its byte") {
  struct Case {
    std::string text, says;
  };
  const Case cases[] = {
      {"", "byte 0: the JSON text ends here, expected a value"},
      {"[1,]", "byte 3: expected a value, found ']'"},
      {"[1 2]", "byte 3: expected ',' or ']', found '2'"},
      {"{\"a\" 1}", "expected ':', found '1'"},
      {"{a:1}", "expected a string, found 'a'"},
      {"[1", "the JSON text ends here, expected ',' or ']'"},
      {"[\"abc", "the JSON text ends within a string"},
      {"[\"\\q\"]", "an unknown escape '\\q'"},
      {"[\"\\ud800x\"]", "half of a surrogate pair"},
      {"[\"\\u12g4\"]", "four hexadecimal digits"},
      {"[nul]", "'nul' is not JSON"},
      {"[1e]", "'1e' is not a number"},
      {"[tru]", "'tru' is not JSON"},
      {"[1] x", "unknown text behind the end"},
      {"[" + std::string(100, '9') + "]", "a number of more than 64 characters"},
      {std::string(100, '['), "nested deeper than 64 levels"},
      {"[\"" + std::string((1 << 20) + 10, 'a'), "a string longer than 1048576 bytes"},
      {std::string("[\"a\nb\"]"), "a control character in a string"},
  };
  TempDir dir;
  for (const Case& c : cases) {
    CAPTURE(c.text.substr(0, 40));
    const std::string message = error_of([&] {
      JsonReader json(text_file(dir, c.text));
      json.skip_value();
      json.end();
    });
    CAPTURE(message);
    CHECK(contains(message, c.says));
    CHECK(contains(message, "byte "));
  }
}

TEST_CASE("csv: quotes hold commas, quotes and line ends; records have the header's columns") {
  TempDir dir;
  CsvRecords records(text_file(dir, "\xef\xbb\xbfid,name\r\n1,\"a,b\"\r\n\r\n2,\"say \"\"x\"\"\nnext\"\r\n3,\n4,a\"b"));
  CHECK(records.header() == std::vector<std::string>{"id", "name"});
  CHECK(records.column("name") == 1);
  CHECK(records.column("nobody") == -1);
  std::vector<std::string> names;
  std::vector<std::uint64_t> lines;
  while (records.next()) {
    names.push_back(records.fields()[1]);
    lines.push_back(records.line());
  }
  CHECK(names == std::vector<std::string>{"a,b", "say \"x\"\nnext", "", "a\"b"});
  CHECK(lines == std::vector<std::uint64_t>{2, 4, 6, 7});
  const auto message = [&](const std::string& text) {
    return error_of([&] {
      CsvRecords table(text_file(dir, text));
      while (table.next()) {
      }
    });
  };
  CHECK(contains(message(""), "is empty"));
  CHECK(contains(message("a,b\n1\n"), "line 2: found 1 columns, expected the 2 of the header"));
  CHECK(contains(message("a,b\n1,\"x\n\n"), "line 2: a quoted field that is never closed"));
  CHECK(contains(message("a,b\n1,\"x\"y\n"), "line 2: column 2: text behind a closing quote"));
  std::string endless = "a,b\n1,\"";
  for (int i = 0; i < 3000; ++i) endless += std::string(999, 'x') + "\n";
  CHECK(contains(message(endless), "is its closing quote missing?"));
}

TEST_CASE("ids: low and high ones, repeats, in every budget") {
  for (const std::uint64_t memory : {std::uint64_t{1} << 20, std::uint64_t{1} << 26}) {
    MemoryBudget budget(memory);
    IdCollector collector(budget);
    std::vector<std::uint64_t> expected;
    std::uint64_t state = 7;
    for (int i = 0; i < 20000; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const std::uint64_t id = i % 3 == 0 ? state >> 20 : (state >> 40) % (i % 3 == 1 ? 64 : 3'000'000);
      collector.add(id);
      collector.add(id);
      expected.push_back(id);
    }
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    const IdTable table = collector.finish();
    REQUIRE(table.size() == expected.size());
    CHECK_FALSE(table.is_identity());
    const Array<std::uint64_t> ids = table.ids(budget);
    CHECK(std::equal(ids.begin(), ids.end(), expected.begin()));
    for (std::size_t n = 0; n < expected.size(); ++n) CHECK(table.find(expected[n]) == static_cast<NodeId>(n));
    CHECK_FALSE(table.find(UINT64_MAX).has_value());
    std::uint64_t absent = 0;
    while (std::binary_search(expected.begin(), expected.end(), absent)) ++absent;
    CHECK_FALSE(table.find(absent).has_value());
  }
  MemoryBudget budget(std::uint64_t{1} << 20);
  IdCollector none(budget);
  CHECK(none.finish().size() == 0);
  for (const std::uint64_t count : {1, 63, 64, 65, 1000}) {
    IdCollector dense(budget);
    for (std::uint64_t id = 0; id < count; ++id) dense.add(id);
    const IdTable table = dense.finish();
    CHECK(table.is_identity());
    CHECK(table.size() == count);
    CHECK(table.find(count - 1) == static_cast<NodeId>(count - 1));
    CHECK_FALSE(table.find(count).has_value());
    CHECK(table.ids(budget)[count - 1] == count - 1);
  }
  IdCollector many(budget);
  CHECK_THROWS_AS(
      [&] {
        for (std::uint64_t id = 0; id < 400000; ++id) many.add(id << 30 | 1u << 29);
        static_cast<void>(many.finish());
      }(),
      ResourceError);
}

TEST_CASE("zstd: frames in sequence, any size of reading, truncated and damaged data") {
  TempDir dir;
  std::string text;
  for (int i = 0; i < 40000; ++i) text += std::to_string(i * 7919) + "\n";
  const std::string packed = zstd_bytes(text);
  for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{1000}, std::size_t{7}}) {
    write_text(dir / "x", packed + zstd_bytes("") + zstd_bytes("end"));
    CHECK(all_of(dir, piece) == text + "end");
  }
  write_text(dir / "x", zstd_bytes(""));
  CHECK(all_of(dir, 16).empty());
  for (const std::size_t cut : {std::size_t{6}, packed.size() / 2, packed.size() - 1}) {
    write_text(dir / "x", packed.substr(0, cut));
    CHECK(contains(error_of([&] { all_of(dir, 4096); }), "the compressed data end too early: the file is truncated"));
  }
  std::string damaged = packed;
  damaged[packed.size() / 2] = static_cast<char>(damaged[packed.size() / 2] ^ 0x55);
  write_text(dir / "x", damaged);
  CHECK(contains(error_of([&] { all_of(dir, 4096); }), "damaged zstd data"));
  write_text(dir / "x", packed + "garbage behind it");
  CHECK(contains(error_of([&] { all_of(dir, 4096); }), "damaged zstd data"));
}

}  // namespace strata::test
