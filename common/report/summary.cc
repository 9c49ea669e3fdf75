#include "common/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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

double Percent(const RunResult& run) {
  double score = 0;
  double max_score = 0;
  for (const LabResult& lab : run.labs) {
    score += lab.score;
    max_score += lab.max_score;
  }
  return max_score > 0 ? 100 * score / max_score : 0;
}

std::string PointsText(double points) {
  // Thirds of a point would print with sixteen digits.
  return fmt::format("{:g}", std::round(points * 100) / 100);
}

}  // namespace ipclab
