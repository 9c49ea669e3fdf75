// Signals in a box: a traced process notices what an untraced one would, and nothing else.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "common/grading/around.h"
#include "common/grading/matchers.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "common/grading/sweep.h"
#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

volatile sig_atomic_t g_caught = 0;
void Catch(int) { g_caught = 1; }

void CatchUsr1() {
  struct sigaction action {};
  action.sa_handler = &Catch;
  sigaction(SIGUSR1, &action, nullptr);
}

HELPER(WaitsForTwoSignals) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  if (args.Int("restart") != 0) action.sa_flags = SA_RESTART;
  if (sigaction(SIGUSR1, &action, nullptr) == -1) return 100;
  int ends[2];
  if (pipe(ends) == -1) return 100;
  if (fork() == 0) {
    close(ends[1]);
    // The grader signals while this read blocks; the parent's close ends it.
    char c;
    const ssize_t got = read(ends[0], &c, 1);
    _exit(got == 0 ? 0 : errno == EINTR ? 1 : 2);
  }
  close(ends[0]);
  pause();
  close(ends[1]);
  int status = 0;
  if (wait(&status) == -1) return 100;
  return WEXITSTATUS(status);
}

// The child of a helper, once it sleeps in read().
Process ReadingChild(Sandbox& box) {
  box.WaitFor([&] {
    for (const Process& child : box.Children()) {
      const auto call = BlockedCall(child.pid);
      if (call && FamilyOf(call->call) == Family::kRead) return true;
    }
    return false;
  });
  return box.Children().empty() ? Process() : box.Children()[0];
}

TEST(SandboxSignals, InterruptACallWithoutRestartAsTheyWouldUntraced) {
  Sandbox box({.watch = {Family::kRead}});
  Helper helper = box.Start("WaitsForTwoSignals", {{"restart", 0}});
  kill(ReadingChild(box).pid, SIGUSR1);
  box.WaitFor([&] { return !box.Children()[0].alive; });
  ASSERT_TRUE(helper.WaitUntilBlockedIn({Family::kSignalWait})) << box.failure();
  helper.Signal(SIGUSR1);
  EXPECT_THAT(helper.Wait(), Exited(1));
}

TEST(SandboxSignals, LeaveARestartedCallToItsOwnEnd) {
  Sandbox box({.watch = {Family::kRead}});
  Helper helper = box.Start("WaitsForTwoSignals", {{"restart", 1}});
  const pid_t child = ReadingChild(box).pid;
  for (int i = 0; i < 50; ++i) kill(child, SIGUSR1);
  // An ignored signal reaches a traced process's tracer too, and must not show either.
  kill(child, SIGCHLD);
  ASSERT_TRUE(helper.WaitUntilBlockedIn({Family::kSignalWait})) << box.failure();
  helper.Signal(SIGUSR1);
  EXPECT_THAT(helper.Wait(), Exited(0));
}

// Stands in for a student's function, so that rules apply.
template <typename Body>
int InsideAFunction(Body body) {
  Mark(Marker::kEnter, "body");
  const int result = body();
  MarkLeave("body", result, errno);
  return result;
}

// Looks at a flag, then waits: the signal in between is lost.
HELPER(ChecksThenPauses) {
  CatchUsr1();
  return InsideAFunction([] {
    while (g_caught == 0) pause();
    return 0;
  });
}

// As it should be.
HELPER(ChecksThenSuspends) {
  CatchUsr1();
  sigset_t usr1, old;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, &old);
  return InsideAFunction([&] {
    while (g_caught == 0) sigsuspend(&old);
    return 0;
  });
}

Ending SignalJustBeforeTheWait(Sandbox& box, const std::string& helper) {
  const int wait = box.HoldBefore(Family::kSignalWait);
  Helper waiter = box.Start(helper);
  EXPECT_TRUE(box.WaitUntilHeld(wait)) << box.failure();
  waiter.Signal(SIGUSR1);
  box.Release(wait);
  return waiter.Wait();
}

TEST(SandboxSignals, SentToACallThatIsHeldBeforeItBeginsAreHandledBeforeIt) {
  Sandbox lost({.watch = {Family::kSignalWait}});
  const Ending ending = SignalJustBeforeTheWait(lost, "ChecksThenPauses");
  EXPECT_EQ(ending.kind, Ending::Kind::kDeadlock);
  EXPECT_THAT(ending.text, HasSubstr("waits in pause() for a signal"));

  Sandbox safe({.watch = {Family::kSignalWait}});
  EXPECT_THAT(SignalJustBeforeTheWait(safe, "ChecksThenSuspends"), Exited(0));
}

TEST(SandboxSignals, LeaveOneEventOfACallThatWasHeldBeforeItBegan) {
  Sandbox box({.watch = {Family::kSignalWait}});
  SignalJustBeforeTheWait(box, "ChecksThenSuspends");
  EXPECT_EQ(box.Calls(Family::kSignalWait).size(), 1U);
}

// Untraced, an ignored signal does not end epoll_wait(2), which the kernel never restarts.
HELPER(SleepsInEpollUntilItsChildEnds) {
  CatchUsr1();
  const int epoll = epoll_create1(0);
  int ends[2];
  if (epoll == -1 || pipe(ends) == -1) return 100;
  epoll_event event{EPOLLIN, {}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == -1) return 100;
  const Beside held([] { Gate(); });  // As long as it is held, this is no deadlock.
  const pid_t child = fork();
  if (child == 0) _exit(0);
  // Its SIGCHLD is ignored by default.
  const int ready = epoll_wait(epoll, &event, 1, -1);
  return ready == -1 && errno == EINTR && g_caught != 0 ? 0 : 1;
}

