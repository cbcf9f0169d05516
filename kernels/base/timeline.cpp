#include "kernels/base/timeline.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <mutex>
#include <queue>
#include <utility>
#include <vector>

#include "kernels/base/error.hpp"

namespace strata {

namespace {

struct Span {
  const char* category;
  std::string name;
  double begin, end;  // Timeline::now()
  std::uint64_t bytes;
  bool own_lane;
};

// What one thread recorded. Its mutex is contended only while a trace is written or a recorder ends.
struct Lane {
  std::mutex mutex;
  std::deque<Span> spans;
  bool closed = false;
  std::string name;
};

// What the threads of one recorder share; outlives it in threads that have not noticed its end.
struct Recorder {
  std::size_t limit = 0;
  std::atomic<std::size_t> offered{0};  // spans, also those beyond the limit
  std::mutex mutex;
  std::vector<std::shared_ptr<Lane>> lanes;
};

std::atomic<std::uint64_t> recording_number{0};  // 0: nobody records; else different for each recorder
std::mutex current_mutex;
std::uint64_t recorders_so_far = 0;  // guarded by current_mutex
std::shared_ptr<Recorder> current;   // guarded by current_mutex

struct Here {
  std::uint64_t number = 0;  // of the recorder that the rest belongs to
  std::shared_ptr<Recorder> recorder;
  std::shared_ptr<Lane> lane;
};
thread_local Here here;

std::string thread_name(std::size_t lane) {
  if (::gettid() == ::getpid()) return "main";
  char name[32] = "thread";
  char program[32] = "";
  // A thread without a name of its own has the program's.
  if (::pthread_getname_np(::pthread_self(), name, sizeof name) != 0) return "thread " + std::to_string(lane);
  if (std::FILE* const file = std::fopen("/proc/self/comm", "re")) {
    if (std::fgets(program, sizeof program, file) == nullptr) program[0] = '\0';
    std::fclose(file);
  }
  const bool own = std::string(name) + "\n" != program;
  return (own ? std::string(name) : std::string("thread")) + " " + std::to_string(lane);
}

// The calling thread's lane of recorder `number`; null when that has ended.
Lane* lane_of(std::uint64_t number) {
  if (here.number == number) return here.lane.get();
  const std::lock_guard lock(current_mutex);
  if (current == nullptr || recording_number.load() != number) return nullptr;
  here = {number, current, std::make_shared<Lane>()};
  const std::lock_guard lanes_lock(current->mutex);
  here.lane->name = thread_name(current->lanes.size());
  current->lanes.push_back(here.lane);
  return here.lane.get();
}

void add_span(Span span) {
  const std::uint64_t number = recording_number.load(std::memory_order_relaxed);
  if (number == 0) return;
  Lane* const lane = lane_of(number);
  if (lane == nullptr) return;
  if (here.recorder->offered.fetch_add(1, std::memory_order_relaxed) >= here.recorder->limit) return;
  const std::lock_guard lock(lane->mutex);
  if (!lane->closed) lane->spans.push_back(std::move(span));
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c >= ' ' && c <= '~' ? c : '?';  // a name may come from a path, which need not be UTF-8
  }
  return out + "\"";
}

// The events of a trace, a line each.
class Writer {
 public:
  Writer(std::FILE* file, double origin) : file_(file), origin_(origin) {
    std::fprintf(file_, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [");
  }
  void name_lane(std::size_t lane, const std::string& name) {
    std::fprintf(file_,
                 "%s\n{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": 1, \"tid\": %zu, \"args\": {\"name\": %s}}",
                 comma(), lane, quoted(name).c_str());
    std::fprintf(file_,
                 ",\n{\"ph\": \"M\", \"name\": \"thread_sort_index\", \"pid\": 1, \"tid\": %zu, \"args\": "
                 "{\"sort_index\": %zu}}",
                 lane, lane);
  }
  void span(std::size_t lane, const Span& span) {
    std::fprintf(file_,
                 "%s\n{\"ph\": \"X\", \"cat\": %s, \"name\": %s, \"pid\": 1, \"tid\": %zu, \"ts\": %.3f, \"dur\": %.3f",
                 comma(), quoted(span.category).c_str(), quoted(span.name).c_str(), lane, (span.begin - origin_) * 1e6,
                 std::max(0.0, span.end - span.begin) * 1e6);
    if (span.bytes > 0) {
      std::fprintf(file_, ", \"args\": {\"bytes\": %llu}", static_cast<unsigned long long>(span.bytes));
    }
    std::fputs("}", file_);
  }
  void finish(std::size_t kept, std::size_t left_out) {
    std::fprintf(file_, "\n], \"otherData\": {\"spans\": %zu, \"spans_left_out\": %zu}}\n", kept, left_out);
  }

 private:
  const char* comma() { return std::exchange(first_, false) ? "" : ","; }
  std::FILE* file_;
  double origin_;
  bool first_ = true;
};

// Spans that overlap in time, each category in as few lanes as hold it.
void write_own_lanes(Writer& writer, std::vector<Span> spans, std::size_t next_lane) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    const int category = std::string(a.category).compare(b.category);
    return category != 0 ? category < 0 : a.begin < b.begin;
  });
  using Ending = std::pair<double, std::size_t>;  // when the last span of a lane ends, the lane
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> endings;
  std::string category;
  std::size_t lanes = 0;  // of this category
  for (const Span& span : spans) {
    if (category != span.category) {
      category = span.category;
      endings = {};
      lanes = 0;
    }
    std::size_t lane = next_lane;
    if (!endings.empty() && endings.top().first <= span.begin) {
      lane = endings.top().second;
      endings.pop();
    } else {
      ++next_lane;
      writer.name_lane(lane, category + " " + std::to_string(++lanes));
    }
    endings.emplace(span.end, lane);
    writer.span(lane, span);
  }
}

