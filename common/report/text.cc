#include "common/report/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/report/plain.h"
#include "common/report/summary.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

constexpr std::size_t kTextLimit = 4000;
constexpr std::size_t kTextLines = 40;
constexpr std::size_t kTitleLimit = 500;
constexpr std::size_t kDiagnosticLines = 60;
constexpr std::size_t kWarningLines = 12;

// A text of ours, on one line whatever it was made of.
std::string Title(std::string_view text) { return Printable(text, kTitleLimit); }

enum class Color { kNone, kRed, kGreen, kYellow, kDim, kBold };

std::vector<std::string> LinesOf(std::string_view text) {
  return PrintableLines(text, kTextLines, kTextLimit);
}

class Writer {
 public:
  explicit Writer(const TextStyle& style) : style_(style), words_(WordsOf(style.language)) {}

  std::string Run(const RunResult& run);

 private:
  void Lab(const LabResult& lab);
  void Exercise(const LabResult& lab, const ExerciseResult& exercise);
  void CheckLine(const CheckResult& check, bool with_id);
  void Details(const CheckResult& check);
  void Timeline(const std::vector<TimelineEntry>& timeline);
  void NotBuilt(const LabResult& lab);
  void Footer(const RunResult& run);

  // `left` and `right` at the two edges of one line; the left side wraps if it must.
  void Edges(const std::string& left, Color left_color, const std::string& right,
             Color right_color);
  // `text` wrapped behind `first`; further lines stand under the text.
  void Hanging(const std::string& first, const std::string& text, Color color = Color::kNone);
  // A labelled part of a check's details. Text of a submission stands behind a bar.
  void Part(std::string_view label, std::string_view text, bool foreign);
  void Line(const std::string& text) { out_ += NoCommand(text) + "\n"; }

  std::string Paint(const std::string& text, Color color) const;
  std::string Mark(CheckStatus status) const;
  Color ColorOf(CheckStatus status) const;

  const TextStyle& style_;
  const Words& words_;
  std::string out_;
};

std::string Writer::Paint(const std::string& text, Color color) const {
  static constexpr std::string_view kCodes[] = {"", "31", "32", "33", "2", "1"};
  if (!style_.color || color == Color::kNone || text.empty()) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(color)], text);
}

Color Writer::ColorOf(CheckStatus status) const {
  switch (status) {
    case CheckStatus::kPassed:
      return Color::kGreen;
    case CheckStatus::kFailed:
      return Color::kRed;
    case CheckStatus::kNotGraded:
      return Color::kYellow;
    case CheckStatus::kSkipped:
      return Color::kDim;
  }
  return Color::kNone;
}

std::string Writer::Mark(CheckStatus status) const {
  switch (status) {
    case CheckStatus::kPassed:
      return style_.terminal ? "✓" : std::string(words_.passed);
    case CheckStatus::kFailed:
      return style_.terminal ? "✗" : std::string(words_.failed);
    case CheckStatus::kNotGraded:
      return style_.terminal ? "?" : std::string(words_.not_graded);
    case CheckStatus::kSkipped:
      return style_.terminal ? "·" : std::string(words_.skipped);
  }
  return "";
}

void Writer::Edges(const std::string& left, Color left_color, const std::string& right,
                   Color right_color) {
  const int room = std::max(20, style_.columns - Columns(right) - 2);
  const std::vector<std::string> lines = Wrap(left, room);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string first = i == 0 ? "" : "    ";
    if (i + 1 < lines.size()) {
      Line(first + Paint(lines[i], left_color));
    } else {
      const int gap = std::max(2, style_.columns - Columns(first + lines[i]) - Columns(right));
      Line(first + Paint(lines[i], left_color) + std::string(static_cast<std::size_t>(gap), ' ') +
           Paint(right, right_color));
    }
  }
}

void Writer::Hanging(const std::string& first, const std::string& text, Color color) {
  const int indent = Columns(first);
  std::string further(static_cast<std::size_t>(indent), ' ');
  // A bar goes on to the last line: what stands behind it is not ours.
  const std::size_t bar = first.find('|');
  if (bar != std::string::npos) {
    further[static_cast<std::size_t>(Columns(first.substr(0, bar)))] = '|';
  }
  std::string prefix = Paint(first, color);
  for (const std::string& line : Wrap(text, std::max(20, style_.columns - indent))) {
    Line(prefix + line);
    prefix = further;
  }
}

void Writer::Part(std::string_view label, std::string_view text, bool foreign) {
  if (text.empty()) return;
  constexpr int kIndent = 6;
  const int label_columns = 2 + std::max({Columns(words_.expected), Columns(words_.observed),
                                          Columns(words_.look_at), Columns(words_.references)});
  const std::string bar = foreign ? "| " : "";
  const int room = std::max(20, style_.columns - kIndent - label_columns - Columns(bar));
  std::string head = Paint(Padded(label, label_columns), Color::kDim);
  for (const std::string& whole : LinesOf(text)) {
    for (const std::string& line : Wrap(whole, room)) {
      Line(std::string(kIndent, ' ') + head + bar + line);
      head = std::string(static_cast<std::size_t>(label_columns), ' ');
    }
  }
}

void Writer::Timeline(const std::vector<TimelineEntry>& timeline) {
  if (timeline.empty()) return;
  Line("      " + Paint(std::string(words_.timeline), Color::kDim));
  const std::size_t skip =
      timeline.size() > style_.timeline_lines ? timeline.size() - style_.timeline_lines : 0;
  if (skip > 0) Line("        " + fmt::format(fmt::runtime(words_.earlier_events), skip));
  for (std::size_t i = skip; i < timeline.size(); ++i) {
    const TimelineEntry& entry = timeline[i];
    const std::string who = fmt::format("{} ({})", Printable(entry.process, 60), entry.pid);
    Hanging(fmt::format("        | {:9.3f} ms  ", static_cast<double>(entry.at_us) / 1000),
            who + "  " + Printable(entry.what, 400));
  }
}

