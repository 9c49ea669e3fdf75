#include "common/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/base/text.h"

namespace ipclab {
namespace {

bool Passed(const CheckResult* check) { return check->status == CheckStatus::kPassed; }

}  // namespace

std::vector<const CheckResult*> ChecksOf(const LabResult& lab, const ExerciseResult& exercise) {
  std::vector<const CheckResult*> checks;
  for (const CheckResult& check : lab.checks) {
    if (check.exercise == exercise.id) checks.push_back(&check);
  }
  return checks;
}

bool IsSolved(const LabResult& lab, const ExerciseResult& exercise) {
  const std::vector<const CheckResult*> checks = ChecksOf(lab, exercise);
  return !checks.empty() && std::all_of(checks.begin(), checks.end(), Passed);
}

int CountSolved(const LabResult& lab) {
  return static_cast<int>(
      std::count_if(lab.exercises.begin(), lab.exercises.end(),
                    [&](const ExerciseResult& exercise) { return IsSolved(lab, exercise); }));
}

bool IsBuilt(const LabResult& lab) {
  if (lab.checks.empty()) return true;
  const std::string& verdict = lab.checks.front().verdict;
  return verdict != kDoesNotCompile && verdict != kNotAccepted;
}

int CountChecks(const LabResult& lab, CheckStatus status) {
  return static_cast<int>(
      std::count_if(lab.checks.begin(), lab.checks.end(),
                    [&](const CheckResult& check) { return check.status == status; }));
}

NextStep FindNext(const LabResult& lab) {
  for (const ExerciseResult& exercise : lab.exercises) {
    const std::vector<const CheckResult*> checks = ChecksOf(lab, exercise);
    const CheckResult* open = nullptr;
    for (const CheckResult* check : checks) {
      if (check->status == CheckStatus::kFailed) return {&exercise, check};
      if (open == nullptr && !Passed(check)) open = check;
    }
    if (open != nullptr) return {&exercise, open};
  }
  return {};
}

std::string NextText(const LabResult& lab, Language language) {
  const Words& words = WordsOf(language);
  if (!IsBuilt(lab)) return fmt::format(fmt::runtime(words.next_build), lab.source);
  const NextStep next = FindNext(lab);
  if (next.exercise == nullptr) return "";
  const std::string exercise = next.exercise->id + " " + next.exercise->name;
  if (next.check->verdict == "not started") {
    return fmt::format(fmt::runtime(words.next_start), exercise, lab.lab);
  }
  return fmt::format(fmt::runtime(words.next_check), exercise, lab.lab, next.check->id);
}

std::string NextText(const RunResult& run, Language language) {
  std::vector<std::string> labs;
  for (const LabResult& lab : run.labs) {
    if (!lab.error.empty()) continue;
    const std::string next = NextText(lab, language);
    if (!next.empty()) return next;
    labs.push_back(lab.lab);
  }
  return fmt::format(fmt::runtime(WordsOf(language).all_solved), Join(labs, ", "));
}

bool IsUntouched(const std::vector<const CheckResult*>& checks) {
  return !checks.empty() &&
         std::all_of(checks.begin(), checks.end(), [&](const CheckResult* check) {
           return check->status == CheckStatus::kSkipped && check->verdict == checks[0]->verdict;
         });
}

Totals TotalsOf(const RunResult& run) {
  Totals totals;
  for (const LabResult& lab : run.labs) {
    if (!lab.error.empty()) continue;
    totals.score += lab.score;
    totals.max_score += lab.max_score;
    totals.solved += CountSolved(lab);
    totals.exercises += static_cast<int>(lab.exercises.size());
    totals.not_graded += CountChecks(lab, CheckStatus::kNotGraded);
  }
  return totals;
}

double Percent(const RunResult& run) {
  const Totals totals = TotalsOf(run);
  return totals.max_score > 0 ? 100 * totals.score / totals.max_score : 0;
}

std::string PointsText(double points) {
  // Thirds of a point would print with sixteen digits.
  return fmt::format("{:g}", std::round(points * 100) / 100);
}

}  // namespace ipclab
