// What both pictures are made of: escaped text that fits, arrow heads, frames. All numbers are CSS
// pixels.
//
//   svg::Text(10, 20, "note", "clone() = 3", 14)   one line, at most 14 columns wide
//   svg::Head(90, 20, svg::Direction::kRight, "fork")

#ifndef IPCLAB_COMMON_REPORT_SVG_PARTS_H_
#define IPCLAB_COMMON_REPORT_SVG_PARTS_H_

#include <string>
#include <string_view>
#include <vector>

namespace ipclab::svg {

// Of the monospaced font of 12 px that labels have, with a little to spare.
inline constexpr double kColumn = 7.4;

enum class Direction { kLeft, kRight };

// A line of text whose baseline is at y; what does not fit is cut, and a tooltip has the whole.
std::string Text(double x, double y, std::string_view style, std::string_view text, int columns);

// The tip of an arrow is at (x, y).
std::string Head(double x, double y, Direction direction, std::string_view style);

// The box of a process, its upper left corner at (x, y).
inline constexpr double kBoxWidth = 112;
double BoxHeight(std::string_view name);  // What the words need.
std::string Box(double x, double y, double height, std::string_view style, std::string_view title,
                std::string_view name);

// Around it all: `body` with a title and a description for those who cannot see it.
std::string Frame(std::string_view id, std::string_view style, double width, double height,
                  std::string_view title, std::string_view description, std::string_view body);

}  // namespace ipclab::svg

#endif  // IPCLAB_COMMON_REPORT_SVG_PARTS_H_
