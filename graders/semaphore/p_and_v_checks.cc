// Exercise semaphore.2: P and V that survive a crash.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::sem_p;
using semaphore::sem_try_p;
using semaphore::sem_v;
using semaphore::with_sem;

EXERCISE(PAndV);

constexpr int kLock = 1;  // The semaphore of the set that is used; its neighbours must not change.

// A lock between two semaphores that nobody may touch.
int NewLock(Sandbox& box, int value = 1) { return NewSet(box, {9, value, 9}); }

auto HasLockValue(int value) { return HasValues(std::vector<int>{9, value, 9}); }

// ---- Taking turns -------------------------------------------------------------------------------

// Takes the lock, stands inside until it is let on, and gives it back.
HELPER(Enters) {
  const Action on_signal(SIGUSR1, DoNothing);
  const int id = IdOf(args);
  if (STUDENT(sem_p)(id, kLock) == -1) return 1;
  Gate();
  return STUDENT(sem_v)(id, kLock) == -1 ? 2 : 0;
}

// Stands still after each step: what the kernel undoes at its end is the matter of other checks.
HELPER(TakesAndGives) {
  const int id = IdOf(args);
  if (STUDENT(sem_p)(id, kLock) == -1) return 1;
  Gate();
  if (STUDENT(sem_v)(id, kLock) == -1) return 2;
  Gate();
  return 0;
}

TEST_F(PAndV, TakesOneAndGivesItBack) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int id = NewLock(box, 3);
  const int after_p = HoldAtGate(box);
  const int after_v = HoldAtGate(box);

  Helper caller = box.Start("TakesAndGives", {{"id", id}});

  ASSERT_TRUE(ComesTo(box, caller, after_p));
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(2)) << "after sem_p() of semaphore 1";
  box.Release(after_p);
  ASSERT_TRUE(ComesTo(box, caller, after_v));
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(3)) << "after sem_v()";
  box.Release(after_v);
  ASSERT_THAT(OutcomeOf(caller), Succeeds());
}

TEST_F(PAndV, KeepsTheNextOneOut) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int id = NewLock(box, 2);
  const int first_gate = HoldAtGate(box);
  const int second_gate = HoldAtGate(box);
  const int third_gate = HoldAtGate(box);

  Helper first = box.Start("Enters", {{"id", id}});
  ASSERT_TRUE(ComesTo(box, first, first_gate));
  Helper second = box.Start("Enters", {{"id", id}});
  ASSERT_TRUE(ComesTo(box, second, second_gate)) << "the value was 2 and only one process is in";
  Helper third = box.Start("Enters", {{"id", id}});
  EXPECT_TRUE(SleepsInSemop(box, third)) << "The value was 2, and two processes are inside.";
  EXPECT_THAT(SemaphoreOf(box, id, kLock), IsWaitedFor(1));
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(0));

  box.Release(second_gate);
  ASSERT_THAT(OutcomeOf(second), Succeeds());
  EXPECT_TRUE(ComesTo(box, third, third_gate)) << "one of the two has left";
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(0)) << "the third is inside";
  box.Release(third_gate);
  box.Release(first_gate);
  EXPECT_THAT(OutcomeOf(third), Succeeds());
  EXPECT_THAT(OutcomeOf(first), Succeeds());
}

// How many are between sem_p and sem_v.
int Inside(const std::vector<Helper>& helpers) {
  int inside = 0;
  for (const Helper& helper : helpers) {
    const auto& calls = helper.process().calls;
    const bool in = helper.process().alive && !calls.empty() && calls.back().function == "sem_p" &&
                    calls.back().returned && calls.back().value == 0;
    inside += in ? 1 : 0;
  }
  return inside;
}

