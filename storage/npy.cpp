#include "storage/npy.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstring>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/little_endian.hpp"

namespace strata {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 16;

struct Half {
  std::uint16_t bits;
};

// Calls visit(T{}) with the C++ type of a numeric element; false when there is none.
template <class Visit>
bool with_element_type(const NpyType& type, Visit&& visit) {
  const auto any_of = [&](auto... candidates) {
    return ((type == npy_type<decltype(candidates)>() && (visit(candidates), true)) || ...);
  };
  if (type == NpyType{'f', 2}) {
    visit(Half{});
    return true;
  }
  if (type == NpyType{'b', 1}) {
    visit(std::uint8_t{});
    return true;
  }
  return any_of(float{}, double{}, std::int8_t{}, std::int16_t{}, std::int32_t{}, std::int64_t{}, std::uint8_t{},
                std::uint16_t{}, std::uint32_t{}, std::uint64_t{});
}

template <class T>
auto value_of(T element) {
  if constexpr (std::same_as<T, Half>) {
    return half_to_float(element.bits);
  } else {
    return element;
  }
}

enum class Whole { yes, not_a_number, no };

// An element as int64, if it is one.
template <class T>
Whole to_int64(T value, std::int64_t& result) {
  if constexpr (std::floating_point<T>) {
    if (std::isnan(value)) return Whole::not_a_number;
    if (!(value >= T{-0x1p63} && value < T{0x1p63}) || std::trunc(value) != value) return Whole::no;
  } else if constexpr (std::same_as<T, std::uint64_t>) {
    if (value > static_cast<std::uint64_t>(INT64_MAX)) return Whole::no;
  }
  result = static_cast<std::int64_t>(value);  // NOLINT(bugprone-signed-char-misuse): a number, not a character
  return Whole::yes;
}

}  // namespace

NpyReader::NpyReader(std::unique_ptr<ByteSource> source)
    : source_(std::move(source)), header_(read_npy_header(*source_)), remaining_(header_.elements()) {
  if (header_.type.kind == 'O') source_->fail(0, "an array of Python objects (a pickle); save plain numbers");
  const std::uint64_t expected = header_.data_offset + header_.elements() * header_.type.bytes;
  if (source_->size() && *source_->size() != expected) {
    source_->fail(header_.data_offset, "shape " + header_.shape_text() + " of " + header_.type.text() + " makes " +
                                           std::to_string(expected) + " bytes with the header, found " +
                                           std::to_string(*source_->size()));
  }
  if (remaining_ == 0) check_end();
}

void NpyReader::check_end() {
  std::byte extra{};
  if (source_->read({&extra, 1}) != 0) source_->fail(position(), "more data than shape " + header_.shape_text());
}

std::uint64_t NpyReader::position() const {
  return header_.data_offset + (header_.elements() - remaining_) * header_.type.bytes;
}

void NpyReader::fail(const std::string& what) const {
  const std::uint64_t index = header_.elements() - remaining_;
  source_->fail(position() - std::min<std::uint64_t>(index, 1) * header_.type.bytes,
                "element " + std::to_string(index == 0 ? 0 : index - 1) + ": " + what);
}

void NpyReader::take(std::span<std::byte> to, std::uint64_t elements) {
  source_->read_exactly(to, position());
  remaining_ -= elements;
  if (remaining_ == 0) check_end();
}

void NpyReader::require(std::uint64_t elements) const {
  if (elements > remaining_) {
    source_->fail(position(), "the array ends: " + std::to_string(elements) + " more elements wanted, " +
                                  std::to_string(remaining_) + " left of shape " + header_.shape_text());
  }
}

