// Exercise semaphore.4: latch and barrier. How they use the semaphores of their set is up to the
// student, so no check looks at values here.

#include <signal.h>

#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::barrier_create;
using semaphore::barrier_wait;
using semaphore::latch_create;
using semaphore::latch_done;
using semaphore::latch_wait;

EXERCISE(LatchAndBarrier);

constexpr int kLong = 600'000;  // Milliseconds that never pass in a check.

HELPER(CreatesLatch) {
  return STUDENT(latch_create)(static_cast<int>(args.Int("count"))) == -1 ? 1 : 0;
}

HELPER(CreatesBarrier) {
  return STUDENT(barrier_create)(static_cast<int>(args.Int("count"))) == -1 ? 1 : 0;
}

// The id that the student's function returned, or -1; its maker has ended.
int Created(Sandbox& box, const std::string& maker, int count) {
  Helper caller = box.Start(maker, {{"count", count}});
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const int id = static_cast<int>(caller.call().value);
  const SysvObject set = FindSet(box, id);
  EXPECT_THAT(set.id, Is(id)) << "the id of the set whose id it returned";
  EXPECT_THAT(set, HasKey(IPC_PRIVATE));
  EXPECT_THAT(set, HasMode(0600));
  return set.id == id ? id : -1;
}

// ---- Latch --------------------------------------------------------------------------------------

HELPER(CountsDown) { return STUDENT(latch_done)(IdOf(args)) == -1 ? 1 : 0; }

HELPER(WaitsForLatch) {
  const Action on_signal(SIGUSR1, DoNothing);
  return STUDENT(latch_wait)(IdOf(args), static_cast<int>(args.Int("limit"))) == -1 ? 1 : 0;
}

Helper StartLatchWaiter(Sandbox& box, int id, int limit) {
  return box.Start("WaitsForLatch", {{"id", id}, {"limit", limit}});
}

TEST_F(LatchAndBarrier, LatchOpensAfterTheLastDone) {
  Sandbox box({.watch = {Family::kSemaphores}, .skip_sleeps = true});
  const int id = Created(box, "CreatesLatch", 3);
  if (id == -1) return;
  Helper patient = StartLatchWaiter(box, id, -1);
  Helper timed = StartLatchWaiter(box, id, kLong);

  for (int done = 0; done < 3; ++done) {
    for (Helper* const waiter : {&patient, &timed}) {
      ASSERT_TRUE(SleepsInSemop(box, *waiter)) << "after " << done << " of 3 latch_done()";
      ASSERT_TRUE(Interrupt(box, *waiter, SIGUSR1));
    }
    Helper worker = box.Start("CountsDown", {{"id", id}});
    ASSERT_THAT(OutcomeOf(worker), Succeeds());
  }

  for (const int limit : {0, -1}) {
    Helper late = StartLatchWaiter(box, id, limit);
    ASSERT_THAT(OutcomeOf(late), Succeeds()) << "who comes after 3 of 3 latch_done()";
  }
  ASSERT_THAT(OutcomeOf(patient), Succeeds()) << "after 3 of 3 latch_done()";
  ASSERT_THAT(OutcomeOf(timed), Succeeds()) << "after 3 of 3 latch_done()";
}

TEST_F(LatchAndBarrier, LatchStaysOpenWhenDoneTooOften) {
  Sandbox box;
  const int id = Created(box, "CreatesLatch", 0);
  if (id == -1) return;
  Helper early = StartLatchWaiter(box, id, 0);
  EXPECT_THAT(OutcomeOf(early), Succeeds()) << "the latch was created with 0";

  Helper worker = box.Start("CountsDown", {{"id", id}});
  EXPECT_THAT(worker.Wait(), Exited(1)) << "latch_done() never waits";
  EXPECT_THAT(worker.call(), FailedWith(ERANGE)) << "the latch is open already";

  Helper late = StartLatchWaiter(box, id, 0);
  EXPECT_THAT(OutcomeOf(late), Succeeds()) << "after one latch_done() too many";
}

