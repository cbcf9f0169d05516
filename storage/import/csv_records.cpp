#include "storage/import/csv_records.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

constexpr std::size_t kLongestField = std::size_t{1} << 20;

}  // namespace

CsvRecords::CsvRecords(const InputFile& file) : lines_(file.open_text(), kLongestField) {
  if (!read_record()) throw InputError(lines_.path(), "", "is empty, expected a table with a header line");
  header_ = fields_;
  if (header_.front().starts_with("\xef\xbb\xbf")) header_.front().erase(0, 3);
}

int CsvRecords::column(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  return found == header_.end() ? -1 : static_cast<int>(found - header_.begin());
}

void CsvRecords::fail(const std::string& what) const {
  throw InputError(lines_.path(), "line " + std::to_string(first_line_), what);
}

bool CsvRecords::next() {
  if (!read_record()) return false;
  if (fields_.size() != header_.size()) {
    fail("found " + std::to_string(fields_.size()) + " columns, expected the " + std::to_string(header_.size()) +
         " of the header");
  }
  return true;
}

bool CsvRecords::read_record() {
  do {
    if (!lines_.next()) return false;
  } while (lines_.line().empty());
  first_line_ = lines_.number();
  fields_.clear();
  bool open = take_line(lines_.line(), false);
  while (open) {
    if (!lines_.next()) fail("a quoted field that is never closed");
    fields_.back() += '\n';
    open = take_line(lines_.line(), true);
    if (fields_.back().size() > kLongestField) {
      fail("a quoted field longer than " + std::to_string(kLongestField) + " bytes: is its closing quote missing?");
    }
  }
  return true;
}

bool CsvRecords::take_line(std::string_view line, bool quoted) {
  if (!quoted) fields_.emplace_back();
  for (std::size_t i = 0;; ++i) {
    if (i == line.size()) return quoted;
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        fields_.back() += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        fields_.back() += line[++i];
      } else {
        quoted = false;
        if (i + 1 < line.size() && line[i + 1] != ',') {
          fail("column " + std::to_string(fields_.size()) + ": text behind a closing quote");
        }
      }
    } else if (c == ',') {
      fields_.emplace_back();
    } else if (c == '"' && fields_.back().empty()) {
      quoted = true;
    } else {
      fields_.back() += c;
    }
  }
}

}  // namespace strata
