#include "storage/import/csv.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string quoted(std::string_view field) { return "'" + std::string(field.substr(0, 40)) + "'"; }

// Short plain decimals ("0.0", "-12.125"), which tables mostly hold: digits below 2^24 and a power of ten up to 10^10
// are exact floats, so their quotient is correctly rounded (Clinger, "How to read floating point numbers accurately",
// 1990). False: anything else, also what is no number.
bool parse_short_decimal(std::string_view text, float& value) {
  static constexpr float kPowers[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
  const bool negative = !text.empty() && text.front() == '-';
  std::size_t at = negative ? 1 : 0, digits = 0, fraction = 0;
  std::uint32_t number = 0;
  bool point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9' || ++digits > 8) return false;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
    fraction += point ? 1 : 0;
  }
  if (digits == 0 || number > (1u << 24)) return false;
  value = static_cast<float>(number) / kPowers[fraction];
  if (negative) value = -value;
  return true;
}

}  // namespace

std::string_view CsvFields::next() {
  if (at_end_) lines_.fail("the line ends after " + std::to_string(taken_) + " columns: more were expected");
  const std::size_t comma = rest_.find(',');
  const std::string_view field = trimmed(rest_.substr(0, comma));
  if (comma == std::string_view::npos) {
    at_end_ = true;
    rest_ = {};
  } else {
    rest_.remove_prefix(comma + 1);
  }
  ++taken_;
  return field;
}

std::int64_t CsvFields::next_integer() {
  const std::string_view field = next();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error == std::errc::result_out_of_range) lines_.fail(quoted(field) + " does not fit a 64-bit integer");
  if (error != std::errc() || end != field.data() + field.size()) {
    lines_.fail("column " + std::to_string(taken_) + ": " + quoted(field) + " is not an integer");
  }
  return value;
}

float CsvFields::next_float() {
  std::string_view field = next();
  if (field.empty()) return std::numeric_limits<float>::quiet_NaN();
  float value = 0;
  if (parse_short_decimal(field, value)) return value;
  if (field.front() == '+') field.remove_prefix(1);
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error == std::errc::result_out_of_range) {
    // Too small rounds to zero as numpy does; too large has no value.
    double wide = 0;
    const auto [wide_end, wide_error] = std::from_chars(field.data(), field.data() + field.size(), wide);
    const bool small = wide_error == std::errc() && wide > -1.0 && wide < 1.0;
    if (small && wide_end == field.data() + field.size()) return static_cast<float>(wide);
    lines_.fail("column " + std::to_string(taken_) + ": " + quoted(field) + " does not fit a 32-bit float");
  }
  if (error != std::errc() || end != field.data() + field.size()) {
    lines_.fail("column " + std::to_string(taken_) + ": " + quoted(field) + " is not a number");
  }
  return value;
}

void CsvFields::require_end(std::size_t expected_fields) {
  if (at_end_) return;
  lines_.fail("found " + std::to_string(count_fields(lines_.line())) + " columns, expected " +
              std::to_string(expected_fields));
}

std::size_t count_fields(std::string_view line) {
  return 1 + static_cast<std::size_t>(std::count(line.begin(), line.end(), ','));
}

std::uint64_t read_single_count(const InputFile& file) {
  LineReader lines(file.open_text());
  if (!lines.next()) throw InputError(file.place(), "", "is empty, expected one count");
  CsvFields fields(lines);
  const std::int64_t value = fields.next_integer();
  fields.require_end(1);
  if (value < 0) lines.fail("the count " + std::to_string(value) + " is negative");
  while (lines.next()) {
    if (!lines.line().empty()) {
      lines.fail("lists more than one graph: only sets of a single graph can be converted");
    }
  }
  return static_cast<std::uint64_t>(value);
}

std::vector<std::uint32_t> read_node_ids(const InputFile& file, std::uint64_t nodes) {
  LineReader lines(file.open_text());
  std::vector<std::uint32_t> ids;
  while (lines.next()) {
    if (lines.line().empty()) continue;
    CsvFields fields(lines);
    const std::int64_t id = fields.next_integer();
    fields.require_end(1);
    if (id < 0 || static_cast<std::uint64_t>(id) >= nodes) {
      lines.fail("node id " + std::to_string(id) + " is not in [0, " + std::to_string(nodes) + ")");
    }
    ids.push_back(static_cast<std::uint32_t>(id));
  }
  return ids;
}

}  // namespace strata
