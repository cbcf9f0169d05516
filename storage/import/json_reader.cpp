#include "storage/import/json_reader.hpp"

#include <charconv>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
constexpr std::size_t kLongestString = std::size_t{1} << 20;
constexpr std::size_t kLongestToken = 64;
constexpr std::size_t kDeepest = 64;

bool is_token(int c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
}

void append_utf8(std::string& text, std::uint32_t code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static constexpr int kLead[] = {0, 0xc0, 0xe0, 0xf0};
  text += static_cast<char>(kLead[more] | static_cast<int>(code >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
}

}  // namespace

JsonReader::JsonReader(const InputFile& file) : source_(file.open_text()), buffer_(kBufferBytes) {}

void JsonReader::fail(const std::string& what) const {
  throw InputError(path(), "byte " + std::to_string(position()), what);
}

int JsonReader::byte() {
  if (at_ == end_) {
    at_ = 0;
    end_ = source_->read(buffer_);
    fetched_ += end_;
    if (end_ == 0) return -1;
  }
  return std::to_integer<int>(buffer_[at_]);
}

int JsonReader::peek_byte() {
  for (;;) {
    const int c = byte();
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
    advance();
  }
}

void JsonReader::expect(char c, const char* what) {
  const int found = peek_byte();
  if (found == c) return advance();
  if (found < 0) fail(std::string("the JSON text ends here, expected ") + what);
  fail(std::string("expected ") + what + ", found '" + static_cast<char>(found) + "'");
}

JsonReader::Kind JsonReader::peek() {
  const int c = peek_byte();
  switch (c) {
    case '{': return Kind::object;
    case '[': return Kind::array;
    case '"': return Kind::string;
    case 't':
    case 'f': return Kind::boolean;
    case 'n': return Kind::null;
    default: break;
  }
  if (c == '-' || (c >= '0' && c <= '9') || c == 'N' || c == 'I') return Kind::number;
  if (c < 0) fail("the JSON text ends here, expected a value");
  fail(std::string("expected a value, found '") + static_cast<char>(c) + "'");
}

void JsonReader::open(char bracket, const char* what) {
  expect(bracket, what);
  if (fresh_.size() == kDeepest) fail("JSON nested deeper than " + std::to_string(kDeepest) + " levels");
  fresh_.push_back(true);
}

void JsonReader::begin_object() { open('{', "an object"); }
void JsonReader::begin_array() { open('[', "an array"); }

bool JsonReader::next_item(char closing) {
  STRATA_ASSERT(!fresh_.empty());
  const int c = peek_byte();
  if (c == closing) {
    advance();
    fresh_.pop_back();
    return false;
  }
  if (!fresh_.back()) expect(',', closing == ']' ? "',' or ']'" : "',' or '}'");
  fresh_.back() = false;
  return true;
}

bool JsonReader::next_element() { return next_item(']'); }

bool JsonReader::next_key(std::string& key) {
  if (!next_item('}')) return false;
  key = take_string();
  expect(':', "':'");
  return true;
}

std::string JsonReader::take_string() {
  expect('"', "a string");
  std::string text;
  for (;;) {
    const int c = byte();
    if (c < 0) fail("the JSON text ends within a string");
    if (c < 0x20) fail("a control character in a string");
    advance();
    if (c == '"') return text;
    if (c == '\\') {
      take_escape(text);
    } else {
      text += static_cast<char>(c);
    }
    if (text.size() > kLongestString) fail("a string longer than " + std::to_string(kLongestString) + " bytes");
  }
}

std::uint32_t JsonReader::take_hex() {
  std::uint32_t code = 0;
  for (int i = 0; i < 4; ++i) {
    const int c = byte();
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) fail("expected four hexadecimal digits behind \\u");
    code = code * 16 + static_cast<std::uint32_t>(digit);
    advance();
  }
  return code;
}

void JsonReader::take_escape(std::string& text) {
  const int c = byte();
  if (c < 0) fail("the JSON text ends within a string");
  advance();
  static constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
  const std::size_t at = kNames.find(static_cast<char>(c));
  if (at != std::string_view::npos) {
    text += kValues[at];
    return;
  }
  if (c != 'u') fail(std::string("an unknown escape '\\") + static_cast<char>(c) + "'");
  std::uint32_t code = take_hex();
  if (code >= 0xd800 && code < 0xdc00) {  // the first half of a surrogate pair
    const bool second = byte() == '\\' && (advance(), byte() == 'u') && (advance(), true);
    const std::uint32_t low = second ? take_hex() : 0;
    if (low < 0xdc00 || low >= 0xe000) fail("half of a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xdc00 && code < 0xe000) {
    fail("half of a surrogate pair");
  }
  append_utf8(text, code);
}

std::string JsonReader::take_token() {
  static_cast<void>(peek_byte());
  std::string token;
  for (int c = byte(); is_token(c); c = byte()) {
    token += static_cast<char>(c);
    advance();
    if (token.size() > kLongestToken) fail("a number of more than " + std::to_string(kLongestToken) + " characters");
  }
  return token;
}

double JsonReader::take_number() {
  if (peek() != Kind::number) fail("expected a number");
  const std::string token = take_token();
  double value = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  const bool words = token == "NaN" || token == "Infinity" || token == "-Infinity";  // as Python writes them
  if (words || (error == std::errc() && end == token.data() + token.size())) return value;
  fail("'" + token + "' is not a number");
}

std::int64_t JsonReader::take_integer() {
  if (peek() != Kind::number) fail("expected an integer");
  const std::string token = take_token();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error != std::errc() || end != token.data() + token.size()) fail("'" + token + "' is not an integer");
  return value;
}

void JsonReader::take_word(const char* word) {
  const std::string token = take_token();
  if (token != word) fail("'" + token + "' is not JSON");
}

bool JsonReader::take_boolean() {
  if (peek() != Kind::boolean) fail("expected true or false");
  const bool value = peek_byte() == 't';
  take_word(value ? "true" : "false");
  return value;
}

void JsonReader::skip_value() {
  std::string key;
  const std::size_t depth = fresh_.size();
  std::vector<Kind> brackets;  // those opened here
  do {
    switch (peek()) {
      case Kind::object:
        begin_object();
        brackets.push_back(Kind::object);
        break;
      case Kind::array:
        begin_array();
        brackets.push_back(Kind::array);
        break;
      case Kind::string: key = take_string(); break;
      case Kind::number: static_cast<void>(take_number()); break;
      case Kind::boolean: static_cast<void>(take_boolean()); break;
      case Kind::null: take_word("null"); break;
    }
    while (!brackets.empty() && !(brackets.back() == Kind::object ? next_key(key) : next_element())) {
      brackets.pop_back();
    }
  } while (fresh_.size() > depth);
}

void JsonReader::end() {
  if (peek_byte() >= 0) fail("unknown text behind the end of the JSON value");
}

}  // namespace strata
