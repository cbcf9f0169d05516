// Numbers in comma-separated lines without header or quoting (OGB's csv.gz files), with errors that name the line.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/byte_source.hpp"
#include "storage/import/input_files.hpp"

namespace strata {

// Walks over the fields of one line. Spaces around a field are ignored.
class CsvFields {
 public:
  explicit CsvFields(const LineReader& lines) : lines_(lines), rest_(lines.line()) {}
  [[nodiscard]] bool at_end() const { return at_end_; }
  [[nodiscard]] std::string_view next();
  std::int64_t next_integer();
  float next_float();  // "nan" gives NaN; an empty field too
  // InputError unless every field was taken.
  void require_end(std::size_t expected_fields);

 private:
  const LineReader& lines_;
  std::string_view rest_;
  bool at_end_ = false;
  std::size_t taken_ = 0;
};

[[nodiscard]] std::size_t count_fields(std::string_view line);

// The only integer of a one-line file such as num-node-list.csv.gz. InputError when there are more lines: several
// graphs.
[[nodiscard]] std::uint64_t read_single_count(const InputFile& file);

// The node ids of a file with one id a line, in file order, each below `nodes`.
[[nodiscard]] std::vector<std::uint32_t> read_node_ids(const InputFile& file, std::uint64_t nodes);

}  // namespace strata
