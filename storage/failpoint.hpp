// The inside of failpoints (storage/file.hpp, failpoint): what the calls that can fail ask before they are made.
#pragma once

#include <cstddef>

namespace strata {

enum class Fault { none, enospc, eio, eintr, short_count, kill };

// Counts this call of `operation` and tells what is to happen to it. Thread-safe.
[[nodiscard]] Fault next_fault(const char* operation);
// Whether the call is to fail without being made; sets errno then.
[[nodiscard]] bool fails(Fault fault);
// How many of `count` bytes a call may move that is to come out short or torn: whole blocks for a direct file, never 0.
[[nodiscard]] std::size_t shortened(std::size_t count, bool direct);
[[noreturn]] void kill_this_process();

}  // namespace strata
