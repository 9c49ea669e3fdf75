#include "common/report/wrap.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>

#include "common/base/error.h"

namespace ipclab {
namespace {

// One character: its bytes, its columns, and whether a line may begin with it.
struct Glyph {
  std::string_view bytes;
  int columns = 1;
  bool wide = false;
  bool closing = false;
};

// Switches this thread to UTF-8, whatever the user's locale is; glibc always has C.UTF-8.
class Utf8Scope {
 public:
  Utf8Scope() : old_(uselocale(Utf8())) {}
  ~Utf8Scope() { uselocale(old_); }
  Utf8Scope(const Utf8Scope&) = delete;
  Utf8Scope& operator=(const Utf8Scope&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (locale == nullptr) throw GraderError("newlocale(C.UTF-8): this machine has no such locale");
    return locale;
  }

  locale_t old_;
};

// Punctuation that must not begin a line.
bool IsClosing(wchar_t c) {
  static constexpr std::wstring_view kClosing = L"，。、；：！？）》」』”’…";
  return kClosing.find(c) != std::wstring_view::npos;
}

std::vector<Glyph> Glyphs(std::string_view text) {
  const Utf8Scope scope;
  std::vector<Glyph> glyphs;
  while (!text.empty()) {
    wchar_t c = 0;
    mbstate_t state = {};
    const std::size_t got = mbrtowc(&c, text.data(), text.size(), &state);
    const bool valid = got != 0 && got <= text.size();
    const std::size_t length = valid ? got : 1;
    const int columns = valid ? std::max(0, wcwidth(c)) : 1;
    glyphs.push_back({text.substr(0, length), columns, columns == 2, valid && IsClosing(c)});
    text.remove_prefix(length);
  }
  return glyphs;
}

int Sum(const std::vector<Glyph>& glyphs, std::size_t begin, std::size_t end) {
  int columns = 0;
  for (std::size_t i = begin; i < end; ++i) columns += glyphs[i].columns;
  return columns;
}

std::string Text(const std::vector<Glyph>& glyphs, std::size_t begin, std::size_t end) {
  while (end > begin && glyphs[end - 1].bytes == " ") --end;
  std::string text;
  for (std::size_t i = begin; i < end; ++i) text += glyphs[i].bytes;
  return text;
}

// Whether a line may end before glyph `i`.
bool MayBreakBefore(const std::vector<Glyph>& glyphs, std::size_t i) {
  if (glyphs[i].bytes == " " || glyphs[i].closing) return false;
  return glyphs[i - 1].bytes == " " || glyphs[i].wide || glyphs[i - 1].wide;
}

}  // namespace

int Columns(std::string_view text) {
  const std::vector<Glyph> glyphs = Glyphs(text);
  return Sum(glyphs, 0, glyphs.size());
}

std::vector<std::string> Wrap(std::string_view text, int columns) {
  const std::vector<Glyph> glyphs = Glyphs(text);
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < glyphs.size()) {
    std::size_t end = begin;
    std::size_t last_break = begin;
    // Spaces hang over the edge: they are dropped at the end of a line.
    for (int used = 0; end < glyphs.size(); ++end) {
      if (end > begin && MayBreakBefore(glyphs, end)) last_break = end;
      used += glyphs[end].columns;
      if (used > columns && glyphs[end].bytes != " ") break;
    }
    if (end < glyphs.size()) end = last_break > begin ? last_break : std::max(end, begin + 1);
    lines.push_back(Text(glyphs, begin, end));
    begin = end;
  }
  if (lines.empty()) lines.emplace_back();
  return lines;
}

std::string Padded(std::string_view text, int columns) {
  return std::string(text) + std::string(std::max(0, columns - Columns(text)), ' ');
}

std::string Shortened(std::string_view text, int columns) {
  const std::vector<Glyph> glyphs = Glyphs(text);
  if (Sum(glyphs, 0, glyphs.size()) <= columns) return std::string(text);
  std::size_t end = 0;
  while (end < glyphs.size() && Sum(glyphs, 0, end + 1) + 3 <= columns) ++end;
  return Text(glyphs, 0, end) + "...";
}

}  // namespace ipclab
