// Which report goes where: the pairing itself, and the whole `lab` program with a pretended grader.

#include "common/cli/reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cli/testing_workspace.h"
#include "common/compile/source.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// "junit:a.xml", or "text:" for standard output; or the words of the error.
std::vector<std::string> Paired(const std::string& order, const std::vector<std::string>& formats,
                                const std::vector<std::string>& paths) {
  std::vector<std::string> shown;
  try {
    for (const Report& report : PairReports(order, formats, paths)) {
      shown.push_back(std::string(report.format->name) + ":" + report.path);
    }
  } catch (const UsageError& error) {
    return {error.what()};
  }
  return shown;
}

TEST(PairReports, IsTextOnStandardOutputIfNothingIsSaid) {
  EXPECT_THAT(Paired("", {}, {}), ElementsAre("text:"));
  EXPECT_THAT(Paired("o", {}, {"a"}), ElementsAre("text:a"));
  EXPECT_THAT(Paired("f", {"json"}, {}), ElementsAre("json:"));
}

TEST(PairReports, TakesAsManyOfEachInTheirOrder) {
  EXPECT_THAT(Paired("fofo", {"junit", "json"}, {"a", "b"}), ElementsAre("junit:a", "json:b"));
  EXPECT_THAT(Paired("ffoo", {"junit", "json"}, {"a", "b"}), ElementsAre("junit:a", "json:b"));
  EXPECT_THAT(Paired("of", {"junit"}, {"a"}), ElementsAre("junit:a"));
}

TEST(PairReports, LeavesForStandardOutputWhatHasNoPathBehindIt) {
  EXPECT_THAT(Paired("ffo", {"text", "junit"}, {"a"}), ElementsAre("text:", "junit:a"));
  EXPECT_THAT(Paired("fof", {"junit", "text"}, {"a"}), ElementsAre("junit:a", "text:"));
  EXPECT_THAT(Paired("off", {"junit", "text"}, {"a"}), ElementsAre("junit:a", "text:"));
}

TEST(PairReports, NamesAPathWithoutAFormat) {
  const std::string words =
      "--out b has no --format of its own; write each --out behind its --format";
  EXPECT_THAT(Paired("oo", {}, {"a", "b"}), ElementsAre(words));
  EXPECT_THAT(Paired("foo", {"json"}, {"a", "b"}), ElementsAre(words));
  EXPECT_THAT(Paired("f", {"json"}, {""}), ElementsAre("'': names no file"));
}

TEST(PairReports, HasStandardOutputForOneOnly) {
  EXPECT_THAT(Paired("fff", {"json", "text", "junit"}, {}),
              ElementsAre("the formats json and text would both go to standard output; give one of "
                          "them an --out"));
}

TEST(PairReports, SuggestsTheNearestFormat) {
  EXPECT_THAT(Paired("f", {"gradscope"}, {}),
              ElementsAre(AllOf(StartsWith("there is no format gradscope; did you mean gradescope? "
                                           "(formats: text, json, "))));
  EXPECT_THAT(Paired("f", {"\x1b[2J"}, {}),
              ElementsAre(StartsWith("there is no format \\x1b[2J (formats: ")));
}

void ExpectUsageError(const LabRun& run, const std::string& line) {
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.err, "lab: " + line + "\n");
  EXPECT_THAT(run.out, IsEmpty());
}

bool GraderRan(const TestingWorkspace& workspace, const std::string& lab) {
  return std::filesystem::exists(workspace.root() / "graders" / lab / "pid");
}

TEST(GradeReports, AreAllWrittenFromOneRun) {
  const TestingWorkspace workspace({"half"});
  const LabRun run = workspace.Lab({"grade", "--format", "text", "--format", "junit", "--out",
                                    "a.xml", "half", "--format=json", "--out", "b.json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("half  labs/half/half.cc"));
  EXPECT_THAT(workspace.Read("a.xml"), HasSubstr("<testcase classname=\"half.A\" name=\"Two\""));
  EXPECT_EQ(nlohmann::json::parse(workspace.Read("b.json"))["labs"][0]["score"], 5);
  EXPECT_THAT(run.err, EndsWith("lab: the report is in a.xml\nlab: the report is in b.json\n"));
}

TEST(GradeReports, ThatCannotBeWrittenStopTheRunBeforeItBegins) {
  const TestingWorkspace workspace({"half"});
  ExpectUsageError(workspace.Lab({"grade", "--format", "json", "--out", "a", "--format", "junit",
                                  "--out", "x/b"}),
                   "x/b: there is no folder x");
  ExpectUsageError(workspace.Lab({"grade", "--format", "json", "--out", "a", "--format", "junit",
                                  "--out", "./a"}),
                   "./a: is to take two reports");
  ExpectUsageError(workspace.Lab({"grade", "--out", "a", "--trace", "a"}),
                   "a: is to take two reports");
  ExpectUsageError(workspace.Lab({"grade", "--trace", "labs/half/half.cc"}),
                   "labs/half/half.cc: is to be graded, so no report is written there");
  EXPECT_FALSE(GraderRan(workspace, "half"));
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / "a"));
}

