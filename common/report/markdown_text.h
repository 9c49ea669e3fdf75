// Text on its way into GitHub's Markdown. Whatever the text, it stays text.
//
//   MarkdownText("a *b* of `yes | head`")   "a \*b\* of `yes | head`"
//   CodeSpan("a`b")                         "`a'b`"
//   CodeBlock("text", "two\nlines")         a fenced block that the text cannot end

#ifndef IPCLAB_COMMON_REPORT_MARKDOWN_TEXT_H_
#define IPCLAB_COMMON_REPORT_MARKDOWN_TEXT_H_

#include <string>
#include <string_view>

namespace ipclab {

// For texts of the rubric: what stands between two backticks is code. One line.
std::string MarkdownText(std::string_view text);

// One line; not for the cell of a table, which a bar would end.
std::string CodeSpan(std::string_view text);

// Made printable line by line, and cut.
std::string CodeBlock(std::string_view language, std::string_view text);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_MARKDOWN_TEXT_H_
