// Points, hints and references of a lab: rubric.json, never the code of a check.
//
//   const Rubric rubric = ReadRubric("graders/pipe/rubric.json");
//   rubric.Find("SendToChild.DeliversBytesInOrder")->points
//
// {"lab": "pipe", "exercises": [{
//   "id": "pipe.1", "name": "send_to_child", "points": 10, "title": "...", "title_zh": "...",
//   "checks": [{"id": "SendToChild.DeliversBytesInOrder", "points": 3,
//               "proves": "...", "proves_zh": "...", "hints": ["..."], "hints_zh": ["..."],
//               "references": ["pipe(7)"], "after": "Suite.Name"}]}]}
//
// `after` is optional: the check is skipped when that one did not pass.

#ifndef IPCLAB_COMMON_GRADING_RUBRIC_H_
#define IPCLAB_COMMON_GRADING_RUBRIC_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

struct RubricCheck {
  std::string id;
  double points = 0;
  std::string proves;
  std::string proves_zh;
  std::vector<std::string> hints;
  std::vector<std::string> hints_zh;
  std::vector<std::string> references;
  std::string after;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RubricCheck, id, points, proves, proves_zh, hints,
                                                hints_zh, references, after)

struct RubricExercise {
  std::string id;
  std::string name;
  double points = 0;
  std::string title;
  std::string title_zh;
  std::vector<RubricCheck> checks;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RubricExercise, id, name, points, title, title_zh,
                                                checks)

struct Rubric {
  std::string lab;
  std::vector<RubricExercise> exercises;

  const RubricCheck* Find(std::string_view id) const;
  const RubricExercise* ExerciseOf(std::string_view id) const;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Rubric, lab, exercises)

// Throws GraderError that names the file.
Rubric ReadRubric(const std::string& path);

// What is wrong with it, beside the ids of the checks that exist: sums, missing texts, unknown or
// doubled ids. Empty if it is sound.
std::vector<std::string> Faults(const Rubric& rubric, const std::vector<std::string>& checks);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_RUBRIC_H_
