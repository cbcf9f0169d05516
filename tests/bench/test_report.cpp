#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bench/report.hpp"

using strata::bench::Measurement;
using strata::bench::Report;

namespace {

Measurement measurement(const std::string& name, std::vector<double> seconds, double bytes, double operations,
                        const std::string& ceiling = "") {
  return {"g", name, std::move(seconds), bytes, operations, "edge", "as the test says", ceiling};
}

}  // namespace

TEST_CASE("median of odd, even and single counts, whatever the order") {
  CHECK(strata::bench::median({3, 1, 2}) == 2);
  CHECK(strata::bench::median({4, 1, 3, 2}) == 2.5);
  CHECK(strata::bench::median({7}) == 7);
}

TEST_CASE("a ratio compares what the ceiling counts") {
  Report report({});
  report.add(measurement("by bytes", {2, 1, 3}, 100, 0));  // 50 bytes/s
  report.add(measurement("by operations", {4}, 0, 100));   // 25 operations/s
  const Measurement both = measurement("x", {1}, 40, 10, "g/by bytes");
  CHECK(report.ratio(both) == doctest::Approx(0.8));
  Measurement other = both;
  other.ceiling = "g/by operations";
  CHECK(report.ratio(other) == doctest::Approx(0.4));
  other.ceiling = "";
  CHECK(report.ratio(other) == 0);
}

TEST_CASE("bodies take turns, the first round untimed") {
  std::string order;
  const auto seconds = strata::bench::time_in_turns(2, {[&] { order += 'a'; }, [&] { order += 'b'; }});
  CHECK(order == "ababab");
  REQUIRE(seconds.size() == 2);
  CHECK(seconds[0].size() == 2);
  CHECK(seconds[1].size() == 2);
}

TEST_CASE("the table shows every trial and warns about builds that are not Release") {
  Report report({{{"cpu", "some cpu"}}, false});
  report.add(measurement("case", {0.001, 0.004, 0.002}, 1e6, 3e6));
  std::ostringstream table, environment;
  report.print_table(table);
  report.print_environment(environment);
  CHECK(table.str().find("1 4 2") != std::string::npos);
  CHECK(table.str().find("1.5 Gedge/s") != std::string::npos);
  CHECK(environment.str().find("some cpu") != std::string::npos);
  CHECK(environment.str().find("WARNING") != std::string::npos);
}

TEST_CASE("the JSON file holds what the table shows") {
  const auto file = std::filesystem::temp_directory_path() / "strata_test_report.json";
  Report report({{{"cpu", "some cpu"}}, true});
  report.add(measurement("ceiling", {0.5}, 100, 0));
  report.add(measurement("case", {1, 2, 4}, 100, 50, "g/ceiling"));
  report.write_json(file);
  const auto json = nlohmann::json::parse(std::ifstream(file));
  std::filesystem::remove(file);
  CHECK(json["environment"]["cpu"] == "some cpu");
  CHECK(json["environment"]["release"] == true);
  const auto& entry = json["measurements"][1];
  CHECK(entry["trials_seconds"] == nlohmann::json({1.0, 2.0, 4.0}));
  CHECK(entry["median_seconds"] == 2.0);
  CHECK(entry["operations_per_second"] == 25.0);
  CHECK(entry["ratio"] == doctest::Approx(0.25));
}
