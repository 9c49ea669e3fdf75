#include "common/report/markdown_text.h"

#include <algorithm>

#include "common/base/text.h"
#include "common/report/plain.h"

namespace ipclab {
namespace {

constexpr std::size_t kTextLimit = 4000;
constexpr std::size_t kLines = 60;

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : Printable(text, kTextLimit)) {
    if (std::string_view("\\`*_{}[]<>#|~&@$!").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::size_t LongestFence(std::string_view text) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

}  // namespace

std::string MarkdownText(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t open = text.find('`');
    const std::size_t close = open == std::string_view::npos ? open : text.find('`', open + 1);
    if (close == std::string_view::npos) return out + Escaped(text);
    out += Escaped(text.substr(0, open)) + CodeSpan(text.substr(open + 1, close - open - 1));
    text.remove_prefix(close + 1);
  }
}

std::string CodeSpan(std::string_view text) {
  std::string out = "`";
  for (const char c : Printable(text, kTextLimit)) out += c == '`' ? '\'' : c;
  return out.size() == 1 ? "` `" : out + "`";
}

std::string CodeBlock(std::string_view language, std::string_view text) {
  std::string lines;
  std::size_t room = kTextLimit;
  for (std::size_t n = 0; !text.empty() && n < kLines && room > 0; ++n) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::size_t length = std::min(end, room);
    lines += NoCommand(Printable(text.substr(0, length), length)) + "\n";
    room -= length;
    text.remove_prefix(length == end ? std::min(end + 1, text.size()) : length);
  }
  if (!text.empty()) {
    lines += "... (" + Count(static_cast<long long>(text.size()), "byte") + " more)\n";
  }
  const std::string fence(std::max<std::size_t>(3, LongestFence(lines) + 1), '`');
  return fence + std::string(language) + "\n" + lines + fence + "\n";
}

}  // namespace ipclab