TEST_F(LatchAndBarrier, LatchCountsRightHoweverTheyMix) {
  Sandbox box({.watch = {Family::kSemaphores}, .skip_sleeps = true});
  // One more than the latch counts, and the first is held before one of its calls meanwhile.
  for (int nth = 1; nth <= 3; ++nth) {
    const int id = Created(box, "CreatesLatch", 1);
    if (id == -1) return;
    Helper first = box.Start("CountsDown", {{"id", id}});
    const int pause = HoldCallOf(box, first, nth);
    const bool paused = StopsAt(box, first, pause);
    Helper second = box.Start("CountsDown", {{"id", id}});
    ASSERT_THAT(OutcomeOf(second), ComesToItsEnd());
    box.Release(pause);
    ASSERT_THAT(OutcomeOf(first), ComesToItsEnd()) << "latch_done() never waits";

    const bool first_counted = first.call().value == 0;
    EXPECT_THAT(first_counted ? first.call() : second.call(), Returned(0)) << "one of two";
    EXPECT_THAT(first_counted ? second.call() : first.call(), FailedWith(ERANGE))
        << "The latch was created with 1, and two processes called latch_done(). The first was "
           "held "
           "at its call "
        << nth << " of semctl() or semop() while the second came.";
    Helper waiter = StartLatchWaiter(box, id, 0);
    EXPECT_THAT(OutcomeOf(waiter), Succeeds()) << "the latch is open";
    if (!paused) break;
  }
}

TEST_F(LatchAndBarrier, LatchWaitEndsInTimeOrWithItsSet) {
  Sandbox box({.skip_sleeps = true});
  const int id = Created(box, "CreatesLatch", 1);
  if (id == -1) return;
  for (const int limit : {0, 20}) {
    Helper impatient = StartLatchWaiter(box, id, limit);
    EXPECT_THAT(impatient.Wait(), Exited(1));
    EXPECT_THAT(impatient.call(), FailedWith(ETIMEDOUT)) << "a timeout of " << limit << " ms";
  }
  Helper patient = StartLatchWaiter(box, id, -1);
  ASSERT_TRUE(SleepsInSemop(box, patient));
  RemoveFromOutside(box, id);
  EXPECT_THAT(patient.Wait(), Exited(1));
  EXPECT_THAT(patient.call(), FailedWith(EIDRM)) << "the set was removed while it waited";
  Helper late = StartLatchWaiter(box, id, -1);
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(EINVAL)) << "the set is gone";
  Helper worker = box.Start("CountsDown", {{"id", id}});
  EXPECT_THAT(worker.Wait(), Exited(1));
  EXPECT_THAT(worker.call(), FailedWith(EINVAL)) << "latch_done() when the set is gone";
}

// ---- Barrier ------------------------------------------------------------------------------------

HELPER(Meets) {
  const Action on_signal(SIGUSR1, DoNothing);
  for (std::int64_t i = 0; i < args.Int("rounds"); ++i) {
    if (STUDENT(barrier_wait)(IdOf(args)) == -1) return 1;
  }
  return 0;
}

Helper StartParty(Sandbox& box, int id, int rounds) {
  return box.Start("Meets", {{"id", id}, {"rounds", rounds}});
}

// A sentence if somebody left a round before all had come to it; by the order in which the tracer
// saw calls and returns.
std::string WhoIsAhead(const Sandbox& box, const std::vector<Helper>& parties) {
  std::map<pid_t, int> come;
  std::map<pid_t, int> left;
  for (const Helper& party : parties) come[party.pid()] = 0;
  for (const Event& event : box.events()) {
    if (event.function != "barrier_wait" || come.count(event.pid) == 0) continue;
    if (event.kind == Event::Kind::kEnter) ++come[event.pid];
    if (event.kind != Event::Kind::kLeave) continue;
    const int round = ++left[event.pid];
    for (const auto& [pid, rounds] : come) {
      if (rounds >= round) continue;
      return "A process left round " + std::to_string(round) +
             " of barrier_wait() while another was still in round " + std::to_string(rounds) + ".";
    }
  }
  return "";
}