TEST(GradeReports, AreListedByHelp) {
  const LabRun run = TestingWorkspace({}).Lab({"grade", "--help"});
  for (const Format& format : Formats()) {
    EXPECT_THAT(run.out, HasSubstr("\n  " + std::string(format.name) + " "));
    EXPECT_THAT(run.out, HasSubstr(std::string(format.about) + "\n"));
  }
}

TEST(GradeReports, GiveNoGradeOfPracticeAndRemoveAnOlderOne) {
  const TestingWorkspace workspace({"practice"});
  workspace.Write("results.json", R"({"score": 100})");
  const LabRun run = workspace.Lab({"grade", "--format", "gradescope", "--out", "results.json"});
  EXPECT_EQ(run.status, 3) << "graded as practice, but not as it was asked for";
  EXPECT_THAT(run.err, HasSubstr("lab: no gradescope report is written to results.json: 1 of the "
                                 "checks of practice not graded"));
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / "results.json"));
}

TEST(GradeReports, AreWrittenBesideOneThatIsWithheld) {
  const TestingWorkspace workspace({"crash"});
  const LabRun run = workspace.Lab(
      {"grade", "--format", "gradescope", "--format", "prairielearn", "--out", "p.json"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, HasSubstr("lab: no gradescope report is written: crash could not be graded: "
                                 "the grader was killed by SIGSEGV"));
  EXPECT_EQ(nlohmann::json::parse(workspace.Read("p.json"))["gradable"], false);
}

TEST(GradeTrace, HoldsTheTimelines) {
  const TestingWorkspace workspace({"half"});
  const LabRun run = workspace.Lab({"grade", "--trace", "trace.json"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("half  labs/half/half.cc")) << "the text as ever";
  EXPECT_THAT(run.err, EndsWith("lab: the trace is in trace.json; ui.perfetto.dev shows it\n"));
  const nlohmann::json trace = nlohmann::json::parse(workspace.Read("trace.json"));
  EXPECT_THAT(trace["traceEvents"].dump(), HasSubstr("\"what\":\"read(3) ...\""));
}

TEST(GradeClassroom50, TakesItsIdentityFromTheEnvironment) {
  TestingWorkspace workspace({"half"});
  const LabRun without = workspace.Lab({"grade", "--format", "classroom50"});
  EXPECT_EQ(without.status, 2);
  EXPECT_THAT(without.err, StartsWith("lab: the format classroom50 needs what Classroom 50's "
                                      "runner says in the environment: CLASSROOM, "));
  EXPECT_FALSE(GraderRan(workspace, "half"));
  workspace.environment = {
      {"CLASSROOM", "os"},         {"ASSIGNMENT", "half"},         {"USERNAME", "ada"},
      {"OWNER", "team"},           {"SUBMISSION_TAG", "submit/1"}, {"COMMIT_URL", "https://c"},
      {"RELEASE_URL", "https://r"}};
  const nlohmann::json result =
      nlohmann::json::parse(workspace.Lab({"grade", "--format", "classroom50"}).out);
  EXPECT_EQ(result["classroom"], "os");
  EXPECT_EQ(result["owner"], "team");
  EXPECT_EQ(result["assignment_type"], "group");
  EXPECT_EQ(result["review"], "https://c");
  EXPECT_EQ(result["score"], 5);
  EXPECT_EQ(result["max-score"], 10);
}

// A format of as many bytes as are wanted, or the limit if there is none.
Document Filling(const RunResult& run, const FormatOptions& options) {
  const std::size_t wanted = run.seed > 0 ? static_cast<std::size_t>(run.seed) : options.limit;
  return {.text = std::string(wanted, 'x')};
}

TEST(JobSummary, IsAppendedWithinTheRoomThatIsLeft) {
  const TestingWorkspace workspace({});
  const std::string path = workspace.root() / "summary";
  const Format filling{"filling", "", Filling};
  const FormatOptions options{.limit = 10};
  workspace.Write("summary", "before");
  AppendSummary({}, path, filling, options);
  EXPECT_EQ(workspace.Read("summary"), "beforexxxx");
  AppendSummary({.seed = 1}, path, filling, options);
  EXPECT_EQ(workspace.Read("summary"), "beforexxxx") << "it is full";
}

TEST(JobSummary, ComesWithTheAnnotations) {
  TestingWorkspace workspace({"half"});
  workspace.Write("summary", "before\n");
  workspace.environment["GITHUB_STEP_SUMMARY"] = workspace.root() / "summary";
  const LabRun run = workspace.Lab({"grade", "--format", "github"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, StartsWith("::error title=half.1 Check A.Two,file=labs/half/half.cc::"));
  const std::string summary = workspace.Read("summary");
  EXPECT_THAT(summary, AllOf(StartsWith("before\n"), HasSubstr("5 / 10"), HasSubstr("A.Two")));
  EXPECT_EQ(workspace.Lab({"grade", "--format", "text"}).status, 0);
  EXPECT_EQ(workspace.Read("summary"), summary) << "only with the annotations";
}

TEST(JobSummary, IsNotMadeWhereTheRunnerMadeNone) {
  const TestingWorkspace workspace({});
  const Format filling{"filling", "", Filling};
  EXPECT_THROW(AppendSummary({.seed = 1}, workspace.root() / "none", filling, {}), GraderError);
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / "none"));
}

}  // namespace
}  // namespace ipclab
