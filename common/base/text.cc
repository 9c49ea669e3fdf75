#include "common/base/text.h"

#include <cstdio>

namespace ipclab {
namespace {

// GitHub's runner takes the rest of a line for a command, wherever in the line this stands.
constexpr std::string_view kRunnerCommand = "##[";

// Characters that show nothing, or change how their neighbours are shown: soft hyphen, fillers,
// joiners, marks and overrides of direction, variation selectors, tags, noncharacters.
bool IsInvisible(char32_t c) {
  static constexpr struct {
    char32_t first, last;
  } kRanges[] = {{0xad, 0xad},       {0x34f, 0x34f},   {0x61c, 0x61c},   {0x115f, 0x1160},
                 {0x17b4, 0x17b5},   {0x180b, 0x180f}, {0x200b, 0x200f}, {0x2028, 0x202e},
                 {0x2060, 0x206f},   {0x3164, 0x3164}, {0xe000, 0xf8ff}, {0xfdd0, 0xfdef},
                 {0xfe00, 0xfe0f},   {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
                 {0xe0000, 0x10ffff}};
  for (const auto& range : kRanges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return (c & 0xfffe) == 0xfffe;
}

// Length of the valid UTF-8 sequence at the start of `text` that shows something, or 0. Controls of
// C1 show nothing.
std::size_t Utf8Length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first >= 0xc2 && first < 0xe0   ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (first == 0xc2 && byte(1) < 0xa0) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  char32_t code = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = (code << 6) | (byte(i) & 0x3fU);
  return IsInvisible(code) ? 0 : length;
}

std::string Escaped(char c) {
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  if (c == '\r') return "\\r";
  char code[8];
  std::snprintf(code, sizeof(code), "\\x%02x", static_cast<unsigned char>(c));
  return code;
}

}  // namespace

std::string Printable(std::string_view text, std::size_t limit) {
  const std::string_view shown = text.substr(0, limit);
  std::string out;
  for (std::size_t i = 0; i < shown.size();) {
    const char c = shown[i];
    if (shown.substr(i, kRunnerCommand.size()) == kRunnerCommand) {
      out += "\\x23";
      ++i;
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
      ++i;
    } else if (const std::size_t length = Utf8Length(shown.substr(i)); length > 0) {
      out += shown.substr(i, length);
      i += length;
    } else {
      out += Escaped(c);
      ++i;
    }
  }
  if (text.size() > limit) {
    out += "... (" + Count(static_cast<long long>(text.size() - limit), "byte") + " more)";
  }
  return out;
}

std::vector<std::string> PrintableLines(std::string_view text, std::size_t lines,
                                        std::size_t limit) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < lines) {
    const std::size_t end = text.find('\n');
    out.push_back(Printable(text.substr(0, end), limit));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (!text.empty()) {
    out.push_back("... (" + Count(static_cast<long long>(text.size()), "byte") + " more)");
  }
  return out;
}

std::string Quoted(std::string_view text, std::string_view prefix, std::size_t lines,
                   std::size_t limit) {
  std::string out;
  for (const std::string& line : PrintableLines(text, lines, limit)) {
    out += std::string(prefix) + line + "\n";
  }
  return out;
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string Count(long long n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

}  // namespace ipclab
