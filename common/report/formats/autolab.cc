// Autolab shows what the grader wrote and reads its last line, {"scores": {"problem": points}}.
// Each lab is a problem of its name.
//
// Before it parses that line, Autolab puts quotes around every word that has a colon behind it, so
// no string on it may have a letter or digit directly before a colon. Whatever it cannot parse, an
// empty set of scores too, it turns into 0 points where there were none; null leaves a problem
// without a score, and that is what a lab without a grade has. The line before tells exercises and
// checks in Autolab's staged form; it is left out if any lab has no grade.

#include "common/report/dump.h"
#include "common/report/formats/formats.h"
#include "common/report/plain.h"
#include "common/report/points.h"
#include "common/report/standing.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kHintLimit = 300;

bool IsLetterOrDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// "a: b" as "a : b".
std::string WithoutWordsBeforeColons(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' && !out.empty() && IsLetterOrDigit(out.back())) out += ' ';
    out += c;
  }
  return out;
}

std::string Stages(const RunResult& run, Language language) {
  Json line = {{"_presentation", "semantic"}, {"stages", Json::array()}};
  for (const LabResult& lab : run.labs) {
    for (const ExerciseResult& exercise : lab.exercises) {
      const std::string stage = WithoutWordsBeforeColons(exercise.id + " " + exercise.name);
      line["stages"].push_back(stage);
      for (const CheckResult* check : ChecksOf(lab, exercise)) {
        Json test = {{"passed", check->status == CheckStatus::kPassed}};
        if (check->status != CheckStatus::kPassed) {
          const std::string hint = CutTo(Headline(*check, language), kHintLimit, language);
          test["hint"] = WithoutWordsBeforeColons(hint);
        }
        line[stage][WithoutWordsBeforeColons(check->id)] = std::move(test);
      }
    }
  }
  return Dump(line) + "\n";
}

}  // namespace

Document WriteAutolab(const RunResult& run, const FormatOptions& options) {
  const Language language = options.style.language;
  std::string text = ToText(run, {.language = language});
  Json scores = Json::object();
  for (const LabResult& lab : run.labs) {
    scores[WithoutWordsBeforeColons(lab.lab)] = nullptr;
    if (!WhyNoGrade(run, lab, language).empty()) continue;
    scores[WithoutWordsBeforeColons(lab.lab)] = InHundredths(lab.score, lab.max_score);
  }
  if (WhyNoGrade(run, language).empty()) text += Stages(run, language);
  return {.text = text + Dump(Json{{"scores", scores}}) + "\n"};
}

}  // namespace ipclab
