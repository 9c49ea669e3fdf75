// Exercise semaphore.7: who waits for what.

#include <signal.h>

#include <chrono>

#include "common/grading/looks.h"
#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::SemInfo;
using semaphore::sems_info;
using semaphore::sems_set_mode;
using semaphore::sems_wait_until_blocked;

EXERCISE(WhoWaits);

constexpr int kLong = 600'000;  // Milliseconds that never pass in a check.

// Waits in semop: for more than there is, or for zero.
HELPER(WaitsInSemop) {
  sembuf operation = {static_cast<unsigned short>(NumberOf(args)),
                      static_cast<short>(args.Int("amount")), 0};
  Check(semop(IdOf(args), &operation, 1), "semop");
  return 0;
}

constexpr int kForMore = -1000;
constexpr int kForZero = 0;

Helper NewWaiter(Sandbox& box, int id, int num, int amount) {
  Helper waiter = box.Start("WaitsInSemop", {{"id", id}, {"num", num}, {"amount", amount}});
  EXPECT_TRUE(SleepsInSemop(box, waiter)) << "another process waits for semaphore " << num;
  return waiter;
}

// ---- Describing ---------------------------------------------------------------------------------

constexpr SemInfo kUntouched = {-77, -77, -77, -77};

bool IsUntouched(const SemInfo& info) {
  return info.value == kUntouched.value && info.last == kUntouched.last &&
         info.waiting_more == kUntouched.waiting_more &&
         info.waiting_zero == kUntouched.waiting_zero;
}

HELPER(DescribesSet) {
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::vector<SemInfo> out(cap + 4, kUntouched);
  STUDENT(sems_info)(IdOf(args), out.data(), static_cast<int>(cap));
  for (std::size_t i = 0; i < cap; ++i) {
    const std::string num = std::to_string(i);
    Report("value" + num, out[i].value);
    Report("last" + num, out[i].last);
    Report("more" + num, out[i].waiting_more);
    Report("zero" + num, out[i].waiting_zero);
  }
  Report("untouched", std::ranges::count_if(out, IsUntouched));
  return 0;
}

// What the helper was told of this semaphore, as GETVAL, GETPID, GETNCNT and GETZCNT would.
SysvSemaphore ToldOf(const Helper& helper, int num) {
  const std::string number = std::to_string(num);
  const auto told = [&](const char* what) {
    return static_cast<int>(helper.Reported(what + number));
  };
  return {told("value"), told("last"), told("more"), told("zero")};
}

