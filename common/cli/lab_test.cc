// The whole `lab` program, with a grader that only pretends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/cli/testing_workspace.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// A usage error is one line, status 2, and nothing on standard output.
void ExpectUsageError(const LabRun& run, const std::string& line) {
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.err, line + "\n");
  EXPECT_THAT(run.out, IsEmpty());
}

TEST(GradeExitStatus, IsZeroForWhatIsGradedHoweverFewPoints) {
  const TestingWorkspace workspace({"half"});
  const LabRun run = workspace.Lab({"grade", "half"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(StartsWith("half  labs/half/half.cc"), HasSubstr("5 / 10 points"),
                             HasSubstr("  FAILED      Check A.Two [A.Two]\n")));
}

TEST(GradeExitStatus, IsOneBelowTheLimitAndZeroAtIt) {
  const TestingWorkspace workspace({"half"});
  EXPECT_EQ(workspace.Lab({"grade", "--fail-under", "50.1"}).status, 1);
  EXPECT_EQ(workspace.Lab({"grade", "--fail-under", "50"}).status, 0);
}

TEST(GradeExitStatus, IsThreeIfAnyLabCouldNotBeGraded) {
  const TestingWorkspace workspace({"crash", "full"});
  const LabRun run = workspace.Lab({"grade", "--fail-under", "100"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, AllOf(HasSubstr("could not be graded"), HasSubstr("10 / 10 points")));
}

TEST(GradeExitStatus, IsThreeIfACheckCouldNotBeJudgedInAFullBox) {
  const TestingWorkspace workspace({"ungraded", "practice"});
  EXPECT_EQ(workspace.Lab({"grade", "ungraded"}).status, 3);
  EXPECT_EQ(workspace.Lab({"grade", "practice"}).status, 0);
}

TEST(GradeUsage, SuggestsTheNearestLab) {
  const TestingWorkspace workspace({"full", "half"});
  ExpectUsageError(workspace.Lab({"grade", "hlaf"}),
                   "lab: there is no lab hlaf; did you mean half? (labs: full, half)");
}

TEST(GradeUsage, SuggestsTheNearestCheck) {
  const TestingWorkspace workspace({"half"});
  ExpectUsageError(workspace.Lab({"grade", "half", "--check", "A.Too"}),
                   "lab: there is no check A.Too; did you mean A.Two?");
}

TEST(GradeUsage, NamesAFolderThatIsMissing) {
  const TestingWorkspace workspace({"half"});
  ExpectUsageError(workspace.Lab({"grade", "--submission", "ada"}),
                   "lab: ada: ENOENT (No such file or directory); --submission takes a folder that "
                   "holds LAB/LAB.cc or labs/LAB/LAB.cc");
}

TEST(GradeUsage, NamesAFolderThatHoldsNoLab) {
  const TestingWorkspace workspace({"half"});
  workspace.Write("ada/other.cc", "");
  ExpectUsageError(workspace.Lab({"grade", "--submission", "ada"}),
                   "lab: ada: holds no lab; expected LAB/LAB.cc or labs/LAB/LAB.cc with LAB one of "
                   "half");
  ExpectUsageError(workspace.Lab({"grade", "half", "--submission", "ada"}),
                   "lab: ada: holds neither half/half.cc nor labs/half/half.cc");
}

TEST(GradeUsage, RefusesASubmissionThatIsNoFolder) {
  const TestingWorkspace workspace({"half"});
  EXPECT_THAT(workspace.Lab({"grade", "--submission", "labs/half/half.cc"}).err,
              StartsWith("lab: labs/half/half.cc: is no folder; --submission takes a folder"));
}

// The reader's own words are tested with it; here, that they arrive as usage errors.
TEST(GradeUsage, RefusesAFileThatIsNoPlainSource) {
  const TestingWorkspace workspace({"half"});
  const std::filesystem::path source = workspace.root() / "labs/half/half.cc";
  const auto expect = [&](const std::string& what) {
    const LabRun run = workspace.Lab({"grade"});
    EXPECT_EQ(run.status, 2) << what;
    EXPECT_THAT(run.err, AllOf(StartsWith("lab: labs/half/half.cc"), EndsWith("\n"))) << what;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(workspace.root() / ".lab"));
  };
  workspace.Write("labs/half/half.cc", std::string((1 << 20) + 1, '/'));
  expect("too large");
  std::filesystem::remove(source);
  expect("missing");
  std::filesystem::create_symlink("half.h", source);
  expect("a symbolic link");
  std::filesystem::remove(source);
  ASSERT_EQ(mkfifo(source.c_str(), 0600), 0);
  expect("a FIFO");
}

TEST(GradeUsage, NamesAnOptionThatDoesNotExist) {
  const TestingWorkspace workspace({"half"});
  const LabRun run = workspace.Lab({"grade", "--quick"});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, AllOf(StartsWith("lab: "), HasSubstr("--quick"),
                             EndsWith("(lab grade --help says more)\n")));
}

