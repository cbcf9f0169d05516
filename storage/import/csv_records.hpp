// Comma-separated tables with a header and quoting (RFC 4180): a quoted field may hold commas, doubled quotes and line
// ends. Unlike csv.hpp, which is for plain numbers and fast.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/import/input_files.hpp"

namespace strata {

class CsvRecords {
 public:
  // Reads the header. InputError when there is none.
  explicit CsvRecords(const InputFile& file);
  [[nodiscard]] const std::vector<std::string>& header() const { return header_; }
  // The column of that name, or -1.
  [[nodiscard]] int column(std::string_view name) const;
  // False at the end. A record with another number of fields than the header is an InputError; empty lines are left
  // out.
  [[nodiscard]] bool next();
  [[nodiscard]] const std::vector<std::string>& fields() const { return fields_; }
  [[nodiscard]] std::uint64_t line() const { return first_line_; }  // where the record starts
  // An InputError about this record.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  [[nodiscard]] bool read_record();
  // One line into fields_; true when it ends within quotes, with the field so far at the back.
  [[nodiscard]] bool take_line(std::string_view line, bool quoted);

  LineReader lines_;
  std::vector<std::string> header_, fields_;
  std::uint64_t first_line_ = 0;
};

}  // namespace strata