TEST_F(WhoWaits, DescribesEverySemaphore) {
  Sandbox box;
  std::vector<int> values;
  for (int num = 0; num < 4; ++num) values.push_back(static_cast<int>(RandomInt(1, 99)));
  const int id = NewSet(box, values);
  ChangeFromOutside(box, id, 1, 3);
  for (const auto& [num, amount] :
       {std::pair(0, kForMore), {0, kForMore}, {0, kForZero}, {2, kForZero}, {3, kForMore}}) {
    NewWaiter(box, id, num, amount);
  }

  Helper caller = box.Start("DescribesSet", {{"id", id}, {"cap", 4}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  ASSERT_THAT(caller.call(), Returned(4));
  for (int num = 0; num < 4; ++num) {
    const SysvSemaphore told = ToldOf(caller, num);
    const SysvSemaphore real = SemaphoreOf(box, id, num);
    EXPECT_THAT(told.value, Is(real.value)) << "the value of semaphore " << num;
    EXPECT_THAT(told.last_pid, Is(real.last_pid))
        << "the process that changed semaphore " << num << " last";
    EXPECT_THAT(told.waiting_for_increase, Is(real.waiting_for_increase))
        << "processes that wait for semaphore " << num << " to grow";
    EXPECT_THAT(told.waiting_for_zero, Is(real.waiting_for_zero))
        << "processes that wait for semaphore " << num << " to become zero";
  }
}

TEST_F(WhoWaits, StoresNoMoreThanFits) {
  Sandbox box;
  const int n = static_cast<int>(RandomInt(2, 6));
  const int id = NewSet(box, std::vector<int>(static_cast<std::size_t>(n), 1));

  Helper caller = box.Start("DescribesSet", {{"id", id}, {"cap", n + 2}});
  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(n)) << "the set has " << n << ", cap is " << n + 2;
  EXPECT_THAT(caller.Reported("untouched"), Is(2 + 4))
      << "members of `out` behind the last semaphore";

  Helper small = box.Start("DescribesSet", {{"id", id}, {"cap", n - 1}});
  EXPECT_THAT(small.Wait(), Exited(0));
  EXPECT_THAT(small.call(), FailedWith(ENOBUFS)) << "the set has " << n << ", cap is " << n - 1;
  EXPECT_THAT(small.Reported("untouched"), Is(n - 1 + 4)) << "members of `out`; all are unchanged";
}

// ---- Waiting for those who wait -----------------------------------------------------------------

HELPER(WaitsForWaiters) {
  const Action on_signal(SIGUSR1, DoNothing);
  const auto begin = std::chrono::steady_clock::now();
  const int result = STUDENT(sems_wait_until_blocked)(IdOf(args), NumberOf(args),
                                                      static_cast<int>(args.Int("waiters")),
                                                      static_cast<int>(args.Int("limit")));
  const auto took = std::chrono::steady_clock::now() - begin;
  Report("us", std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  return result == -1 ? 1 : 0;
}

Helper StartWait(Sandbox& box, int id, int waiters, int limit) {
  return box.Start("WaitsForWaiters",
                   {{"id", id}, {"num", 1}, {"waiters", waiters}, {"limit", limit}});
}

TEST_F(WhoWaits, WaitsUntilEnoughWait) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const int id = NewSet(box, {5, 5});
  NewWaiter(box, id, 0, kForMore);

  for (const int limit : {-1, kLong}) {
    Helper early = StartWait(box, id, 0, limit);
    ASSERT_THAT(OutcomeOf(early), Succeeds()) << "waiters is 0";
    EXPECT_THAT(early.call(), Returned(0)) << "one waits, but for another semaphore";
  }
  Helper caller = StartWait(box, id, 2, -1);
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "waiters is 2, and nobody waits for semaphore 1";
  NewWaiter(box, id, 1, kForMore);
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "waiters is 2, and one waits for more";
  NewWaiter(box, id, 1, kForZero);

  ASSERT_TRUE(Notices(box, caller)) << "waiters is 2: one waits for more, and one for zero";
  ASSERT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(2));
  NewWaiter(box, id, 1, kForMore);
  Helper late = StartWait(box, id, 2, kLong);
  ASSERT_THAT(OutcomeOf(late), Succeeds());
  EXPECT_THAT(late.call(), Returned(3)) << "waiters is 2, and three wait";
}

TEST_F(WhoWaits, CountsOnlyThoseWhoStillWait) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const int id = NewSet(box, {5, 5});
  Helper caller = StartWait(box, id, 2, kLong);
  Helper doomed = NewWaiter(box, id, 1, kForMore);
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "waiters is 2, and one waits";
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "A signal came.";
  doomed.Signal(SIGKILL);
  EXPECT_THAT(doomed.Wait(), KilledBy(SIGKILL));
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "waiters is 2. One waited and was killed.";
  NewWaiter(box, id, 1, kForMore);

  EXPECT_TRUE(WaitsPatiently(box, caller))
      << "waiters is 2. One waited and was killed, then another came: never two at once.";
  NewWaiter(box, id, 1, kForZero);
  ASSERT_TRUE(Notices(box, caller)) << "waiters is 2, and two wait";
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(2));
}

TEST_F(WhoWaits, GivesUpInTime) {
  constexpr int kLimit = 30;
  Sandbox box;  // What is not watched goes on at once.
  const int id = NewSet(box, {5, 5});
  NewWaiter(box, id, 1, kForMore);

  for (const int limit : {kLimit, 0}) {
    Helper caller = StartWait(box, id, 2, limit);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(caller.call(), FailedWith(ETIMEDOUT))
        << "waiters is 2, one waits, and the timeout is " << limit << " ms";
    EXPECT_THAT(caller.Reported("us"), IsAtLeast(limit * 1000)) << "microseconds until it gave up";
  }
}

