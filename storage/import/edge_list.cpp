#include "storage/import/edge_list.hpp"

#include <charconv>

namespace strata {
namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 16;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

void skip_blanks(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 40)) + "'"; }

}  // namespace

std::optional<std::uint64_t> take_id(std::string_view& text, const LineReader& lines) {
  std::uint64_t id = 0;
  const bool negative = text.size() > 1 && text[0] == '-' && text[1] >= '0' && text[1] <= '9';
  if (negative) lines.fail("node id " + std::string(text.substr(0, text.find_first_of(" \t,"))) + " is negative");
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc::result_out_of_range) lines.fail(quoted(text) + " does not fit 64 bits");
  if (error != std::errc()) return std::nullopt;
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::size_t before = rest.size();
  skip_blanks(rest);
  bool separated = rest.size() != before;
  if (!rest.empty() && rest.front() == ',') {
    rest.remove_prefix(1);
    skip_blanks(rest);
    separated = true;
  }
  if (!rest.empty() && !separated) return std::nullopt;  // "12x"
  text = rest;
  return id;
}

EdgeListReader::EdgeListReader(const InputFile& file) : lines_(file.open_text(), kLongestLine) {}

bool EdgeListReader::next(IdPair& pair) {
  while (lines_.next()) {
    std::string_view text = lines_.line();
    if (lines_.number() == 1 && text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    skip_blanks(text);
    if (text.empty()) continue;
    if (text.front() == '#' || text.front() == '%') {
      take_comment(text);
      continue;
    }
    if (!any_ && header_.empty() && take_header(text)) continue;
    const std::string_view whole = text;
    const std::optional<std::uint64_t> source = take_id(text, lines_);
    const std::optional<std::uint64_t> target = source ? take_id(text, lines_) : std::nullopt;
    if (!target) lines_.fail("expected two node ids, found " + quoted(whole));
    if (!text.empty()) more_columns_ = true;
    any_ = true;
    pair = {*source, *target};
    return true;
  }
  return false;
}

// A first line of words is a header. It must be separated like the csv it belongs to, else it is a damaged edge.
bool EdgeListReader::take_header(std::string_view line) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '"'; };
  if (!letter(line.front()) || line.find(',') == std::string_view::npos) return false;
  header_ = line;
  return true;
}

void EdgeListReader::take_comment(std::string_view text) {
  if (text.starts_with("%%MatrixMarket")) {
    lines_.fail("is a MatrixMarket file, not an edge list: save it as lines of two node ids");
  }
  if (text.starts_with("# Undirected graph")) says_undirected_ = true;
  const std::size_t at = text.find("Edges:");
  if (at == std::string_view::npos || text.find("Nodes:") == std::string_view::npos) return;
  std::string_view number = text.substr(at + 6);
  skip_blanks(number);
  std::uint64_t edges = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), edges);
  const bool whole = error == std::errc() && (end == number.data() + number.size() || is_blank(*end));
  if (!whole) return;
  declared_edges_ = edges;
  declared_at_ = lines_.number();
}

}  // namespace strata