MATCHER(NobodyIsAhead, "nobody leaves a round before all have come to it") {
  *result_listener << arg;
  return arg.empty();
}

MATCHER(OneIsChosen, "1 for one process and 0 for all others") {
  return std::ranges::count(arg, 1) == 1 &&
         static_cast<std::size_t>(std::ranges::count(arg, 0)) == arg.size() - 1;
}

// What the parties were told.
void ExpectOneChosenInEachRound(const std::vector<Helper>& parties, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::int64_t> told;
    for (const Helper& party : parties) {
      told.push_back(party.call(static_cast<std::size_t>(round)).value);
    }
    EXPECT_THAT(told, OneIsChosen())
        << "what barrier_wait() returned to the processes of round " << round + 1;
  }
}

TEST_F(LatchAndBarrier, BarrierHoldsEverybodyUntilTheLastComes) {
  Sandbox box({.skip_sleeps = true});
  const int id = Created(box, "CreatesBarrier", 3);
  if (id == -1) return;

  std::vector<Helper> parties;
  for (int come = 1; come <= 2; ++come) {
    parties.push_back(StartParty(box, id, 1));
    ASSERT_TRUE(SleepsInSemop(box, parties.back())) << come << " of 3 have come";
    ASSERT_TRUE(Interrupt(box, parties.back(), SIGUSR1));
    ASSERT_TRUE(SleepsInSemop(box, parties.back())) << "a signal came, but not the third process";
  }
  parties.push_back(StartParty(box, id, 1));

  for (Helper& party : parties) EXPECT_THAT(OutcomeOf(party), Succeeds()) << "all 3 have come";
  ExpectOneChosenInEachRound(parties, 1);

  const int alone = Created(box, "CreatesBarrier", 1);
  Helper single = StartParty(box, alone, 1);
  EXPECT_THAT(OutcomeOf(single), Succeeds()) << "a barrier for one process";
  ExpectOneChosenInEachRound({single}, 1);
}

TEST_F(LatchAndBarrier, BarrierIsReadyForTheNextRound) {
  Sandbox box({.skip_sleeps = true});
  const int id = Created(box, "CreatesBarrier", 3);
  if (id == -1) return;
  // The processes of the second group have never been here before, and the barrier is in the middle
  // of whatever turns its semaphores take.
  for (const int rounds : {5, 2}) {
    std::vector<Helper> parties;
    for (int i = 0; i < 3; ++i) parties.push_back(StartParty(box, id, rounds));
    for (Helper& party : parties) ASSERT_THAT(OutcomeOf(party), Succeeds());
    EXPECT_THAT(WhoIsAhead(box, parties), NobodyIsAhead());
    ExpectOneChosenInEachRound(parties, rounds);
    EXPECT_THAT(parties[0].Leftovers(), NothingLeftBehind());
  }
}

// Two meet twice; one of them is held before its nth call, the other runs on as far as it gets.
void MeetWithADelay(Sandbox& box, int id, bool first_is_slow, int nth, bool* delayed) {
  constexpr int kRounds = 2;
  std::vector<Helper> parties = {StartParty(box, id, kRounds)};
  int pause = -1;
  if (first_is_slow) pause = HoldCallOf(box, parties[0], nth);
  ASSERT_TRUE(ComesToRest(box));
  parties.push_back(StartParty(box, id, kRounds));
  if (!first_is_slow) pause = HoldCallOf(box, parties[1], nth);
  const auto over = [&] { return !parties[0].process().alive && !parties[1].process().alive; };
  ASSERT_TRUE(Comes(box, [&] { return AtRest(box) || over(); }));

  *delayed = !box.observer().Held(pause).empty();
  ASSERT_THAT(WhoIsAhead(box, parties), NobodyIsAhead())
      << "The slow one was held at its call " << nth << " of semctl() or semop().";
  box.Release(pause);
  for (Helper& party : parties) ASSERT_THAT(OutcomeOf(party), Succeeds());
  ASSERT_THAT(WhoIsAhead(box, parties), NobodyIsAhead());
  ExpectOneChosenInEachRound(parties, kRounds);
}

