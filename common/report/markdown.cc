#include "common/report/markdown.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/base/text.h"
#include "common/report/markdown_text.h"
#include "common/report/mermaid.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

// Each diagram is a frame of its own in the reader's browser.
constexpr std::size_t kMostPictures = 16;

enum class Amount { kAll, kFirstOfExercise, kNone };

// How much is told.
struct Depth {
  bool passed = true;
  Amount pictures = Amount::kAll;
  Amount details = Amount::kAll;
  bool checks = true;
  bool exercises = true;
};

// From all to next to nothing.
constexpr Depth kDepths[] = {
    {},
    {.passed = false},
    {.passed = false, .pictures = Amount::kFirstOfExercise},
    {.passed = false, .pictures = Amount::kNone},
    {.passed = false, .pictures = Amount::kNone, .details = Amount::kFirstOfExercise},
    {.passed = false, .pictures = Amount::kNone, .details = Amount::kNone},
    {.passed = false, .pictures = Amount::kNone, .details = Amount::kNone, .checks = false},
    {.passed = false,
     .pictures = Amount::kNone,
     .details = Amount::kNone,
     .checks = false,
     .exercises = false},
};

std::size_t CountPictures(const RunResult& run) {
  std::size_t count = 0;
  for (const LabResult& lab : run.labs) {
    for (const CheckResult& check : lab.checks) {
      count += (check.timeline.empty() ? 0 : 1) + (check.waits.empty() ? 0 : 1);
    }
  }
  return count;
}

template <typename... Args>
std::string Phrase(std::string_view pattern, const Args&... args) {
  return fmt::format(fmt::runtime(pattern), args...);
}

std::string BarText(double share) {
  constexpr int kSteps = 10;
  const int done = static_cast<int>(share * kSteps);
  std::string bar;
  for (int i = 0; i < kSteps; ++i) bar += i < done ? "█" : "░";
  return bar;
}

class Summary {
 public:
  Summary(const RunResult& run, Language language, const Depth& depth)
      : run_(run), language_(language), words_(WordsOf(language)), depth_(depth) {}

  std::string Write();

 private:
  void Heading();
  void Notices();
  void LeftOut();
  void Lab(const LabResult& lab);
  void Scores(const LabResult& lab);
  void Exercise(const LabResult& lab, const ExerciseResult& exercise);
  void Check(const LabResult& lab, const CheckResult& check, bool first);
  void Details(const CheckResult& check);
  void Pictures(const CheckResult& check);
  void Others(const std::vector<const CheckResult*>& checks);
  std::string Item(const CheckResult& check) const;
  std::string PointsOf(double score, double max_score) const {
    return PointsText(score) + " / " + PointsText(max_score);
  }
  static bool Wants(Amount amount, bool first) {
    return amount == Amount::kAll || (amount == Amount::kFirstOfExercise && first);
  }
  void Part(std::string_view label, const std::string& text) {
    if (!text.empty()) Add(fmt::format("**{}** {}\n\n", label, text));
  }
  void Block(std::string_view label, const std::string& text) {
    Add(fmt::format("**{}**\n\n{}\n", label, text));
  }
  void Add(std::string_view text) { out_ += text; }

  const RunResult& run_;
  const Language language_;
  const Words& words_;
  const Depth& depth_;
  std::string out_;
};

void Summary::Heading() {
  const Totals totals = TotalsOf(run_);
  if (totals.exercises == 0) {
    Add(fmt::format("# IPC Labs{}{}\n\n", words_.colon, words_.cannot_grade));
    return;
  }
  Add(fmt::format("# IPC Labs{}{}\n\n{}\n\n", words_.colon,
                  Phrase(words_.points, PointsText(totals.score), PointsText(totals.max_score)),
                  Phrase(words_.summary, totals.solved, totals.exercises)));
  Notices();
  if (totals.not_graded > 0) {
    Add("> [!NOTE]\n> " + Phrase(words_.count_not_graded, totals.not_graded) + "\n\n");
  }
  Part(words_.next_label, CodeSpan(NextText(run_, language_)));
}

