#include "common/report/markup.h"

#include <algorithm>

#include "common/base/text.h"

namespace ipclab {

std::string Html(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : Printable(text, limit)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '`':  // An old browser takes it for a quote.
        out += "&#96;";
        break;
      case ':':  // Two that begin a line are a command to GitHub's runner, if it is printed there.
        out += out.ends_with(':') ? "&#58;" : ":";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string HtmlWithCode(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t open = text.find('`');
    const std::size_t close = open == std::string_view::npos ? open : text.find('`', open + 1);
    if (close == std::string_view::npos) return out + Html(text);
    out += Html(text.substr(0, open)) + "<code>" + Html(text.substr(open + 1, close - open - 1)) +
           "</code>";
    text.remove_prefix(close + 1);
  }
}

std::string Quote(std::string_view text, std::size_t lines) {
  if (text.empty()) return "";
  std::string out = "<pre class=\"quote\">";
  std::size_t shown = 0;
  while (!text.empty() && lines > 0 && shown < kHtmlTextLimit) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::size_t length = std::min(end, kHtmlTextLimit - shown);
    out += Html(text.substr(0, length)) + "\n";
    shown += length + 1;
    --lines;
    text.remove_prefix(length == end ? std::min(end + 1, text.size()) : length);
  }
  if (!text.empty()) {
    out += "... (" + Count(static_cast<long long>(text.size()), "byte") + " more)\n";
  }
  out.pop_back();
  return out + "</pre>\n";
}

}  // namespace ipclab
