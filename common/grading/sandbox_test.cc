#include "common/grading/sandbox.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/grading/matchers.h"
#include "common/grading/testdata/student.h"
#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

using made_up::does;
using made_up::not_written;
using testing::Contains;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

HELPER(Does) {
  const std::string what = args.Bytes("what");
  return STUDENT(does)(what.c_str());
}

HELPER(CallsNotWritten) { return STUDENT(not_written)(); }

Helper StartDoes(Sandbox& box, const std::string& what) {
  return box.Start("Does", {{"what", Binary(what)}});
}

TEST(SandboxVerdict, IsTheExitCodeOfABodyThatReturned) {
  Sandbox box;
  Helper helper = StartDoes(box, "nothing");
  EXPECT_THAT(helper.Wait(), Exited(7));
  EXPECT_THAT(helper.call(), Returned(7));
}

TEST(SandboxVerdict, TellsAnEarlyExitFromAReturn) {
  Sandbox box;
  const Ending ending = StartDoes(box, "exit").Wait();
  EXPECT_EQ(ending.kind, Ending::Kind::kEndedEarly);
  EXPECT_EQ(ending.text, "ended early: it exited with code 0 inside does()");
}

TEST(SandboxVerdict, NamesTheSignalThatKilled) {
  Sandbox box;
  const Ending ending = StartDoes(box, "abort").Wait();
  EXPECT_THAT(ending, KilledBy(SIGABRT));
  EXPECT_EQ(ending.text, "was killed by SIGABRT (signal 6) inside does()");
}

TEST(SandboxVerdict, ProvesADeadlockAndNamesTheDescriptorAtItsRoot) {
  Sandbox box;
  const Ending ending = StartDoes(box, "wait for itself").Wait();
  EXPECT_EQ(ending.kind, Ending::Kind::kDeadlock);
  EXPECT_THAT(ending.text, HasSubstr("waits in read() on descriptor 3, pipe A"));
  EXPECT_THAT(ending.text, HasSubstr("(in does)"));
  EXPECT_THAT(ending.text, HasSubstr("descriptor 4"));
}

TEST(SandboxVerdict, FindsBusyWaitingByProcessorTime) {
  Sandbox box;
  const Ending ending = StartDoes(box, "spin").Wait();
  EXPECT_EQ(ending.kind, Ending::Kind::kBusy) << ending.text;
}

TEST(SandboxVerdict, StopsAForkBomb) {
  Sandbox box;
  const Ending ending = StartDoes(box, "fork for ever").Wait();
  EXPECT_EQ(ending.kind, Ending::Kind::kLimit);
  EXPECT_EQ(ending.text, "ran into a limit: more than 64 processes");
}

TEST(SandboxVerdict, StopsAFloodOfOutput) {
  Sandbox box;
  const Ending ending = StartDoes(box, "write for ever").Wait();
  EXPECT_EQ(ending.kind, Ending::Kind::kFlood);
  EXPECT_EQ(ending.text, "wrote more than 16 MiB of output");
}

TEST(SandboxVerdict, IsNotStartedForAFunctionThatReturnsEnosys) {
  Session::Get().check = CheckRecord();
  {
    Sandbox box;
    box.Start("CallsNotWritten").Wait();
  }
  EXPECT_EQ(Session::Get().check.not_started, "not_written");
}

TEST(SandboxFilter, RefusesAndRecordsWhatReachesIntoOtherProcesses) {
  Sandbox box;
  Helper helper = StartDoes(box, "trace");
  helper.Wait();
  EXPECT_THAT(helper.call(), FailedWith(EPERM));
  const auto& events = box.events();
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& event) {
    return event.kind == Event::Kind::kForbidden && event.number == SYS_ptrace;
  }));
}

TEST(SandboxCensus, NamesADescriptorAndAZombieLeftBehind) {
  Sandbox box;
  Helper helper = StartDoes(box, "leak");
  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_THAT(helper.Leftovers(),
              ElementsAre("descriptor 4, write end of pipe A, is still open",
                          MatchesRegex("zombie child [0-9]+ .not waited for.")));
}

TEST(SandboxCensus, NamesAChildThatStillRuns) {
  Sandbox box;
  Helper helper = StartDoes(box, "leave a child");
  helper.Wait();
  EXPECT_THAT(helper.Leftovers(), Contains(ContainsRegex("child [0-9]+ still running")));
}

