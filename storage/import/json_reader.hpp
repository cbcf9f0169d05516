// JSON taken front to back, piece by piece: class maps and graphs of gigabytes pass through a small buffer, and errors
// name the byte. (A library's document would hold all of it, its events would have no bound on a string's length.)
//
//   json.begin_object();
//   while (json.next_key(key)) {
//     if (key == "nodes") read_nodes(json); else json.skip_value();
//   }
//   json.end();
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/import/input_files.hpp"

namespace strata {

class JsonReader {
 public:
  enum class Kind { object, array, string, number, boolean, null };
  explicit JsonReader(const InputFile& file);

  [[nodiscard]] Kind peek();  // of the value that comes next
  void begin_object();
  // The next member's name, false behind the last one. Its value must be taken before the next call.
  [[nodiscard]] bool next_key(std::string& key);
  void begin_array();
  [[nodiscard]] bool next_element();  // false behind the last one
  [[nodiscard]] std::string take_string();
  [[nodiscard]] double take_number();
  [[nodiscard]] std::int64_t take_integer();  // InputError for 1.5 and what does not fit
  [[nodiscard]] bool take_boolean();
  void skip_value();
  void end();  // InputError when anything but blanks follows

  [[noreturn]] void fail(const std::string& what) const;
  [[nodiscard]] const std::string& path() const { return source_->path(); }
  [[nodiscard]] std::uint64_t position() const { return fetched_ - (end_ - at_); }  // of the next byte

 private:
  [[nodiscard]] int peek_byte();  // behind blanks; -1 at the end
  [[nodiscard]] int byte();       // the very next; -1 at the end
  void advance() { ++at_; }
  void expect(char c, const char* what);
  void open(char bracket, const char* what);
  [[nodiscard]] bool next_item(char closing);
  [[nodiscard]] std::string take_token();  // a number or word
  void take_word(const char* word);
  void take_escape(std::string& text);
  [[nodiscard]] std::uint32_t take_hex();

  std::unique_ptr<ByteSource> source_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0, end_ = 0;
  std::uint64_t fetched_ = 0;
  std::vector<bool> fresh_;  // one an open bracket: nothing of it was taken yet
};

}  // namespace strata
