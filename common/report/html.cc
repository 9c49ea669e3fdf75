#include "common/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/base/text.h"
#include "common/report/html_check.h"
#include "common/report/markup.h"
#include "common/report/style.h"
#include "common/report/summary.h"
#include "common/report/svg.h"

namespace ipclab {
namespace {

template <typename... Args>
std::string Phrase(std::string_view pattern, const Args&... args) {
  return fmt::format(fmt::runtime(pattern), args...);
}

bool NeedsALook(const CheckResult& check) {
  return check.status == CheckStatus::kFailed || check.status == CheckStatus::kNotGraded;
}

class Page {
 public:
  Page(const RunResult& run, Language language)
      : run_(run), language_(language), words_(WordsOf(language)), totals_(TotalsOf(run)) {
    ChooseIds();
  }

  std::string Write();

 private:
  void ChooseIds();
  void Head();
  void Masthead();
  void Notices();
  void Contents();
  void Lab(const LabResult& lab);
  void Scores(const LabResult& lab);
  void Exercise(const LabResult& lab, const ExerciseResult& exercise);
  void Passed(const std::vector<const CheckResult*>& checks);
  void Skipped(const std::vector<const CheckResult*>& checks);
  std::string Item(const CheckResult& check, std::string_view mark) const;
  // Where a check's address leads if nothing is said about it.
  void Anchor(const CheckResult& check) {
    Add(fmt::format("<span id=\"{}\"></span>\n", Html(IdOf(check))));
  }
  void Footer();

  std::string IdOf(const CheckResult& check) const { return ids_.at(&check); }
  std::string PointsOf(double score, double max_score) const {
    return fmt::format("{} / {}", PointsText(score), PointsText(max_score));
  }
  void Add(std::string_view text) { out_ += text; }

