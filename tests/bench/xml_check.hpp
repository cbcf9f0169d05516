// Roughly what an XML parser asks of a document without a prologue: tags nest and close, one element holds all, values
// are quoted, & starts a reference.
#pragma once

#include <cctype>
#include <string>
#include <vector>

namespace strata::test {

namespace xml {

inline bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ':' || c == '_';
}

inline bool references_are_whole(const std::string& text) {
  for (std::size_t at = text.find('&'); at != std::string::npos; at = text.find('&', at + 1)) {
    const std::size_t end = text.find(';', at);
    if (end == std::string::npos || end == at + 1 || end - at > 7) return false;
  }
  return true;
}

// Of a tag without its angle brackets, from the end of its name on: name="value" and spaces, nothing else.
inline bool attributes_are_whole(const std::string& tag, std::size_t at) {
  while (at < tag.size()) {
    if (tag[at] == ' ') {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < tag.size() && is_name(tag[at])) ++at;
    if (at == begin || tag.compare(at, 2, "=\"") != 0) return false;
    const std::size_t end = tag.find('"', at + 2);
    if (end == std::string::npos || tag.substr(at, end - at).find('<') != std::string::npos) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace xml

// Empty when the text is well-formed, as far as this looks.
inline std::string xml_problem(const std::string& text) {
  std::vector<std::string> open;
  bool had_root = false;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t start = text.find('<', at);
    const std::string between = text.substr(at, start - at);
    if (!xml::references_are_whole(between)) return "a loose & in: " + between;
    if (open.empty() && between.find_first_not_of(" \n") != std::string::npos) return "text outside: " + between;
    if (start == std::string::npos) break;
    const std::size_t end = text.find('>', start);
    if (end == std::string::npos) return "a tag without end";
    std::string tag = text.substr(start + 1, end - start - 1);
    at = end + 1;
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return "closed but not open: " + tag;
      open.pop_back();
      continue;
    }
    const bool empty = tag.ends_with('/');
    if (empty) tag.pop_back();
    std::size_t name = 0;
    while (name < tag.size() && xml::is_name(tag[name])) ++name;
    if (name == 0 || !xml::attributes_are_whole(tag, name) || !xml::references_are_whole(tag)) return "bad tag: " + tag;
    if (open.empty() && had_root) return "a second root: " + tag;
    had_root = true;
    if (!empty) open.push_back(tag.substr(0, name));
  }
  if (!had_root) return "no element";
  return open.empty() ? "" : "not closed: " + open.back();
}

}  // namespace strata::test
