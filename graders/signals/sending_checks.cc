// Exercise signals.4, second part: send_signal, stop_group; and what all of the exercise leaves.

#include <sys/syscall.h>

#include <optional>

#include "common/grading/exercise.h"
#include "graders/signals/signal_sets.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::Act;
using signals::default_action;
using signals::describe_status;
using signals::send_signal;
using signals::stop_group;

EXERCISE(Sending);

// ---- send_signal --------------------------------------------------------------------------------

void SleepForEver() {
  for (;;) pause();
}

// A child that runs `body`, in the process group `group`; 0: in one of its own; -1: in the
// caller's.
template <typename Body>
pid_t Member(pid_t group, Body body) {
  const pid_t pid = Check(fork(), "fork");
  if (pid == 0) {
    if (group != -1) setpgid(0, group);
    body();
    _exit(0);
  }
  if (group != -1) setpgid(pid, group);  // Both sides do it, so that neither has to be first.
  return pid;
}

void EndMember(pid_t pid, int signal) {
  kill(pid, signal);
  while (waitpid(pid, nullptr, 0) == -1 && errno == EINTR) {
  }
}

// Of three children one gets a real signal and one gets none. The third is a zombie, then gone.
HELPER(SendsToItsChildren) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const pid_t one = Member(-1, &SleepForEver);
  const pid_t two = Member(-1, &SleepForEver);
  const pid_t zombie = Member(-1, [] {});
  AwaitEnd(zombie);
  STUDENT(send_signal)(two, 0);
  STUDENT(send_signal)(zombie, 0);
  if (STUDENT(send_signal)(one, signal) == 0) AwaitEnd(one);
  EndMember(zombie, SIGKILL);
  STUDENT(send_signal)(zombie, 0);
  STUDENT(send_signal)(zombie, signal);
  EndMember(one, SIGKILL);
  EndMember(two, SIGKILL);
  return 0;
}

TEST_F(Sending, SendsToOneProcess) {
  Sandbox box;
  const int signal = RandomInt(0, 1) == 0 ? DrawSignals(1)[0] : DrawRealTime(1)[0];

  Helper caller = box.Start("SendsToItsChildren", {{"signal", signal}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), Returned(0)) << "signal 0 to a child that sleeps";
  EXPECT_THAT(caller.call(1), Returned(0)) << "signal 0 to a child that has ended and was not "
                                              "waited for: its number still stands for it";
  EXPECT_THAT(caller.call(2), Returned(0)) << SignalName(signal) << " to a child that sleeps";
  EXPECT_THAT(caller.call(3), FailedWith(ESRCH)) << "signal 0 to a child that was waited for";
  EXPECT_THAT(caller.call(4), FailedWith(ESRCH)) << "a signal to a child that was waited for";
  const std::vector<Process> children = box.Children();
  ASSERT_GE(children.size(), 2U);
  EXPECT_THAT(WaitStatus{children[0].status.value_or(kNoStatus)}, SaysKilledBy(signal))
      << "of the child that was to get " << SignalName(signal);
  EXPECT_THAT(WaitStatus{children[1].status.value_or(kNoStatus)}, SaysKilledBy(SIGKILL))
      << "of a child that lived on, until its parent killed it";
}

HELPER(SendsToMany) {
  const pid_t group = Member(0, &SleepForEver);
  for (const int signal : {0, SIGURG}) {
    STUDENT(send_signal)(0, signal);
    STUDENT(send_signal)(-1, signal);
    STUDENT(send_signal)(-group, signal);
  }
  STUDENT(send_signal)(-group, SIGTERM);
  EndMember(group, SIGKILL);
  return 0;
}

// What was asked of kill(2) for a group, or for everybody.
std::vector<std::string> SendsToGroups(Sandbox& box) {
  std::vector<std::string> sends;
  for (const Event& event : box.Calls(Family::kSignalSend)) {
    const bool many = event.number == SYS_kill && static_cast<int>(event.args[0]) < 1;
    if (many) sends.push_back(Describe(event, box.names()));
  }
  return sends;
}

MATCHER(NoSends, "no signal is sent to a group or to everybody") {
  for (const std::string& send : arg) *result_listener << "\n  " << send;
  return arg.empty();
}

TEST_F(Sending, NeverSendsToMany) {
  Sandbox box({.watch = {Family::kSignalSend}});

  Helper caller = box.Start("SendsToMany");

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(call, FailedWith(EINVAL)) << "pid is 0, -1 or below";
  }
  EXPECT_THAT(SendsToGroups(box), NoSends());
}