TEST(GradeUsage, RefusesContradictions) {
  const TestingWorkspace workspace({"half"});
  EXPECT_EQ(workspace.Lab({"grade", "--credit", "--practice"}).status, 2);
  EXPECT_EQ(workspace.Lab({"grade", "--solutions", "--submission", "."}).status, 2);
  EXPECT_EQ(workspace.Lab({"grade", "--fail-under", "101"}).status, 2);
  EXPECT_EQ(workspace.Lab({"grade", "--seed", "none"}).status, 2);
  EXPECT_EQ(workspace.Lab({"grade", "--lang", "fr"}).status, 2);
  EXPECT_EQ(workspace.Lab({"nonsense"}).status, 2);
}

TEST(GradeOut, RefusesWhatIsNoFileBeforeAnythingRuns) {
  const TestingWorkspace workspace({"half"});
  ExpectUsageError(workspace.Lab({"grade", "--out", "/dev/null"}),
                   "lab: /dev/null: is not a regular file, so no result is written there");
  ExpectUsageError(workspace.Lab({"grade", "--out", "none/result.json"}),
                   "lab: none/result.json: there is no folder none");
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / "graders/half/pid"));
}

TEST(GradeOut, ReplacesTheFileWholeAndLeavesNothingBeside) {
  const TestingWorkspace workspace({"half"});
  workspace.Write("results/result.json", "old");
  const LabRun run = workspace.Lab({"grade", "--format", "json", "--out", "results/result.json"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, EndsWith("lab: the report is in results/result.json\n"));
  EXPECT_EQ(nlohmann::json::parse(workspace.Read("results/result.json"))["labs"][0]["score"], 5);
  const auto files = std::filesystem::directory_iterator(workspace.root() / "results");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(GradeJson, HasTheGradersFactsAndTheStudentsPath) {
  TestingWorkspace workspace({"half"});
  workspace.folder = "labs/half";
  const LabRun run = workspace.Lab({"grade", "--format", "json", "--seed", "77"});
  const nlohmann::json json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["schema"], "ipclab/result/v1");
  EXPECT_EQ(json["seed"], 77);
  EXPECT_EQ(json["grader_version"], "9.9");
  EXPECT_EQ(json["isolation"]["mode"], "full");
  const nlohmann::json& lab = json["labs"][0];
  EXPECT_EQ(lab["source"], "half.cc");
  EXPECT_EQ(lab["max_score"], 10);
  EXPECT_EQ(lab["exercises"].size(), 1u) << "one exercise was not checked";
  EXPECT_EQ(lab["exercises"][0]["points"], 5);
  EXPECT_EQ(lab["checks"][1]["status"], "failed");
}

TEST(GraderProcess, GetsTheLibraryTheSeedAndACleanEnvironment) {
  TestingWorkspace workspace({"half"});
  const LabRun run =
      workspace.Lab({"grade", "--format", "json", "--seed", "77", "--credit", "--lang", "zh"});
  const std::string observed = nlohmann::json::parse(run.out)["labs"][0]["checks"][1]["observed"];
  EXPECT_THAT(observed, AllOf(StartsWith("ELF seed=77 mode=credit lang=zh env="),
                              HasSubstr("PATH=/usr/bin:/bin"), Not(HasSubstr("SECRET")),
                              Not(HasSubstr("IPCLAB"))));
}

TEST(GradeMode, IsCreditUnderCiUnlessPracticeIsAskedFor) {
  TestingWorkspace workspace({"half"});
  EXPECT_THAT(workspace.Lab({"grade"}).out, HasSubstr("mode=practice"));
  workspace.environment["CI"] = "true";
  EXPECT_THAT(workspace.Lab({"grade"}).out, HasSubstr("mode=credit"));
  EXPECT_THAT(workspace.Lab({"grade", "--practice"}).out, HasSubstr("mode=practice"));
}

TEST(GradeSeed, IsDrawnAnewForEveryRun) {
  const TestingWorkspace workspace({"half"});
  const auto seed = [&] {
    return nlohmann::json::parse(workspace.Lab({"grade", "--format", "json"}).out)["seed"];
  };
  EXPECT_NE(seed(), seed());
}

TEST(GradeChecks, RunsOnlyThoseAskedFor) {
  const TestingWorkspace workspace({"half"});
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"grade", "--check", "A.One", "half"},
        std::vector<std::string>{"grade", "half", "--check", "A.One,A.One"}}) {
    const LabRun run = workspace.Lab(arguments);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, AllOf(HasSubstr("Check A.One"), Not(HasSubstr("A.Two"))));
  }
}

