// The words and the edges of the formats; that each is what its reader takes is for
// formats_test.py.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/report/dump.h"
#include "common/report/examples.h"
#include "common/report/format.h"
#include "common/report/plain.h"
#include "common/report/points.h"
#include "common/report/standing.h"
#include "common/report/trace.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string Written(std::string_view format, const RunResult& run,
                    Language language = Language::kEnglish) {
  FormatOptions options;
  options.style.language = language;
  return FindFormat(format)->write(run, options).text;
}

std::vector<CheckResult> Checks(const std::vector<double>& points,
                                const std::vector<double>& max_points) {
  std::vector<CheckResult> checks(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    checks[i].points = points[i];
    checks[i].max_points = max_points[i];
  }
  return checks;
}

TEST(Formats, AreFoundByTheirNamesAndNoOthers) {
  for (const Format& format : Formats()) {
    EXPECT_EQ(FindFormat(format.name), &format);
    EXPECT_THAT(std::string(format.about), Not(IsEmpty()));
  }
  EXPECT_EQ(FindFormat("xml"), nullptr);
  EXPECT_EQ(FindFormat(""), nullptr);
}

TEST(Formats, EndInANewlineAndSpeakChinese) {
  for (const Format& format : Formats()) {
    FormatOptions options;
    options.style.language = Language::kChinese;
    const Document document = format.write(HalfDoneRun(), options);
    EXPECT_THAT(document.text, EndsWith("\n")) << format.name;
    if (format.name != "json" && format.name != "classroom50") {
      EXPECT_THAT(document.text, HasSubstr("死锁")) << format.name;
    }
  }
}

TEST(NoGrade, IsExplained) {
  EXPECT_EQ(WhyNoGrade(PerfectRun(), Language::kEnglish), "");
  EXPECT_EQ(WhyNoGrade(MixedRun(), Language::kEnglish),
            "1 of the checks of demo not graded, which is the grader's fault");
  EXPECT_EQ(WhyNoGrade(RefusedRun(), Language::kEnglish),
            "demo could not be graded: a submission cannot be confined here: no user namespaces");
  RunResult practice = PerfectRun();
  practice.isolation = {"practice", "no user namespaces", ""};
  EXPECT_EQ(WhyNoGrade(practice, Language::kEnglish),
            "practice only, these points do not count: no user namespaces");
  EXPECT_EQ(WhyNoGrade(practice, Language::kChinese),
            "仅供练习，分数不计入成绩：no user namespaces");
  EXPECT_EQ(WhyNoGrade({}, Language::kEnglish), "no lab was graded");
}

// Nothing of such a submission is run, so no isolation is probed.
TEST(NoGrade, IsNotWhatCodeHasThatDoesNotBuild) {
  RunResult run = BrokenCodeRun();
  run.isolation.mode = "none";
  EXPECT_EQ(WhyNoGrade(run, Language::kEnglish), "");
  run = PerfectRun();
  run.isolation.mode = "none";
  EXPECT_EQ(WhyNoGrade(run, Language::kEnglish), "demo was not graded in full isolation");
}

TEST(NoGrade, WithholdsWhatOnlyKnowsScores) {
  for (const std::string_view name : {"gradescope", "classroom50"}) {
    const Document document = FindFormat(name)->write(PracticeRun(), {});
    EXPECT_THAT(document.text, IsEmpty());
    EXPECT_EQ(document.withheld, "practice only, these points do not count: no user namespaces");
  }
}

TEST(NoGrade, IsToldLabByLabToAutolab) {
  RunResult run = PerfectRun();
  run.labs.push_back(RefusedRun().labs[0]);
  run.labs[1].lab = "other";
  EXPECT_THAT(Written("autolab", run), EndsWith("\n{\"scores\":{\"demo\":10.0,\"other\":null}}\n"));
}

TEST(Points, BecomeWholeByTheSmallestFactor) {
  const WholePoints halves(Checks({1.5, 0}, {1.5, 2}));
  EXPECT_EQ(halves.factor(), 2);
  EXPECT_EQ(halves.Of(1.5), 3);
  const WholePoints thirds(Checks({10.0 / 3, 0.5}, {10.0 / 3, 0.5}));
  EXPECT_EQ(thirds.factor(), 6);
  EXPECT_EQ(thirds.Of(10.0 / 3), 20);
  const WholePoints odd(Checks({0.123456}, {0.123456}));
  EXPECT_EQ(odd.Of(0.123456), 12);
}

