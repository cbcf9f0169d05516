// NumPy's .npy arrays: header, converting reads in pieces, and a writer. Format versions 1 to 3; little-endian only.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "storage/byte_source.hpp"
#include "storage/file.hpp"

namespace strata {

struct NpyType {
  char kind = 'f';  // 'f' float, 'i' signed, 'u' unsigned, 'b' bool; others ('S', 'U', 'O', ...) can only be read raw
  std::size_t bytes = 4;  // of one element
  [[nodiscard]] bool operator==(const NpyType&) const = default;
  [[nodiscard]] bool is_integer() const { return kind == 'i' || kind == 'u' || kind == 'b'; }
  [[nodiscard]] bool is_float() const { return kind == 'f'; }
  [[nodiscard]] std::string text() const;  // "<f4", "|b1"
};

// The type numpy gives arrays of T: float, double, (u)int8 to (u)int64, bool.
template <class T>
constexpr NpyType npy_type() {
  if constexpr (std::is_same_v<T, bool>) return {'b', 1};
  if constexpr (std::is_floating_point_v<T>) return {'f', sizeof(T)};
  return {std::is_signed_v<T> ? 'i' : 'u', sizeof(T)};
}

struct NpyHeader {
  NpyType type;
  bool fortran_order = false;        // true: the first index runs fastest (only for two or more dimensions)
  std::vector<std::uint64_t> shape;  // empty: a single value
  std::uint64_t data_offset = 0;     // of the first element, in bytes from the start of the .npy data

  [[nodiscard]] std::uint64_t elements() const;  // product of the shape; never overflows in a parsed header
  [[nodiscard]] std::uint64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  [[nodiscard]] std::uint64_t row_elements() const;  // product of shape[1..]
  [[nodiscard]] std::string shape_text() const;      // "(3, 4)", "(7,)", "()"
};

// The header in the first bytes of a .npy file; `path` and `part` are for messages. InputError when it is none, is cut
// short, is big-endian, has fields (a structured type), or describes more than 2^63 bytes.
[[nodiscard]] NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& path,
                                         const std::string& part = {});
// The same, reading exactly the header from `source`.
[[nodiscard]] NpyHeader read_npy_header(ByteSource& source);

// Reads an array front to back, in the order it is stored. Move-only.
// Construction compares the header with source.size() where that is known, so shapes can be believed before anything is
// allocated. With the last element the source must end (which also completes the CRC check of a zip member).
class NpyReader {
 public:
  explicit NpyReader(std::unique_ptr<ByteSource> source);
  explicit NpyReader(const std::filesystem::path& path) : NpyReader(open_file_source(path)) {}

  [[nodiscard]] const NpyHeader& header() const { return header_; }
  [[nodiscard]] std::uint64_t remaining() const { return remaining_; }  // elements not read yet
  [[nodiscard]] const std::string& path() const { return source_->path(); }

  // Fill all of `to` with the next elements; asking for more than remaining() is an InputError, and so is an element
  // type that is not numeric. Integers: from any integer type, from bool, and from floats that are whole numbers in
  // range; NaN becomes `if_nan` when given, else it is an InputError with the index. Floats: from any numeric type,
  // rounded.
  void read_as_int64(std::span<std::int64_t> to, std::optional<std::int64_t> if_nan = std::nullopt);
  void read_as_float(std::span<float> to);
  void read_as_double(std::span<double> to);
  void read_raw(std::span<std::byte> to);  // whole elements as stored
  void skip(std::uint64_t elements);
  // An InputError about the element before the next one (the last read).
  [[noreturn]] void fail(const std::string& what) const;

 private:
  template <class To, class Convert>
  void read_converted(std::span<To> to, Convert&& convert);
  void require(std::uint64_t elements) const;                  // InputError unless they remain
  void take(std::span<std::byte> to, std::uint64_t elements);  // the next elements, raw
  void check_end();
  [[nodiscard]] std::uint64_t position() const;  // of the next element, in bytes
  std::unique_ptr<ByteSource> source_;
  NpyHeader header_;
  std::uint64_t remaining_ = 0;
  std::vector<std::byte> piece_;  // raw elements being converted
};

// What a .npy file of such an array in C order starts with: magic, version 1.0 and header.
[[nodiscard]] std::string npy_prefix(NpyType type, std::vector<std::uint64_t> shape);

// Writes one array in C order; the file appears under its name with commit(). The shape is known beforehand, and
// commit() asserts that exactly that many elements were appended.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, NpyType type, std::vector<std::uint64_t> shape);
  template <class T>
  void append(std::span<const T> values) {
    append_raw(std::as_bytes(values), npy_type<T>());
  }
  void append_raw(std::span<const std::byte> bytes, NpyType type);  // `type` must be the array's
  void commit();

 private:
  AtomicFile file_;
  NpyType type_;
  std::uint64_t remaining_ = 0;  // bytes
};

}  // namespace strata
