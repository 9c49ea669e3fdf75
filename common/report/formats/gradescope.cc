// Gradescope reads /autograder/results/results.json.
//
// A score must stand at the top or at every test, else "the autograder failed to execute". So a run
// without a grade writes nothing: Gradescope then says that, and no 0 reaches the gradebook. Texts
// are declared as plain text, never as HTML or Markdown, since a submission may have written them.

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/report/dump.h"
#include "common/report/formats/formats.h"
#include "common/report/plain.h"
#include "common/report/points.h"
#include "common/report/standing.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTextLimit = 8000;

Json Test(const LabResult& lab, const CheckResult& check, const std::string& number,
          Language language) {
  return {{"name", check.exercise + ": " + Headline(check, language)},
          {"number", number},
          {"score", InHundredths(check.points, check.max_points)},
          {"max_score", InHundredths(check.max_points, check.max_points)},
          // Without it, a check worth no points would count as passed.
          {"status", check.status == CheckStatus::kPassed ? "passed" : "failed"},
          {"output", CutTo(Explanation(check, language), kTextLimit, language)},
          {"tags", {lab.lab, check.exercise}},
          {"extra_data", {{"id", check.id}, {"verdict", check.verdict}}}};
}

}  // namespace

Document WriteGradescope(const RunResult& run, const FormatOptions& options) {
  const Language language = options.style.language;
  if (std::string why = WhyNoGrade(run, language); !why.empty()) return {.withheld = why};
  double score = 0;
  double max_score = 0;
  std::string output = ScoreLines(run, language);
  Json tests = Json::array();
  int exercises = 0;
  for (const LabResult& lab : run.labs) {
    score += lab.score;
    max_score += lab.max_score;
    output += BuildMessages(lab);
    for (const ExerciseResult& exercise : lab.exercises) {
      ++exercises;
      int checks = 0;
      for (const CheckResult* check : ChecksOf(lab, exercise)) {
        tests.push_back(Test(lab, *check, fmt::format("{}.{}", exercises, ++checks), language));
      }
    }
  }
  const Json result = {{"score", InHundredths(score, max_score)},
                       {"execution_time", run.duration_ms / 1000},
                       {"output", CutTo(output, kTextLimit, language)},
                       {"output_format", "text"},
                       {"test_output_format", "text"},
                       {"test_name_format", "text"},
                       {"visibility", "visible"},
                       {"stdout_visibility", "hidden"},
                       {"tests", tests},
                       {"extra_data", {{"schema", run.schema}, {"seed", run.seed}}}};
  return {.text = Dump(result, 2) + "\n"};
}

}  // namespace ipclab
