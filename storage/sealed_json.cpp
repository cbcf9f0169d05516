#include "storage/sealed_json.hpp"

#include <span>
#include <string_view>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

constexpr std::string_view kOpening = ",\n  \"checksum\": \"";
constexpr std::string_view kClosing = "\"\n}\n";
constexpr std::size_t kDigits = 16;
constexpr std::size_t kTail = kOpening.size() + kDigits + kClosing.size();

std::string tail_for(std::string_view body) {
  const std::string digits = checksum_text(checksum(std::as_bytes(std::span(body))));
  return std::string(kOpening) + digits + std::string(kClosing);
}

}  // namespace

std::string seal_json(std::string object_text) {
  STRATA_ASSERT(object_text.size() > 2 && object_text.ends_with("\n}"));
  object_text.resize(object_text.size() - 2);
  return object_text + tail_for(object_text);
}

void check_sealed_json(const std::filesystem::path& path, const std::string& text) {
  if (text.size() <= kTail) {
    throw DamagedError(path.string(), "size", "more than " + std::to_string(kTail) + " bytes",
                       std::to_string(text.size()) + " bytes");
  }
  const std::string_view body = std::string_view(text).substr(0, text.size() - kTail);
  const std::string_view found = std::string_view(text).substr(text.size() - kTail);
  if (!found.starts_with(kOpening) || !found.ends_with(kClosing)) {
    throw DamagedError(path.string(), "checksum member", "it as the last member", "something else");
  }
  const std::string expected = tail_for(body);
  if (found != expected) {
    throw DamagedError(path.string(), "text", "checksum " + expected.substr(kOpening.size(), kDigits),
                       std::string(found.substr(kOpening.size(), kDigits)));
  }
}

}  // namespace strata