// ---- stop_group ---------------------------------------------------------------------------------

// What is left when the student's function has done its work: nothing, or else it goes here, by a
// signal that tells who ended it.
void EndGroup(pid_t group) {
  kill(-group, SIGUSR2);
  kill(-group, SIGCONT);
  while (waitpid(-group, nullptr, 0) > 0) {
  }
}

constexpr int kLeisure = 7;
void EndsAtLeisure(int) {
  Gate();
  _exit(kLeisure);
}

// Two members end by SIGTERM, a third ends itself when it gets one. Outside of the group there is a
// child that lives, and one that is a zombie.
HELPER(StopsAPoliteGroup) {
  const pid_t outside = Member(-1, &SleepForEver);
  const pid_t zombie = Member(-1, [] { _exit(3); });
  AwaitEnd(zombie);
  const pid_t group = Member(0, &SleepForEver);
  Member(group, &SleepForEver);
  {
    const Action handled(SIGTERM, &EndsAtLeisure);
    Member(group, &SleepForEver);
  }
  STUDENT(stop_group)(group, -1);
  EndGroup(group);
  int status = -1;
  Report("zombie", waitpid(zombie, &status, 0) == zombie ? status : -1);
  EndMember(outside, SIGUSR1);
  return 0;
}

TEST_F(Sending, AsksAGroupToEnd) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("StopsAPoliteGroup");
  EXPECT_TRUE(SomebodyComesTo(box, gate)) << "no SIGTERM came to the group";
  EXPECT_TRUE(Waits(box, caller, "for a member of the group that still lives"));
  box.Release(gate);

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(3)) << "the group has three members";
  const std::vector<Process> children = box.Children();
  ASSERT_GE(children.size(), 5U);
  const auto status = [&](std::size_t i) {
    return WaitStatus{children[i].status.value_or(kNoStatus)};
  };
  EXPECT_THAT(status(2), SaysKilledBy(SIGTERM)) << "of the first member";
  EXPECT_THAT(status(3), SaysKilledBy(SIGTERM)) << "of the second member";
  EXPECT_THAT(status(4), SaysExit(kLeisure)) << "of the member that ends itself after SIGTERM";
  EXPECT_THAT(status(0), SaysKilledBy(SIGUSR1))
      << "of a child outside of the group, which lived on";
  EXPECT_THAT(StatusOf(caller, "zombie"), SaysExit(3))
      << "of a child outside of the group, which is for the caller to wait for";
}

// The last member ends in the moment before the caller begins to wait for it.
HELPER(StopsAGroupOfOne) {
  pid_t group = 0;
  {
    const Action handled(SIGTERM, &EndsAtLeisure);
    group = Member(0, &SleepForEver);
  }
  STUDENT(stop_group)(group, -1);
  EndGroup(group);
  return 0;
}

TEST_F(Sending, HearsOfAnEndJustBeforeItWaits) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kSignalWait, Family::kPoll}});
  const int gate = HoldAtGate(box);
  const int waits[] = {box.HoldBefore(Family::kSignalWait), box.HoldBefore(Family::kPoll)};
  const auto begins_to_wait = [&] {
    return std::ranges::any_of(waits, [&](int rule) { return !box.observer().Held(rule).empty(); });
  };

  Helper caller = box.Start("StopsAGroupOfOne");
  EXPECT_TRUE(SomebodyComesTo(box, gate)) << "no SIGTERM came to the group";
  // Whoever waits in another way sleeps by now.
  EXPECT_TRUE(Comes(box, [&] { return begins_to_wait() || AtRest(box); }));
  box.Release(gate);
  const std::vector<Process> children = box.Children();
  ASSERT_FALSE(children.empty());
  EXPECT_TRUE(Ends(box, children[0].pid));
  for (const int rule : waits) box.Release(rule);

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(1)) << "the group has one member";
}

// One member ignores SIGTERM, one is stopped, one ends. That one has a child of its own in the
// group, which ignores SIGTERM as well.
HELPER(StopsAStubbornGroup) {
  pid_t group = 0;
  {
    const Action deaf(SIGTERM, SIG_IGN);
    group = Member(0, &SleepForEver);
  }
  const pid_t stopped = Member(group, &SleepForEver);
  Check(kill(stopped, SIGSTOP), "kill");
  siginfo_t info;
  Check(waitid(P_PID, static_cast<id_t>(stopped), &info, WSTOPPED | WNOWAIT), "waitid");
  PipeEnds ready = MakePipe();
  Member(group, [&] {
    const pid_t child = fork();
    if (child == 0) signal(SIGTERM, SIG_IGN);
    if (child >= 0) WriteHere(ready.write.get(), "x");
    SleepForEver();
  });
  ReadHere(ready.read.get(), 2);
  STUDENT(stop_group)(group, static_cast<int>(args.Int("grace")));
  EndGroup(group);
  return 0;
}

