#include "common/compile/definitions.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace ipclab {
namespace {

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Blanks comments and literals but for their line ends, so that positions stay what they are.
class Blanker {
 public:
  explicit Blanker(std::string_view source) : text_(source) {}

  std::string Run() {
    while (at_ < text_.size()) {
      if (Here("//")) {
        BlankTo(text_.find('\n', at_));
      } else if (Here("/*")) {
        BlankBehind("*/", at_ + 2);
      } else if (Here("R\"") && (at_ == 0 || !IsWordCharacter(text_[at_ - 1]))) {
        const std::size_t open = text_.find('(', at_);
        if (open == std::string::npos) break;
        BlankBehind(")" + text_.substr(at_ + 2, open - at_ - 2) + "\"", open);
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !IsDigitSeparator())) {
        BlankLiteral(text_[at_]);
      } else {
        ++at_;
      }
    }
    return std::move(text_);
  }

 private:
  bool Here(std::string_view what) const { return text_.compare(at_, what.size(), what) == 0; }
  bool IsDigitSeparator() const {
    return at_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[at_ - 1])) != 0;
  }

  void BlankTo(std::size_t end) {
    for (end = std::min(end, text_.size()); at_ < end; ++at_) {
      if (text_[at_] != '\n') text_[at_] = ' ';
    }
  }
  void BlankBehind(const std::string& closing, std::size_t from) {
    const std::size_t end = text_.find(closing, from);
    BlankTo(end == std::string::npos ? end : end + closing.size());
  }
  // A literal ends with its line at the latest.
  void BlankLiteral(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    BlankTo(end + 1);
  }

  std::string text_;
  std::size_t at_ = 0;
};

// Whether a body follows the parameters that begin at `at`; sets `at` behind what was read.
bool HasBody(std::string_view text, std::size_t& at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at++];
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (depth == 0 && c == '{') return true;
    // What follows a call, or the next argument, is no definition.
    if (depth < 0 || (depth == 0 && (c == ';' || c == ',' || c == '='))) return false;
  }
  return false;
}

}  // namespace

int LineOfDefinition(std::string_view source, std::string_view function) {
  if (function.empty()) return 0;
  const std::string text = Blanker(source).Run();
  for (std::size_t at = text.find(function); at != std::string::npos;
       at = text.find(function, at)) {
    const std::size_t name = at;
    at += function.size();
    if (name > 0 && IsWordCharacter(text[name - 1])) continue;
    const std::size_t open = text.find_first_not_of(" \t\n", at);
    if (open == std::string::npos || text[open] != '(') continue;
    at = open;  // No definition begins in what HasBody() reads.
    if (!HasBody(text, at)) continue;
    return 1 +
           static_cast<int>(std::count(text.begin(), text.begin() + static_cast<long>(name), '\n'));
  }
  return 0;
}

}  // namespace ipclab
