#include "bench/svg.hpp"

#define FMT_HEADER_ONLY
#include <fmt/format.h>

#include <cmath>

#include "kernels/base/error.hpp"

namespace strata::bench {

namespace {

struct Colour {
  const char* name;  // of the class
  const char* light;
  const char* dark;
};

Colour colour(Role role) {
  switch (role) {
    case Role::text: return {"text", "#1b1f24", "#e6e8eb"};
    case Role::quiet_text: return {"quiet", "#59636e", "#9aa4af"};
    case Role::axis: return {"axis", "#59636e", "#9aa4af"};
    case Role::grid: return {"grid", "#dde1e6", "#31363d"};
    case Role::first: return {"first", "#0b62c4", "#6cb2ff"};
    case Role::second: return {"second", "#b5530a", "#ffab5e"};
  }
  STRATA_ASSERT(false);
  return {};
}

constexpr Role kRoles[] = {Role::text, Role::quiet_text, Role::axis, Role::grid, Role::first, Role::second};

std::string style() {
  std::string rules = ".back{fill:#14171a}";
  for (const Role role : kRoles) {
    const Colour c = colour(role);
    rules += fmt::format(".{0}-fill{{fill:{1}}}.{0}-line{{stroke:{1}}}", c.name, c.dark);
  }
  return "<style>svg{color-scheme:light dark}@media(prefers-color-scheme:dark){" + rules + "}</style>\n";
}

const char* anchor_name(Svg::Anchor anchor) {
  switch (anchor) {
    case Svg::Anchor::start: return "start";
    case Svg::Anchor::middle: return "middle";
    case Svg::Anchor::end: return "end";
  }
  STRATA_ASSERT(false);
  return "";
}

std::string filled(Role role) {
  const Colour c = colour(role);
  return fmt::format("class=\"{}-fill\" fill=\"{}\"", c.name, c.light);
}

std::string drawn(Role role) {
  const Colour c = colour(role);
  const double width = role == Role::first || role == Role::second ? 2 : 1;
  return fmt::format("class=\"{}-line\" stroke=\"{}\" stroke-width=\"{}\"", c.name, c.light, width);
}

}  // namespace

std::string xml_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&apos;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

Svg::Svg(double width, double height, const std::string& title) {
  head_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" height=\"{1:g}\" "
      "role=\"img\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n<title>{2}</title>\n{3}"
      "<rect class=\"back\" width=\"{0:g}\" height=\"{1:g}\" fill=\"#ffffff\"/>\n",
      width, height, xml_escaped(title), style());
}

void Svg::line(double x1, double y1, double x2, double y2, Role role) {
  body_ +=
      fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, drawn(role));
}

void Svg::path(const Points& points, Role role) {
  std::string text;
  for (const auto& [x, y] : points) text += fmt::format("{}{:.1f},{:.1f}", text.empty() ? "" : " ", x, y);
  body_ += fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", text, drawn(role));
}

void Svg::dot(double x, double y, Role role, const std::string& tip) {
  body_ +=
      fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill-opacity=\"0.6\" {}><title>{}</title></circle>\n",
                  x, y, filled(role), xml_escaped(tip));
}

void Svg::text(double x, double y, const std::string& text, Role role, Anchor anchor, bool bold) {
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" text-anchor=\"{}\"{} {}>{}</text>\n", x, y,
                       bold ? 15 : 12, anchor_name(anchor), bold ? " font-weight=\"bold\"" : "", filled(role),
                       xml_escaped(text));
}

void Svg::text_upwards(double x, double y, const std::string& text, Role role) {
  body_ += fmt::format(
      "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" font-size=\"12\" text-anchor=\"middle\" {}>{}</text>\n",
      x, y, filled(role), xml_escaped(text));
}

std::string Svg::finish() const { return head_ + body_ + "</svg>\n"; }

Axis::Axis(double lowest, double highest, double from, double to, bool log2)
    : lowest_(log2 ? std::log2(lowest) : lowest),
      highest_(log2 ? std::log2(highest) : highest),
      from_(from),
      to_(to),
      log2_(log2) {
  STRATA_ASSERT(lowest_ <= highest_ && std::isfinite(lowest_) && std::isfinite(highest_));
}

double Axis::at(double value) const {
  const double place = log2_ ? std::log2(value) : value;
  const double part = highest_ > lowest_ ? (place - lowest_) / (highest_ - lowest_) : 0.5;
  return from_ + part * (to_ - from_);
}

std::vector<double> round_ticks(double highest, int wanted) {
  STRATA_ASSERT(highest > 0 && wanted > 0);
  const double raw = highest / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= raw) step = factor * power;
  }
  std::vector<double> ticks{0};
  while (ticks.back() < highest) ticks.push_back(static_cast<double>(ticks.size()) * step);
  return ticks;
}

}  // namespace strata::bench