TEST(SandboxCensus, NamesASignalActionThatChanged) {
  Sandbox box;
  Helper helper = StartDoes(box, "ignore SIGPIPE");
  helper.Wait();
  EXPECT_THAT(helper.Leftovers(), Contains(HasSubstr("SIGPIPE")));
}

TEST(SandboxCensus, FindsNothingBehindACleanFunction) {
  Sandbox box({.watch = {Family::kPipe, Family::kWrite}});
  Helper helper = StartDoes(box, "copy");
  EXPECT_THAT(helper.Wait(), Exited(6));
  EXPECT_THAT(helper.Leftovers(), IsEmpty());
  EXPECT_THAT(box, CarriedByPipe(6));
}

TEST(SandboxRules, MakeTheCallFailThatTheyName) {
  Sandbox box({.watch = {Family::kPipe}});
  box.Fail(Family::kPipe, EMFILE);
  Helper helper = StartDoes(box, "copy");
  helper.Wait();
  EXPECT_THAT(helper.call(), FailedWith(EMFILE));
}

TEST(SandboxRules, ShortenTransfers) {
  Sandbox box({.watch = {Family::kPipe, Family::kWrite}});
  box.Shorten(Family::kWrite, 2);
  Helper helper = StartDoes(box, "copy");
  EXPECT_THAT(helper.Wait(), Exited(2));
}

TEST(SandboxRules, HoldACallUntilItIsReleased) {
  Sandbox box({.watch = {Family::kWrite}});
  const int gate = box.Hold(Family::kWrite);
  Helper helper = StartDoes(box, "copy");
  ASSERT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  EXPECT_TRUE(helper.process().alive);
  box.Release(gate);
  EXPECT_THAT(helper.Wait(), Exited(6));
}

TEST(SandboxRules, SayWhyNobodyCameToTheGate) {
  Sandbox box;
  const int gate = box.Hold(Family::kPipe);
  StartDoes(box, "abort");
  EXPECT_FALSE(box.WaitUntilHeld(gate));
  EXPECT_EQ(box.failure(), "was killed by SIGABRT (signal 6) inside does()");
}

TEST(SandboxTrace, ShowsAChildThatRunsOnInItsCallersCode) {
  Sandbox box;
  StartDoes(box, "return in child").Wait();
  const auto children = box.Children();
  ASSERT_EQ(children.size(), 1U);
  EXPECT_TRUE(children[0].strayed);
}

TEST(SandboxTrace, ReadsLikeStrace) {
  Sandbox box({.watch = {Family::kPipe, Family::kWrite, Family::kRead}});
  StartDoes(box, "copy").Wait();
  std::vector<std::string> lines;
  for (const TimelineEntry& entry : box.Timeline()) lines.push_back(entry.what);
  EXPECT_THAT(lines, ElementsAre("does() is called", HasSubstr(" = 0 [3, 4]"),
                                 "write(4 <pipe A>, 6) = 6", "read(3 <pipe A>, 16) = 6",
                                 "does() returns 6", "exit_group(6)", "exited with code 6"));
}

HELPER(Describes) {
  std::string open;
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) open += std::to_string(fd) + " ";
  }
  Report("descriptors", open);
  Report("environment", getenv("HOME") == nullptr ? "" : getenv("HOME"));
  Report("parent", getppid());
  printf("to stdout");
  fflush(stdout);
  return 0;
}

TEST(SandboxHelper, HoldsItsThreeStandardDescriptorsAndNothingElse) {
  Sandbox box;
  Helper helper = box.Start("Describes");
  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_EQ(helper.ReportedBytes("descriptors"), "0 1 2 ");
  EXPECT_EQ(helper.output(), "to stdout");
}

TEST(SandboxHelper, IsAChildOfTheStage) {
  if (!Session::Get().confine) GTEST_SKIP() << "no namespaces here";
  Sandbox box;
  Helper helper = box.Start("Describes");
  helper.Wait();
  EXPECT_EQ(helper.Reported("parent"), 1);
  EXPECT_EQ(helper.ReportedBytes("environment"), "/tmp");
}

TEST(SandboxHelper, AnswersWithTheFallbackForWhatItDidNotReport) {
  Sandbox box;
  Helper helper = box.Start("Describes");
  helper.Wait();
  EXPECT_EQ(helper.Reported("no such key", -5), -5);
  EXPECT_EQ(helper.ReportedBytes("no such key"), "");
}

TEST(SandboxStage, AnswersQuestionsFromInside) {
  Sandbox box;
  EXPECT_EQ(box.box().Ask("hello"), "heard: hello");
}

}  // namespace
}  // namespace ipclab
