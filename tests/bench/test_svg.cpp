// The pictures' text: well-formed, and drawn where the axes say.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "bench/svg.hpp"
#include "tests/bench/xml_check.hpp"

namespace strata::test {
namespace {

using namespace strata::bench;

TEST_CASE("xml_problem finds what is not well-formed") {
  CHECK(xml_problem("<a><b c=\"d\"/>t &amp; u</a>\n").empty());
  for (const char* wrong : {"", "<a>", "<a></b>", "<a><b></a></b>", "<a b=c/>", "<a b=\"<\"/>", "<a>&</a>", "<a/><a/>",
                            "<a>b > c</a></a>", "text"}) {
    CAPTURE(wrong);
    CHECK(!xml_problem(wrong).empty());
  }
}

TEST_CASE("svg: every shape, with text that means something to XML, is well-formed") {
  Svg svg(100, 50, "a < b & \"c\"");
  CHECK(xml_problem(svg.finish()).empty());
  svg.line(0, 0, 1, 1, Role::axis);
  svg.path({{0, 0}, {1.25, 2}, {3, 4}}, Role::first);
  svg.path({}, Role::grid);
  svg.dot(5, 6, Role::second, "<x>\n'");
  svg.text(7, 8, "--a \"b & c\"", Role::text, Svg::Anchor::middle, true);
  svg.text_upwards(9, 10, "]]>", Role::quiet_text);
  const std::string text = svg.finish();
  CHECK(xml_problem(text).empty());
  CHECK(text.find("points=\"0.0,0.0 1.2,2.0 3.0,4.0\"") != std::string::npos);
  CHECK(text.find("<title>a &lt; b &amp; &quot;c&quot;</title>") != std::string::npos);
  CHECK(text.find("prefers-color-scheme:dark") != std::string::npos);
}

TEST_CASE("svg axis: doublings are steps of the same width") {
  const Axis axis(1, 8, 100, 400, true);
  for (int i = 0; i <= 3; ++i) CHECK(axis.at(std::pow(2.0, i)) == doctest::Approx(100 + 100 * i));
  const Axis down(0, 10, 200, 0, false);
  CHECK(down.at(0) == doctest::Approx(200));
  CHECK(down.at(2.5) == doctest::Approx(150));
  CHECK(Axis(7, 7, 0, 10, true).at(7) == doctest::Approx(5));
}

TEST_CASE("svg ticks: round, from 0, to the highest value or the next above") {
  CHECK(round_ticks(10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(round_ticks(1, 1) == std::vector<double>{0, 1});
  CHECK(round_ticks(61, 4) == std::vector<double>{0, 20, 40, 60, 80});
  for (const double highest : {1e-9, 0.037, 0.99, 3.0, 17.0, 4096.0, 7.3e12}) {
    const std::vector<double> ticks = round_ticks(highest, 5);
    CAPTURE(highest);
    CHECK(ticks.front() == 0);
    CHECK(ticks.back() >= highest);
    CHECK(ticks[ticks.size() - 2] < highest);
    CHECK(ticks.size() >= 3);
    CHECK(ticks.size() <= 7);
  }
}

}  // namespace
}  // namespace strata::test