struct Pause {
  std::optional<std::chrono::milliseconds> time;
};

void PrintTo(const Pause& pause, std::ostream* out) {
  if (pause.time) *out << pause.time->count() << " ms pass";
  if (!pause.time) *out << "no SIGKILL is sent";
}

MATCHER_P(IsAtLeast, ms, "at least " + std::to_string(ms) + " ms pass") {
  return arg.time && arg.time->count() >= ms;
}

// From the call of the student's function to its first SIGKILL.
Pause TimeUntilKill(const Sandbox& box) {
  Clock::time_point entered;
  for (const Event& event : box.events()) {
    if (event.kind == Event::Kind::kEnter) entered = event.at;
    if (event.family == Family::kSignalSend && event.function == "stop_group" &&
        event.args[1] == SIGKILL) {
      return {std::chrono::duration_cast<std::chrono::milliseconds>(event.at - entered)};
    }
  }
  return {};
}

TEST_F(Sending, KillsWhatDoesNotEnd) {
  for (const int grace : {30, 0}) {
    Sandbox box({.watch = {Family::kSignalSend}});

    Helper caller = box.Start("StopsAStubbornGroup", {{"grace", grace}});

    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(caller.call(), Returned(3)) << "three members are children of the caller";
    EXPECT_THAT(TimeUntilKill(box), IsAtLeast(grace))
        << "before stop_group() sends SIGKILL; the grace period begins with SIGTERM";
    const std::vector<Process> children = box.Children();
    ASSERT_GE(children.size(), 4U);
    const auto status = [&](std::size_t i) {
      EXPECT_TRUE(Ends(box, children[i].pid));
      return WaitStatus{box.observer().process(children[i].pid).status.value_or(kNoStatus)};
    };
    EXPECT_THAT(status(0), SaysKilledBy(SIGKILL)) << "of the member that ignores SIGTERM";
    EXPECT_THAT(status(1), SaysKilledBy(SIGKILL)) << "of the member that was stopped";
    EXPECT_THAT(status(3), SaysKilledBy(SIGKILL))
        << "of the member that ignores SIGTERM and is a child of another member";
  }
}

HELPER(StopsWhatItMust) {
  const pid_t gone = Member(0, [] {});
  EndMember(gone, SIGKILL);
  for (const pid_t group : {0, 1, -1, -gone, getpgrp()}) STUDENT(stop_group)(group, 0);
  STUDENT(stop_group)(gone, 0);
  return 0;
}

TEST_F(Sending, RefusesToStopItselfOrEverybody) {
  Sandbox box({.watch = {Family::kSignalSend}});

  Helper caller = box.Start("StopsWhatItMust");

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << "pgid is below 2, or the caller's own group";
  }
  EXPECT_THAT(caller.call(5), FailedWith(ESRCH)) << "there is no such group any more";
  for (const Event& event : box.Calls(Family::kSignalSend)) {
    const int target = static_cast<int>(event.args[0]);
    EXPECT_TRUE(target < -1 && event.FailedWith(ESRCH))
        << "a signal was sent: " << Describe(event, box.names());
  }
}

// ---- Clean-up -----------------------------------------------------------------------------------

HELPER(UsesEverything) {
  Act act;
  char text[64];
  for (const int signal : {SIGTERM, SIGQUIT, SIGTSTP, SIGURG, SIGCONT}) {
    STUDENT(default_action)(signal, &act);
  }
  STUDENT(describe_status)(SIGTERM, text, sizeof(text));
  STUDENT(send_signal)(getpid(), 0);
  pid_t group = 0;
  {
    const Action deaf(SIGTERM, SIG_IGN);
    group = Member(0, &SleepForEver);
  }
  Member(group, &SleepForEver);
  STUDENT(stop_group)(group, 20);
  EndGroup(group);
  return 0;
}

TEST_F(Sending, LeavesNothingBehind) {
  Sandbox box;

  Helper caller = box.Start("UsesEverything");

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << "after " << call.function << "()";
    if (call.function != "stop_group" || call.value == -1) continue;
    EXPECT_TRUE(call.after.children.empty()) << "A child of the group is still there.";
  }
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "in the file system";
}

}  // namespace
}  // namespace ipclab
