// Exercise signals.6: parent and child take turns by signals.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/grading/around.h"
#include "graders/signals/waiting.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::tell_child;
using signals::tell_parent;
using signals::turns_end;
using signals::turns_init;
using signals::wait_child;
using signals::wait_parent;

EXERCISE(Turns);

// ---- Helpers ------------------------------------------------------------------------------------

// A child of the helper's own, forked after turns_init, and how it ended.
class Peer {
 public:
  template <typename Body>
  explicit Peer(Body body) : pid_(Check(fork(), "fork")) {
    if (pid_ == 0) _exit(body());
  }
  pid_t pid() const { return pid_; }
  // A turn may well interrupt the waits here: that is up to the submission.
  void AwaitEnd() const {
    siginfo_t info;
    while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) == -1) {
      if (errno != EINTR) throw SystemError(errno, "waitid");
    }
  }
  // 0 if its body returned 0.
  int Join() {
    int status = -1;
    while (waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
    }
    return status;
  }

 private:
  pid_t pid_;
};

constexpr int kRounds = 200;

HELPER(AlternatesOften) {
  if (STUDENT(turns_init)() != 0) return 1;
  PipeEnds line = MakePipe();
  const pid_t parent = getpid();
  Peer child([&] {
    Gate();
    for (int i = 0; i < kRounds; ++i) {
      if (UNMARKED(wait_parent)(kNoLimit) != 0) return 1;
      WriteHere(line.write.get(), "B");
      if (UNMARKED(tell_parent)(parent) != 0) return 2;
    }
    return UNMARKED(turns_end)() == 0 ? 0 : 3;
  });
  WriteHere(line.write.get(), "A");
  if (STUDENT(tell_child)(child.pid()) != 0) return 2;
  if (STUDENT(wait_child)(kNoLimit) != 0) return 3;
  for (int i = 1; i < kRounds; ++i) {
    WriteHere(line.write.get(), "A");
    if (UNMARKED(tell_child)(child.pid()) != 0) return 2;
    if (UNMARKED(wait_child)(kNoLimit) != 0) return 3;
  }
  line.write.Reset();
  Report("child", child.Join());
  Report("text", ReadHere(line.read.get()));
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

// The child comes late: it is told before it has begun to wait.
HELPER(TellsTheChildEarly) {
  if (STUDENT(turns_init)() != 0) return 1;
  const pid_t parent = getpid();
  Peer child([&] {
    Gate();
    if (UNMARKED(wait_parent)(kNoLimit) != 0) return 1;
    return UNMARKED(tell_parent)(parent) == 0 ? 0 : 2;
  });
  if (STUDENT(tell_child)(child.pid()) != 0) return 2;
  if (STUDENT(wait_child)(kNoLimit) != 0) return 3;
  Report("child", child.Join());
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

// The child is quick: it has told its parent, and ended, before that begins to wait.
HELPER(IsToldEarly) {
  if (STUDENT(turns_init)() != 0) return 1;
  const pid_t parent = getpid();
  Peer child([&] { return UNMARKED(tell_parent)(parent) == 0 ? 0 : 2; });
  child.AwaitEnd();
  Report("child", child.Join());
  if (STUDENT(wait_child)(kNoLimit) != 0) return 3;
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

// The parent waits, until the child is let on.
HELPER(WaitsForItsChild) {
  const Action on_hangup(SIGHUP, DoNothing);
  if (STUDENT(turns_init)() != 0) return 1;
  const pid_t parent = getpid();
  Peer child([&] {
    Gate();
    return UNMARKED(tell_parent)(parent) == 0 ? 0 : 2;
  });
  if (STUDENT(wait_child)(kNoLimit) != 0) return 3;
  Report("child", child.Join());
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

// The child waits, until the parent is let on.
HELPER(LetsItsChildWait) {
  if (STUDENT(turns_init)() != 0) return 1;
  Peer child([&] { return UNMARKED(wait_parent)(kNoLimit) == 0 ? 0 : 1; });
  Gate();
  if (STUDENT(tell_child)(child.pid()) != 0) return 2;
  Report("child", child.Join());
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

// One process plays both sides.
HELPER(TellsItself) {
  if (STUDENT(turns_init)() != 0) return 1;
  STUDENT(wait_child)(0);
  STUDENT(tell_parent)(getpid());
  STUDENT(wait_parent)(0);
  STUDENT(wait_child)(0);
  STUDENT(wait_child)(0);
  STUDENT(tell_child)(getpid());
  STUDENT(wait_child)(0);
  STUDENT(wait_parent)(kNoLimit);
  STUDENT(wait_parent)(0);
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

HELPER(IsNeverTold) {
  if (STUDENT(turns_init)() != 0) return 1;
  TestClock::time_point start = TestClock::now();
  STUDENT(wait_child)(30);
  Report("child_took", MicrosSince(start));
  start = TestClock::now();
  STUDENT(wait_parent)(30);
  Report("parent_took", MicrosSince(start));
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

volatile sig_atomic_t g_runs = 0;

void CountRuns(int) { g_runs = g_runs + 1; }

// A signal that the caller has blocked is pending while it waits.
HELPER(WaitsWithAPendingSignal) {
  const CallersAction on_hangup(SIGHUP, CountRuns);
  if (STUDENT(turns_init)() != 0) return 1;
  {
    const CallersBlock block(SIGHUP);
    Check(raise(SIGHUP), "raise");
    STUDENT(wait_child)(20);
    STUDENT(wait_parent)(0);
    STUDENT(tell_parent)(getpid());
    STUDENT(wait_child)(0);
    Report("during", g_runs);
  }
  Report("after", g_runs);
  return STUDENT(turns_end)() == 0 ? 0 : 4;
}

HELPER(UsesTurnsWrongly) {
  STUDENT(wait_child)(0);
  STUDENT(wait_parent)(0);
  STUDENT(turns_end)();
  if (STUDENT(turns_init)() != 0) return 1;
  STUDENT(turns_init)();
  STUDENT(tell_parent)(0);
  STUDENT(tell_parent)(-1);
  STUDENT(tell_child)(0);
  STUDENT(tell_child)(-1);
  Peer gone([] { return 0; });
  gone.Join();
  STUDENT(tell_child)(gone.pid());
  return STUDENT(turns_end)() == 0 ? 0 : 2;
}

// With `block`, the caller has blocked SIGUSR1 itself, and otherwise nothing. Nobody waits for the
// turns that are told.
HELPER(EndsWithTurnsLeft) {
  const bool block = args.Int("block") != 0;
  const bool handle = args.Int("handle") != 0;
  const CallersAction on_usr1(SIGUSR1, handle ? CountRuns : SIG_DFL);
  const CallersAction on_usr2(SIGUSR2, handle ? CountRuns : SIG_DFL);
  const CallersBlock blocks(block ? SIGUSR1 : SIGHUP);
  for (int round = 0; round < 2; ++round) {
    if (STUDENT(turns_init)() != 0) return 1;
    if (STUDENT(tell_parent)(getpid()) != 0 || STUDENT(tell_child)(getpid()) != 0) return 2;
    if (STUDENT(turns_end)() != 0) return 3;
    Report("action1", on_usr1.Stands());
    Report("action2", on_usr2.Stands());
  }
  Report("runs", g_runs);
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

std::string InTurn(int rounds) {
  std::string text;
  for (int i = 0; i < rounds; ++i) text += "AB";
  return text;
}

// True once somebody has sent that signal, by whichever call.
bool WasSent(const Sandbox& box, int signal) {
  return std::ranges::any_of(box.events(), [&](const Event& event) {
    const auto wanted = static_cast<std::uint64_t>(signal);
    const bool that = event.args[1] == wanted || event.args[2] == wanted;
    return event.family == Family::kSignalSend && that && event.Succeeded();
  });
}

// A turn for which a process is not prepared ends it.
std::string KilledByATurn(const Sandbox& box) {
  for (const Process& child : box.Children()) {
    if (!child.status || !WIFSIGNALED(*child.status)) continue;
    return "the child was " + DescribeStatus(*child.status);
  }
  return "";
}

// How the helper ended. What killed its child comes first: it explains the rest.
Outcome OutcomeOfBoth(const Sandbox& box, Helper& caller) {
  const Outcome outcome = OutcomeOf(caller);
  EXPECT_TRUE(KilledByATurn(box).empty()) << KilledByATurn(box);
  return outcome;
}

TEST_F(Turns, ParentAndChildAlternate) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("AlternatesOften");
  ASSERT_TRUE(SomebodyComesTo(box, gate)) << KilledByATurn(box);
  ASSERT_TRUE(Waits(box, caller, "for its child"));
  EXPECT_FALSE(caller.call("wait_child").returned)
      << "the child has not told its parent anything, and "
      << DescribeCall(caller.call("wait_child"));
  box.Release(gate);

  EXPECT_THAT(OutcomeOfBoth(box, caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("text"), SameBytesAs(InTurn(kRounds)));
  EXPECT_THAT(StatusOf(caller, "child"), SaysExit(0)) << "of the child";
}

TEST_F(Turns, KeepsATurnThatIsToldBeforeTheOtherSideWaits) {
  {
    Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
    const int gate = HoldAtGate(box);
    Helper caller = box.Start("TellsTheChildEarly");
    ASSERT_TRUE(SomebodyComesTo(box, gate)) << KilledByATurn(box);
    ASSERT_TRUE(Waits(box, caller, "for its child"));
    box.Release(gate);
    EXPECT_THAT(OutcomeOfBoth(box, caller), Succeeds())
        << "the child was told before wait_parent()";
    EXPECT_THAT(StatusOf(caller, "child"), SaysExit(0)) << "of the child";
  }
  Sandbox box({.skip_sleeps = true});
  Helper caller = box.Start("IsToldEarly");
  EXPECT_THAT(OutcomeOfBoth(box, caller), Succeeds()) << "the parent was told before wait_child()";
  EXPECT_THAT(StatusOf(caller, "child"), SaysExit(0)) << "of the child";
}

TEST_F(Turns, KeepsATurnThatIsToldJustBeforeItWaits) {
  const std::vector<Family> watch = {Family::kSignalSend, Family::kSignalWait, Family::kPoll};
  for (const char* const role : {"WaitsForItsChild", "LetsItsChildWait"}) {
    Sandbox box({.watch = watch, .skip_sleeps = true});
    const int gate = HoldAtGate(box);
    // The waiting side is the helper in one case, its child in the other.
    const bool parent_waits = role == std::string("WaitsForItsChild");
    BeforeItWaits wait(box, [&box, parent_waits](const Event& event) {
      return box.observer().process(event.pid).helper == parent_waits;
    });

    Helper caller = box.Start(role);
    ASSERT_TRUE(SomebodyComesTo(box, gate)) << KilledByATurn(box);
    ASSERT_TRUE(wait.Comes());
    box.Release(gate);
    ASSERT_TRUE(
        Comes(box, [&] { return WasSent(box, parent_waits ? SIGUSR1 : SIGUSR2) || AtRest(box); }));
    wait.Release();

    EXPECT_THAT(OutcomeOfBoth(box, caller), Succeeds())
        << "the turn was told when the " << (parent_waits ? "parent" : "child")
        << " had looked for it and was about to wait";
    EXPECT_THAT(StatusOf(caller, "child"), SaysExit(0)) << "of the child";
  }
}

TEST_F(Turns, UsesUpOneTurnWithEachWait) {
  Sandbox box({.watch = {Family::kSignalSend}});

  Helper caller = box.Start("TellsItself");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(1), FailedWith(ETIMEDOUT)) << "wait_child: nobody has told anything";
  EXPECT_THAT(caller.call(3), FailedWith(ETIMEDOUT)) << "wait_parent: only the parent was told";
  EXPECT_THAT(caller.call(4), Returned(0)) << "wait_child: the parent was told";
  EXPECT_THAT(caller.call(5), FailedWith(ETIMEDOUT)) << "wait_child: that turn is used up";
  EXPECT_THAT(caller.call(7), FailedWith(ETIMEDOUT)) << "wait_child: only the child was told";
  EXPECT_THAT(caller.call(8), Returned(0)) << "wait_parent: the child was told";
  EXPECT_THAT(caller.call(9), FailedWith(ETIMEDOUT)) << "wait_parent: that turn is used up";
  EXPECT_TRUE(WasSent(box, SIGUSR1)) << "tell_parent() did not send SIGUSR1";
  EXPECT_TRUE(WasSent(box, SIGUSR2)) << "tell_child() did not send SIGUSR2";
}

TEST_F(Turns, WaitsNoLongerThanItMay) {
  Sandbox box({.skip_sleeps = true});

  Helper caller = box.Start("IsNeverTold");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call("wait_child"), FailedWith(ETIMEDOUT));
  EXPECT_THAT(caller.call("wait_parent"), FailedWith(ETIMEDOUT));
  for (const char* const key : {"child_took", "parent_took"}) {
    const std::int64_t took = caller.Reported(key);
    EXPECT_TRUE(took >= 30'000) << "it gave up after " << took << " us of 30 ms";
  }
}

TEST_F(Turns, GoesOnWaitingWhenAnotherSignalComes) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("WaitsForItsChild");
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_TRUE(Waits(box, caller, "for its child"));
  ASSERT_TRUE(Interrupt(box, caller, SIGHUP));
  ASSERT_TRUE(HasSettled(box, caller));
  EXPECT_FALSE(caller.call("wait_child").returned)
      << "SIGHUP came, which the caller handles, and " << DescribeCall(caller.call("wait_child"));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
}

TEST_F(Turns, KeepsTheCallersMaskWhileItWaits) {
  Sandbox box;

  Helper caller = box.Start("WaitsWithAPendingSignal");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("during") == 0)
      << "SIGHUP was delivered inside a wait, though the caller had blocked it";
  EXPECT_TRUE(caller.Reported("after") == 1)
      << "SIGHUP, which was pending, did not reach the caller when it unblocked it";
}

TEST_F(Turns, SaysWhatIsWrong) {
  Sandbox box;

  Helper caller = box.Start("UsesTurnsWrongly");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "wait_child before turns_init()";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "wait_parent before turns_init()";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "turns_end before turns_init()";
  EXPECT_THAT(caller.call(4), FailedWith(EBUSY)) << "turns_init the second time";
  EXPECT_THAT(caller.call(5), FailedWith(EINVAL)) << "tell_parent(0)";
  EXPECT_THAT(caller.call(6), FailedWith(EINVAL)) << "tell_parent(-1)";
  EXPECT_THAT(caller.call(7), FailedWith(EINVAL)) << "tell_child(0)";
  EXPECT_THAT(caller.call(8), FailedWith(EINVAL)) << "tell_child(-1)";
  EXPECT_THAT(caller.call(9), FailedWith(ESRCH)) << "tell_child, and there is no such process";
}

TEST_F(Turns, EndLeavesEverythingAsItWas) {
  for (const int block : {0, 1}) {
    Sandbox box;
    for (const int handle : {0, 1}) {
      Helper caller = box.Start("EndsWithTurnsLeft", {{"block", block}, {"handle", handle}});

      EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "nobody waited for the last turns";
      EXPECT_TRUE(caller.Reported("runs") == 0)
          << "a turn that nobody waited for reached the caller's own handler";
      for (const auto& [key, signal] : {std::pair("action1", SIGUSR1), {"action2", SIGUSR2}}) {
        EXPECT_TRUE(caller.Reported(key) == 1)
            << "after turns_end() the action of " << SignalName(signal)
            << " (handler, flags and mask) is not what it was before turns_init()";
      }
      const StudentCall end = caller.call("turns_end");
      EXPECT_THAT(Leftovers(caller.call(0).before, end.after, box.names()), NothingLeftBehind());
    }
  }
}

}  // namespace
}  // namespace ipclab
