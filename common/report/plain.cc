#include "common/report/plain.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

constexpr std::size_t kLineLimit = 4000;
constexpr std::size_t kLines = 40;
constexpr std::size_t kDiagnosticLines = 60;
constexpr std::size_t kTitleLimit = 400;

std::string Barred(std::string_view text) { return Quoted(text, "| ", kLines, kLineLimit); }

std::string Ours(std::string_view label, const std::string& text) {
  return text.empty() ? "" : fmt::format("{}: {}\n", label, Printable(text, kLineLimit));
}

std::string Foreign(std::string_view label, const std::string& text) {
  return text.empty() ? "" : fmt::format("{}:\n{}", label, Barred(text));
}

}  // namespace

std::string NoCommand(std::string line) {
  const std::size_t colons = line.find("::");
  // Some white space is not ASCII.
  const auto may_be_space = [](char c) { return c == ' ' || (c & 0x80) != 0; };
  if (colons != line.npos &&
      std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colons), may_be_space)) {
    line.insert(colons + 1, " ");
  }
  return line;
}

std::string Headline(const CheckResult& check, Language language) {
  const std::string text = Printable(check.title.empty() ? check.id : check.title, kTitleLimit);
  const bool has_name = check.status != CheckStatus::kPassed && check.verdict != "failed";
  return has_name ? fmt::format("{} ({})", text,
                                Printable(Verdict(check.verdict, language), kTitleLimit))
                  : text;
}

std::string Explanation(const CheckResult& check, Language language) {
  const Words& words = WordsOf(language);
  const bool failed = check.status == CheckStatus::kFailed;
  std::string text;
  if (failed) text += Ours(words.expected, check.expected);
  if (check.status != CheckStatus::kPassed) {
    text += failed ? Foreign(words.observed, check.observed) : Barred(check.observed);
  }
  for (const std::string& note : check.notes) text += Foreign(words.note, note);
  if (failed) {
    text += Ours(words.look_at, check.hint);
    text += Ours(words.references, Join(check.references, ", "));
  }
  return text;
}

std::string BuildMessages(const LabResult& lab) {
  return Quoted(lab.diagnostics, "| ", kDiagnosticLines);
}

std::string ScoreLines(const RunResult& run, Language language) {
  const Words& words = WordsOf(language);
  std::string text;
  for (const LabResult& lab : run.labs) {
    const std::string points = lab.error.empty()
                                   ? fmt::format(fmt::runtime(words.points), PointsText(lab.score),
                                                 PointsText(lab.max_score))
                                   : std::string(words.cannot_grade);
    text += fmt::format("{}: {}\n", Printable(lab.lab, kTitleLimit), points);
  }
  return text;
}

std::string CutTo(std::string_view text, std::size_t bytes, Language language) {
  if (text.size() <= bytes) return std::string(text);
  const std::string remark = language == Language::kChinese ? "... （已截短）" : "... (shortened)";
  std::size_t end = bytes > remark.size() ? bytes - remark.size() : 0;
  // Not within a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + (bytes >= remark.size() ? remark : "");
}

std::string FitInto(std::size_t bytes, std::initializer_list<std::size_t> limits,
                    const std::function<std::string(std::size_t)>& write) {
  std::string document;
  for (const std::size_t limit : limits) {
    document = write(limit);
    if (document.size() <= bytes) break;
  }
  return document;
}

}  // namespace ipclab
