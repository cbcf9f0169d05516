// The inside of failpoints (storage/file.hpp, failpoint): what the calls that can fail ask before they are made.
#pragma once

namespace strata {

enum class Fault { none, enospc, eio, eintr, short_count, kill };

// Counts this call of `operation` and tells what is to happen to it. Thread-safe.
[[nodiscard]] Fault next_fault(const char* operation);
// Whether the call is to fail without being made; sets errno then.
[[nodiscard]] bool fails(Fault fault);
[[noreturn]] void kill_this_process();

}  // namespace strata
