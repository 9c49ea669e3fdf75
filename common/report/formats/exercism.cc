// Exercism's tooling reads results.json, version 3 of the test runner interface.
//
// The status "error" is for a run in which no test came to a verdict, and needs a message: code
// that does not build, and every run that gives no grade. Then there are no tests. A check that was
// skipped has not passed, so it is a failed test. Limits: 65535 characters for the message, 500 for
// a test's output, which is what a student printed and stays empty.

#include <algorithm>

#include "common/report/dump.h"
#include "common/report/formats/formats.h"
#include "common/report/plain.h"
#include "common/report/standing.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMessageLimit = 65535;
constexpr std::size_t kTestMessageLimit = 8000;

// The number of an exercise within its lab is the task it belongs to.
int TaskOf(const LabResult& lab, const CheckResult& check) {
  const auto found =
      std::find_if(lab.exercises.begin(), lab.exercises.end(),
                   [&](const ExerciseResult& exercise) { return exercise.id == check.exercise; });
  return static_cast<int>(found - lab.exercises.begin()) + 1;
}

Json Test(const LabResult& lab, const CheckResult& check, Language language) {
  const bool passed = check.status == CheckStatus::kPassed;
  Json test = {{"name", Headline(check, language)}, {"status", passed ? "pass" : "fail"}};
  if (passed) {
    test["message"] = nullptr;
  } else {
    const std::string why = Explanation(check, language);
    test["message"] =
        why.empty() ? Headline(check, language) : CutTo(why, kTestMessageLimit, language);
  }
  test["output"] = "";
  test["test_code"] = check.id;
  test["task_id"] = TaskOf(lab, check);
  return test;
}

Document Error(const std::string& message, Language language) {
  const Json result = {{"version", 3},
                       {"status", "error"},
                       {"message", CutTo(message, kMessageLimit, language)},
                       {"tests", Json::array()}};
  return {.text = Dump(result, 2) + "\n"};
}

}  // namespace

Document WriteExercism(const RunResult& run, const FormatOptions& options) {
  const Language language = options.style.language;
  if (const std::string why = WhyNoGrade(run, language); !why.empty()) return Error(why, language);
  Json tests = Json::array();
  bool all_passed = true;
  for (const LabResult& lab : run.labs) {
    if (!IsBuilt(lab)) return Error(ScoreLines(run, language) + BuildMessages(lab), language);
    for (const CheckResult& check : lab.checks) {
      tests.push_back(Test(lab, check, language));
      all_passed = all_passed && check.status == CheckStatus::kPassed;
    }
  }
  const Json result = {{"version", 3},
                       {"status", all_passed ? "pass" : "fail"},
                       {"message", nullptr},
                       {"tests", tests}};
  return {.text = Dump(result, 2) + "\n"};
}

}  // namespace ipclab
