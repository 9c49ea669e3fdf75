// A student's text is data: it is capped and escaped before anyone sees it.
//
//   Printable("a\x1b[2J\n", 80)    "a\\x1b[2J\\n"

#ifndef IPCLAB_COMMON_BASE_TEXT_H_
#define IPCLAB_COMMON_BASE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

// Control characters, invisible ones (joiners, overrides of direction) and invalid UTF-8 become \n,
// \t or \xNN, and so does what a log of GitHub's runner takes for a command, "##["; past `limit`
// bytes of input the rest is replaced by "... (N bytes more)".
std::string Printable(std::string_view text, std::size_t limit);

// The lines of `text`, each made printable within `limit` bytes; at most `lines` of them, and
// behind these one that says how much was left out.
std::vector<std::string> PrintableLines(std::string_view text, std::size_t lines,
                                        std::size_t limit);

// The same as one text, each line behind `prefix`.
std::string Quoted(std::string_view text, std::string_view prefix, std::size_t lines,
                   std::size_t limit = 200);

std::string Join(const std::vector<std::string>& parts, std::string_view separator);

// "1 byte", "2 bytes".
std::string Count(long long n, std::string_view noun);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_BASE_TEXT_H_