void Summary::Notices() {
  if (run_.isolation.mode == "full") return;
  Add("> [!WARNING]\n> " + Phrase(words_.practice, MarkdownText(run_.isolation.detail)) + "\n");
  if (!run_.isolation.fix.empty()) {
    Add("> " + Phrase(words_.to_fix, CodeSpan(run_.isolation.fix)) + "\n");
  }
  Add("\n");
}

void Summary::LeftOut() {
  std::vector<std::string> parts;
  const auto add = [&parts](std::string_view part) { parts.emplace_back(part); };
  if (!depth_.passed) add(words_.left_out_passed);
  if (depth_.pictures == Amount::kFirstOfExercise) add(words_.left_out_some_pictures);
  if (depth_.pictures == Amount::kNone) add(words_.left_out_pictures);
  if (depth_.details == Amount::kFirstOfExercise) add(words_.left_out_details);
  if (depth_.details == Amount::kNone && depth_.checks) add(words_.left_out_all_details);
  if (!depth_.checks) add(words_.left_out_checks);
  if (!depth_.exercises) add(words_.left_out_exercises);
  if (!parts.empty()) Add(Phrase(words_.left_out, Join(parts, words_.separator)) + "\n\n");
}

void Summary::Scores(const LabResult& lab) {
  Add(fmt::format("| {} | {} | |\n| --- | ---: | --- |\n", words_.exercise, words_.points_heading));
  for (const ExerciseResult& exercise : lab.exercises) {
    const double share = exercise.max_points > 0 ? exercise.points / exercise.max_points : 0;
    Add(fmt::format("| {} {} | {} | {} |\n", MarkdownText(exercise.id), MarkdownText(exercise.name),
                    PointsOf(exercise.points, exercise.max_points), BarText(share)));
  }
  Add("\n");
}

void Summary::Pictures(const CheckResult& check) {
  const WaitPicture waits = DrawWaits(check, language_);
  if (!waits.empty()) {
    Block(words_.waits_picture, CircleText(waits, language_) + "\n");
    Add("```mermaid\n" + ToMermaid(waits, language_) + "```\n\n");
  }
  const Picture events = DrawPicture(check, language_);
  if (!events.empty()) {
    Block(words_.events_picture, "```mermaid\n" + ToMermaid(events, language_) + "```\n");
  }
}

void Summary::Check(const LabResult& lab, const CheckResult& check, bool first) {
  const bool failed = check.status == CheckStatus::kFailed;
  const std::string title = MarkdownText(check.title.empty() ? check.id : check.title);
  std::string facts(failed ? words_.failed : words_.not_graded);
  if (check.verdict != "failed") {
    facts += std::string(words_.colon) + MarkdownText(Verdict(check.verdict, language_));
  }
  const std::string points =
      Phrase(words_.points, PointsText(check.points), PointsText(check.max_points));
  if (!Wants(depth_.details, first)) {
    Add(fmt::format("- {} **{}**, {}, {} {}\n\n", failed ? "❌" : "❓", facts, points, title,
                    CodeSpan(check.id)));
    return;
  }
  Add(fmt::format("#### {} {}\n\n**{}**, {}, {}", failed ? "❌" : "❓", title, facts, points,
                  CodeSpan(check.id)));
  if (!check.function.empty() && check.line > 0) {
    Add(", " + CodeSpan(Phrase(words_.defined_at, check.function, lab.source, check.line)));
  }
  Add("\n\n");
  Part(words_.expected, MarkdownText(check.expected));
  if (!check.observed.empty()) {
    Block(words_.observed, CodeBlock("text", check.observed));
  }
  for (const std::string& note : check.notes) {
    Block(words_.note, CodeBlock("text", note));
  }
  if (Wants(depth_.pictures, first)) Pictures(check);
  Part(words_.look_at, MarkdownText(check.hint));
  Part(words_.references, MarkdownText(Join(check.references, ", ")));
}

