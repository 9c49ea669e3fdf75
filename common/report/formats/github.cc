// Workflow commands that GitHub's runner makes annotations of, on the lines of the student's file.
// The job summary is not among them; `lab` appends it to the file that the runner names.
//
// Of each type at most 10 annotations of a step are shown, the rest is dropped in silence: the
// gravest come first, and the last says how many are not shown. In a message % CR LF are escaped,
// in a property also : and , . An annotation is one line that begins with ours, so nothing a
// submission wrote can begin one. What could not be graded is a warning: it is nobody's error in
// that file.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "common/base/text.h"
#include "common/report/formats/formats.h"
#include "common/report/plain.h"
#include "common/report/standing.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

constexpr std::size_t kShown = 10;
constexpr std::size_t kTextLimit = 4000;
constexpr std::size_t kTitleLimit = 200;
constexpr std::size_t kErrorLines = 40;

std::string EscapedData(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '%') {
      out += "%25";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else {
      out += c;
    }
  }
  return out;
}

std::string EscapedProperty(std::string_view text) {
  std::string out;
  for (const char c : EscapedData(text)) {
    if (c == ':') {
      out += "%3A";
    } else if (c == ',') {
      out += "%2C";
    } else {
      out += c;
    }
  }
  return out;
}

struct Annotation {
  double weight = 0;  // The heavier, the earlier.
  std::string title;
  std::string file;  // May be empty.
  std::size_t line = 0;
  std::size_t column = 0;
  std::string message;
};

std::string Lines(std::string_view type, std::vector<Annotation> annotations, Language language) {
  std::stable_sort(annotations.begin(), annotations.end(),
                   [](const Annotation& a, const Annotation& b) { return a.weight > b.weight; });
  if (annotations.size() > kShown) {
    const std::size_t hidden = annotations.size() - kShown;
    annotations.resize(kShown);
    annotations.back().message +=
        fmt::format(fmt::runtime(language == Language::kChinese ? "\n（还有 {} 项未显示）"
                                                                : "\n({} more are not shown)"),
                    hidden);
  }
  std::string out;
  for (const Annotation& annotation : annotations) {
    out += fmt::format("::{} title={}", type, EscapedProperty(annotation.title));
    if (!annotation.file.empty()) out += ",file=" + EscapedProperty(annotation.file);
    if (annotation.line > 0) out += fmt::format(",line={}", annotation.line);
    if (annotation.column > 0) out += fmt::format(",col={}", annotation.column);
    out += "::" + EscapedData(annotation.message) + "\n";
  }
  return out;
}

// A number at the start of `text`, which is taken off; 0 if there is none.
std::size_t TakeNumber(std::string_view& text) {
  std::size_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc()) return 0;
  text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  return number;
}

bool Take(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start)) return false;
  text.remove_prefix(start.size());
  return true;
}

class Annotations {
 public:
  explicit Annotations(Language language) : language_(language) {}

  void Add(const RunResult& run);
  std::string Text() const {
    return Lines("error", errors_, language_) + Lines("warning", warnings_, language_) +
           Lines("notice", notices_, language_);
  }

 private:
  void AddLab(const RunResult& run, const LabResult& lab);
  void AddCheck(const LabResult& lab, const CheckResult& check);
  void AddDiagnostics(const LabResult& lab);
  bool AddDiagnostic(const LabResult& lab, std::string_view line);

  const Language language_;
  std::vector<Annotation> errors_, warnings_, notices_;
};

// "labs/pipe/pipe.cc:3:1: error: expected ';'", and only if it is the graded file.
bool Annotations::AddDiagnostic(const LabResult& lab, std::string_view line) {
  if (lab.source.empty() || !Take(line, lab.source) || !Take(line, ":")) return false;
  Annotation annotation{.file = lab.source};
  annotation.line = TakeNumber(line);
  if (annotation.line == 0 || !Take(line, ":")) return false;
  annotation.column = TakeNumber(line);
  if (annotation.column > 0 && !Take(line, ":")) return false;
  const bool error = Take(line, " error: ") || Take(line, " fatal error: ");
  if (!error && !Take(line, " warning: ")) return false;
  annotation.title = error                             ? Verdict(kDoesNotCompile, language_)
                     : language_ == Language::kChinese ? "编译器警告"
                                                       : "compiler warning";
  annotation.message = Printable(line, kTextLimit);
  annotation.weight = 1e9;  // Before any check.
  (error ? errors_ : warnings_).push_back(std::move(annotation));
  return error;
}

void Annotations::AddDiagnostics(const LabResult& lab) {
  bool any_error = false;
  std::string_view text = lab.diagnostics;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    any_error = AddDiagnostic(lab, text.substr(0, end)) || any_error;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (IsBuilt(lab) || any_error) return;
  // It was the linker, or a rule of ours.
  errors_.push_back({.weight = 1e9,
                     .title = std::string(Verdict(lab.checks.front().verdict, language_)),
                     .file = lab.source,
                     .line = 1,
                     .message = CutTo(BuildMessages(lab), kTextLimit, language_)});
}

void Annotations::AddCheck(const LabResult& lab, const CheckResult& check) {
  Annotation annotation{
      .weight = check.max_points,
      .title = CutTo(check.exercise + " " + Headline(check, language_), kTitleLimit, language_),
      .file = lab.source,
      .line = static_cast<std::size_t>(std::max(check.line, 0)),
      .message = CutTo(Explanation(check, language_), kTextLimit, language_) + check.id};
  if (check.status == CheckStatus::kFailed) {
    errors_.push_back(std::move(annotation));
  } else if (check.status == CheckStatus::kNotGraded) {
    warnings_.push_back(std::move(annotation));
  }
}

void Annotations::AddLab(const RunResult& run, const LabResult& lab) {
  const Words& words = WordsOf(language_);
  if (!lab.error.empty()) {
    warnings_.push_back({.weight = 2e9,
                         .title = lab.lab + ": " + std::string(words.cannot_grade),
                         .message = Quoted(lab.error, "| ", kErrorLines)});
    return;
  }
  AddDiagnostics(lab);
  for (const CheckResult& check : lab.checks) AddCheck(lab, check);
  if (IsPractice(run)) return;
  notices_.push_back({.title = lab.lab,
                      .message = fmt::format(fmt::runtime(words.points), PointsText(lab.score),
                                             PointsText(lab.max_score))});
}

void Annotations::Add(const RunResult& run) {
  for (const LabResult& lab : run.labs) AddLab(run, lab);
  if (IsPractice(run)) {
    std::string fix = run.isolation.fix;
    if (!fix.empty()) fix = fmt::format(fmt::runtime(WordsOf(language_).to_fix), fix);
    warnings_.push_back({.weight = 3e9,
                         .title = language_ == Language::kChinese ? "仅供练习" : "practice only",
                         .message = fmt::format(fmt::runtime(WordsOf(language_).practice),
                                                Printable(run.isolation.detail, kTextLimit)) +
                                    "\n" + Printable(fix, kTextLimit)});
  }
}

}  // namespace

Document WriteGitHub(const RunResult& run, const FormatOptions& options) {
  Annotations annotations(options.style.language);
  annotations.Add(run);
  return {.text = annotations.Text()};
}

}  // namespace ipclab