  const RunResult& run_;
  const Language language_;
  const Words& words_;
  const Totals totals_;
  std::map<const CheckResult*, std::string> ids_;
  std::string out_;
};

// A check's own id; if two labs should have the same one, the later gets its lab's name before it.
void Page::ChooseIds() {
  std::set<std::string> taken;
  for (const LabResult& lab : run_.labs) {
    for (const CheckResult& check : lab.checks) {
      std::string id = check.id;
      while (!taken.insert(id).second) id = lab.lab + "." + id;
      ids_[&check] = id;
    }
  }
}

void Page::Head() {
  std::string title = "IPC Labs";
  for (const LabResult& lab : run_.labs) title += " " + lab.lab;
  if (totals_.exercises > 0) title += ": " + PointsOf(totals_.score, totals_.max_score);
  Add(fmt::format(
      "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; "
      "base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n",
      language_ == Language::kChinese ? "zh-CN" : "en", ReportStyleHash(), Html(title),
      ReportStyle()));
}

void Page::Masthead() {
  Add("<header class=\"masthead\">\n<p class=\"brand\">IPC Labs</p>\n");
  if (totals_.exercises > 0) {
    Add(fmt::format("<h1>{} <span class=\"of\">{}</span></h1>\n<p class=\"sum\">{}</p>\n",
                    PointsText(totals_.score),
                    Html(Phrase(words_.of_points, PointsText(totals_.max_score))),
                    Html(Phrase(words_.summary, totals_.solved, totals_.exercises))));
  } else {
    Add(fmt::format("<h1>{}</h1>\n", words_.cannot_grade));
  }
  Notices();
  Add("</header>\n");
}

void Page::Notices() {
  if (totals_.exercises == 0) return;
  if (run_.isolation.mode != "full") {
    Add(fmt::format("<p class=\"notice\"><b>{}</b>",
                    Html(Phrase(words_.practice, run_.isolation.detail))));
    if (!run_.isolation.fix.empty()) {
      Add(Html(Phrase(words_.to_fix, "")) + "<code>" + Html(run_.isolation.fix) + "</code>");
    }
    Add("</p>\n");
  }
  if (totals_.not_graded > 0) {
    Add(fmt::format("<p class=\"notice\">{}</p>\n",
                    Html(Phrase(words_.count_not_graded, totals_.not_graded))));
  }
  Add(fmt::format("<p class=\"next\"><b>{}</b>{}</p>\n", words_.next_label,
                  Html(NextText(run_, language_))));
}

void Page::Contents() {
  std::string items;
  for (const LabResult& lab : run_.labs) {
    if (!IsBuilt(lab)) continue;
    for (const CheckResult& check : lab.checks) {
      if (!NeedsALook(check)) continue;
      items +=
          fmt::format("<li><a href=\"#{}\">{}</a> <span class=\"soft\">{}</span></li>\n",
                      Html(IdOf(check)), HtmlWithCode(check.title.empty() ? check.id : check.title),
                      Html(Verdict(check.verdict, language_)));
    }
  }
  if (items.empty()) return;
  Add(
      fmt::format("<nav aria-labelledby=\"contents\">\n<h2 id=\"contents\">{}</h2>\n<ul>\n{}</ul>\n"
                  "</nav>\n",
                  words_.contents, items));
}

void Page::Scores(const LabResult& lab) {
  Add(fmt::format(
      "<table class=\"scores\">\n<thead><tr><th scope=\"col\">{}</th><td "
      "class=\"bar-cell\"></td><th scope=\"col\" class=\"number\">{}</th></tr></thead>\n"
      "<tbody>\n",
      words_.exercise, words_.points_heading));
  for (const ExerciseResult& exercise : lab.exercises) {
    const double share = exercise.max_points > 0 ? exercise.points / exercise.max_points : 0;
    std::string name = Html(exercise.id + " " + exercise.name);
    // Of code that was not built there is no more to say of an exercise.
    if (IsBuilt(lab)) {
      name = fmt::format("<a href=\"#exercise-{}\">{}</a>", Html(exercise.id), name);
    }
    Add(fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"bar-cell\">{}</td><td class=\"number\">{}</td>"
        "</tr>\n",
        name, BarSvg(share), PointsOf(exercise.points, exercise.max_points)));
  }
  Add("</tbody>\n</table>\n");
}

std::string Page::Item(const CheckResult& check, std::string_view mark) const {
  std::string item = fmt::format(
      "<li id=\"{}\"><span class=\"mark\" aria-hidden=\"true\">{}</span><div>{} <span class=\"id "
      "soft\">{}</span>",
      Html(IdOf(check)), mark, HtmlWithCode(check.title), Html(check.id));
  for (const std::string& note : check.notes) item += Quote(note);
  return item + Quote(check.observed) + "</div></li>\n";
}

void Page::Passed(const std::vector<const CheckResult*>& checks) {
  std::string items;
  int count = 0;
  for (const CheckResult* check : checks) {
    if (check->status != CheckStatus::kPassed) continue;
    ++count;
    items += Item(*check, "✓");
  }
  if (count == 0) return;
  Add(
      fmt::format("<details>\n<summary>{} ({})</summary>\n<ul class=\"checks passed\">\n{}</ul>\n"
                  "</details>\n",
                  words_.passed_checks, count, items));
}

void Page::Skipped(const std::vector<const CheckResult*>& checks) {
  std::string items;
  for (const CheckResult* check : checks) {
    if (check->status == CheckStatus::kSkipped) items += Item(*check, "·");
  }
  if (items.empty()) return;
  Add(fmt::format("<p class=\"list-title\">{}</p>\n<ul class=\"checks\">\n{}</ul>\n",
                  words_.skipped, items));
}

void Page::Exercise(const LabResult& lab, const ExerciseResult& exercise) {
  const std::vector<const CheckResult*> checks = ChecksOf(lab, exercise);
  const std::string points = PointsOf(exercise.points, exercise.max_points);
  Add(
      fmt::format("<section class=\"exercise\" id=\"exercise-{}\">\n<h3>{} <code>{}</code> <span "
                  "class=\"points\">{}</span></h3>\n",
                  Html(exercise.id), Html(exercise.id), Html(exercise.name), points));
  if (!exercise.title.empty()) {
    Add("<p class=\"say\">" + HtmlWithCode(exercise.title) + "</p>\n");
  }
  if (IsUntouched(checks)) {
    // That nothing is begun is said once.
    Add(fmt::format("<p class=\"say\">{}</p>\n", Html(Verdict(checks[0]->verdict, language_))));
    for (const CheckResult* check : checks) Anchor(*check);
    Add("</section>\n");
    return;
  }
  for (const CheckResult* check : checks) {
    if (NeedsALook(*check)) Add(CheckHtml(lab, *check, IdOf(*check), language_));
  }
  Skipped(checks);
  Passed(checks);
  Add("</section>\n");
}

void Page::Lab(const LabResult& lab) {
  const bool graded = lab.error.empty();
  Add(
      fmt::format("<section class=\"lab\" aria-labelledby=\"lab-{}\">\n<h2 id=\"lab-{}\">{} <span "
                  "class=\"points\">{}</span></h2>\n",
                  Html(lab.lab), Html(lab.lab), Html(lab.lab),
                  graded ? PointsOf(lab.score, lab.max_score) : std::string(words_.cannot_grade)));
  if (!lab.source.empty()) Add("<p class=\"id soft\">" + Html(lab.source) + "</p>\n");
  if (!graded) {
    Add(Quote(lab.error) + "</section>\n");
    return;
  }
  Scores(lab);
  if (!IsBuilt(lab)) {
    Add(fmt::format("<div class=\"check failed\">\n<p class=\"status\">{}</p>\n{}</div>\n",
                    Html(Verdict(lab.checks[0].verdict, language_)), Quote(lab.diagnostics)));
    for (const CheckResult& check : lab.checks) Anchor(check);
  } else {
    if (!lab.diagnostics.empty()) {
      Add(fmt::format("<details open>\n<summary>{}</summary>\n{}</details>\n", words_.warnings,
                      Quote(lab.diagnostics, 12)));
    }
    for (const ExerciseResult& exercise : lab.exercises) Exercise(lab, exercise);
  }
  Add("</section>\n");
}

void Page::Footer() {
  Add("<footer>\n");
  if (!run_.started_at.empty()) {
    Add(fmt::format("<p>{} {}, {} {:.0f} {}</p>\n", words_.started, Html(run_.started_at),
                    words_.took, run_.duration_ms, words_.milliseconds));
  }
  Add(fmt::format("<p>IPC Labs {}. {}</p>\n</footer>\n", Html(run_.grader_version),
                  Html(Phrase(words_.repeat, run_.seed))));
}

std::string Page::Write() {
  Head();
  Masthead();
  Contents();
  Add("<main>\n");
  for (const LabResult& lab : run_.labs) Lab(lab);
  Add("</main>\n");
  Footer();
  Add("</body>\n</html>\n");
  return std::move(out_);
}

}  // namespace

std::string ToHtml(const RunResult& run, Language language) { return Page(run, language).Write(); }

}  // namespace ipclab