TEST(SandboxSignals, ThatAreIgnoredEndNoCall) {
  Sandbox box({.watch = {Family::kPoll, Family::kSignalSend}});
  const int gate = HoldAtGate(box);
  Helper sleeper = box.Start("SleepsInEpollUntilItsChildEnds");
  ASSERT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  ASSERT_TRUE(Comes(box, [&] { return box.Children().size() == 2 && !box.Children()[1].alive; }));
  for (int i = 0; i < 20; ++i) {
    sleeper.Signal(SIGURG);
    ASSERT_TRUE(sleeper.WaitUntilBlockedIn({Family::kPoll})) << box.failure();
  }
  sleeper.Signal(SIGUSR1);  // A handler runs: now the call ends.
  box.Release(gate);
  EXPECT_THAT(sleeper.Wait(), Exited(0));
}

// A stop may end the wait, as signal(7) says.
void WaitForUsr1(const sigset_t& usr1) {
  while (sigwaitinfo(&usr1, nullptr) == -1 && errno == EINTR) {
  }
}

// Its alarm rings at once, and then it waits for something that cannot come.
HELPER(WaitsAfterItsAlarm) {
  struct sigaction action {};
  action.sa_handler = &Catch;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval soon{{0, 0}, {0, 1000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
  while (true) pause();
}

TEST(SandboxSignals, OfAnAlarmThatHasRungLeaveADeadlockToBeProved) {
  Sandbox box;
  const Ending ending = box.Start("WaitsAfterItsAlarm").Wait();
  EXPECT_EQ(ending.kind, Ending::Kind::kDeadlock);
}

HELPER(ForksAndWaits) {
  return InsideAFunction([] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    int status = 0;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
  });
}

TEST(SandboxRules, HoldACallAtItsExitWithItsWorkDone) {
  Sandbox box;
  const int fork = box.HoldAfter(Family::kFork);
  Helper parent = box.Start("ForksAndWaits");
  ASSERT_TRUE(box.WaitUntilHeld(fork)) << box.failure();
  ASSERT_TRUE(Ends(box, box.Children().at(0).pid));
  EXPECT_EQ(box.Calls(Family::kExit).size(), 1U);  // The child's: its parent does not know of it.
  box.Release(fork);
  EXPECT_THAT(parent.Wait(), Exited(0));
}

HELPER(WaitsForItsTurn) {
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 200; ++i) {
      WaitForUsr1(usr1);
      kill(parent, SIGUSR1);
    }
    _exit(0);
  }
  for (int i = 0; i < 200; ++i) {
    kill(child, SIGUSR1);
    WaitForUsr1(usr1);
  }
  int status = 0;
  sigprocmask(SIG_UNBLOCK, &usr1, nullptr);
  return waitpid(child, &status, 0) == child && status == 0 ? 0 : 2;
}

HELPER(FailsInAnyWeather) { return 3; }

TEST(SandboxStorm, IsNotNoticedByProcessesThatWaitForSignals) {
  EXPECT_EQ(RideOutStorm("WaitsForItsTurn", {}), "");
}

TEST(SandboxStorm, TellsOfAScenarioThatComesToAnotherEnd) {
  EXPECT_EQ(RideOutStorm("FailsInAnyWeather", {}), "exited with code 3");
}

HELPER(Nests) {
  Mark(Marker::kEnter, "outer");
  Mark(Marker::kEnter, "inner");
  MarkLeave("inner", 1, 0);
  const int pipe_result = InsideAFunction([] { return 5; });
  MarkLeave("outer", 2, 0);
  return pipe_result == 5 ? 0 : 1;
}

TEST(SandboxCalls, OfAFunctionThatCallsBackAreKeptApart) {
  Sandbox box;
  Helper helper = box.Start("Nests");
  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_THAT(helper.call("inner"), Returned(1));
  EXPECT_THAT(helper.call("body"), Returned(5));
  EXPECT_THAT(helper.call("outer"), Returned(2));
}

HELPER(MakesNames) {
  return mkfifo("line", 0600) == 0 && mkdir("sub", 0700) == 0 && mkfifo("sub/deep", 0600) == 0 ? 0
                                                                                               : 1;
}

TEST(SandboxNames, AreTheSameInEveryMode) {
  Sandbox box;
  EXPECT_THAT(NamesLeft(box), testing::IsEmpty());
  EXPECT_THAT(box.Start("MakesNames").Wait(), Exited(0));
  EXPECT_THAT(NamesLeft(box),
              ElementsAre("FIFO /tmp/line", HasSubstr("/tmp/sub"), "FIFO /tmp/sub/deep"));
}

HELPER(MakesAQueue) { return msgget(0x1f, IPC_CREAT | IPC_EXCL | 0600) == -1 ? 1 : 0; }

TEST(SandboxSysv, ObjectsAreSeenFromInsideTheBox) {
  if (!Session::Get().confine) GTEST_SKIP() << "no namespaces here";
  Sandbox box;
  EXPECT_THAT(SysvLeft(box), testing::IsEmpty());
  EXPECT_THAT(box.Start("MakesAQueue").Wait(), Exited(0));
  EXPECT_THAT(SysvLeft(box),
              ElementsAre(testing::MatchesRegex("System V message queue id [0-9]+ key 0x1f")));
}

}  // namespace
}  // namespace ipclab
