// Edge lists as text: "source target", separated by blanks, tabs or one comma; comments (# and %), an optional header
// line, CRLF, further columns left out. Plain, gzip or zstd.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/import/input_files.hpp"

namespace strata {

struct IdPair {
  std::uint64_t source = 0, target = 0;
};

class EdgeListReader {
 public:
  explicit EdgeListReader(const InputFile& file);
  // InputError for a line that is no edge.
  [[nodiscard]] bool next(IdPair& pair);
  [[noreturn]] void fail(const std::string& what) const { lines_.fail(what); }
  [[nodiscard]] const std::string& path() const { return lines_.path(); }

  // What was seen so far.
  [[nodiscard]] bool says_undirected() const { return says_undirected_; }  // "# Undirected graph: ..."
  [[nodiscard]] std::optional<std::uint64_t> declared_edges() const {
    return declared_edges_;
  }                                                                         // "# Nodes: N Edges: M"
  [[nodiscard]] std::uint64_t declared_at() const { return declared_at_; }  // its line
  [[nodiscard]] const std::string& header() const { return header_; }       // empty: none
  [[nodiscard]] bool has_more_columns() const { return more_columns_; }

 private:
  void take_comment(std::string_view text);
  [[nodiscard]] bool take_header(std::string_view line);

  LineReader lines_;
  std::string header_;
  bool says_undirected_ = false, more_columns_ = false, any_ = false;
  std::optional<std::uint64_t> declared_edges_;
  std::uint64_t declared_at_ = 0;
};

// A node id at the front of `text`, cut off together with the separator behind it. nullopt: no number. InputError
// through `lines` for negative ids and those that do not fit 64 bits.
[[nodiscard]] std::optional<std::uint64_t> take_id(std::string_view& text, const LineReader& lines);

}  // namespace strata
