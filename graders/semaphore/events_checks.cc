// Exercise semaphore.3: event, timeout, end reasons.

#include <signal.h>

#include <chrono>

#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::event_init;
using semaphore::event_post;
using semaphore::event_wait;
using semaphore::event_wait_sig;

EXERCISE(Events);

constexpr int kEvent = 1;
constexpr int kLong = 600'000;  // Milliseconds that never pass in a check.

int NewEvent(Sandbox& box, int posts = 0) { return NewSet(box, {9, posts, 9}); }

auto HasPosts(int posts) { return HasValues(std::vector<int>{9, posts, 9}); }

// ---- Posts and waits ----------------------------------------------------------------------------

HELPER(Posts) {
  for (std::int64_t i = 0; i < args.Int("times", 1); ++i) {
    if (STUDENT(event_post)(IdOf(args), kEvent) == -1) return 1;
  }
  return 0;
}

// Waits `times` times; -2 for the limit means event_wait_sig.
HELPER(WaitsFor) {
  const TwoHandlers handlers;
  const int id = IdOf(args);
  const int limit = static_cast<int>(args.Int("limit"));
  for (std::int64_t i = 0; i < args.Int("times", 1); ++i) {
    const int result =
        limit == -2 ? STUDENT(event_wait_sig)(id, kEvent) : STUDENT(event_wait)(id, kEvent, limit);
    if (result == -1) return 1;
  }
  return 0;
}

// A handle for a process that has not ended yet.
Helper StartWaiter(Sandbox& box, int id, int limit, int times = 1) {
  return box.Start("WaitsFor", {{"id", id}, {"limit", limit}, {"times", times}});
}

constexpr int kUntilASignal = -2;
constexpr int kLimits[] = {-1, kLong, kUntilASignal};

std::string WaitText(int limit) {
  return limit == kUntilASignal ? "event_wait_sig()"
                                : "event_wait() with a timeout of " + std::to_string(limit);
}

TEST_F(Events, KeepsPostsUntilTheyAreWaitedFor) {
  Sandbox box;
  const int id = NewEvent(box);
  const int posts = static_cast<int>(RandomInt(3, 9));

  Helper poster = box.Start("Posts", {{"id", id}, {"times", posts}});
  ASSERT_THAT(OutcomeOf(poster), Succeeds());
  EXPECT_THAT(ValuesOf(box, id), HasPosts(posts)) << "after the poster has ended";

  Helper waiter = StartWaiter(box, id, -1, posts);
  ASSERT_THAT(OutcomeOf(waiter), Succeeds()) << "as many waits as there were posts";
  EXPECT_THAT(ValuesOf(box, id), HasPosts(0)) << "after the waiter has ended";
  Helper late = StartWaiter(box, id, 0);
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(ETIMEDOUT)) << "one wait more than posts";
}

TEST_F(Events, SleepsUntilThePostComes) {
  Sandbox box({.skip_sleeps = true});
  for (const int limit : kLimits) {
    const int id = NewEvent(box);
    Helper waiter = StartWaiter(box, id, limit);
    ASSERT_TRUE(SleepsInSemop(box, waiter)) << WaitText(limit) << ", and no post yet";
    EXPECT_THAT(SemaphoreOf(box, id, kEvent), IsWaitedFor(1));

    ASSERT_THAT(box.Start("Posts", {{"id", id}}).Wait(), Exited(0));

    ASSERT_THAT(OutcomeOf(waiter), Succeeds()) << WaitText(limit) << " after the post";
    EXPECT_THAT(ValuesOf(box, id), HasPosts(0)) << "after " << WaitText(limit);
  }
}

TEST_F(Events, WakesOneWaiterForEachPost) {
  Sandbox box({.skip_sleeps = true});
  const int id = NewEvent(box);
  Helper first = StartWaiter(box, id, -1);
  ASSERT_TRUE(SleepsInSemop(box, first));
  Helper second = StartWaiter(box, id, -1);
  ASSERT_TRUE(SleepsInSemop(box, second));

  ASSERT_THAT(box.Start("Posts", {{"id", id}}).Wait(), Exited(0));
  ASSERT_TRUE(Comes(box, [&] { return !first.process().alive || !second.process().alive; }));
  Helper& other = first.process().alive ? first : second;
  EXPECT_TRUE(SleepsInSemop(box, other)) << "two processes wait, and there was one post";
  EXPECT_THAT(SemaphoreOf(box, id, kEvent), IsWaitedFor(1));

  ASSERT_THAT(box.Start("Posts", {{"id", id}}).Wait(), Exited(0));
  EXPECT_THAT(OutcomeOf(first), Succeeds());
  EXPECT_THAT(OutcomeOf(second), Succeeds());
}