void Writer::Details(const CheckResult& check) {
  Part(words_.expected, check.expected, false);
  Part(words_.observed, check.observed, true);
  for (const std::string& note : check.notes) Part(words_.note, note, true);
  Part(words_.look_at, check.hint, false);
  Part(words_.references, Join(check.references, ", "), false);
  Timeline(check.timeline);
}

void Writer::CheckLine(const CheckResult& check, bool with_id) {
  int width = 1;
  if (!style_.terminal) {
    for (const CheckStatus status : {CheckStatus::kPassed, CheckStatus::kFailed,
                                     CheckStatus::kNotGraded, CheckStatus::kSkipped}) {
      width = std::max(width, Columns(Mark(status)));
    }
  }
  std::string text = Title(check.title.empty() ? check.id : check.title);
  if (check.status == CheckStatus::kFailed && check.verdict != "failed") {
    text += fmt::format(" ({})", Title(Verdict(check.verdict, style_.language)));
  }
  if (with_id) text += " [" + Title(check.id) + "]";
  Hanging("  " + Padded(Mark(check.status), width) + "  ", text, ColorOf(check.status));
}

void Writer::Exercise(const LabResult& lab, const ExerciseResult& exercise) {
  const std::vector<const CheckResult*> checks = ChecksOf(lab, exercise);
  std::string name = exercise.id + " " + exercise.name;
  if (!exercise.title.empty()) name += ": " + Title(exercise.title);
  std::string points = PointsText(exercise.points) + " / " + PointsText(exercise.max_points);
  const bool solved = IsSolved(lab, exercise);
  const bool untouched = IsUntouched(checks);
  if (solved) points = std::string(words_.solved) + "  " + points;
  if (untouched) {
    points = Title(Verdict(checks[0]->verdict, style_.language)) + "  " + points;
  }
  Line("");
  Edges(name, Color::kBold, points,
        solved      ? Color::kGreen
        : untouched ? Color::kDim
                    : Color::kNone);
  if (untouched) return;

  bool told = false;
  for (const CheckResult* check : checks) {
    CheckLine(*check, check->status == CheckStatus::kFailed);
    if (check->status == CheckStatus::kFailed && !told) {
      Details(*check);
      told = true;
    } else if (check->status == CheckStatus::kNotGraded || check->status == CheckStatus::kSkipped) {
      for (const std::string& line : LinesOf(check->observed)) Hanging("      | ", line);
    }
  }
}

void Writer::NotBuilt(const LabResult& lab) {
  Line("");
  Line(Paint(
      fmt::format("{}: {}", Title(lab.source), Verdict(lab.checks[0].verdict, style_.language)),
      Color::kRed));
  out_ += Quoted(lab.diagnostics, "  | ", kDiagnosticLines);
}

void Writer::Lab(const LabResult& lab) {
  const std::string points =
      fmt::format(fmt::runtime(words_.points), PointsText(lab.score), PointsText(lab.max_score));
  if (!lab.error.empty()) {
    Edges(lab.lab, Color::kBold, std::string(words_.cannot_grade), Color::kYellow);
    for (const std::string& line : LinesOf(lab.error)) Hanging("  ", line);
    Line("");
    return;
  }
  Edges(lab.lab + "  " + Title(lab.source), Color::kBold, points,
        lab.score == lab.max_score ? Color::kGreen : Color::kBold);
  if (IsBuilt(lab)) {
    if (!lab.diagnostics.empty()) {
      Line("");
      Line(Paint(std::string(words_.warnings), Color::kYellow));
      out_ += Quoted(lab.diagnostics, "  | ", kWarningLines);
    }
    for (const ExerciseResult& exercise : lab.exercises) Exercise(lab, exercise);
  } else {
    NotBuilt(lab);
  }
  Line("");
}

void Writer::Footer(const RunResult& run) {
  const Totals totals = TotalsOf(run);
  if (totals.exercises == 0) return;
  Line(fmt::format(fmt::runtime(words_.total),
                   fmt::format(fmt::runtime(words_.points), PointsText(totals.score),
                               PointsText(totals.max_score)),
                   fmt::format(fmt::runtime(words_.summary), totals.solved, totals.exercises)));
  if (totals.not_graded > 0) {
    Line(Paint(fmt::format(fmt::runtime(words_.count_not_graded), totals.not_graded),
               Color::kYellow));
  }
  const bool any_failed = std::any_of(run.labs.begin(), run.labs.end(), [](const LabResult& lab) {
    return CountChecks(lab, CheckStatus::kFailed) > 0;
  });
  if (any_failed) Line(fmt::format(fmt::runtime(words_.repeat), run.seed));
  Line(fmt::format(fmt::runtime(words_.next), Title(NextText(run, style_.language))));
}

std::string Writer::Run(const RunResult& run) {
  const bool graded = std::any_of(run.labs.begin(), run.labs.end(),
                                  [](const LabResult& lab) { return lab.error.empty(); });
  if (graded && run.isolation.mode == "practice") {
    Hanging("", fmt::format(fmt::runtime(words_.practice), Title(run.isolation.detail)));
    if (!run.isolation.fix.empty()) {
      Hanging("", fmt::format(fmt::runtime(words_.to_fix), Title(run.isolation.fix)));
    }
    Line("");
  }
  for (const LabResult& lab : run.labs) Lab(lab);
  Footer(run);
  return std::move(out_);
}

}  // namespace

std::string ToText(const RunResult& run, const TextStyle& style) { return Writer(style).Run(run); }

}  // namespace ipclab