// convert(element, result) returns an empty pointer or what is wrong with the element.
template <class To, class Convert>
void NpyReader::read_converted(std::span<To> to, Convert&& convert) {
  require(to.size());
  const bool numeric = with_element_type(header_.type, [&]<class T>(T) {
    if (piece_.empty()) piece_.resize(kPieceBytes);
    for (std::size_t done = 0; done < to.size();) {
      const std::size_t count = std::min(to.size() - done, kPieceBytes / sizeof(T));
      const std::uint64_t first = header_.elements() - remaining_;
      take({piece_.data(), count * sizeof(T)}, count);
      for (std::size_t i = 0; i < count; ++i) {
        T element;
        std::memcpy(&element, piece_.data() + i * sizeof(T), sizeof element);
        if (const char* const wrong = convert(value_of(element), to[done + i])) {
          source_->fail(header_.data_offset + (first + i) * sizeof(T),
                        "element " + std::to_string(first + i) + " " + wrong);
        }
      }
      done += count;
    }
  });
  if (!numeric) source_->fail(0, "values of type " + header_.type.text() + " where numbers are wanted");
}

void NpyReader::read_as_int64(std::span<std::int64_t> to, std::optional<std::int64_t> if_nan) {
  read_converted(to, [&](auto value, std::int64_t& result) -> const char* {
    switch (to_int64(value, result)) {
      case Whole::yes: return nullptr;
      case Whole::no: return "is not a whole number of 64 bits";
      case Whole::not_a_number:
        if (!if_nan) return "is NaN";
        result = *if_nan;
        return nullptr;
    }
    return nullptr;
  });
}

void NpyReader::read_as_float(std::span<float> to) {
  if (header_.type == npy_type<float>()) return read_raw(std::as_writable_bytes(to));
  read_converted(to, [](auto value, float& result) -> const char* {
    result = static_cast<float>(value);
    return nullptr;
  });
}

void NpyReader::read_as_double(std::span<double> to) {
  if (header_.type == npy_type<double>()) return read_raw(std::as_writable_bytes(to));
  read_converted(to, [](auto value, double& result) -> const char* {
    result = static_cast<double>(value);
    return nullptr;
  });
}

void NpyReader::read_raw(std::span<std::byte> to) {
  const std::size_t size = header_.type.bytes;
  STRATA_ASSERT(size == 0 ? to.empty() : to.size() % size == 0);
  const std::uint64_t elements = size == 0 ? 0 : to.size() / size;
  require(elements);
  if (elements > 0) take(to, elements);
}

void NpyReader::skip(std::uint64_t elements) {
  require(elements);
  if (elements == 0) return;
  const std::uint64_t bytes = elements * header_.type.bytes;
  const std::uint64_t skipped = source_->skip(bytes);
  if (skipped != bytes) source_->fail(position() + skipped, "the data end here, too early");
  remaining_ -= elements;
  if (remaining_ == 0) check_end();
}

namespace {

std::string header_text(const NpyType& type, const NpyHeader& header) {
  std::string text = "{'descr': '" + type.text() + "', 'fortran_order': False, 'shape': " + header.shape_text() + ", }";
  const std::size_t prefix = 10;  // magic, version 1.0, 16-bit length
  text.append(round_up(prefix + text.size() + 1, 64) - prefix - text.size() - 1, ' ');
  text += '\n';
  return text;
}

}  // namespace

std::string npy_prefix(NpyType type, std::vector<std::uint64_t> shape) {
  NpyHeader header;
  header.shape = std::move(shape);
  const std::string text = header_text(type, header);
  STRATA_ASSERT(text.size() <= UINT16_MAX);
  std::string prefix("\x93NUMPY\x01\x00", 8);
  prefix += static_cast<char>(text.size() & 0xff);
  prefix += static_cast<char>(text.size() >> 8);
  return prefix + text;
}

NpyWriter::NpyWriter(const std::filesystem::path& path, NpyType type, std::vector<std::uint64_t> shape)
    : file_(path), type_(type) {
  NpyHeader header;
  header.shape = shape;
  remaining_ = header.elements() * type.bytes;
  file_.append(npy_prefix(type, std::move(shape)));
}

void NpyWriter::append_raw(std::span<const std::byte> bytes, NpyType type) {
  STRATA_ASSERT(type == type_);
  STRATA_ASSERT(bytes.size() <= remaining_);
  remaining_ -= bytes.size();
  file_.append(bytes);
}

void NpyWriter::commit() {
  STRATA_ASSERT(remaining_ == 0);
  file_.commit();
}

}  // namespace strata
