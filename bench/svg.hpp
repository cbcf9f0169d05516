// Pictures as SVG text, enough for charts: shapes with a role that fixes their colours, in light and dark mode, and
// axes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace strata::bench {

// Colours come from roles. Every shape carries its light colours itself; a style sheet replaces them in dark mode.
enum class Role { text, quiet_text, axis, grid, first, second };  // first, second: series of data

class Svg {
 public:
  enum class Anchor { start, middle, end };
  using Points = std::vector<std::pair<double, double>>;

  // In pixels; y grows downwards. `title` is what a screen reader says.
  Svg(double width, double height, const std::string& title);
  void line(double x1, double y1, double x2, double y2, Role role);
  void path(const Points& points, Role role);
  void dot(double x, double y, Role role, const std::string& tip);  // tip: shown when pointed at
  void text(double x, double y, const std::string& text, Role role, Anchor anchor, bool bold = false);
  void text_upwards(double x, double y, const std::string& text, Role role);  // centred on y
  [[nodiscard]] std::string finish() const;

 private:
  std::string head_, body_;
};

// The characters that XML gives a meaning, and control characters, made harmless.
[[nodiscard]] std::string xml_escaped(const std::string& text);

// From a value to a position on the picture.
class Axis {
 public:
  // log2: values above 0; lowest < highest unless there is one value, which lies in the middle.
  Axis(double lowest, double highest, double from, double to, bool log2);
  [[nodiscard]] double at(double value) const;

 private:
  double lowest_, highest_, from_, to_;
  bool log2_;
};

// 0, s, 2s, ... with s of 1, 2 or 5 times a power of ten, the last of them at or above `highest` (above 0); about
// `wanted` of them.
[[nodiscard]] std::vector<double> round_ticks(double highest, int wanted);

}  // namespace strata::bench
