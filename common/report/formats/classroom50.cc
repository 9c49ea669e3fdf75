// Classroom 50 collects result.json, schema classroom50/result/v1.
//
// All scores are whole numbers and none exceeds its maximum, so points are scaled: a lab with steps
// of half a point has 200 of them. The format knows no run without a grade; then nothing is
// written, and the grader's exit status says so. The runner compares the identity with its own.

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

constexpr std::size_t kTextLimit = 2000;

std::string MessageOf(const LabResult& lab, const CheckResult& check, Language language) {
  std::string text = Headline(check, language) + "\n" + Explanation(check, language);
  // All checks of code that does not build fail alike; the first says why.
  if (!IsBuilt(lab) && &check == &lab.checks.front()) text += BuildMessages(lab);
  return CutTo(text, kTextLimit, language);
}

}  // namespace

std::string Classroom50Lacks(const FormatOptions& options) {
  const Classroom50Submission& given = options.classroom50;
  std::vector<std::string> missing;
  const auto need = [&](const std::string& value, const char* variable) {
    if (value.empty()) missing.push_back(variable);
  };
  need(given.classroom, "CLASSROOM");
  need(given.assignment, "ASSIGNMENT");
  need(given.owner, "OWNER");
  need(given.submission, "SUBMISSION_TAG");
  need(given.commit, "COMMIT_URL");
  need(given.release, "RELEASE_URL");
  need(given.review, "REVIEW_URL");
  if (!missing.empty()) {
    return "what Classroom 50's runner says in the environment: " + Join(missing, ", ");
  }
  if (!given.submission.starts_with("submit/")) {
    return "a SUBMISSION_TAG that begins with submit/, not " + Printable(given.submission, 100);
  }
  return "";
}

Document WriteClassroom50(const RunResult& run, const FormatOptions& options) {
  const Language language = options.style.language;
  if (std::string why = WhyNoGrade(run, language); !why.empty()) return {.withheld = why};
  std::vector<CheckResult> checks;
  for (const LabResult& lab : run.labs) {
    checks.insert(checks.end(), lab.checks.begin(), lab.checks.end());
  }
  const WholePoints whole(checks);
  long score = 0;
  long max_score = 0;
  Json tests = Json::array();
  for (const LabResult& lab : run.labs) {
    for (const CheckResult& check : lab.checks) {
      const long points = whole.Of(check.points);
      const long max_points = whole.Of(check.max_points);
      score += points;
      max_score += max_points;
      Json test = {{"test-name", check.id},
                   {"passed", check.status == CheckStatus::kPassed},
                   {"score", points},
                   {"max-score", max_points}};
      if (check.status != CheckStatus::kPassed) test["message"] = MessageOf(lab, check, language);
      tests.push_back(std::move(test));
    }
  }
  const Classroom50Submission& given = options.classroom50;
  const Json result = {{"schema", "classroom50/result/v1"},
                       {"classroom", given.classroom},
                       {"assignment", given.assignment},
                       {"assignment_type", given.assignment_type},
                       {"owner", given.owner},
                       {"submission", given.submission},
                       {"commit", given.commit},
                       {"release", given.release},
                       {"review", given.review},
                       {"datetime", run.started_at},
                       {"score", score},
                       {"max-score", max_score},
                       {"tests", tests}};
  return {.text = Dump(result, 2) + "\n"};
}

}  // namespace ipclab