HELPER(ForgetsPosts) { return STUDENT(event_init)(IdOf(args), kEvent) == -1 ? 1 : 0; }

TEST_F(Events, ForgetsAllPosts) {
  Sandbox box;
  for (const int posts : {static_cast<int>(RandomInt(1, 99)), 0}) {
    const int id = NewEvent(box, posts);
    Helper caller = box.Start("ForgetsPosts", {{"id", id}});
    ASSERT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(ValuesOf(box, id), HasPosts(0)) << "there were " << posts << " posts";
  }
}

// ---- Time ---------------------------------------------------------------------------------------

// Reports how many milliseconds the call took at least.
HELPER(WaitsInVain) {
  const Action on_signal(SIGUSR1, DoNothing);
  const auto begin = std::chrono::steady_clock::now();
  const int result = STUDENT(event_wait)(IdOf(args), kEvent, static_cast<int>(args.Int("limit")));
  const auto took = std::chrono::steady_clock::now() - begin;
  Report("us", std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  return result == -1 ? 0 : 1;
}

TEST_F(Events, GivesUpInTime) {
  Sandbox box({.skip_sleeps = true});
  const int id = NewEvent(box);
  constexpr int kLimit = 30;

  Helper waiter = box.Start("WaitsInVain", {{"id", id}, {"limit", kLimit}});
  EXPECT_THAT(waiter.Wait(), Exited(0));
  EXPECT_THAT(waiter.call(), FailedWith(ETIMEDOUT)) << "no post came in 30 ms";
  EXPECT_THAT(waiter.Reported("us"), IsAtLeast(kLimit * 1000)) << "microseconds until it gave up";
  EXPECT_THAT(SemaphoreOf(box, id, kEvent), IsWaitedFor(0));

  Helper impatient = box.Start("WaitsInVain", {{"id", id}, {"limit", 0}});
  EXPECT_THAT(impatient.Wait(), Exited(0));
  EXPECT_THAT(impatient.call(), FailedWith(ETIMEDOUT)) << "no post, and a timeout of 0";

  ChangeFromOutside(box, id, kEvent, 1);
  Helper lucky = StartWaiter(box, id, 0);
  EXPECT_THAT(OutcomeOf(lucky), Succeeds()) << "a post is there, and the timeout is 0";
}

// The limits that the waiter gave to its calls of semtimedop.
std::vector<std::chrono::nanoseconds> LimitsOf(const Sandbox& box) {
  std::vector<std::chrono::nanoseconds> limits;
  for (const Event& event : box.Calls(Family::kSemaphores)) {
    if (event.time_limit) limits.push_back(*event.time_limit);
  }
  return limits;
}

// The signal is there before the first semtimedop begins, which therefore ends with EINTR at once;
// the time of the call has begun long before.
TEST_F(Events, WaitsForTheRestOfTheTimeAfterASignal) {
  using std::chrono::milliseconds;
  constexpr milliseconds kLimit(40);
  constexpr milliseconds kPause(12);
  Sandbox box({.watch = {Family::kSemaphores}, .skip_sleeps = true});
  const int id = NewEvent(box);

  const auto may_end = [](const Event& event) { return event.time_limit.has_value(); };
  const int pause = box.AddRule({.family = Family::kSemaphores, .where = may_end, .hold = true});
  Helper waiter = box.Start("WaitsInVain", {{"id", id}, {"limit", kLimit.count()}});
  if (StopsAt(box, waiter, pause)) {
    const auto begin = Clock::now();
    ASSERT_TRUE(Comes(box, [&] { return Clock::now() - begin >= kPause; }));
    waiter.Signal(SIGUSR1);
  }
  box.Release(pause);

  EXPECT_THAT(waiter.Wait(), Exited(0));
  EXPECT_THAT(waiter.call(), FailedWith(ETIMEDOUT)) << "a signal came, and no post";
  EXPECT_THAT(waiter.Reported("us"), IsAtLeast(40'000))
      << "microseconds until it gave up; the timeout was 40 ms";
  const auto limits = LimitsOf(box);
  if (limits.size() >= 2) {
    EXPECT_THAT(limits[1] / milliseconds(1), IsAtMost(29))
        << "milliseconds that semtimedop() may wait after "
           "the signal. The timeout was 40 ms in all, "
           "and more than 12 ms of it had passed.";
  }
}

// ---- Reasons to return --------------------------------------------------------------------------

TEST_F(Events, IgnoresSignalsUnlessAskedNotTo) {
  Sandbox box({.skip_sleeps = true});
  for (const int limit : {-1, kLong}) {
    const int id = NewEvent(box);
    Helper waiter = StartWaiter(box, id, limit);
    for (const int signal : {SIGUSR1, SIGUSR2}) {
      ASSERT_TRUE(SleepsInSemop(box, waiter));
      ASSERT_TRUE(Interrupt(box, waiter, signal));
    }
    EXPECT_TRUE(SleepsInSemop(box, waiter)) << WaitText(limit) << ". Handlers ran, no post came.";
    ASSERT_THAT(box.Start("Posts", {{"id", id}}).Wait(), Exited(0));
    ASSERT_THAT(OutcomeOf(waiter), Succeeds()) << WaitText(limit);
  }
}

TEST_F(Events, TellsOfASignalWhereAsked) {
  Sandbox box({.skip_sleeps = true});
  const int id = NewEvent(box);
  for (const int signal : {SIGUSR1, SIGUSR2}) {
    Helper waiter = StartWaiter(box, id, kUntilASignal);
    ASSERT_TRUE(SleepsInSemop(box, waiter));
    ASSERT_TRUE(Interrupt(box, waiter, signal));

    EXPECT_THAT(waiter.Wait(), Exited(1));
    EXPECT_THAT(waiter.call(), FailedWith(EINTR))
        << "A handler ran, " << (signal == SIGUSR1 ? "without" : "with") << " SA_RESTART.";
  }
  EXPECT_THAT(SemaphoreOf(box, id, kEvent), IsWaitedFor(0));
  ChangeFromOutside(box, id, kEvent, 1);
  Helper waiter = StartWaiter(box, id, kUntilASignal);
  EXPECT_THAT(OutcomeOf(waiter), Succeeds()) << "event_wait_sig() with a post and without a signal";
}

TEST_F(Events, ReportsThatTheSetIsGone) {
  Sandbox box({.skip_sleeps = true});
  for (const int limit : kLimits) {
    const int id = NewEvent(box);
    Helper waiter = StartWaiter(box, id, limit);
    ASSERT_TRUE(SleepsInSemop(box, waiter));
    RemoveFromOutside(box, id);
    ASSERT_THAT(waiter.Wait(), Exited(1));
    EXPECT_THAT(waiter.call(), FailedWith(EIDRM))
        << "the set was removed during " << WaitText(limit);
  }
}

HELPER(UsesEventsInVain) {
  const int id = IdOf(args);
  for (const int num : {3, -1, 65536 + kEvent}) {
    STUDENT(event_init)(id, num);
    STUDENT(event_post)(id, num);
    STUDENT(event_wait)(id, num, 0);
    STUDENT(event_wait)(id, num, -1);
    STUDENT(event_wait_sig)(id, num);
  }
  SetHere(id, kEvent, kLargestValue);
  STUDENT(event_post)(id, kEvent);
  Check(semctl(id, 0, IPC_RMID), "semctl(IPC_RMID)");
  STUDENT(event_init)(id, kEvent);
  STUDENT(event_post)(id, kEvent);
  STUDENT(event_wait)(id, kEvent, 0);
  STUDENT(event_wait)(id, kEvent, -1);
  STUDENT(event_wait_sig)(id, kEvent);
  return 0;
}

TEST_F(Events, ReportsWhatFailed) {
  Sandbox box;
  const int id = NewEvent(box, 9);

  Helper caller = box.Start("UsesEventsInVain", {{"id", id}});

  ASSERT_THAT(caller.Wait(), Exited(0));
  std::size_t next = 0;
  for (const int num : {3, -1, 65536 + kEvent}) {
    EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "a set of 3 has no semaphore " << num;
    for (int i = 0; i < 4; ++i) {
      EXPECT_THAT(caller.call(next++), FailedWith(EFBIG)) << "a set of 3 has no semaphore " << num;
    }
  }
  EXPECT_THAT(caller.call(next++), FailedWith(ERANGE)) << "there are 32767 posts already";
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "the set has been removed";
  }
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
