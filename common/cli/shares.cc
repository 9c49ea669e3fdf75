#include "common/cli/shares.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "common/base/text.h"

namespace ipclab {
namespace {

// The wanted checks of each exercise that has any, the largest first.
std::vector<Share> ByExercise(const Rubric& rubric, const std::vector<std::string>& wanted) {
  std::vector<Share> exercises;
  for (const RubricExercise& exercise : rubric.exercises) {
    Share ids;
    for (const RubricCheck& check : exercise.checks) {
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), check.id) != wanted.end()) {
        ids.push_back(check.id);
      }
    }
    if (!ids.empty()) exercises.push_back(std::move(ids));
  }
  std::stable_sort(exercises.begin(), exercises.end(),
                   [](const Share& a, const Share& b) { return a.size() > b.size(); });
  return exercises;
}

std::map<std::string, std::size_t> Places(const Rubric& rubric) {
  std::map<std::string, std::size_t> places;
  for (const RubricExercise& exercise : rubric.exercises) {
    places.emplace(exercise.id, places.size());
    for (const RubricCheck& check : exercise.checks) places.emplace(check.id, places.size());
  }
  return places;
}

// Why `part` is not the result of `share`; empty if it is.
std::string WhyNotTheResult(const Share& share, const LabResult& part) {
  if (!part.error.empty()) return part.error;
  for (const std::string& id : share) {
    const auto results = std::count_if(part.checks.begin(), part.checks.end(),
                                       [&](const CheckResult& check) { return check.id == id; });
    if (results == 0) return "the grader has no result for the check " + id;
    if (results > 1) return "the grader has more than one result for the check " + id;
  }
  for (const CheckResult& check : part.checks) {
    if (std::find(share.begin(), share.end(), check.id) == share.end()) {
      return "the grader has a result nobody asked for: " + Printable(check.id, 100);
    }
  }
  return "";
}

template <typename T>
void MoveAll(std::vector<T>& from, std::vector<T>& to) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

std::vector<Share> ShareOut(const Rubric& rubric, const std::vector<std::string>& wanted,
                            std::size_t count) {
  const std::vector<Share> exercises = ByExercise(rubric, wanted);
  std::vector<Share> shares(std::min(count, exercises.size()));
  for (const Share& exercise : exercises) {
    Share& lightest =
        *std::min_element(shares.begin(), shares.end(),
                          [](const Share& a, const Share& b) { return a.size() < b.size(); });
    lightest.insert(lightest.end(), exercise.begin(), exercise.end());
  }
  return shares;
}

LabResult PutTogether(const Rubric& rubric, const std::vector<Share>& shares,
                      std::vector<LabResult> parts) {
  LabResult whole;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (whole.error.empty()) whole.error = WhyNotTheResult(shares[i], parts[i]);
    whole.score += parts[i].score;
    whole.max_score += parts[i].max_score;
    MoveAll(parts[i].exercises, whole.exercises);
    MoveAll(parts[i].checks, whole.checks);
  }
  if (whole.error.empty() && whole.checks.empty()) whole.error = "no check ran";
  if (!whole.error.empty()) return {.error = whole.error};
  const auto places = Places(rubric);
  const auto earlier = [&](const auto& a, const auto& b) {
    return places.at(a.id) < places.at(b.id);
  };
  std::sort(whole.exercises.begin(), whole.exercises.end(), earlier);
  std::sort(whole.checks.begin(), whole.checks.end(), earlier);
  return whole;
}

}  // namespace ipclab