TEST(GradeCompile, GivesNoPointsAndTheCompilersWordsWithTheStudentsPath) {
  const TestingWorkspace workspace({"half"});
  workspace.Write("labs/half/half.cc", "int answer( { return 42; }\n");
  const LabRun run = workspace.Lab({"grade"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("0 / 10 points"), HasSubstr("labs/half/half.cc: does not compile\n"),
                    HasSubstr("  | labs/half/half.cc:1:"), HasSubstr("error:"),
                    HasSubstr("Next: make labs/half/half.cc build\n")));
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / "graders/half/pid"));
}

TEST(GradeCompile, SaysWhichFunctionIsMissing) {
  const TestingWorkspace workspace({"half"});
  workspace.Write("labs/half/half.cc", "int question() { return 42; }\n");
  const LabRun run = workspace.Lab({"grade"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("0 / 10 points"),
                             HasSubstr("labs/half/half.cc: not accepted\n"), HasSubstr("answer")));
}

TEST(GradeSubmission, TakesEitherLayoutAndOnlyTheLabsThatAreThere) {
  const TestingWorkspace workspace({"full", "half"});
  const std::string source = workspace.Read("labs/full/full.cc");
  workspace.Write("ada/full/full.cc", source);
  workspace.Write("bob/labs/full/full.cc", source);
  EXPECT_THAT(workspace.Lab({"grade", "--submission", "ada"}).out,
              AllOf(StartsWith("full  ada/full/full.cc"), Not(HasSubstr("half"))));
  EXPECT_THAT(workspace.Lab({"grade", "--submission", "bob"}).out,
              StartsWith("full  bob/labs/full/full.cc"));
}

TEST(GradeSubmission, NamesAFileBelowTheCurrentFolderAsTheStudentKnowsIt) {
  const TestingWorkspace workspace({"full"});
  EXPECT_THAT(workspace.Lab({"grade", "--submission", "."}).out,
              StartsWith("full  labs/full/full.cc"));
}

TEST(GradeSolutions, GradesTheReference) {
  const TestingWorkspace workspace({"full"});
  workspace.Write("solutions/full/full.cc", workspace.Read("labs/full/full.cc"));
  EXPECT_THAT(workspace.Lab({"grade", "--solutions"}).out,
              StartsWith("full  solutions/full/full.cc"));
}

TEST(BadGrader, IsNeverReadAsPoints) {
  const struct {
    const char* lab;
    const char* words;
  } kCases[] = {
      {"refuse", "  cannot be confined\n  To fix it: sudo mend\n"},
      {"crash", "  the grader was killed by SIGSEGV during the check A.Two; its results"},
      {"crash", "about to crash\n"},
      {"noend",
       "  the grader exited with status 0 during the check A.Two; its results have no\n  end\n"},
      {"status", "  the grader exited with status 7\n"},
      {"garbage", "it wrote what is no result: PASSED \\x1b[2J"},
      {"nothing", "  the grader exited with status 0; no check ran\n"},
  };
  for (const auto& [lab, words] : kCases) {
    const TestingWorkspace workspace({lab});
    const LabRun run = workspace.Lab({"grade"});
    EXPECT_EQ(run.status, 3) << lab;
    EXPECT_THAT(run.out,
                AllOf(HasSubstr("could not be graded"), HasSubstr(words), Not(HasSubstr("points"))))
        << lab;
  }
}

