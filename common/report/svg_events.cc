#include <fmt/format.h>

#include <algorithm>

#include "common/report/markup.h"
#include "common/report/svg.h"
#include "common/report/svg_parts.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

using Row = Picture::Row;
using Span = Picture::Span;

constexpr double kGutter = 66;  // Times.
constexpr double kLaneWidth = 128;
constexpr double kBoxLeft = 14;  // A lane's line leaves its box below the first characters.
constexpr double kRowHeight = 26;
constexpr double kDetailHeight = 16;
constexpr double kStartGap = 6;  // Above the box of a process that begins.
constexpr double kLabelGap = 13;
constexpr int kLabelColumns = 46;

class EventsSvg {
 public:
  EventsSvg(const Picture& picture, Language language)
      : picture_(picture), words_(WordsOf(language)) {}

  std::string Draw(std::string_view id, std::string_view check);

 private:
  void Place();
  double X(std::size_t lane) const {
    return kGutter + 24 + kLaneWidth * static_cast<double>(picture_.lanes[lane].column);
  }
  // Where the mark of a row is.
  double Y(std::size_t row) const { return tops_[row] + (Starts(row) ? 18 : 14); }
  bool Starts(std::size_t row) const {
    const Row& r = picture_.rows[row];
    return r.kind == Row::Kind::kStart && picture_.lanes[r.lane].born &&
           picture_.lanes[r.lane].first == row;
  }
  double LifeFrom(const Picture::Lane& lane) const;
  double LifeTo(const Picture::Lane& lane) const;
  void DrawLane(std::size_t index);
  void DrawSpan(const Span& span);
  void DrawRow(std::size_t index);
  void DrawStart(std::size_t index);
  void DrawArrow(double from, double to, double y, std::string_view style);
  void DrawMark(const Row& row, double x, double y);
  void DrawFold(const Row& row, double y);
  void Label(const Row& row, double x, double y);

  std::string BoxTitle(const Picture::Lane& lane) const {
    return fmt::format(fmt::runtime(words_.process), lane.pid);
  }

  const Picture& picture_;
  const Words& words_;
  std::vector<double> tops_;
  double header_ = 0;
  double bottom_ = 0;
  double width_ = 0;
  std::string out_;
};

void EventsSvg::Place() {
  for (const Picture::Lane& lane : picture_.lanes) {
    if (!lane.born) header_ = std::max(header_, svg::BoxHeight(lane.name));
  }
  double y = header_ + 10;
  for (std::size_t i = 0; i < picture_.rows.size(); ++i) {
    const Row& row = picture_.rows[i];
    if (Starts(i)) y += kStartGap;
    tops_.push_back(y);
    y += kRowHeight + (row.detail.empty() ? 0 : kDetailHeight);
    if (Starts(i)) y = tops_[i] + svg::BoxHeight(picture_.lanes[row.lane].name) + 8;
    if (row.lane == Picture::kNowhere) {
      width_ = std::max(width_, kGutter + svg::kColumn * std::min(Columns(row.text), 60));
      continue;
    }
    const int columns = std::min(kLabelColumns, std::max(Columns(row.text), Columns(row.detail)));
    width_ = std::max({width_, X(row.lane) + svg::kBoxWidth,
                       X(row.lane) + kLabelGap + svg::kColumn * columns + 4});
  }
  bottom_ = y + 8;
  if (picture_.hidden_lanes > 0) bottom_ += 18;
}

double EventsSvg::LifeFrom(const Picture::Lane& lane) const {
  return lane.born ? tops_[lane.first] + svg::BoxHeight(lane.name) : header_;
}

double EventsSvg::LifeTo(const Picture::Lane& lane) const {
  return lane.ended ? Y(lane.last) : bottom_ - (picture_.hidden_lanes > 0 ? 22 : 4);
}

void EventsSvg::DrawLane(std::size_t index) {
  const Picture::Lane& lane = picture_.lanes[index];
  const double x = X(index);
  out_ += fmt::format("<path class=\"life\" d=\"M{:g} {:g}V{:g}\"/>\n", x, LifeFrom(lane),
                      std::max(LifeFrom(lane), LifeTo(lane)));
}

void EventsSvg::DrawSpan(const Span& span) {
  const Picture::Lane& lane = picture_.lanes[span.lane];
  const bool last = span.last + 1 == picture_.rows.size() && !lane.ended;
  const bool function = span.kind == Span::Kind::kFunction;
  const double from = std::max(Y(span.first), LifeFrom(lane));
  const double to = last ? LifeTo(lane) : Y(span.last);
  const double wide = function ? 10 : 6;
  if (to - from < 1) return;
  const std::string_view style = function                          ? "inside"
                                 : span.kind == Span::Kind::kStuck ? "stuck"
                                                                   : "waited";
  out_ += fmt::format(
      "<rect class=\"{}\" x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" rx=\"1.5\"/>\n",
      style, X(span.lane) - wide / 2, from, wide, to - from);
}

void EventsSvg::Label(const Row& row, double x, double y) {
  const std::string_view style = row.bad ? "label bad" : "label";
  out_ += svg::Text(x + kLabelGap, y + 4, style, row.text, kLabelColumns);
  if (!row.detail.empty()) {
    out_ += svg::Text(x + kLabelGap, y + 4 + kDetailHeight, row.bad ? "detail bad" : "detail",
                      row.detail, kLabelColumns);
  }
}

void EventsSvg::DrawArrow(double from, double to, double y, std::string_view style) {
  const svg::Direction direction = from < to ? svg::Direction::kRight : svg::Direction::kLeft;
  out_ += fmt::format("<path class=\"arrow {}\" d=\"M{:g} {:g}H{:g}\"/>\n", style, from, y,
                      direction == svg::Direction::kRight ? to - 5 : to + 5);
  out_ += svg::Head(to, y, direction, style);
}

