// Text on its way into HTML and SVG. Whatever the text, it stays text.
//
//   Html("a < b\x1b")                "a &lt; b\\x1b"
//   HtmlWithCode("as in `yes | head`")   "as in <code>yes | head</code>"
//   Quote("two\nlines")              "<pre class=\"quote\">two\nlines</pre>\n"

#ifndef IPCLAB_COMMON_REPORT_MARKUP_H_
#define IPCLAB_COMMON_REPORT_MARKUP_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ipclab {

inline constexpr std::size_t kHtmlTextLimit = 4000;
inline constexpr std::size_t kQuotedLines = 60;

// Made printable and cut as by Printable(), then escaped; fit for content and for quoted
// attributes.
std::string Html(std::string_view text, std::size_t limit = kHtmlTextLimit);

// For texts of the rubric: what stands between two backticks is code.
std::string HtmlWithCode(std::string_view text);

// Text that a submission may have shaped, as a block of its own that looks like a quotation.
std::string Quote(std::string_view text, std::size_t lines = kQuotedLines);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_MARKUP_H_
