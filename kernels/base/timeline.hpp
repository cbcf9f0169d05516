// What happened when, for --trace: spans of time in lanes, written as a Chrome trace (chrome://tracing, Perfetto).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace strata {

// Off unless a recorder lives: then a span costs one branch. Thread-safe.
class Timeline {
 public:
  // One at a time in a process. At most `limit` spans are kept; later ones are counted and left out.
  explicit Timeline(std::size_t limit = std::size_t{1} << 20);
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;
  ~Timeline();
  // The trace as JSON ({"traceEvents": [...]}, times in microseconds, one named lane per thread), written through a
  // temporary name.
  void write(const std::filesystem::path& path) const;

  [[nodiscard]] static bool recording();
  [[nodiscard]] static double now();  // seconds since an arbitrary origin
  // A span of the calling thread's lane, or of a lane of its own (reads and writes in flight).
  static void add(const char* category, std::string name, double begin, double end, std::uint64_t bytes = 0);
  static void add_async(const char* category, std::string name, double begin, double end, std::uint64_t bytes = 0);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The time from construction to destruction, in the calling thread's lane. `name` must outlive it.
class TimelineSpan {
 public:
  TimelineSpan(const char* category, const char* name)
      : category_(category), name_(name), begin_(Timeline::recording() ? Timeline::now() : -1) {}
  TimelineSpan(const TimelineSpan&) = delete;
  TimelineSpan& operator=(const TimelineSpan&) = delete;
  ~TimelineSpan() {
    if (begin_ >= 0 && Timeline::recording()) Timeline::add(category_, name_, begin_, Timeline::now());
  }

 private:
  const char* category_;
  const char* name_;
  double begin_;
};

}  // namespace strata