void write_trace(std::FILE* file, double origin, Recorder& recorder) {
  std::vector<std::shared_ptr<Lane>> lanes;
  {
    const std::lock_guard lock(recorder.mutex);
    lanes = recorder.lanes;
  }
  Writer writer(file, origin);
  std::vector<Span> own_lane;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    std::deque<Span> spans;
    {
      const std::lock_guard lock(lanes[i]->mutex);
      spans = lanes[i]->spans;
    }
    kept += spans.size();
    bool named = false;  // a thread that has only spans in lanes of their own needs none
    for (Span& span : spans) {
      if (span.own_lane) {
        own_lane.push_back(std::move(span));
        continue;
      }
      if (!std::exchange(named, true)) writer.name_lane(i, lanes[i]->name);
      writer.span(i, span);
    }
  }
  write_own_lanes(writer, std::move(own_lane), lanes.size());
  const std::size_t offered = recorder.offered.load();
  writer.finish(kept, offered - std::min(offered, recorder.limit));
}

}  // namespace

struct Timeline::State {
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  double origin = now();
};

Timeline::Timeline(std::size_t limit) : state_(std::make_unique<State>()) {
  state_->recorder->limit = limit;
  const std::lock_guard lock(current_mutex);
  STRATA_ASSERT(current == nullptr);
  current = state_->recorder;
  recording_number = ++recorders_so_far;
}

Timeline::~Timeline() {
  {
    const std::lock_guard lock(current_mutex);
    recording_number = 0;
    current = nullptr;
  }
  const std::lock_guard lock(state_->recorder->mutex);
  for (const std::shared_ptr<Lane>& lane : state_->recorder->lanes) {
    const std::lock_guard lane_lock(lane->mutex);
    lane->closed = true;
    lane->spans.clear();
  }
}

void Timeline::write(const std::filesystem::path& path) const {
  const std::filesystem::path temporary = path.parent_path() / ("." + path.filename().string() + ".partial");
  std::FILE* const file = std::fopen(temporary.c_str(), "we");
  if (file == nullptr) throw_system_error(errno, temporary.string(), "open for writing");
  write_trace(file, state_->origin, *state_->recorder);
  const bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed || std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    std::remove(temporary.c_str());
    throw_system_error(error, path.string(), "write the trace");
  }
}

bool Timeline::recording() { return recording_number.load(std::memory_order_relaxed) != 0; }

double Timeline::now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Timeline::add(const char* category, std::string name, double begin, double end, std::uint64_t bytes) {
  add_span({category, std::move(name), begin, end, bytes, false});
}

void Timeline::add_async(const char* category, std::string name, double begin, double end, std::uint64_t bytes) {
  add_span({category, std::move(name), begin, end, bytes, true});
}

}  // namespace strata
