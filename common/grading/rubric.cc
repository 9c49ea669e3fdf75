#include "common/grading/rubric.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "common/base/error.h"

namespace ipclab {

const RubricExercise* Rubric::ExerciseOf(std::string_view id) const {
  for (const RubricExercise& exercise : exercises) {
    for (const RubricCheck& check : exercise.checks) {
      if (check.id == id) return &exercise;
    }
  }
  return nullptr;
}

const RubricCheck* Rubric::Find(std::string_view id) const {
  const RubricExercise* const exercise = ExerciseOf(id);
  if (exercise == nullptr) return nullptr;
  const auto found = std::find_if(exercise->checks.begin(), exercise->checks.end(),
                                  [&](const RubricCheck& check) { return check.id == id; });
  return &*found;
}

Rubric ReadRubric(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw GraderError("cannot open the rubric " + path);
  try {
    return nlohmann::json::parse(file).get<Rubric>();
  } catch (const nlohmann::json::exception& error) {
    throw GraderError("the rubric " + path + " is not valid: " + error.what());
  }
}

std::vector<std::string> Faults(const Rubric& rubric, const std::vector<std::string>& checks) {
  std::vector<std::string> faults;
  const auto different = [](double a, double b) { return std::abs(a - b) > 1e-9; };
  double total = 0;
  std::set<std::string> seen;
  for (const RubricExercise& exercise : rubric.exercises) {
    double sum = 0;
    for (const RubricCheck& check : exercise.checks) {
      sum += check.points;
      if (check.points <= 0) faults.push_back(check.id + " has no points");
      if (check.proves.empty() || check.proves_zh.empty()) {
        faults.push_back(check.id + " does not say in both languages what it proves");
      }
      if (check.hints.size() < 2 || check.hints.size() != check.hints_zh.size()) {
        faults.push_back(check.id + " needs two or three hints, as many in each language");
      }
      if (check.references.empty()) faults.push_back(check.id + " names no man page");
      if (!check.after.empty() && seen.count(check.after) == 0) {
        faults.push_back(check.id + " comes after " + check.after + ", which is not before it");
      }
      if (!seen.insert(check.id).second) faults.push_back(check.id + " stands there twice");
      if (std::find(checks.begin(), checks.end(), check.id) == checks.end()) {
        faults.push_back(check.id + " is in the rubric, but there is no such check");
      }
    }
    if (different(sum, exercise.points)) {
      faults.push_back("the checks of " + exercise.id + " do not add up to its points");
    }
    if (exercise.title.empty() || exercise.title_zh.empty()) {
      faults.push_back(exercise.id + " has no title in both languages");
    }
    total += exercise.points;
  }
  if (different(total, 100)) faults.push_back("the exercises do not add up to 100 points");
  for (const std::string& id : checks) {
    if (seen.count(id) == 0) faults.push_back(id + " is a check, but not in the rubric");
  }
  return faults;
}

}  // namespace ipclab
