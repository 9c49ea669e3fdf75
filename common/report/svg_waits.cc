#include <fmt/format.h>

#include <algorithm>

#include "common/report/markup.h"
#include "common/report/svg.h"
#include "common/report/svg_parts.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

constexpr double kLeft = 1;
constexpr double kGap = 20;      // Between two nodes.
constexpr double kChannel = 15;  // Between two arrows that run side by side.
constexpr double kFirst = 22;    // From a node to the first of them.
constexpr double kLine = 17;
constexpr double kPort = 13;  // Between the ends of arrows at one node.
constexpr int kTextColumns = 31;

// Processes one below the other; arrows leave and enter at the right, each in a channel of its own;
// beside them stands why.
class WaitsSvg {
 public:
  WaitsSvg(const WaitPicture& picture, Language language)
      : picture_(picture), language_(language), words_(WordsOf(language)) {}

  std::string Draw(std::string_view id, std::string_view check);

 private:
  struct Line {
    std::string style;
    std::string text;
  };
  std::vector<Line> LinesOf(std::size_t node) const;
  void Place();
  // The next free place at the right side of a node.
  double Port(std::size_t node);
  void DrawArrows();
  void DrawNode(std::size_t node);
  std::string BoxTitle(std::size_t node) const {
    return fmt::format(fmt::runtime(words_.process), picture_.nodes[node].pid);
  }

  const WaitPicture& picture_;
  const Language language_;
  const Words& words_;
  std::vector<double> tops_, heights_, ports_;
  double text_x_ = 0;
  double width_ = 0;
  double bottom_ = 0;
  std::string out_;
};

std::vector<WaitsSvg::Line> WaitsSvg::LinesOf(std::size_t node) const {
  std::vector<Line> lines;
  const auto add = [&lines](const std::string& style, const std::string& first,
                            const std::string& text) {
    std::string indent = first;
    for (const std::string& line : Wrap(text, kTextColumns - 2)) {
      lines.push_back({style, indent + line});
      indent = first.empty() ? "" : "\u00a0\u00a0";
    }
  };
  for (const std::string& text : picture_.nodes[node].text) {
    add(lines.empty() ? "label strong" : "label", "", text);
  }
  for (const WaitPicture::Arrow& arrow : picture_.arrows) {
    const std::string reason = ReasonText(picture_, arrow, language_);
    if (arrow.from != node || reason.empty()) continue;
    add(arrow.circle ? "label bad" : "label", "→ ", reason);
  }
  return lines;
}

void WaitsSvg::Place() {
  text_x_ =
      kLeft + svg::kBoxWidth + kFirst + kChannel * static_cast<double>(picture_.arrows.size()) + 8;
  double y = 1;
  for (std::size_t i = 0; i < picture_.nodes.size(); ++i) {
    const std::vector<Line> lines = LinesOf(i);
    double ends = 0;
    for (const WaitPicture::Arrow& arrow : picture_.arrows) {
      ends += (arrow.from == i ? 1 : 0) + (arrow.to == i ? 1 : 0);
    }
    for (const Line& line : lines) {
      width_ =
          std::max(width_, text_x_ + svg::kColumn * std::min(kTextColumns, Columns(line.text)));
    }
    tops_.push_back(y);
    heights_.push_back(std::max({svg::BoxHeight(picture_.nodes[i].name), kPort * ends + 8,
                                 kLine * static_cast<double>(lines.size()) + 2}));
    ports_.push_back(y + 12);
    y += heights_.back() + kGap;
  }
  width_ = std::max(width_, text_x_) + 8;
  bottom_ = y - kGap + 2;
}

double WaitsSvg::Port(std::size_t node) {
  const double y = ports_[node];
  ports_[node] += kPort;
  return y;
}

void WaitsSvg::DrawArrows() {
  // Short arrows run inside, long ones outside.
  std::vector<const WaitPicture::Arrow*> arrows;
  for (const WaitPicture::Arrow& arrow : picture_.arrows) arrows.push_back(&arrow);
  const auto length = [](const WaitPicture::Arrow* arrow) {
    return arrow->from > arrow->to ? arrow->from - arrow->to : arrow->to - arrow->from;
  };
  std::stable_sort(arrows.begin(), arrows.end(),
                   [&](auto* a, auto* b) { return length(a) < length(b); });
  const double right = kLeft + svg::kBoxWidth;
  double channel = right + kFirst;
  for (const WaitPicture::Arrow* arrow : arrows) {
    const std::string_view style = arrow->circle ? "wait circle" : "wait";
    const double from = Port(arrow->from);
    const double to = Port(arrow->to);
    const double bend = from < to ? 6 : -6;
    out_ += fmt::format(
        "<path class=\"arrow {}\" d=\"M{:g} {:g}H{:g}q6 0 6 {:g}V{:g}q0 {:g} -6 {:g}H{:g}\"/>\n",
        style, right, from, channel - 6, bend, to - bend, bend, bend, right + 5);
    out_ += svg::Head(right + 1, to, svg::Direction::kLeft, style);
    channel += kChannel;
  }
}

void WaitsSvg::DrawNode(std::size_t node) {
  const WaitPicture::Node& n = picture_.nodes[node];
  out_ += svg::Box(kLeft, tops_[node], heights_[node], n.circle ? "circle" : "", BoxTitle(node),
                   n.name);
  double y = tops_[node] + 16;
  for (const Line& line : LinesOf(node)) {
    out_ += svg::Text(text_x_, y, line.style, line.text, kTextColumns);
    y += kLine;
  }
}

std::string WaitsSvg::Draw(std::string_view id, std::string_view check) {
  Place();
  DrawArrows();
  for (std::size_t i = 0; i < picture_.nodes.size(); ++i) DrawNode(i);
  std::string description = fmt::format(fmt::runtime(words_.waits_picture_of), check);
  const std::string circle = CircleText(picture_, language_);
  if (!circle.empty()) description += ". " + circle;
  return svg::Frame(id, "waits", width_, bottom_, words_.waits_picture, description, out_);
}

}  // namespace

std::string ToSvg(const WaitPicture& picture, std::string_view id, std::string_view check,
                  Language language) {
  return WaitsSvg(picture, language).Draw(id, check);
}

}  // namespace ipclab
