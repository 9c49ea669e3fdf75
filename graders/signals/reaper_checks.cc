// Exercise signals.5: a reaper for SIGCHLD.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/grading/around.h"
#include "graders/signals/brood.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::reaper_start;
using signals::reaper_stop;

EXERCISE(Reaper);

// ---- Helpers ------------------------------------------------------------------------------------

// One after the other: what happens when several end together is a question of its own.
HELPER(CollectsThree) {
  if (STUDENT(reaper_start)() != 0) return 1;
  Brood brood;
  for (const char* const key : {"one", "signal", "two"}) {
    PipeEnds line = MakePipe();
    Order order{line, static_cast<int>(args.Int(key, 0))};
    const bool spawned = key == std::string("signal") ? brood.Spawn(WaitsAndDies, &line)
                                                      : brood.Spawn(WaitsAndExits, &order);
    if (!spawned) return 2;
    line.write.Reset();
    if (!brood.CollectAll()) return 3;
  }
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

constexpr int kMany = 50;

HELPER(CollectsMany) {
  if (STUDENT(reaper_start)() != 0) return 1;
  PipeEnds line = MakePipe();
  Brood brood;
  if (!brood.SpawnMany(kMany, WaitsForEndOf, &line)) return 2;
  Beside holder([&] { Gate(); });
  line.write.Reset();
  if (!brood.CollectAll(20)) return 3;
  holder.Join();
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

HELPER(CollectsOne) {
  int code = static_cast<int>(args.Int("code"));
  const Action on_usr1(SIGUSR1, DoNothing);
  if (STUDENT(reaper_start)() != 0) return 1;
  Brood brood;
  if (!brood.Spawn(ExitsWith, &code)) return 2;
  if (!brood.CollectAll()) return 3;
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

HELPER(CollectsAWaitingChild) {
  if (STUDENT(reaper_start)() != 0) return 1;
  PipeEnds line = MakePipe();
  Brood brood;
  if (!brood.Spawn(WaitsForEndOf, &line)) return 2;
  Beside other([&] { Gate(); });
  if (!brood.CollectAll()) return 3;
  other.Join();
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

// One child ends, the other one not before the first has been stored.
HELPER(CollectsOneByOne) {
  if (STUDENT(reaper_start)() != 0) return 1;
  PipeEnds line = MakePipe();
  Brood brood;
  if (!brood.Spawn(WaitsForEndOf, &line)) return 2;
  PipeEnds soon = MakePipe();
  Order order{soon, static_cast<int>(args.Int("code"))};
  if (!brood.Spawn(WaitsAndExits, &order)) return 2;
  soon.write.Reset();
  if (!brood.Collect(8, kNoLimit)) return 3;
  line.write.Reset();
  if (!brood.CollectAll()) return 3;
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

// One child of its own has ended before, another one ends during reaper_wait.
HELPER(HasOtherChildren) {
  int code = static_cast<int>(args.Int("code"));
  const pid_t early = Check(fork(), "fork");
  if (early == 0) _exit(51);
  AwaitEnd(early);
  if (STUDENT(reaper_start)() != 0) return 1;
  const pid_t late = Check(fork(), "fork");
  if (late == 0) {
    Gate();
    _exit(52);
  }
  Report("late", late);
  Brood brood;
  if (!brood.Spawn(ExitsWith, &code)) return 2;
  const bool collected = brood.CollectAll();
  for (const auto& [key, pid] : {std::pair("early_status", early), {"late_status", late}}) {
    int status = 0;
    Report(key, waitpid(pid, &status, WNOHANG) == pid ? status : -1);
  }
  if (!collected) return 3;
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

HELPER(WaitsInVain) {
  if (STUDENT(reaper_start)() != 0) return 1;
  PipeEnds line = MakePipe();
  Brood brood;
  if (!brood.Spawn(WaitsForEndOf, &line)) return 2;
  Done done;
  if (STUDENT(reaper_wait)(&done, 1, 0) != -1) return 3;
  const TestClock::time_point start = TestClock::now();
  if (STUDENT(reaper_wait)(&done, 1, 30) != -1) return 3;
  Report("took", MicrosSince(start));
  line.write.Reset();
  if (!brood.CollectAll(1, 60'000)) return 4;
  return STUDENT(reaper_stop)() == 0 ? 0 : 5;
}

HELPER(AsksAChildForItsSignals) {
  const CallersAction on_sigchld(SIGCHLD, DoNothing);
  const CallersBlock block(SIGUSR2);
  if (STUDENT(reaper_start)() != 0) return 1;
  Brood brood;
  PipeEnds line = MakePipe();
  if (!brood.Spawn(TellsItsSignals, &line)) return 2;
  line.write.Reset();
  if (!brood.CollectAll()) return 3;
  return STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

HELPER(UsesItWrongly) {
  int code = 0;
  Done done;
  STUDENT(reaper_wait)(&done, 1, 0);
  STUDENT(reaper_spawn)(ExitsWith, &code);
  STUDENT(reaper_stop)();
  if (STUDENT(reaper_start)() != 0) return 1;
  STUDENT(reaper_start)();
  STUDENT(reaper_wait)(nullptr, 1, 0);
  STUDENT(reaper_wait)(&done, 0, 0);
  STUDENT(reaper_spawn)(nullptr, nullptr);
  STUDENT(reaper_wait)(&done, 1, kNoLimit);
  return STUDENT(reaper_stop)() == 0 ? 0 : 2;
}

HELPER(StartsAndSpawns) {
  int code = 0;
  if (STUDENT(reaper_start)() != 0) return 1;
  STUDENT(reaper_spawn)(ExitsWith, &code);
  return STUDENT(reaper_stop)() == 0 ? 0 : 2;
}

// One child has ended when it stops, another one still runs.
HELPER(StopsInTheMiddle) {
  const CallersAction on_sigchld(SIGCHLD, DoNothing);
  const CallersBlock block(SIGUSR2);
  if (STUDENT(reaper_start)() != 0) return 1;
  PipeEnds soon = MakePipe();
  if (STUDENT(reaper_spawn)(WaitsForEndOf, &soon) < 1) return 2;
  soon.write.Reset();
  PipeEnds line = MakePipe();
  const pid_t running = STUDENT(reaper_spawn)(WaitsForEndOf, &line);
  if (running < 1) return 2;
  Gate();
  if (STUDENT(reaper_stop)() != 0) return 3;
  Report("action_stands", on_sigchld.Stands());
  Report("mask_stands", IsBlocked(SIGUSR2) && !IsBlocked(SIGCHLD));
  line.write.Reset();
  int status = -1;
  pid_t waited = -1;
  do {
    waited = waitpid(running, &status, 0);
  } while (waited == -1 && errno == EINTR);
  Report("mine", waited == running ? status : -1);
  return STUDENT(reaper_start)() == 0 && STUDENT(reaper_stop)() == 0 ? 0 : 4;
}

// ---- Checks -------------------------------------------------------------------------------------

// What the kernel says about the n-th child of a Brood.
WaitStatus KernelStatus(const Sandbox& box, const Helper& caller, int n) {
  for (const Process& child : box.Children()) {
    const bool is_it = child.inner_pid == caller.Reported("pid" + std::to_string(n));
    if (is_it && child.parent == caller.pid() && child.status) return {*child.status};
  }
  return {kNoStatus};
}

TEST_F(Reaper, StoresHowEachChildEnded) {
  Sandbox box;
  const int one = static_cast<int>(RandomInt(1, 100)), two = static_cast<int>(RandomInt(1, 100));

  Helper caller = box.Start("CollectsThree", {{"one", one}, {"two", two}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_FALSE(AnyChildStrayed(box))
      << "a child came back from reaper_spawn() into the caller's code";
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(one));
  EXPECT_THAT(StatusOf(caller, "status1"), SaysKilledBy(SIGTERM));
  EXPECT_THAT(StatusOf(caller, "status2"), SaysExit(two));
  EXPECT_THAT(KernelStatus(box, caller, 0), SaysExit(one)) << "of the process of the first pid";
  EXPECT_THAT(KernelStatus(box, caller, 2), SaysExit(two)) << "of the process of the last pid";
}

TEST_F(Reaper, StoresAllThatEndTogether) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("CollectsMany");
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_TRUE(Waits(box, caller, "for its children"));
  ASSERT_TRUE(Stop(box, caller.pid()));
  box.Release(gate);
  ASSERT_TRUE(AllChildrenEnd(box));
  caller.Signal(SIGCONT);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t stored = caller.Reported("stored", 0);
  EXPECT_TRUE(stored == kMany) << kMany << " children ended while the caller was stopped, so "
                               << "SIGCHLD came once for all of them; " << stored << " were stored";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

TEST_F(Reaper, StoresAChildThatEndsWithinSpawn) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(1, 100));
  const int fork = box.HoldAfter(Family::kFork);

  Helper caller = box.Start("CollectsOne", {{"code", code}});
  ASSERT_TRUE(SomebodyComesTo(box, fork)) << "no child was started";
  ASSERT_TRUE(AllChildrenEnd(box));
  box.Release(fork);

  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "the child had ended before fork returned";
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(code));
}

TEST_F(Reaper, WakesForAChildThatEndsJustBeforeItWaits) {
  Sandbox box({.watch = kSignalWaits});
  const int code = static_cast<int>(RandomInt(1, 100));
  const int exit = HoldExit(box, code);
  BeforeItWaits wait(box);

  Helper caller = box.Start("CollectsOne", {{"code", code}});
  ASSERT_TRUE(SomebodyComesTo(box, exit)) << "the child never came to its end";
  ASSERT_TRUE(wait.Comes());
  box.Release(exit);
  ASSERT_TRUE(AllChildrenEnd(box));
  wait.Release();

  EXPECT_THAT(OutcomeOf(caller), Succeeds())
      << "the child ended after reaper_wait() had looked and before it began to wait";
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(code));
}

TEST_F(Reaper, StoresAChildWhileAnotherOneRuns) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(1, 100));

  Helper caller = box.Start("CollectsOneByOne", {{"code", code}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "one child ended, the other one was still running";
  EXPECT_THAT(StatusOf(caller, "status1"), SaysExit(code));
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(0)) << "of the one that ran on";
}

TEST_F(Reaper, LeavesOtherChildrenToTheCaller) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int code = static_cast<int>(RandomInt(1, 50));
  const int gate = HoldAtGate(box);
  const int exit = HoldExit(box, code);

  Helper caller = box.Start("HasOtherChildren", {{"code", code}});
  ASSERT_TRUE(SomebodyComesTo(box, exit)) << "the child never came to its end";
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_TRUE(Waits(box, caller, "for its child"));
  box.Release(gate);
  const auto late_ended = [&] {
    return std::ranges::any_of(box.Children(), [&](const Process& child) {
      return child.inner_pid == caller.Reported("late") && !child.alive;
    });
  };
  ASSERT_TRUE(Comes(box, late_ended));
  ASSERT_TRUE(ComesToRest(box));
  EXPECT_FALSE(caller.call("reaper_wait").returned)
      << "a child that is none of reaper_spawn's ended, and "
      << DescribeCall(caller.call("reaper_wait"));
  box.Release(exit);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "early_status"), SaysExit(51))
      << "of the caller's own child, which had ended before reaper_start()";
  EXPECT_THAT(StatusOf(caller, "late_status"), SaysExit(52))
      << "of the caller's own child, which ended during reaper_wait()";
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(code));
}

TEST_F(Reaper, TakesNoNoticeOfChildrenThatStopAndGoOn) {
  // While somebody is held, nobody waits for ever.
  Sandbox box({.watch = {Family::kSignalSend}});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("CollectsAWaitingChild");
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_TRUE(Waits(box, caller, "for its child"));
  const pid_t child = box.Children().front().pid;
  ASSERT_TRUE(Stop(box, child));
  ASSERT_TRUE(HasSettled(box, caller));
  EXPECT_FALSE(caller.call("reaper_wait").returned)
      << "the child was stopped, and " << DescribeCall(caller.call("reaper_wait"));
  kill(child, SIGCONT);
  ASSERT_TRUE(ComesToRest(box));
  EXPECT_FALSE(caller.call("reaper_wait").returned)
      << "the child went on, and " << DescribeCall(caller.call("reaper_wait"));
  kill(child, SIGKILL);
  ASSERT_TRUE(WaitUntilEnded(box, child));
  ASSERT_TRUE(HasSettled(box, caller));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "status0"), SaysKilledBy(SIGKILL)) << "in the end";
}