TEST(Points, AreFullOnlyIfAllAreThere) {
  EXPECT_EQ(InHundredths(100, 100), 100);
  EXPECT_EQ(InHundredths(99.9999, 100), 99.99);
  EXPECT_EQ(InHundredths(33.333, 100.0 / 3), 33.32);
  EXPECT_EQ(InHundredths(100.0 / 3, 100.0 / 3), 33.33);
  EXPECT_EQ(InHundredths(0, 0), 0);
}

TEST(Points, InEighthsAddUpExactly) {
  const double third = 10.0 / 3;
  EXPECT_THAT(InEighths(Checks({third, 0, third}, {third, third, third})),
              ElementsAre(3.25, 0, 3.375));
  double sum = 0;
  const std::vector<CheckResult> full = Checks({0.1, 0.1, 0.1}, {0.1, 0.1, 0.1});
  for (const double part : InEighths(full)) sum += part;
  EXPECT_EQ(sum, MaxInEighths(full));
  EXPECT_EQ(MaxInEighths(full), 0.375);
}

TEST(PlainText, PutsWhatMayBeASubmissionsBehindABar) {
  const CheckResult check = HalfDoneRun().labs[0].checks[2];
  EXPECT_EQ(Headline(check, Language::kEnglish), "The reader sees the end of the file (deadlock)");
  EXPECT_THAT(Explanation(check, Language::kEnglish),
              AllOf(StartsWith("expected: the helper exits with 0\nobserved:\n| process 3 waits"),
                    HasSubstr("\n| process 2 waits"),
                    HasSubstr("\nnote:\n| left behind: descriptor 5\nlook at: Which ends"),
                    EndsWith("\nread: pipe(7), fork(2)\n")));
}

TEST(PlainText, IsCutBetweenCharactersAndSaysSo) {
  EXPECT_EQ(CutTo("short", 5, Language::kEnglish), "short");
  EXPECT_EQ(CutTo("管道管道管道管道管道", 20, Language::kEnglish), "管... (shortened)");
  EXPECT_EQ(CutTo("0123456789", 4, Language::kEnglish), "");
}

TEST(PlainText, IsMadeToFitByShorterTexts) {
  const auto write = [](std::size_t limit) { return std::string(3 * limit, 'x'); };
  EXPECT_EQ(FitInto(100, {50, 30, 10}, write).size(), 90u);
  EXPECT_EQ(FitInto(10, {50, 30, 10}, write).size(), 30u) << "the shortest there is";
}

TEST(JsonText, IsNoCommandToGithubsRunner) {
  const nlohmann::json json = {"###[error]x", "\xff"};
  EXPECT_EQ(Dump(json), "[\"##\\u0023[error]x\",\"\xef\xbf\xbd\"]");
  EXPECT_EQ(nlohmann::json::parse(Dump(json))[0], "###[error]x");
}

TEST(GitHubClassroom, GivesUpRatherThanBreakTheReporter) {
  RunResult run = HalfDoneRun();
  run.labs[0].checks.resize(2000, run.labs[0].checks[0]);
  EXPECT_EQ(FindFormat("github-classroom")->write(run, {}).withheld,
            "the results take more than 96 000 bytes; grade fewer labs at a time");
  run.labs[0].checks.resize(500);
  const std::string text = Written("github-classroom", run);
  EXPECT_LE(text.size(), 96000u);
  EXPECT_EQ(nlohmann::json::parse(text)["tests"].size(), 500u);
}

TEST(PrairieLearn, IsCutToAMegabyte) {
  RunResult run = HostileRun();
  run.labs[0].checks.resize(600, run.labs[0].checks[1]);
  EXPECT_LE(Written("prairielearn", run).size(), 1000000u);
}

TEST(Classroom50, SaysWhatItsRunnerDidNotSay) {
  FormatOptions options;
  const auto lacks = FindFormat("classroom50")->lacks;
  EXPECT_THAT(lacks(options), AllOf(HasSubstr("CLASSROOM, ASSIGNMENT, OWNER, SUBMISSION_TAG"),
                                    HasSubstr("COMMIT_URL, RELEASE_URL, REVIEW_URL")));
  options.classroom50 = {.classroom = "c",
                         .assignment = "a",
                         .owner = "o",
                         .submission = "main",
                         .commit = "u",
                         .release = "u",
                         .review = "u"};
  EXPECT_EQ(lacks(options), "a SUBMISSION_TAG that begins with submit/, not main");
  options.classroom50.submission = "submit/1";
  EXPECT_EQ(lacks(options), "");
}