void EventsSvg::DrawStart(std::size_t index) {
  const Row& row = picture_.rows[index];
  const Picture::Lane& lane = picture_.lanes[row.lane];
  const double y = Y(index);
  const double left = X(row.lane) - kBoxLeft;
  if (row.other != Picture::kNowhere) {
    const double from = X(row.other);
    const bool right = from < left;
    DrawArrow(from, right ? left : left + svg::kBoxWidth, y, "fork");
    const double room = right ? left - from - kLabelGap - 8 : kLaneWidth;
    out_ += svg::Text((right ? from : X(row.lane)) + kLabelGap, y - 5, "label", row.text,
                      std::max(6, static_cast<int>(room / svg::kColumn)));
  }
  out_ += svg::Box(left, tops_[index], svg::BoxHeight(lane.name), "", BoxTitle(lane), lane.name);
}

void EventsSvg::DrawMark(const Row& row, double x, double y) {
  switch (row.kind) {
    case Row::Kind::kEnd:
      if (row.bad) {
        out_ += fmt::format("<path class=\"killed\" d=\"M{:g} {:g}l10 10m0 -10l-10 10\"/>\n", x - 5,
                            y - 5);
      } else {
        out_ += fmt::format(
            "<rect class=\"exited\" x=\"{:g}\" y=\"{:g}\" width=\"10\" height=\"10\"/>\n", x - 5,
            y - 5);
      }
      return;
    case Row::Kind::kRefused:
      out_ +=
          fmt::format("<path class=\"killed\" d=\"M{:g} {:g}l8 8m0 -8l-8 8\"/>\n", x - 4, y - 4);
      return;
    case Row::Kind::kSignal:
      out_ += fmt::format("<path class=\"signal\" d=\"M{:g} {:g}l5 5 -5 5 -5 -5z\"/>\n", x, y - 5);
      return;
    case Row::Kind::kEnter:
    case Row::Kind::kLeave:
      out_ += fmt::format("<path class=\"edge\" d=\"M{:g} {:g}h14\"/>\n", x - 7, y);
      return;
    default:
      out_ += fmt::format("<circle class=\"{}\" cx=\"{:g}\" cy=\"{:g}\" r=\"3.5\"/>\n",
                          row.bad ? "call bad" : "call", x, y);
  }
}

void EventsSvg::DrawFold(const Row& row, double y) {
  out_ += fmt::format("<path class=\"cut\" d=\"M{:g} {:g}H{:g}\"/>\n", kGutter, y, width_ - 4);
  out_ += svg::Text(kGutter + 4, y + 4, "fold", row.text, 60);
}

void EventsSvg::DrawRow(std::size_t index) {
  const Row& row = picture_.rows[index];
  const double y = Y(index);
  if (row.at_us >= 0) {
    out_ += fmt::format("<text class=\"time\" x=\"{:g}\" y=\"{:g}\">{:.3f}</text>\n", kGutter - 10,
                        y + 4, static_cast<double>(row.at_us) / 1000);
  }
  if (row.lane == Picture::kNowhere) return DrawFold(row, y);
  if (Starts(index)) return DrawStart(index);
  const double x = X(row.lane);
  if (row.other != Picture::kNowhere) {
    const bool end = row.kind == Row::Kind::kEnd;
    // The arrow ends at the edge of the receiver's mark or band.
    const double from = end ? x : X(row.other);
    const double to = end ? X(row.other) : x;
    DrawArrow(from, to + (from < to ? -6 : 6), y, "sent");
  }
  DrawMark(row, x, y);
  Label(row, x, y);
}

std::string EventsSvg::Draw(std::string_view id, std::string_view check) {
  Place();
  out_ += fmt::format("<text class=\"time unit\" x=\"{:g}\" y=\"14\">ms</text>\n", kGutter - 10);
  for (std::size_t i = 0; i < picture_.lanes.size(); ++i) DrawLane(i);
  for (const Span::Kind kind : {Span::Kind::kFunction, Span::Kind::kWaited, Span::Kind::kStuck}) {
    for (const Span& span : picture_.spans) {
      if (span.kind == kind) DrawSpan(span);
    }
  }
  for (std::size_t i = 0; i < picture_.lanes.size(); ++i) {
    const Picture::Lane& lane = picture_.lanes[i];
    if (!lane.born)
      out_ +=
          svg::Box(X(i) - kBoxLeft, 0.5, svg::BoxHeight(lane.name), "", BoxTitle(lane), lane.name);
  }
  for (std::size_t i = 0; i < picture_.rows.size(); ++i) DrawRow(i);
  if (picture_.hidden_lanes > 0) {
    out_ +=
        svg::Text(kGutter + 4, bottom_ - 6, "fold",
                  fmt::format(fmt::runtime(words_.processes_hidden), picture_.hidden_lanes), 60);
  }
  return svg::Frame(id, "events", width_ + 6, bottom_, words_.events_picture,
                    fmt::format(fmt::runtime(words_.events_picture_of), check), out_);
}

}  // namespace

std::string ToSvg(const Picture& picture, std::string_view id, std::string_view check,
                  Language language) {
  return EventsSvg(picture, language).Draw(id, check);
}

std::string BarSvg(double share) {
  return fmt::format(
      "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<rect class=\"all\" width=\"100\" height=\"4\"/><rect class=\"done\" width=\"{:.1f}\" "
      "height=\"4\"/></svg>",
      100 * std::clamp(share, 0.0, 1.0));
}

}  // namespace ipclab