TEST_F(Reaper, WaitsNoLongerThanItMay) {
  Sandbox box({.skip_sleeps = true});

  Helper caller = box.Start("WaitsInVain");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  std::vector<StudentCall> waits;
  for (const StudentCall& call : caller.process().calls) {
    if (call.function == "reaper_wait") waits.push_back(call);
  }
  ASSERT_TRUE(waits.size() >= 2);
  EXPECT_THAT(waits[0], FailedWith(ETIMEDOUT)) << "with a timeout of 0";
  EXPECT_THAT(waits[1], FailedWith(ETIMEDOUT)) << "with a timeout of 30 ms";
  const std::int64_t took = caller.Reported("took");
  EXPECT_TRUE(took >= 30'000) << "it gave up after " << took << " us of 30 ms";
}

TEST_F(Reaper, GoesOnWaitingWhenAnotherSignalComes) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(1, 100));
  const int exit = HoldExit(box, code);

  Helper caller = box.Start("CollectsOne", {{"code", code}});
  ASSERT_TRUE(SomebodyComesTo(box, exit)) << "the child never came to its end";
  ASSERT_TRUE(Waits(box, caller, "for its child"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  ASSERT_TRUE(ComesToRest(box));
  box.Release(exit);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(code));
}

TEST_F(Reaper, GivesChildrenTheSignalsOfTheCaller) {
  Sandbox box;

  Helper caller = box.Start("AsksAChildForItsSignals");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("default") == 1)
      << "in the child the action of SIGCHLD is not the default";
  EXPECT_TRUE(caller.Reported("sigchld_blocked") == 0)
      << "the child blocks SIGCHLD, which the caller does not";
  EXPECT_TRUE(caller.Reported("sigterm_blocked") == 0)
      << "the child blocks SIGTERM, which the caller does not";
  EXPECT_TRUE(caller.Reported("sigusr2_blocked") == 1)
      << "the child does not block SIGUSR2, which the caller does";
}

