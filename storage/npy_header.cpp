// The header of a .npy file: a magic, a version, a length, and a Python dictionary as text.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>

#include "kernels/base/error.hpp"
#include "storage/little_endian.hpp"
#include "storage/npy.hpp"

namespace strata {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kFixedBytes = 8;                         // magic, major and minor version
constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;  // numpy itself writes some hundred
constexpr std::size_t kMaxDimensions = 32;                     // numpy's own limit

// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and nothing else of Python.
class DictionaryParser {
 public:
  DictionaryParser(std::string_view text, std::size_t offset, const std::string& path, const std::string& part)
      : text_(text), offset_(offset), path_(path), part_(part) {}

  void parse(NpyHeader& header) {
    expect('{');
    unsigned seen = 0;
    while (!accept('}')) {
      const std::string_view key = string_literal();
      expect(':');
      unsigned bit = 0;
      if (key == "descr") {
        bit = 1;
        header.type = type();
      } else if (key == "fortran_order") {
        bit = 2;
        header.fortran_order = boolean();
      } else if (key == "shape") {
        bit = 4;
        header.shape = shape();
      } else {
        fail("unknown key '" + std::string(key) + "'");
      }
      if ((seen & bit) != 0) fail("the key '" + std::string(key) + "' comes twice");
      seen |= bit;
      if (!accept(',') && !peek('}')) fail("expected ',' or '}'");
    }
    if (seen != 7) fail("descr, fortran_order or shape is missing");
    skip_space();
    if (position_ != text_.size()) fail("text behind the header's dictionary");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(path_, (part_.empty() ? "" : part_ + ", ") + "byte " + std::to_string(offset_ + position_),
                     "not a .npy header: " + what);
  }

 private:
  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) ++position_;
  }
  bool peek(char wanted) {
    skip_space();
    return position_ < text_.size() && text_[position_] == wanted;
  }
  bool accept(char wanted) {
    if (!peek(wanted)) return false;
    ++position_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("expected '") + wanted + "'");
  }

  std::string_view string_literal() {
    const char quote = peek('"') ? '"' : '\'';
    expect(quote);
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) fail("a string without its end");
    const std::string_view value = text_.substr(position_, end - position_);
    position_ = end + 1;
    return value;
  }

  bool boolean() {
    skip_space();
    for (const std::string_view word : {std::string_view("True"), std::string_view("False")}) {
      if (!text_.substr(position_).starts_with(word)) continue;
      position_ += word.size();
      return word == "True";
    }
    fail("expected True or False");
  }

  std::uint64_t integer() {
    skip_space();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + position_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("expected a length");
    position_ = static_cast<std::size_t>(end - text_.data());
    if (position_ < text_.size() && text_[position_] == 'L') ++position_;  // Python 2 wrote 3L
    return value;
  }

  std::vector<std::uint64_t> shape() {
    expect('(');
    std::vector<std::uint64_t> lengths;
    while (!accept(')')) {
      if (lengths.size() == kMaxDimensions) fail("too many dimensions");
      lengths.push_back(integer());
      if (!accept(',') && !peek(')')) fail("expected ',' or ')'");
    }
    return lengths;
  }

  NpyType type() {
    if (peek('[')) fail("an array with named fields; save its columns as plain arrays");
    const std::string_view descr = string_literal();
    const auto bad = [&] { fail("unknown type '" + std::string(descr) + "'"); };
    if (descr.size() < 2) bad();
    if (descr[0] == '>') {
      fail("big-endian values '" + std::string(descr) + "'; save the array as little-endian (a.astype('" + "<" +
           std::string(descr.substr(1)) + "'))");
    }
    NpyType type{descr[1], 0};
    if (descr == "|O") return {'O', 8};  // pickled objects: no such bytes in the file
    if (std::string_view("<|=").find(descr[0]) == std::string_view::npos) bad();
    if (std::string_view("fiubcSUVmM").find(type.kind) == std::string_view::npos) bad();
    const char* const first = descr.data() + 2;
    const char* const last = descr.data() + descr.size();
    const auto [end, error] = std::from_chars(first, last, type.bytes);
    const bool dated = (type.kind == 'm' || type.kind == 'M') && end != last && *end == '[';  // "<M8[ns]"
    if (error != std::errc() || (end != last && !dated) || type.bytes > (1u << 30)) bad();
    if (type.kind == 'U') type.bytes *= 4;
    return type;
  }

  std::string_view text_;
  std::size_t offset_;
  std::string path_, part_;
  std::size_t position_ = 0;
};