TEST(GitHubAnnotations, TakeOnlyLinesOfTheGradedFile) {
  RunResult run = BrokenCodeRun();
  run.labs[0].diagnostics =
      "In file included from labs/demo/demo.cc:1:\n"
      "labs/demo/demo.h:3:1: error: not there\n"
      "xlabs/demo/demo.cc:3:1: error: not there\n"
      "labs/demo/demo.cc: error: not there\n"
      "labs/demo/demo.cc:99999999999999999999:1: error: not there\n"
      "labs/demo/demo.cc:7: fatal error: a, b: 100%\n"
      "labs/demo/demo.cc:8:2: note: not there\n"
      "labs/demo/demo.cc:9:2: warning: hm\n";
  EXPECT_EQ(Written("github", run),
            "::error title=does not compile,file=labs/demo/demo.cc,line=7::a, b: 100%25\n"
            "::warning title=compiler warning,file=labs/demo/demo.cc,line=9,col=2::hm\n"
            "::notice title=demo::0 / 10 points\n");
}

TEST(GitHubAnnotations, ShowWhyCodeIsNotAccepted) {
  RunResult run = BrokenCodeRun();
  run.labs[0].checks[0].verdict = "not accepted";
  run.labs[0].diagnostics = "these functions are missing: answer\n";
  EXPECT_THAT(Written("github", run),
              StartsWith("::error title=not accepted,file=labs/demo/demo.cc,line=1::"
                         "| these functions are missing: answer"));
}

TEST(GitHubAnnotations, EscapeTheNameOfTheFile) {
  RunResult run = BrokenCodeRun();
  run.labs[0].source = "a,b:c%/demo.cc";
  EXPECT_THAT(Written("github", run), HasSubstr(",file=a%2Cb%3Ac%25/demo.cc,line=1::"));
}

TEST(ChromeTrace, LastsToTheEndOfTheCheckForWhatNeverReturned) {
  const nlohmann::json trace = nlohmann::json::parse(ToChromeTrace(HalfDoneRun()));
  for (const nlohmann::json& event : trace["traceEvents"]) {
    if (event["name"] != "read") continue;
    EXPECT_EQ(event["dur"], 31000 - 310) << "the check took 31 ms, read() began 0.31 ms after it";
    return;
  }
  ADD_FAILURE() << "no read() in " << trace.dump(1);
}

TEST(ChromeTrace, ShowsASleepThatNoWatchedCallTells) {
  RunResult run = HalfDoneRun();
  std::vector<TimelineEntry>& timeline = run.labs[0].checks[2].timeline;
  timeline.pop_back();  // read()
  const nlohmann::json trace = nlohmann::json::parse(ToChromeTrace(run));
  for (const nlohmann::json& event : trace["traceEvents"]) {
    if (event["name"] != "read") continue;
    EXPECT_EQ(event["dur"], 31000 - 290) << "from the last that was seen of the process on";
    EXPECT_EQ(event["args"]["waits"],
              "for bytes or end of file of pipe A; process 3: write end of pipe A, descriptor 4");
    return;
  }
  ADD_FAILURE() << "no read() in " << trace.dump(1);
}

TEST(ChromeTrace, GivesCallsOfTwoThreadsTracksOfTheirOwn) {
  RunResult run = PerfectRun();
  run.labs[0].checks.resize(1);
  run.labs[0].checks[0].timeline = {{10, 2, "Both", "both() is called", TimelineKind::kEnter},
                                    {20, 2, "Both", "read(3) = 1", TimelineKind::kCall, 40},
                                    {30, 2, "Both", "write(4) = 1", TimelineKind::kCall, 50},
                                    {45, 2, "Both", "close(5) = 0", TimelineKind::kCall, 75},
                                    {60, 2, "Both", "both() returns 0", TimelineKind::kLeave}};
  const nlohmann::json trace = nlohmann::json::parse(ToChromeTrace(run));
  std::map<std::string, nlohmann::json> slices;
  for (const nlohmann::json& event : trace["traceEvents"]) {
    if (event["ph"] == "X") slices[event["name"]] = event;
  }
  EXPECT_EQ(slices["read"]["tid"], slices["both"]["tid"]);
  EXPECT_NE(slices["write"]["tid"], slices["read"]["tid"]);
  EXPECT_NE(slices["close"]["tid"], slices["both"]["tid"]) << "it ends after the function";
  EXPECT_EQ(slices["both"]["dur"], 50);
  EXPECT_EQ(slices["both"]["args"]["returned"], true);
}

}  // namespace
}  // namespace ipclab
