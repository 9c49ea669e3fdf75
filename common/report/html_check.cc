#include "common/report/html_check.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/report/markup.h"
#include "common/report/summary.h"
#include "common/report/svg.h"

namespace ipclab {
namespace {

class CheckWriter {
 public:
  CheckWriter(const LabResult& lab, const CheckResult& check, std::string_view id,
              Language language)
      : lab_(lab), check_(check), id_(id), language_(language), words_(WordsOf(language)) {}

  std::string Write();

 private:
  void Heading();
  void Facts();
  // A labelled part; `html` may be empty.
  static std::string Part(std::string_view label, std::string_view html);
  void WaitsFigure();
  void EventsFigure();
  void Figure(std::string_view caption, std::string_view circle, const std::string& svg,
              const std::string& story);
  std::string Story() const;

  const LabResult& lab_;
  const CheckResult& check_;
  const std::string id_;
  const Language language_;
  const Words& words_;
  std::string out_;
};

void CheckWriter::Heading() {
  const std::string_view classes = check_.status == CheckStatus::kFailed ? "failed" : "not_graded";
  out_ += fmt::format("<article class=\"check {}\" id=\"{}\">\n<h4>{}</h4>\n", classes, Html(id_),
                      HtmlWithCode(check_.title.empty() ? check_.id : check_.title));
}

void CheckWriter::Facts() {
  out_ += fmt::format("<p class=\"facts\"><span class=\"status\">{}",
                      check_.status == CheckStatus::kFailed ? words_.failed : words_.not_graded);
  if (check_.verdict != "failed")
    out_ += std::string(words_.colon) + Html(Verdict(check_.verdict, language_));
  out_ += fmt::format("</span> · {}",
                      Html(fmt::format(fmt::runtime(words_.points), PointsText(check_.points),
                                       PointsText(check_.max_points))));
  out_ += " · <span class=\"id\">" + Html(check_.id) + "</span>";
  if (!check_.function.empty() && check_.line > 0) {
    const std::size_t slash = lab_.source.rfind('/');
    const std::string file =
        slash == std::string::npos ? lab_.source : lab_.source.substr(slash + 1);
    out_ += " · " +
            Html(fmt::format(fmt::runtime(words_.defined_at), check_.function, file, check_.line));
  }
  out_ += "</p>\n";
}

std::string CheckWriter::Part(std::string_view label, std::string_view html) {
  if (html.empty()) return "";
  return fmt::format("<dt>{}</dt>\n<dd>{}</dd>\n", label, html);
}

// The same as the picture, for those who cannot see it or want to search it.
std::string CheckWriter::Story() const {
  std::string items;
  for (const TimelineEntry& entry : check_.timeline) {
    items +=
        fmt::format("<li><span class=\"soft\">{:.3f} ms", static_cast<double>(entry.at_us) / 1000);
    if (entry.kind != TimelineKind::kNote) {
      items += " " + Html(fmt::format(fmt::runtime(words_.process), entry.pid));
      if (!entry.process.empty()) items += " (" + Html(entry.process, 200) + ")";
    }
    items += "</span> " + Html(entry.what, 400) + "</li>\n";
  }
  return items;
}

void CheckWriter::Figure(std::string_view caption, std::string_view circle, const std::string& svg,
                         const std::string& story) {
  const std::string more =
      circle.empty() ? "" : fmt::format(" <span class=\"circle\">{}</span>", Html(circle));
  // It scrolls by itself, so it must be reachable by keyboard.
  out_ += fmt::format(
      "<figure>\n<figcaption>{}{}</figcaption>\n<div class=\"scroll\" tabindex=\"0\" "
      "role=\"group\" aria-label=\"{}\">\n{}</div>\n",
      caption, more, caption, svg);
  out_ += fmt::format(
      "<details>\n<summary>{}</summary>\n<ol class=\"story\">\n{}</ol>\n</details>\n"
      "</figure>\n",
      words_.as_text, story);
}

void CheckWriter::WaitsFigure() {
  const WaitPicture picture = DrawWaits(check_, language_);
  if (picture.empty()) return;
  std::string items;
  for (std::size_t i = 0; i < picture.nodes.size(); ++i) {
    const WaitPicture::Node& node = picture.nodes[i];
    std::string line = fmt::format(fmt::runtime(words_.process), node.pid) + " (" + node.name +
                       "): " + Join(node.text, ", ");
    for (const WaitPicture::Arrow& arrow : picture.arrows) {
      const std::string reason = ReasonText(picture, arrow, language_);
      if (arrow.from == i && !reason.empty()) line += "; " + reason;
    }
    if (!node.text.empty()) items += "<li>" + Html(line) + "</li>\n";
  }
  Figure(words_.waits_picture, CircleText(picture, language_),
         ToSvg(picture, id_ + "-waits", check_.id, language_), items);
}

void CheckWriter::EventsFigure() {
  const Picture picture = DrawPicture(check_, language_);
  if (picture.empty()) return;
  Figure(words_.events_picture, "", ToSvg(picture, id_ + "-events", check_.id, language_), Story());
}

std::string CheckWriter::Write() {
  Heading();
  Facts();
  std::string facts = Part(words_.expected, HtmlWithCode(check_.expected)) +
                      Part(words_.observed, Quote(check_.observed));
  for (const std::string& note : check_.notes) facts += Part(words_.note, Quote(note));
  if (!facts.empty()) out_ += "<dl>\n" + facts + "</dl>\n";
  if (check_.status == CheckStatus::kFailed || check_.status == CheckStatus::kNotGraded) {
    WaitsFigure();
    EventsFigure();
    const std::string hint =
        check_.hint.empty() ? "" : "<span class=\"hint\">" + HtmlWithCode(check_.hint) + "</span>";
    const std::string more =
        Part(words_.look_at, hint) + Part(words_.references, Html(Join(check_.references, ", ")));
    if (!more.empty()) out_ += "<dl>\n" + more + "</dl>\n";
  }
  out_ += "</article>\n";
  return std::move(out_);
}

}  // namespace

std::string CheckHtml(const LabResult& lab, const CheckResult& check, std::string_view id,
                      Language language) {
  return CheckWriter(lab, check, id, language).Write();
}

}  // namespace ipclab