// Bytes before the dictionary, given the eight fixed ones.
std::size_t prefix_bytes(std::byte major) { return major == std::byte{1} ? kFixedBytes + 2 : kFixedBytes + 4; }

bool is_magic(std::span<const std::byte> bytes) {
  const auto major = std::to_integer<unsigned>(bytes[6]);
  return std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0 && major >= 1 && major <= 3;
}

std::size_t dictionary_bytes(std::span<const std::byte> prefix) {
  return prefix[6] == std::byte{1} ? load_le<std::uint16_t>(prefix.data() + kFixedBytes)
                                   : load_le<std::uint32_t>(prefix.data() + kFixedBytes);
}

}  // namespace

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& path, const std::string& part) {
  const auto fail = [&](std::size_t at, const std::string& what) {
    throw InputError(path, (part.empty() ? "" : part + ", ") + "byte " + std::to_string(at), what);
  };
  if (bytes.size() < kFixedBytes || !is_magic(bytes)) fail(0, "not a .npy array of version 1 to 3");
  const std::size_t prefix = prefix_bytes(bytes[6]);
  if (bytes.size() < prefix) fail(bytes.size(), "the .npy header is cut short");
  const std::size_t length = dictionary_bytes(bytes);
  if (length > kMaxHeaderBytes) fail(kFixedBytes, "a .npy header of " + std::to_string(length) + " bytes");
  if (bytes.size() - prefix < length) fail(bytes.size(), "the .npy header is cut short");

  NpyHeader header;
  header.data_offset = prefix + length;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + prefix, length);
  DictionaryParser parser(text, prefix, path, part);
  parser.parse(header);
  // Every partial product of non-zero lengths must fit too: rows() and row_elements() are used on their own.
  std::uint64_t size = std::max<std::size_t>(header.type.bytes, 1);
  for (const std::uint64_t dimension : header.shape) {
    if (dimension > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / size) {
      parser.fail("shape " + header.shape_text() + " is more than any file can hold");
    }
    size *= std::max<std::uint64_t>(dimension, 1);
  }
  return header;
}

NpyHeader read_npy_header(ByteSource& source) {
  std::vector<std::byte> bytes(kFixedBytes);
  source.read_exactly(bytes, 0);
  if (!is_magic(bytes)) source.fail(0, "not a .npy array of version 1 to 3");
  const std::size_t prefix = prefix_bytes(bytes[6]);
  bytes.resize(prefix);
  source.read_exactly(std::span(bytes).subspan(kFixedBytes), kFixedBytes);
  const std::size_t length = dictionary_bytes(bytes);
  if (length <= kMaxHeaderBytes) {
    bytes.resize(prefix + length);
    source.read_exactly(std::span(bytes).subspan(prefix), prefix);
  }
  return parse_npy_header(bytes, source.path(), source.part());
}

std::uint64_t NpyHeader::elements() const { return shape.empty() ? 1 : shape[0] * row_elements(); }

std::uint64_t NpyHeader::row_elements() const {
  std::uint64_t product = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) product *= shape[i];
  return product;
}

std::string NpyHeader::shape_text() const {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string NpyType::text() const {
  return (bytes == 1 ? "|" : "<") + std::string(1, kind) + std::to_string(kind == 'U' ? bytes / 4 : bytes);
}

}  // namespace strata
