// GitHub Classroom's autograding reporter reads this JSON, in base64, from ID_RESULTS.
//
// It adds up tests[].score as they are, so each has one, in eighths of a point, and `max_score` is
// a number. A `max_score` of 0 keeps the run out of the points altogether, and the status "error"
// fails the step: that is a run without a grade. The reporter prints `name` and `test_code` of
// every test, but `message` only of one with the status "error"; so the explanation stands in
// `test_code`. All of it is printed into a job's log, where a line that begins with :: would be a
// command; lines of a submission stand behind a bar. An environment string holds 128 KiB: 96 000
// bytes in base64.

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

constexpr std::size_t kJsonLimit = 96000;

std::string NameOf(const CheckResult& check, std::size_t limit, Language language) {
  return CutTo(check.exercise + ": " + Headline(check, language), limit, language);
}

Json Test(const LabResult& lab, const CheckResult& check, double score, std::size_t limit,
          Language language) {
  const bool passed = check.status == CheckStatus::kPassed;
  std::string text = passed ? "" : Explanation(check, language);
  if (!IsBuilt(lab) && &check == &lab.checks.front()) text += BuildMessages(lab);
  // line_no 0 prints no line; left out it would print "undefined".
  Json test = {{"name", NameOf(check, limit > 0 ? 300 : 60, language)},
               {"status", passed ? "pass" : "fail"},
               {"score", score},
               {"line_no", check.line}};
  if (limit > 0) {
    test["message"] = nullptr;
    if (!passed) test["message"] = Printable(check.verdict, 100);
    test["test_code"] = CutTo(text, limit, language);
    test["filename"] = lab.source;
    test["duration"] = check.duration_ms;
  }
  return test;
}

std::string Graded(const RunResult& run, std::size_t limit, Language language) {
  double max_score = 0;
  bool all_passed = true;
  Json tests = Json::array();
  for (const LabResult& lab : run.labs) {
    max_score += MaxInEighths(lab.checks);
    const std::vector<double> scores = InEighths(lab.checks);
    for (std::size_t i = 0; i < lab.checks.size(); ++i) {
      tests.push_back(Test(lab, lab.checks[i], scores[i], limit, language));
      all_passed = all_passed && lab.checks[i].status == CheckStatus::kPassed;
    }
  }
  const Json result = {{"version", 1},
                       {"status", all_passed ? "pass" : "fail"},
                       {"max_score", max_score},
                       {"tests", tests}};
  return Dump(result) + "\n";
}

}  // namespace

Document WriteGitHubClassroom(const RunResult& run, const FormatOptions& options) {
  const Language language = options.style.language;
  if (const std::string why = WhyNoGrade(run, language); !why.empty()) {
    const Json test = {{"name", why},  {"status", "error"}, {"score", 0},
                       {"line_no", 0}, {"message", why},    {"test_code", ""}};
    const Json result = {
        {"version", 1}, {"status", "error"}, {"max_score", 0}, {"tests", Json::array({test})}};
    return {.text = Dump(result) + "\n"};
  }
  std::string text = FitInto(kJsonLimit, {4000, 1500, 500, 200, 60, 0},
                             [&](std::size_t limit) { return Graded(run, limit, language); });
  if (text.size() > kJsonLimit) {
    return {.withheld = "the results take more than 96 000 bytes; grade fewer labs at a time"};
  }
  return {.text = std::move(text)};
}

}  // namespace ipclab