TEST_F(PAndV, LetsOneInHoweverTheyMix) {
  // The first is held before one of its calls, the second tries meanwhile.
  for (int nth = 1; nth <= 4; ++nth) {
    Sandbox box({.watch = {Family::kSignalSend, Family::kSemaphores}, .skip_sleeps = true});
    const int id = NewLock(box);
    const int gate = HoldAtGate(box);
    const int other_gate = HoldAtGate(box);

    Helper first = box.Start("Enters", {{"id", id}});
    const int pause = HoldCallOf(box, first, nth);
    const bool paused = StopsAt(box, first, pause);
    Helper second = box.Start("Enters", {{"id", id}});
    ASSERT_TRUE(ComesToRest(box));
    box.Release(pause);
    ASSERT_TRUE(ComesToRest(box));

    ASSERT_THAT(Inside({first, second}), Is(1))
        << "processes inside at once. The value was 1. The first was held at its call " << nth
        << " of semctl() or semop() while the second came.";
    box.Release(gate);
    box.Release(other_gate);
    ASSERT_THAT(OutcomeOf(first), Succeeds());
    ASSERT_THAT(OutcomeOf(second), Succeeds());
    if (!paused) break;
  }
}

// ---- Signals and deaths -------------------------------------------------------------------------

HELPER(EntersUnderSignals) {
  const TwoHandlers handlers;
  const int id = IdOf(args);
  const bool wraps = args.Int("wraps") != 0;
  const auto inside = [](void*) { return 7; };
  if (wraps) return STUDENT(with_sem)(id, kLock, inside, nullptr) == 7 ? 0 : 1;
  if (STUDENT(sem_p)(id, kLock) == -1) return 1;
  return STUDENT(sem_v)(id, kLock) == -1 ? 2 : 0;
}

TEST_F(PAndV, WaitsOnAfterASignal) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const int wraps : {0, 1}) {
    const int id = NewLock(box);
    const int gate = HoldAtGate(box);
    Helper holder = box.Start("Enters", {{"id", id}});
    ASSERT_TRUE(ComesTo(box, holder, gate));

    Helper waiter = box.Start("EntersUnderSignals", {{"id", id}, {"wraps", wraps}});
    for (const int signal : {SIGUSR1, SIGUSR2}) {
      ASSERT_TRUE(SleepsInSemop(box, waiter));
      ASSERT_TRUE(Interrupt(box, waiter, signal));
    }
    EXPECT_TRUE(SleepsInSemop(box, waiter)) << "Signals came while another process was inside.";

    box.Release(gate);
    EXPECT_THAT(OutcomeOf(holder), Succeeds());
    EXPECT_THAT(OutcomeOf(waiter), Succeeds());
    EXPECT_THAT(ValuesOf(box, id), HasLockValue(1));
  }
}

int StandInside(void*) {
  Gate();
  return 0;
}

HELPER(EntersWith) {
  return STUDENT(with_sem)(IdOf(args), kLock, StandInside, nullptr) == 0 ? 0 : 1;
}

TEST_F(PAndV, FreesTheLockOfADeadHolder) {
  for (const std::string holder_kind : {"Enters", "EntersWith"}) {
    Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
    const int id = NewLock(box);
    const int gate = HoldAtAnyGate(box);
    Helper holder = box.Start(holder_kind, {{"id", id}});
    ASSERT_TRUE(ComesTo(box, holder, gate));
    Helper next = box.Start("EntersUnderSignals", {{"id", id}, {"wraps", 0}});
    ASSERT_TRUE(SleepsInSemop(box, next));

    holder.Signal(SIGKILL);

    EXPECT_THAT(OutcomeOf(next), Succeeds())
        << "Another process had taken the semaphore and was killed by SIGKILL.";
    EXPECT_THAT(ValuesOf(box, id), HasLockValue(1)) << "after both have ended";
  }
}

// ---- The kernel's books -------------------------------------------------------------------------