TEST_F(Reaper, SaysWhatIsWrong) {
  Sandbox box;

  Helper caller = box.Start("UsesItWrongly");
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "before reaper_start()";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "before reaper_start()";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "before reaper_start()";
  EXPECT_THAT(caller.call(3), Returned(0));
  EXPECT_THAT(caller.call(4), FailedWith(EBUSY)) << "the second time";
  EXPECT_THAT(caller.call(5), FailedWith(EINVAL)) << "out is null";
  EXPECT_THAT(caller.call(6), FailedWith(EINVAL)) << "cap is 0";
  EXPECT_THAT(caller.call(7), FailedWith(EINVAL)) << "fn is null";
  EXPECT_THAT(caller.call(8), FailedWith(ECHILD)) << "there are no children";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());

  box.AddRule({.family = Family::kFork, .where = InCaller(box), .answer = -EAGAIN});
  Helper childless = box.Start("StartsAndSpawns");
  EXPECT_THAT(OutcomeOf(childless), ComesToItsEnd());
  EXPECT_THAT(childless.call("reaper_spawn"), FailedWith(EAGAIN)) << "fork() fails";
  EXPECT_THAT(LeftBehind(box, childless.call("reaper_spawn")), NothingLeftBehind());
}

TEST_F(Reaper, StopLeavesEverythingAsItWas) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("StopsInTheMiddle");
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  const auto one_ended = [&] {
    return std::ranges::any_of(box.Children(), [&](const Process& child) { return !child.alive; });
  };
  ASSERT_TRUE(Comes(box, one_ended));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("action_stands") == 1)
      << "after reaper_stop() the action of SIGCHLD (handler, flags and mask) is not what it was "
         "before reaper_start()";
  EXPECT_TRUE(caller.Reported("mask_stands") == 1)
      << "after reaper_stop() the signal mask is not what it was before reaper_start()";
  EXPECT_THAT(StatusOf(caller, "mine"), SaysExit(0))
      << "of the child that still ran at reaper_stop(), from the caller's own waitpid()";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
