#include "storage/checksum.hpp"

#include <xxhash.h>

#include <cstdio>
#include <new>

namespace strata {

namespace {
XXH3_state_t* state_of(void* state) { return static_cast<XXH3_state_t*>(state); }
}  // namespace

std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string checksum_text(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

ChecksumStream::ChecksumStream() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state_of(state_));
}

ChecksumStream::~ChecksumStream() { XXH3_freeState(state_of(state_)); }

void ChecksumStream::update(std::span<const std::byte> bytes) {
  XXH3_64bits_update(state_of(state_), bytes.data(), bytes.size());
}

std::uint64_t ChecksumStream::value() const { return XXH3_64bits_digest(state_of(state_)); }

}  // namespace strata
