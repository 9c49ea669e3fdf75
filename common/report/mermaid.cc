#include "common/report/mermaid.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/base/text.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

using Row = Picture::Row;
using Span = Picture::Span;

constexpr int kNameColumns = 40;
constexpr int kLabelColumns = 72;

bool IsPlain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view(" .,_-+*/=()?!").find(c) != std::string_view::npos;
}

// Letters of other scripts and our own arrows; the rest of Unicode is not needed in a label.
bool IsPlain(char32_t c) {
  return (c >= 0xc0 && c <= 0x24f) || (c >= 0x370 && c <= 0x52f) || c == 0xb7 || c == 0x2192 ||
         (c >= 0x3001 && c <= 0x30ff) || (c >= 0x4e00 && c <= 0x9fff) ||
         (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xff01 && c <= 0xff5e);
}

// The character at the start of `text`, which is valid UTF-8, and its length.
std::pair<char32_t, std::size_t> Decode(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  char32_t code = length == 1 ? first : first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length && i < text.size(); ++i) {
    code = (code << 6) | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  return {code, std::min(length, text.size())};
}

class Sequence {
 public:
  Sequence(const Picture& picture, Language language)
      : picture_(picture), words_(WordsOf(language)) {}

  std::string Write();

 private:
  static std::string Label(const Row& row) {
    std::string text = row.text;
    if (!row.detail.empty() && row.kind != Row::Kind::kEnd) text += ", " + row.detail;
    return MermaidLabel(text, kLabelColumns);
  }
  std::string Name(std::size_t lane) const {
    return "p" + std::to_string(picture_.lanes[lane].pid);
  }
  void Add(const std::string& line) { out_ += "  " + line + "\n"; }
  void Participants();
  void Activate(std::size_t row, bool begin);
  void Line(const Row& row);

  const Picture& picture_;
  const Words& words_;
  std::string out_;
};

void Sequence::Participants() {
  for (std::size_t i = 0; i < picture_.lanes.size(); ++i) {
    const Picture::Lane& lane = picture_.lanes[i];
    std::string name = fmt::format(fmt::runtime(words_.process), lane.pid);
    if (!lane.name.empty()) name += ", " + lane.name;
    Add("participant " + Name(i) + " as " + MermaidLabel(name, kNameColumns));
  }
}

void Sequence::Activate(std::size_t row, bool begin) {
  for (const Span& span : picture_.spans) {
    if (span.kind != Span::Kind::kFunction || span.first >= span.last) continue;
    if ((begin ? span.first : span.last) != row) continue;
    Add((begin ? "activate " : "deactivate ") + Name(span.lane));
  }
}

void Sequence::Line(const Row& row) {
  if (row.lane == Picture::kNowhere) {
    if (picture_.lanes.empty()) return;
    const std::size_t last = picture_.lanes.size() - 1;
    const std::string over = last == 0 ? Name(0) : Name(0) + "," + Name(last);
    Add("Note over " + over + ": " + Label(row));
    return;
  }
  const bool arrow = row.other != Picture::kNowhere;
  if (arrow && row.kind == Row::Kind::kStart) {
    Add(Name(row.other) + "->>" + Name(row.lane) + ": " + Label(row));
  } else if (arrow && row.kind == Row::Kind::kSignal) {
    Add(Name(row.other) + "-->>" + Name(row.lane) + ": " + Label(row));
  } else {
    const bool stuck = row.bad && !row.detail.empty();
    if (stuck) Add("rect rgba(200, 40, 40, 0.2)");
    Add("Note over " + Name(row.lane) + ": " + Label(row));
    if (stuck) Add("end");
    if (arrow) {
      Add(Name(row.lane) + "-->>" + Name(row.other) + ": " +
          MermaidLabel(row.detail, kLabelColumns));
    }
  }
}

std::string Sequence::Write() {
  out_ = "sequenceDiagram\n";
  Participants();
  for (std::size_t i = 0; i < picture_.rows.size(); ++i) {
    Line(picture_.rows[i]);
    // One band may end where the next begins.
    Activate(i, /*begin=*/false);
    Activate(i, /*begin=*/true);
  }
  return std::move(out_);
}

}  // namespace

std::string MermaidLabel(std::string_view text, int columns) {
  const std::string shown = Shortened(Printable(text, text.size()), columns);
  std::string out;
  for (std::string_view rest = shown; !rest.empty();) {
    const auto [code, length] = Decode(rest);
    if (code == '<') {
      out += "‹";
    } else if (code == '>') {
      out += "›";
    } else if (code < 0x80) {
      const char c = static_cast<char>(code);
      out += IsPlain(c) ? std::string(1, c) : fmt::format("#{};", static_cast<int>(code));
    } else {
      out += IsPlain(code) ? std::string(rest.substr(0, length)) : "?";
    }
    rest.remove_prefix(length);
  }
  return out.empty() ? "-" : out;
}

std::string ToMermaid(const Picture& picture, Language language) {
  return Sequence(picture, language).Write();
}

std::string ToMermaid(const WaitPicture& picture, Language language) {
  const Words& words = WordsOf(language);
  std::string out = "flowchart LR\n";
  for (const WaitPicture::Node& node : picture.nodes) {
    std::string label =
        MermaidLabel(fmt::format(fmt::runtime(words.process), node.pid), kNameColumns);
    if (!node.name.empty()) label += "<br/>" + MermaidLabel(node.name, kNameColumns);
    for (const std::string& line : node.text) label += "<br/>" + MermaidLabel(line, kLabelColumns);
    out += fmt::format("  p{}[\"{}\"]\n", node.pid, label);
  }
  std::vector<std::string> circle;
  for (std::size_t i = 0; i < picture.arrows.size(); ++i) {
    const WaitPicture::Arrow& arrow = picture.arrows[i];
    const std::string reason = ReasonText(picture, arrow, language);
    const std::string label =
        reason.empty() ? "" : "|\"" + MermaidLabel(reason, kLabelColumns) + "\"|";
    out += fmt::format("  p{} -->{} p{}\n", picture.nodes[arrow.from].pid, label,
                       picture.nodes[arrow.to].pid);
    if (arrow.circle) circle.push_back(std::to_string(i));
  }
  if (!circle.empty()) {
    out += "  linkStyle " + Join(circle, ",") + " stroke:#c0392b,stroke-width:3px\n";
  }
  for (const WaitPicture::Node& node : picture.nodes) {
    if (node.circle) out += fmt::format("  style p{} stroke:#c0392b,stroke-width:3px\n", node.pid);
  }
  return out;
}

}  // namespace ipclab