TEST(BadGrader, ThatIsNotBuiltIsNamed) {
  const TestingWorkspace workspace({"half"});
  std::filesystem::remove(workspace.root() / "graders/half/half_grader");
  const LabRun run = workspace.Lab({"grade"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, AllOf(HasSubstr("cannot start"), HasSubstr("ENOENT")));
}

TEST(Progress, IsPlainLinesWithoutATerminal) {
  const TestingWorkspace workspace({"half"});
  EXPECT_EQ(workspace.Lab({"grade"}).err,
            "half: compiling labs/half/half.cc\n"
            "half: running 2 checks\n"
            "half: 5 / 10 points\n");
}

TEST(Progress, SpeaksTheLanguageOfTheRun) {
  const TestingWorkspace workspace({"half"});
  EXPECT_EQ(workspace.Lab({"grade", "--lang", "zh"}).err,
            "half: 正在编译 labs/half/half.cc\n"
            "half: 正在运行 2 项检查\n"
            "half: 5 / 10 分\n");
}

class Interruption : public testing::TestWithParam<int> {};

TEST_P(Interruption, EndsTheGraderAndLabByTheSameSignal) {
  const TestingWorkspace workspace({"hang"});
  RunningLab lab = workspace.Start({"grade"});
  lab.WaitForError("hang: running 2 checks\n");
  const pid_t grader = std::stoi(workspace.Read("graders/hang/pid"));
  ASSERT_EQ(kill(grader, 0), 0);
  ASSERT_EQ(kill(lab.pid(), GetParam()), 0);
  const LabRun run = lab.Finish();
  EXPECT_EQ(run.status, -GetParam());
  EXPECT_THAT(run.err, EndsWith("lab: interrupted\n"));
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_EQ(kill(grader, 0), -1);
  EXPECT_EQ(errno, ESRCH);
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / ".lab"));
}

INSTANTIATE_TEST_SUITE_P(BySignal, Interruption, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST(InterruptionOfWork, EndsAGraderThatWillNotListen) {
  const TestingWorkspace workspace({"deaf"});
  RunningLab lab = workspace.Start({"grade"});
  lab.WaitForError("deaf: running 2 checks\n");
  const pid_t grader = std::stoi(workspace.Read("graders/deaf/pid"));
  ASSERT_EQ(kill(lab.pid(), SIGINT), 0);
  EXPECT_EQ(lab.Finish().status, -SIGINT);
  EXPECT_EQ(kill(grader, 0), -1);
}

TEST(InterruptionOfWork, LeavesNoCoverageThatIsHalfDone) {
  const TestingWorkspace workspace({"hang"});
  RunningLab lab = workspace.Start({"coverage", "--html", "pages"});
  lab.WaitForError("hang: running 2 checks\n");
  ASSERT_EQ(kill(lab.pid(), SIGINT), 0);
  EXPECT_EQ(lab.Finish().status, -SIGINT);
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / "pages"));
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / ".lab"));
}

TEST(InterruptionOfWork, EndsACompileAtOnce) {
  const TestingWorkspace workspace({"half"});
  // Takes the compiler far longer than this test waits for anything.
  workspace.Write("labs/half/half.cc",
                  "constexpr unsigned long f(unsigned long n) { unsigned long s = 0;\n"
                  "  for (unsigned long i = 0; i < n; ++i) s += i % 7; return s; }\n"
                  "template <int N> struct S { static constexpr unsigned long v = f(200000 + N) + "
                  "S<N - 1>::v; };\n"
                  "template <> struct S<0> { static constexpr unsigned long v = 0; };\n"
                  "extern \"C\" int answer() { return S<800>::v; }\n");
  RunningLab lab = workspace.Start({"grade"});
  lab.WaitForError("half: compiling");
  ASSERT_EQ(kill(lab.pid(), SIGTERM), 0);
  const LabRun run = lab.Finish();
  EXPECT_EQ(run.status, -SIGTERM);
  EXPECT_THAT(run.err, EndsWith("lab: interrupted\n"));
}

}  // namespace
}  // namespace ipclab