HELPER(TakesAndGivesOften) {
  const int id = IdOf(args);
  const auto inside = [](void*) { return 0; };
  for (std::int64_t i = 0; i < args.Int("times"); ++i) {
    if (STUDENT(sem_p)(id, kLock) == -1) return 1;
    if (STUDENT(sem_v)(id, kLock) == -1) return 2;
    if (STUDENT(sem_try_p)(id, kLock) == -1) return 3;
    if (STUDENT(sem_v)(id, kLock) == -1) return 4;
    if (STUDENT(with_sem)(id, kLock, inside, nullptr) == -1) return 5;
  }
  Report("value", ValueHere(id, kLock));
  return 0;
}

TEST_F(PAndV, LeavesNothingBehindAtItsEnd) {
  Sandbox box;
  const int value = static_cast<int>(RandomInt(1, 9));
  const int id = NewLock(box, value);

  Helper caller = box.Start("TakesAndGivesOften", {{"id", id}, {"times", RandomInt(2, 5)}});

  ASSERT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.Reported("value"), Is(value)) << "the value after as many V as P";
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(value))
      << "after the process has ended. At its end the kernel undid what it had noted of it.";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(box, HoldsSets(1));
}

HELPER(TriesTwice) {
  const int id = IdOf(args);
  STUDENT(sem_try_p)(id, kLock);
  STUDENT(sem_try_p)(id, kLock);
  Report("value", ValueHere(id, kLock));
  return 0;
}

HELPER(TriesOnce) {
  STUDENT(sem_try_p)(IdOf(args), kLock);
  return 0;
}

TEST_F(PAndV, TriesWithoutWaiting) {
  Sandbox box({.watch = {Family::kSemaphores}});
  const int id = NewLock(box);

  Helper caller = box.Start("TriesTwice", {{"id", id}});

  EXPECT_THAT(caller.Wait(), Exited(0)) << "sem_try_p() never waits";
  EXPECT_THAT(caller.call(0), Returned(0)) << "the value was 1";
  EXPECT_THAT(caller.call(1), FailedWith(EAGAIN)) << "the value was 0";
  EXPECT_THAT(caller.Reported("value"), Is(0)) << "the value then";
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(1))
      << "at the end of the process, which gave nothing back itself";

  // Who looks first and takes then is held in between, and another process is quicker.
  Helper slow = box.Start("TriesOnce", {{"id", id}});
  const int pause = HoldCallOf(box, slow, 2);
  const bool overtaken = StopsAt(box, slow, pause) && SemaphoreOf(box, id, kLock).value == 1;
  if (overtaken) ChangeFromOutside(box, id, kLock, -1);
  box.Release(pause);
  EXPECT_THAT(slow.Wait(), Exited(0)) << "sem_try_p() never waits";
  if (overtaken) {
    EXPECT_THAT(slow.call(), FailedWith(EAGAIN)) << "another process took it after it had looked";
  }
}

// ---- with_sem -----------------------------------------------------------------------------------

struct Visit {
  int id;
  int result;
  int calls;
  int value_inside;
};

int GoIn(void* arg) {
  auto* const visit = static_cast<Visit*>(arg);
  ++visit->calls;
  visit->value_inside = ValueHere(visit->id, kLock);
  errno = ENOTTY;
  return visit->result;
}

// A child that is born inside must not give anything back when it ends.
int HaveAChildInside(void* arg) {
  const pid_t child = Check(fork(), "fork");
  if (child == 0) _exit(0);
  Check(waitpid(child, nullptr, 0), "waitpid");
  return GoIn(arg);
}

HELPER(GoesInAndOut) {
  const int id = IdOf(args);
  const int results[] = {0, static_cast<int>(args.Int("result")), -1, 1};
  for (std::size_t i = 0; i < std::size(results); ++i) {
    Visit visit = {id, results[i], 0, -1};
    STUDENT(with_sem)(id, kLock, i == 3 ? HaveAChildInside : GoIn, &visit);
    const std::string nth = std::to_string(i);
    Report("calls" + nth, visit.calls);
    Report("inside" + nth, visit.value_inside);
    Report("after" + nth, ValueHere(id, kLock));
  }
  return 0;
}

