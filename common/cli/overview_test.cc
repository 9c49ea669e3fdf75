// `lab` without a command, and its help.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "common/cli/testing_workspace.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Overview, ShowsWhatWasReachedAndWhatToDoNext) {
  const TestingWorkspace workspace({"full", "half", "noend"});
  ASSERT_EQ(workspace.Lab({"grade", "full"}).status, 0);
  ASSERT_EQ(workspace.Lab({"grade", "half"}).status, 0);
  ASSERT_EQ(workspace.Lab({"grade", "noend"}).status, 3);
  const LabRun run = workspace.Lab({});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.out,
            "lab    exercises       points   next\n"
            "full   1 of 1          10 / 10\n"
            "half   0 of 1          5 / 10   half.1 one\n"
            "noend  not graded yet           ./lab grade noend\n");
}

TEST(Overview, NoticesThatAFileChangedSinceItWasGraded) {
  const TestingWorkspace workspace({"full"});
  ASSERT_EQ(workspace.Lab({"grade"}).status, 0);
  const auto source = workspace.root() / "labs/full/full.cc";
  std::filesystem::last_write_time(
      source, std::filesystem::last_write_time(source) - std::chrono::seconds(1));
  EXPECT_THAT(workspace.Lab({}).out, HasSubstr("changed since it was graded: ./lab grade full\n"));
}

TEST(Overview, IsNotTouchedByRunsOverOtherFilesOrSingleChecks) {
  const TestingWorkspace workspace({"full"});
  workspace.Write("solutions/full/full.cc", workspace.Read("labs/full/full.cc"));
  ASSERT_EQ(workspace.Lab({"grade", "--solutions"}).status, 0);
  ASSERT_EQ(workspace.Lab({"grade", "--submission", "."}).status, 0);
  ASSERT_EQ(workspace.Lab({"grade", "--check", "A.One"}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(workspace.root() / ".lab"));
}

TEST(Overview, SurvivesARecordThatCannotBeRead) {
  const TestingWorkspace workspace({"full"});
  workspace.Write(".lab/progress.json", "{\"schema\": 7");
  EXPECT_THAT(workspace.Lab({}).out, HasSubstr("not graded yet"));
  EXPECT_EQ(workspace.Lab({"grade"}).status, 0);
  EXPECT_THAT(workspace.Lab({}).out, HasSubstr("1 of 1"));
}

TEST(Overview, SpeaksTheLanguageOfTheLocale) {
  TestingWorkspace workspace({"full"});
  workspace.environment["LANG"] = "zh_CN.UTF-8";
  EXPECT_THAT(workspace.Lab({}).out, AllOf(HasSubstr("实验"), HasSubstr("尚未评分")));
}

TEST(Help, NamesEveryCommandAndTheExitStatuses) {
  const TestingWorkspace workspace({"full"});
  EXPECT_THAT(workspace.Lab({"--help"}).out, AllOf(HasSubstr("grade"), HasSubstr("doctor"),
                                                   HasSubstr("setup"), HasSubstr("test")));
  EXPECT_THAT(workspace.Lab({"grade", "--help"}).out,
              HasSubstr("Exit status: 0 graded, 1 below --fail-under, 2 wrong usage, 3 could not"));
  EXPECT_THAT(workspace.Lab({"--version"}).out, StartsWith("lab "));
}

TEST(Overview, SaysWhereItLookedIfThereAreNoLabs) {
  const TestingWorkspace workspace({});
  const LabRun run = workspace.Lab({});
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("no labs under " + (workspace.root() / "graders").string()));
}

}  // namespace
}  // namespace ipclab