// ---- Permission bits ----------------------------------------------------------------------------

HELPER(SetsMode) {
  return STUDENT(sems_set_mode)(IdOf(args), static_cast<mode_t>(args.Int("mode"))) == 0 ? 0 : 1;
}

TEST_F(WhoWaits, SetsTheModeAndNothingElse) {
  Sandbox box;
  const std::vector<int> values = {static_cast<int>(RandomInt(1, 99)), 2};
  const key_t key = RandomKey();
  const int id = NewSet(box, values, key);
  const SysvObject before = FindSet(box, id);

  for (const int mode : {0640, 0777, 0400}) {
    Helper caller = box.Start("SetsMode", {{"id", id}, {"mode", mode}});
    ASSERT_THAT(OutcomeOf(caller), Succeeds());
    const SysvObject after = FindSet(box, id);
    EXPECT_THAT(after, HasMode(mode));
    EXPECT_THAT(after.uid, Is(before.uid)) << "its owner";
    EXPECT_THAT(after.gid, Is(before.gid)) << "its group";
    EXPECT_THAT(after, HasKey(key));
    EXPECT_THAT(ValuesOf(box, id), HasValues(values));
  }
}

// ---- Errors and clean-up ------------------------------------------------------------------------

HELPER(AsksInVain) {
  const int id = IdOf(args);
  SemInfo out[4];
  for (const int num : {2, -1}) STUDENT(sems_wait_until_blocked)(id, num, 0, kLong);
  STUDENT(sems_wait_until_blocked)(id, 0, -1, kLong);
  STUDENT(sems_set_mode)(id, 01600);
  STUDENT(sems_set_mode)(id, 0200);
  STUDENT(sems_info)(id, out, 4);
  STUDENT(sems_wait_until_blocked)(id, 0, 0, kLong);
  Check(semctl(id, 0, IPC_RMID), "semctl(IPC_RMID)");
  STUDENT(sems_info)(id, out, 4);
  STUDENT(sems_wait_until_blocked)(id, 0, 1, kLong);
  STUDENT(sems_set_mode)(id, 0600);
  return 0;
}

TEST_F(WhoWaits, ReportsWhatItMayNotDo) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const int id = NewSet(box, {1, 1});

  Helper caller = box.Start("AsksInVain", {{"id", id}});

  ASSERT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "a set of two has no semaphore 2";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "there is no semaphore -1";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "waiters is -1";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "mode is 01600";
  EXPECT_THAT(caller.call(4), Returned(0)) << "mode is 0200";
  EXPECT_THAT(caller.call(5), FailedWith(EACCES)) << "the set may not be read";
  EXPECT_THAT(caller.call(6), FailedWith(EACCES)) << "the set may not be read";
  for (std::size_t i = 7; i < 10; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << "the set has been removed";
  }
}

HELPER(UsesAllOfIt) {
  SemInfo out[4];
  if (STUDENT(sems_info)(IdOf(args), out, 4) == -1) return 1;
  if (STUDENT(sems_wait_until_blocked)(IdOf(args), 0, 1, 2) != -1) return 2;
  if (STUDENT(sems_wait_until_blocked)(IdOf(args), 0, 1, -1) == -1) return 3;
  return STUDENT(sems_set_mode)(IdOf(args), 0600) == -1 ? 4 : 0;
}

TEST_F(WhoWaits, LeavesNothingBehind) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const std::vector<int> values = {1, 2};
  const int id = NewSet(box, values);

  Helper caller = box.Start("UsesAllOfIt", {{"id", id}});
  const auto& calls = caller.process().calls;
  ASSERT_TRUE(Comes(box, [&] { return calls.size() >= 3 || !caller.process().alive; }));
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "waiters is 1, and nobody waits";
  NewWaiter(box, id, 0, kForMore);
  ASSERT_TRUE(Notices(box, caller)) << "waiters is 1, and one waits";

  ASSERT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(ValuesOf(box, id), HasValues(values)) << "To look changes nothing.";
}

}  // namespace
}  // namespace ipclab
