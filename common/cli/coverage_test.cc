// `lab coverage` from end to end, with a grader that grades.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/cli/testing_workspace.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr char kText[] = R"(#include "toy.h"
#include <sys/wait.h>
#include <unistd.h>
int answer() {
  if (fork() == 0) {
    _exit(0);
  }
  int status;
  if (wait(&status) == -1) {
    return -1;
  }
  return 42;
}
)";

// As TestingWorkspace has it, but fit for a grader that grades.
std::string RubricOf(const std::string& lab) {
  const auto check = [](const std::string& id) {
    return R"json({"points": 50, "proves": "one", "proves_zh": "一", "hints": ["one", "two"],
      "hints_zh": ["一", "二"], "references": ["fork(2)"], "id": ")json" +
           id + "\"}";
  };
  return R"json({"exercises": [{"name": "one", "points": 100, "title": "Exercise",
    "title_zh": "练习", "checks": [)json" +
         check("A.One") + "," + check("A.Two") + "], \"id\": \"" + lab + ".1\"}], \"lab\": \"" +
         lab + "\"}";
}

std::string For(const std::string& lab) {
  std::string text = kText;
  return text.replace(text.find("toy"), 3, lab);
}

class CoverageCommand : public testing::Test {
 protected:
  CoverageCommand() {
    for (const char* const lab : {"toy", "other"}) {
      workspace_.Write(std::string("labs/") + lab + "/" + lab + ".cc", For(lab));
      workspace_.Write(std::string("graders/") + lab + "/rubric.json", RubricOf(lab));
    }
  }
  bool Exists(const std::string& path) const {
    return std::filesystem::exists(workspace_.root() / path);
  }

  TestingWorkspace workspace_{{"toy", "other"}};
};

TEST_F(CoverageCommand, NamesTheLinesThatNoCheckReachedAndCountsAllProcesses) {
  const LabRun run = workspace_.Lab({"coverage", "toy"});
  EXPECT_EQ(run.status, 0) << run.err;
  // Line 6 runs only in a child, which ends by _exit.
  EXPECT_THAT(run.out, AllOf(HasSubstr("labs/toy/toy.cc "), HasSubstr("  10\n"),
                             Not(HasSubstr("other.cc"))));
  EXPECT_THAT(
      workspace_.Read(".lab/coverage/cobertura.xml"),
      AllOf(HasSubstr("filename=\"labs/toy/toy.cc\""), HasSubstr("<line number=\"6\" hits=\"2\""),
            HasSubstr("<line number=\"10\" hits=\"0\"")));
  EXPECT_TRUE(Exists(".lab/coverage/index.html"));
}

TEST_F(CoverageCommand, SaysWhatRanAndWhereTheResultsAre) {
  const LabRun run = workspace_.Lab({"coverage", "toy"});
  EXPECT_THAT(run.err, AllOf(HasSubstr("toy: compiling labs/toy/toy.cc\n"),
                             HasSubstr("toy: 1 of 2 checks passed\n"),
                             HasSubstr("lab: the lines one by one: .lab/coverage/index.html\n"),
                             HasSubstr("lab: Cobertura: .lab/coverage/cobertura.xml\n")));
}

TEST_F(CoverageCommand, SpeaksChinese) {
  EXPECT_THAT(workspace_.Lab({"coverage", "toy", "--lang", "zh"}).err, HasSubstr("逐行结果"));
}

TEST_F(CoverageCommand, MeasuresAllLabsInOneReportIfNoneIsNamed) {
  const LabRun run = workspace_.Lab({"coverage"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("labs/toy/toy.cc "), HasSubstr("labs/other/other.cc ")));
}

TEST_F(CoverageCommand, CountsOnlyTheChecksThatAreNamed) {
  const LabRun run = workspace_.Lab({"coverage", "toy", "--check", "A.One"});
  EXPECT_THAT(run.err, HasSubstr("toy: 1 of 1 checks passed"));
  EXPECT_THAT(workspace_.Read(".lab/coverage/cobertura.xml"),
              HasSubstr("<line number=\"6\" hits=\"1\""));
}

TEST_F(CoverageCommand, WritesWhereItIsTold) {
  const LabRun run =
      workspace_.Lab({"coverage", "toy", "--html", "pages/", "--xml", "coverage.xml"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(Exists("pages/index.html"));
  EXPECT_THAT(workspace_.Read("coverage.xml"), HasSubstr("labs/toy/toy.cc"));
  EXPECT_FALSE(Exists(".lab/coverage"));
}

TEST_F(CoverageCommand, NamesFilesOfAnotherFolderByThatFolder) {
  workspace_.Write("class/ada/toy/toy.cc", kText);
  const LabRun run = workspace_.Lab({"coverage", "toy", "--submission", "class/ada"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("class/ada/toy/toy.cc "));
}

TEST_F(CoverageCommand, MeasuresTheOthersIfOneDoesNotCompile) {
  workspace_.Write("labs/other/other.cc", "int x = y;\n");
  const LabRun run = workspace_.Lab({"coverage"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, AllOf(HasSubstr("labs/toy/toy.cc "), Not(HasSubstr("other.cc"))));
  EXPECT_THAT(run.err, AllOf(HasSubstr("lab: labs/other/other.cc does not compile\n"),
                             HasSubstr("labs/other/other.cc:1:9: error: ")));
}

TEST_F(CoverageCommand, GivesNoTableIfNothingWasMeasured) {
  workspace_.Write("labs/toy/toy.cc", "int x = y;\n");
  const LabRun run = workspace_.Lab({"coverage", "toy"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_FALSE(Exists(".lab/coverage"));
}

// A report from counts that are not the library's would be worse than none.
TEST_F(CoverageCommand, RefusesCountsThatASubmissionHasSpoilt) {
  workspace_.Write("labs/toy/toy.cc", std::string("#include <cstdio>\n"
                                                  "const int spoilt = puts(\"100 %\") + "
                                                  "fflush(stdout);\n") +
                                          kText);
  const LabRun run = workspace_.Lab({"coverage", "toy"});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("lab: gcovr could not report the coverage: labs/toy/toy.cc: "));
  EXPECT_THAT(run.out, IsEmpty());
}

TEST_F(CoverageCommand, RefusesAFolderForPagesThatIsAFile) {
  workspace_.Write("pages", "");
  const LabRun run = workspace_.Lab({"coverage", "toy", "--html", "pages"});
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.err, "lab: pages: is no folder; --html takes a folder for the pages\n");
}

TEST_F(CoverageCommand, TakesNoLabTogetherWithTheWholeProject) {
  const LabRun run = workspace_.Lab({"coverage", "toy", "--project"});
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.err, "lab: --project stands first, and no lab beside it: lab coverage --project\n");
}

TEST_F(CoverageCommand, PointsToItsOwnHelp) {
  EXPECT_THAT(workspace_.Lab({"coverage", "--format", "json"}).err,
              HasSubstr("(lab coverage --help says more)\n"));
  EXPECT_THAT(workspace_.Lab({"coverage", "--help"}).out,
              AllOf(HasSubstr("--html DIR"), HasSubstr("--project"), HasSubstr("however it ends")));
}

}  // namespace
}  // namespace ipclab