std::string Summary::Item(const CheckResult& check) const {
  std::string item = "- " + MarkdownText(check.title) + " " + CodeSpan(check.id);
  if (!check.observed.empty()) item += ": " + CodeSpan(check.observed);
  for (const std::string& note : check.notes) {
    item += ". " + std::string(words_.note) + std::string(words_.colon) + CodeSpan(note);
  }
  return item + "\n";
}

// Those that were skipped, and behind a fold those that passed.
void Summary::Others(const std::vector<const CheckResult*>& checks) {
  std::string skipped;
  std::string passed;
  int count = 0;
  for (const CheckResult* check : checks) {
    if (check->status == CheckStatus::kSkipped) skipped += Item(*check);
    if (check->status != CheckStatus::kPassed) continue;
    passed += Item(*check);
    ++count;
  }
  if (!skipped.empty()) Add(fmt::format("{}\n\n{}\n", words_.skipped, skipped));
  if (passed.empty() || !depth_.passed) return;
  Add(fmt::format("<details><summary>{} ({})</summary>\n\n{}\n</details>\n\n", words_.passed_checks,
                  count, passed));
}

void Summary::Exercise(const LabResult& lab, const ExerciseResult& exercise) {
  const std::vector<const CheckResult*> checks = ChecksOf(lab, exercise);
  Add(fmt::format("### {} {}{}{}\n\n", MarkdownText(exercise.id), CodeSpan(exercise.name),
                  words_.colon, PointsOf(exercise.points, exercise.max_points)));
  if (IsUntouched(checks)) {
    Add(MarkdownText(Verdict(checks[0]->verdict, language_)) + "\n\n");
    return;
  }
  bool first = true;
  for (const CheckResult* check : checks) {
    if (check->status != CheckStatus::kFailed && check->status != CheckStatus::kNotGraded) continue;
    Check(lab, *check, first);
    first = false;
  }
  Others(checks);
}

void Summary::Lab(const LabResult& lab) {
  if (!lab.error.empty()) {
    Add(fmt::format("## {}{}{}\n\n", MarkdownText(lab.lab), words_.colon, words_.cannot_grade));
    if (depth_.exercises) Add(CodeBlock("text", lab.error) + "\n");
    return;
  }
  Add(fmt::format("## {}{}{}\n\n", MarkdownText(lab.lab), words_.colon,
                  PointsOf(lab.score, lab.max_score)));
  if (depth_.exercises) Scores(lab);
  if (!depth_.checks) return;
  if (!lab.diagnostics.empty()) {
    Add(fmt::format("**{}**\n\n{}\n",
                    IsBuilt(lab) ? words_.warnings : Verdict(lab.checks[0].verdict, language_),
                    CodeBlock("text", lab.diagnostics)));
  }
  if (!IsBuilt(lab)) return;
  for (const ExerciseResult& exercise : lab.exercises) {
    const bool solved = IsSolved(lab, exercise);
    if (!solved || depth_.passed) Exercise(lab, exercise);
  }
}

std::string Summary::Write() {
  Heading();
  LeftOut();
  for (const LabResult& lab : run_.labs) Lab(lab);
  Add(fmt::format("{}\n", CodeSpan(Phrase(words_.repeat, run_.seed))));
  return std::move(out_);
}

}  // namespace

std::string ToMarkdown(const RunResult& run, Language language, std::size_t limit) {
  std::string text;
  for (const Depth& depth : kDepths) {
    if (depth.pictures == Amount::kAll && CountPictures(run) > kMostPictures) continue;
    text = Summary(run, language, depth).Write();
    if (text.size() <= limit) return text;
  }
  // Not even the scores fit. Cut before a character, not in it.
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  text.resize(limit);
  return text;
}

}  // namespace ipclab
