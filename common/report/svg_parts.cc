#include "common/report/svg_parts.h"

#include <fmt/format.h>

#include "common/report/markup.h"
#include "common/report/wrap.h"

namespace ipclab::svg {
namespace {

constexpr int kNameColumns = 17;
constexpr double kNameLine = 14;

std::vector<std::string> NameLines(std::string_view name) {
  std::vector<std::string> lines = Wrap(name, kNameColumns);
  if (lines.size() > 2) {
    lines.resize(2);
    lines[1] = Shortened(lines[1] + "...", kNameColumns);
    if (lines[1].substr(lines[1].size() - 3) != "...") lines[1] += "...";
  }
  return lines;
}

}  // namespace

std::string Text(double x, double y, std::string_view style, std::string_view text, int columns) {
  const std::string shown = Shortened(text, columns);
  const std::string whole = shown == text ? "" : fmt::format("<title>{}</title>", Html(text));
  return fmt::format("<text class=\"{}\" x=\"{:g}\" y=\"{:g}\">{}{}</text>\n", style, x, y, whole,
                     Html(shown));
}

std::string Head(double x, double y, Direction direction, std::string_view style) {
  const double back = direction == Direction::kRight ? -8 : 8;
  return fmt::format("<path class=\"tip {}\" d=\"M{:g} {:g}l{:g} -4v8z\"/>\n", style, x, y, back);
}

double BoxHeight(std::string_view name) {
  return name.empty() ? 24 : 26 + kNameLine * static_cast<double>(NameLines(name).size());
}

std::string Box(double x, double y, double height, std::string_view style, std::string_view title,
                std::string_view name) {
  std::string out = fmt::format(
      "<g class=\"box {}\"><title>{}: {}</title><rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" "
      "height=\"{:g}\" rx=\"3\"/>\n",
      style, Html(title), Html(name), x, y, kBoxWidth, height);
  out += Text(x + 8, y + 16, "who", title, kNameColumns - 3);
  double baseline = y + 16;
  if (!name.empty()) {
    for (const std::string& line : NameLines(name)) {
      baseline += kNameLine;
      out += Text(x + 8, baseline, "name", line, kNameColumns);
    }
  }
  return out + "</g>\n";
}

std::string Frame(std::string_view id, std::string_view style, double width, double height,
                  std::string_view title, std::string_view description, std::string_view body) {
  return fmt::format(
      "<svg class=\"picture {style}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\" "
      "width=\"{width:g}\" height=\"{height:g}\" viewBox=\"0 0 {width:g} {height:g}\">\n"
      "<title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-text\">{text}</desc>\n{body}"
      "</svg>\n",
      fmt::arg("style", style), fmt::arg("id", Html(id)), fmt::arg("width", width),
      fmt::arg("height", height), fmt::arg("title", Html(title)),
      fmt::arg("text", Html(description)), fmt::arg("body", body));
}

}  // namespace ipclab::svg