HELPER(CreatesBarriers) {
  for (std::int64_t i = 0; i < args.Int("times"); ++i) {
    if (STUDENT(barrier_create)(2) == -1) return 1;
  }
  return 0;
}

TEST_F(LatchAndBarrier, BarrierLetsNobodyBeARoundAhead) {
  Sandbox box({.watch = {Family::kSemaphores}, .skip_sleeps = true});
  constexpr int kMostDelays = 4;
  Helper maker = box.Start("CreatesBarriers", {{"times", 2 * kMostDelays}});
  ASSERT_THAT(OutcomeOf(maker), Succeeds());
  std::size_t next = 0;
  for (const bool first_is_slow : {true, false}) {
    bool delayed = true;
    for (int nth = 1; nth <= kMostDelays && delayed; ++nth) {
      const int id = static_cast<int>(maker.call(next++).value);
      MeetWithADelay(box, id, first_is_slow, nth, &delayed);
      if (HasFailure()) return;
    }
  }
}

TEST_F(LatchAndBarrier, BarrierEndsWithItsSet) {
  Sandbox box({.skip_sleeps = true});
  const int id = Created(box, "CreatesBarrier", 3);
  if (id == -1) return;
  Helper doomed = StartParty(box, id, 1);
  ASSERT_TRUE(SleepsInSemop(box, doomed));
  Helper other = StartParty(box, id, 1);
  ASSERT_TRUE(SleepsInSemop(box, other));
  doomed.Signal(SIGKILL);
  ASSERT_TRUE(Ends(box, doomed.pid()));
  ASSERT_TRUE(SleepsInSemop(box, other)) << "one of 3 waits, one was killed, one has not come";

  RemoveFromOutside(box, id);

  EXPECT_THAT(other.Wait(), Exited(1));
  EXPECT_THAT(other.call(), FailedWith(EIDRM)) << "the set was removed while it waited";
  Helper late = StartParty(box, id, 1);
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(EINVAL)) << "the set is gone";
}

// ---- Errors and clean-up ------------------------------------------------------------------------

HELPER(CreatesInVain) {
  STUDENT(latch_create)(-1);
  STUDENT(latch_create)(kLargestValue + 1);
  STUDENT(barrier_create)(0);
  STUDENT(barrier_create)(-1);
  STUDENT(barrier_create)(10001);
  return 0;
}

TEST_F(LatchAndBarrier, LeavesNoSetThatNobodyKnows) {
  Sandbox box({.watch = {Family::kSemaphores}});

  Helper caller = box.Start("CreatesInVain");
  ASSERT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(ERANGE)) << "count or parties is out of range";
  }
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());

  for (const std::string maker : {"CreatesLatch", "CreatesBarrier"}) {
    Helper unlucky = box.Start(maker, {{"count", 2}});
    FailFrom(box, unlucky, {Family::kSemaphores}, 1, ENOSPC);
    EXPECT_THAT(unlucky.Wait(), Exited(1));
    EXPECT_THAT(unlucky.call(), FailedWith(ENOSPC)) << "semget() failed";
  }
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());

  // Whichever call comes after semget.
  for (const std::string maker : {"CreatesLatch", "CreatesBarrier"}) {
    Helper unlucky = box.Start(maker, {{"count", 2}});
    box.AddRule({.family = Family::kSemaphores,
                 .nth = 2,
                 .where = [pid = unlucky.pid()](const Event& event) { return event.pid == pid; },
                 .answer = -ENOMEM});
    EXPECT_THAT(OutcomeOf(unlucky), ComesToItsEnd());
    if (unlucky.call().value != -1) continue;
    EXPECT_THAT(unlucky.call(), FailedWith(ENOMEM)) << "the second call on the set failed";
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
  }
}

}  // namespace
}  // namespace ipclab
