// Text in columns of a terminal, where a Chinese character is two columns wide.
//
//   Columns("管道 ok")                   7
//   Wrap("a long sentence ...", 40)      {"a long", "sentence ..."}
//   Padded("名", 6)                      "名    "

#ifndef IPCLAB_COMMON_REPORT_WRAP_H_
#define IPCLAB_COMMON_REPORT_WRAP_H_

#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

// How many columns `text` takes on a terminal; `text` is printable UTF-8. See wcwidth(3).
int Columns(std::string_view text);

// The lines of `text`, none wider than `columns`. Breaks at spaces and between Chinese characters,
// never before closing punctuation; a word longer than a line is cut. At least one line.
std::vector<std::string> Wrap(std::string_view text, int columns);

// `text` with spaces behind it, up to `columns`.
std::string Padded(std::string_view text, int columns);

// The longest start of `text` that fits, with "..." at its end if something was left out.
std::string Shortened(std::string_view text, int columns);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_WRAP_H_
