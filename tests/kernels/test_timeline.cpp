#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/base/timeline.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata {
namespace {

using Json = nlohmann::json;

Json written(const Timeline& timeline) {
  const TempDir dir;
  timeline.write(dir / "trace.json");
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);  // nothing temporary is left
  return Json::parse(std::ifstream(dir / "trace.json"));
}

std::vector<Json> events(const Json& trace, const std::string& phase) {
  std::vector<Json> found;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == phase) found.push_back(event);
  }
  return found;
}

std::map<int, std::string> lane_names(const Json& trace) {
  std::map<int, std::string> names;
  for (const Json& event : events(trace, "M")) {
    if (event["name"] != "thread_name") continue;
    CHECK(names.emplace(event["tid"].get<int>(), event["args"]["name"].get<std::string>()).second);
  }
  return names;
}

TEST_CASE("timeline: off, nothing is kept; an empty one is a trace") {
  CHECK(!Timeline::recording());
  Timeline::add("c", "lost", 0, 1);
  { const TimelineSpan span("c", "lost too"); }
  const Timeline timeline;
  CHECK(Timeline::recording());
  const Json trace = written(timeline);
  CHECK(trace["traceEvents"].empty());
  CHECK(trace["otherData"]["spans"] == 0);
}

TEST_CASE("timeline: spans have their name, place, times and bytes") {
  const Timeline timeline;
  const double begin = Timeline::now();
  Timeline::add("compute", "a \"name\" with \\ and \n\xff", begin, begin + 0.25, 7);
  {
    const TimelineSpan outer("compute", "outer");
    const TimelineSpan inner("compute", "inner");
  }
  const Json trace = written(timeline);
  const std::vector<Json> spans = events(trace, "X");
  REQUIRE(spans.size() == 3);
  CHECK(spans[0]["name"] == "a \"name\" with \\ and ??");
  CHECK(spans[0]["cat"] == "compute");
  CHECK(spans[0]["dur"].get<double>() == doctest::Approx(250'000));
  CHECK(spans[0]["args"]["bytes"] == 7);
  CHECK(spans[1]["name"] == "inner");
  CHECK(!spans[1].contains("args"));
  CHECK(spans[2]["name"] == "outer");
  CHECK(spans[2]["ts"].get<double>() <= spans[1]["ts"].get<double>());
  for (const Json& span : spans) {
    CHECK(span["ts"].get<double>() >= 0);
    CHECK(span["dur"].get<double>() >= 0);
    CHECK(lane_names(trace).at(span["tid"].get<int>()) == "main");
  }
}

TEST_CASE("timeline: overlapping spans of no thread share as few lanes as hold them") {
  const Timeline timeline;
  const double t = Timeline::now();
  Timeline::add("compute", "sum", t, t + 9);
  Timeline::add_async("io", "read", t + 0, t + 2, 100);
  Timeline::add_async("io", "read", t + 1, t + 3);
  Timeline::add_async("io", "write", t + 2, t + 4);  // after the first
  Timeline::add_async("net", "send", t + 8, t + 9);
  const Json trace = written(timeline);
  const auto names = lane_names(trace);
  std::map<std::string, double> end_of;
  std::set<std::string> lanes;
  for (const Json& span : events(trace, "X")) {
    const std::string lane = names.at(span["tid"].get<int>());
    lanes.insert(lane);
    CHECK(span["ts"].get<double>() >= end_of[lane] - 0.01);
    end_of[lane] = span["ts"].get<double>() + span["dur"].get<double>();
  }
  CHECK(lanes == std::set<std::string>{"main", "io 1", "io 2", "net 1"});
}

TEST_CASE("timeline: threads have lanes of their own, also while the trace is written") {
  const Timeline timeline;
  constexpr int kThreads = 4, kSpans = 2000;
  std::atomic<int> at_work = kThreads;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kSpans; ++i) {
          const double begin = Timeline::now();
          Timeline::add("work", std::to_string(t), begin, Timeline::now());
        }
        --at_work;
      });
    }
    do {
      CHECK(written(timeline)["traceEvents"].is_array());
    } while (at_work > 0);
  }
  const Json trace = written(timeline);
  std::map<std::string, std::set<int>> lanes;
  std::map<std::string, int> counts;
  for (const Json& span : events(trace, "X")) {
    lanes[span["name"]].insert(span["tid"].get<int>());
    ++counts[span["name"]];
  }
  CHECK(lanes.size() == kThreads);
  std::set<int> different;
  for (const auto& [name, its_lanes] : lanes) {
    CHECK(its_lanes.size() == 1);
    CHECK(counts[name] == kSpans);
    different.insert(*its_lanes.begin());
  }
  CHECK(different.size() == kThreads);
  CHECK(lane_names(trace).size() == kThreads);
}

TEST_CASE("timeline: what is beyond the limit is counted and left out") {
  const Timeline timeline(10);
  for (int i = 0; i < 25; ++i) Timeline::add("c", std::to_string(i), 0, 1);
  const Json trace = written(timeline);
  CHECK(events(trace, "X").size() == 10);
  CHECK(trace["otherData"]["spans"] == 10);
  CHECK(trace["otherData"]["spans_left_out"] == 15);
}

TEST_CASE("timeline: one after the other, a thread's spans go to the living one") {
  for (int i = 0; i < 3; ++i) {
    const Timeline timeline;
    Timeline::add("c", std::to_string(i), 0, 1);
    const std::vector<Json> spans = events(written(timeline), "X");
    REQUIRE(spans.size() == 1);
    CHECK(spans[0]["name"] == std::to_string(i));
  }
  CHECK(!Timeline::recording());
}

TEST_CASE("timeline: a place that cannot be written is an error") {
  const TempDir dir;
  const Timeline timeline;
  CHECK_THROWS_AS(timeline.write(dir.path() / "absent" / "trace.json"), InputError);
  std::filesystem::create_directory(dir / "directory");
  std::ofstream(dir.path() / "directory" / "file");
  CHECK_THROWS_AS(timeline.write(dir / "directory"), InputError);
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

}  // namespace
}  // namespace strata
