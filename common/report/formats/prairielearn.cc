// PrairieLearn reads /grade/results/results.json, at most 1 MB of it.
//
// `score` is a share of 1. If one test lacks its points, none is shown, so all have them. A run
// without a grade is "gradable": false, which costs the student no attempt.

#include "common/report/dump.h"
#include "common/report/formats/formats.h"
#include "common/report/plain.h"
#include "common/report/points.h"
#include "common/report/standing.h"

namespace ipclab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kFileLimit = 1000 * 1000;

Json Test(const CheckResult& check, std::size_t limit, Language language) {
  return {{"name", CutTo(Headline(check, language), 300, language)},
          {"description", check.exercise + ", " + check.id},
          {"points", InHundredths(check.points, check.max_points)},
          {"max_points", InHundredths(check.max_points, check.max_points)},
          {"output", CutTo(Explanation(check, language), limit, language)}};
}

std::string Graded(const RunResult& run, std::size_t limit, Language language) {
  double score = 0;
  double max_score = 0;
  std::string output;
  Json tests = Json::array();
  for (const LabResult& lab : run.labs) {
    score += lab.score;
    max_score += lab.max_score;
    output += BuildMessages(lab);
    for (const CheckResult& check : lab.checks) tests.push_back(Test(check, limit, language));
  }
  const Json result = {{"gradable", true},
                       {"score", max_score > 0 ? score / max_score : 0},
                       {"message", ScoreLines(run, language)},
                       {"output", CutTo(output, limit, language)},
                       {"tests", tests}};
  return Dump(result, 2) + "\n";
}

}  // namespace

Document WritePrairieLearn(const RunResult& run, const FormatOptions& options) {
  const Language language = options.style.language;
  if (const std::string why = WhyNoGrade(run, language); !why.empty()) {
    const Json result = {
        {"gradable", false}, {"message", why}, {"format_errors", Json::array({why})}};
    return {.text = Dump(result, 2) + "\n"};
  }
  return {.text = FitInto(kFileLimit, {20000, 5000, 1000, 200},
                          [&](std::size_t limit) { return Graded(run, limit, language); })};
}

}  // namespace ipclab