TEST_F(PAndV, GivesBackOnEveryWayOut) {
  Sandbox box;
  const int id = NewLock(box);
  const int result = static_cast<int>(RandomInt(2, 99));

  Helper caller = box.Start("GoesInAndOut", {{"id", id}, {"result", result}});

  ASSERT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), Returned(0)) << "fn returned 0";
  EXPECT_THAT(caller.call(1), Returned(result)) << "fn returned " << result;
  EXPECT_THAT(caller.call(2), FailedWith(ENOTTY)) << "fn returned -1 with ENOTTY";
  EXPECT_THAT(caller.call(3), Returned(1)) << "fn had a child, which ended, and returned 1";
  for (const std::string nth : {"0", "1", "2", "3"}) {
    EXPECT_THAT(caller.Reported("calls" + nth), Is(1)) << "calls of fn";
    EXPECT_THAT(caller.Reported("inside" + nth), Is(0)) << "the value while fn ran";
    EXPECT_THAT(caller.Reported("after" + nth), Is(1)) << "the value after with_sem()";
  }
  EXPECT_THAT(ValuesOf(box, id), HasLockValue(1)) << "at the end of the process";
}

// ---- Errors -------------------------------------------------------------------------------------

constexpr int kNoSuchNumbers[] = {3, -1, 65536 + kLock};

HELPER(OperatesInVain) {
  const int id = IdOf(args);
  Visit visit = {id, 0, 0, -1};
  for (const int num : kNoSuchNumbers) {
    STUDENT(sem_p)(id, num);
    STUDENT(sem_v)(id, num);
    STUDENT(sem_try_p)(id, num);
    STUDENT(with_sem)(id, num, GoIn, &visit);
  }
  STUDENT(with_sem)(id, kLock, nullptr, nullptr);
  SetHere(id, kLock, kLargestValue);
  STUDENT(sem_v)(id, kLock);
  Check(semctl(id, 0, IPC_RMID), "semctl(IPC_RMID)");
  STUDENT(sem_p)(id, kLock);
  STUDENT(sem_v)(id, kLock);
  STUDENT(sem_try_p)(id, kLock);
  STUDENT(with_sem)(id, kLock, GoIn, &visit);
  Report("calls", visit.calls);
  return 0;
}

TEST_F(PAndV, ReportsWhatFailed) {
  Sandbox box;
  const int id = NewLock(box, 5);

  Helper caller = box.Start("OperatesInVain", {{"id", id}});

  ASSERT_THAT(caller.Wait(), Exited(0));
  std::size_t next = 0;
  for (const int num : kNoSuchNumbers) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_THAT(caller.call(next++), FailedWith(EFBIG)) << "a set of 3 has no semaphore " << num;
    }
  }
  EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "fn is null";
  EXPECT_THAT(caller.call(next++), FailedWith(ERANGE)) << "the value is 32767 already";
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "the set has been removed";
  }
  EXPECT_THAT(caller.Reported("calls"), Is(0)) << "calls of fn, although nothing could be taken";
}

TEST_F(PAndV, ReportsThatTheSetIsRemovedMeanwhile) {
  Sandbox box({.skip_sleeps = true});
  for (const int wraps : {0, 1}) {
    const int id = NewLock(box, 0);
    Helper waiter = box.Start("EntersUnderSignals", {{"id", id}, {"wraps", wraps}});
    ASSERT_TRUE(SleepsInSemop(box, waiter));

    RemoveFromOutside(box, id);

    EXPECT_THAT(OutcomeOf(waiter), ComesToItsEnd());
    EXPECT_THAT(waiter.call(), FailedWith(EIDRM)) << "the set was removed while it waited";
  }
}

}  // namespace
}  // namespace ipclab
