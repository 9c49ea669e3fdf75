// Exercise semaphore.6: creation without a race.

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <chrono>

#include "common/grading/looks.h"
#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::sem_open_once;

EXERCISE(OpenOnce);

constexpr int kLong = 600'000;  // Milliseconds that never pass in a check.
constexpr int kUntouched = 7;   // What *created is before the call.

HELPER(OpensOnce) {
  const Action on_signal(SIGUSR1, DoNothing);
  umask(077);
  const std::vector<unsigned short> init = Unpacked(args.Bytes("init"));
  const int n = static_cast<int>(args.Int("n", static_cast<std::int64_t>(init.size())));
  int created = kUntouched;
  const auto begin = std::chrono::steady_clock::now();
  const int id = STUDENT(sem_open_once)(static_cast<key_t>(args.Int("key")), n, init.data(),
                                        static_cast<mode_t>(args.Int("mode", 0600)),
                                        static_cast<int>(args.Int("limit", kLong)), &created);
  const auto took = std::chrono::steady_clock::now() - begin;
  Report("us", std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  Report("created", created);
  return id == -1 ? 1 : 0;
}

Helper Open(Sandbox& box, key_t key, const std::vector<int>& init, int limit = kLong) {
  return box.Start("OpensOnce", {{"key", key}, {"init", Binary(Packed(init))}, {"limit", limit}});
}

std::vector<int> RandomInit() {
  const auto value = [] { return static_cast<int>(RandomInt(1, 9)); };
  return {value(), 0, value()};
}

SysvObject FindKey(const Sandbox& box, key_t key) {
  for (const SysvObject& object : box.SysvObjects()) {
    if (object.kind == SysvKind::kSemaphores && object.key == key) return object;
  }
  return {};
}

// A set that somebody has made and given values, and that is not ready: sem_otime is 0.
int NewUnreadySet(Sandbox& box, key_t key, const std::vector<int>& values) {
  const int id = NewSet(box, values, key);
  if (FindSet(box, id).last_operation != 0) throw GraderError("a new set has a sem_otime");
  return id;
}

int NewReadySet(Sandbox& box, key_t key, const std::vector<int>& values) {
  const int id = NewUnreadySet(box, key, values);
  ChangeFromOutside(box, id, 0, 0 - values[0]);
  ChangeFromOutside(box, id, 0, values[0]);
  return id;
}

bool IsSemop(const Event& event) {
  return event.number == SYS_semop || event.number == SYS_semtimedop;
}

// The first semop of the helper: the set is there, and not ready.
int HoldFirstSemop(Sandbox& box, const Helper& helper) {
  const auto where = [pid = helper.pid()](const Event& event) {
    return event.pid == pid && IsSemop(event);
  };
  return box.AddRule({.family = Family::kSemaphores, .where = where, .hold = true});
}

// The end of the semget that makes the set.
int HoldAfterCreation(Sandbox& box, const Helper& helper) {
  const auto where = [pid = helper.pid()](const Event& event) {
    return event.pid == pid && event.number == SYS_semget && (event.args[2] & IPC_CREAT) != 0;
  };
  return box.AddRule({.family = Family::kSemaphores, .where = where, .hold = true, .after = true});
}

MATCHER(IsReady, "sem_otime is not 0: the set is ready") {
  *result_listener << "sem_otime is " << arg.last_operation;
  return arg.last_operation != 0;
}

MATCHER_P(Created, created, "*created is " + std::to_string(created)) {
  *result_listener << "*created is " << arg.Reported("created");
  return arg.Reported("created") == created;
}

// ---- Making and finding -------------------------------------------------------------------------

TEST_F(OpenOnce, MakesTheSetAndItsValues) {
  Sandbox box;
  constexpr int kModes[] = {0600, 0640, 0666};
  std::int64_t next = RandomInt(0, std::size(kModes) - 1);  // Another one in each round.
  for (const std::vector<int>& init : {RandomInit(), {0, 0}, {kLargestValue}}) {
    const key_t key = RandomKey();
    const int mode = kModes[next++ % std::ssize(kModes)];

    Helper caller =
        box.Start("OpensOnce", {{"key", key}, {"init", Binary(Packed(init))}, {"mode", mode}});

    ASSERT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller, Created(1)) << "there was no set";
    const SysvObject set = FindSet(box, static_cast<int>(caller.call().value));
    EXPECT_THAT(set, HasKey(key)) << "of the set whose id sem_open_once() returned";
    EXPECT_THAT(ValuesOf(box, set.id), HasValues(init)) << "after its maker has ended";
    EXPECT_THAT(set, HasMode(mode)) << "the caller's umask is 077";
    EXPECT_THAT(set, IsReady());
  }
}

TEST_F(OpenOnce, FindsASetThatIsReady) {
  Sandbox box({.watch = {Family::kSemaphores}});
  const key_t key = RandomKey();
  const std::vector<int> theirs = {static_cast<int>(RandomInt(10, 99)), 4, 0};
  const int id = NewReadySet(box, key, theirs);

  for (const int limit : {kLong, 0, -1}) {
    Helper caller = Open(box, key, RandomInit(), limit);
    ASSERT_THAT(OutcomeOf(caller), Succeeds()) << "the timeout is " << limit;
    EXPECT_THAT(caller.call(), Returned(id));
    EXPECT_THAT(caller, Created(0)) << "The set was there.";
    EXPECT_THAT(ValuesOf(box, id), HasValues(theirs)) << "of a set that is in use";
  }
}

TEST_F(OpenOnce, MakesOneSetHoweverTheyMix) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  // The first is held before one of its calls, the second does what it can meanwhile.
  for (int nth = 1; nth <= 6; ++nth) {
    const key_t key = RandomKey();
    const std::vector<int> init = RandomInit();
    Helper first = Open(box, key, init);
    const int pause = HoldCallOf(box, first, nth);
    const bool held = StopsAt(box, first, pause);
    Helper second = Open(box, key, init);
    EndsOrWaits(box, second);
    box.Release(pause);

    const auto where = [&] {
      return "The first was held at its call " + std::to_string(nth) +
             " of semget(), semctl() or semop() while the second came.";
    };
    for (Helper* const caller : {&first, &second}) {
      ASSERT_TRUE(Notices(box, *caller)) << where();
      ASSERT_THAT(OutcomeOf(*caller), Succeeds()) << where();
    }
    ASSERT_THAT(second.call(), Returned(first.call().value))
        << "Both get the same set. " << where();
    ASSERT_THAT(first.Reported("created") + second.Reported("created"), Is(1))
        << "*created of both together. " << where();
    ASSERT_THAT(ValuesOf(box, static_cast<int>(first.call().value)), HasValues(init)) << where();
    if (!held) break;
  }
}

// ---- Waiting ------------------------------------------------------------------------------------

TEST_F(OpenOnce, LetsNobodyInBeforeTheValues) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  for (const bool after_creation : {true, false}) {
    const key_t key = RandomKey();
    const std::vector<int> init = RandomInit();
    Helper creator = Open(box, key, init);
    const int pause =
        after_creation ? HoldAfterCreation(box, creator) : HoldFirstSemop(box, creator);
    ASSERT_TRUE(StopsAt(box, creator, pause))
        << "the creator makes the set and fills it by semop()";

    Helper second = Open(box, key, init);
    EXPECT_TRUE(WaitsPatiently(box, second))
        << "The creator of the set is held "
        << (after_creation ? "after semget()" : "before semop()") << ", and sem_otime is 0.";
    box.Release(pause);

    ASSERT_THAT(OutcomeOf(creator), Succeeds());
    ASSERT_TRUE(Notices(box, second)) << "The creator has made its semop().";
    ASSERT_THAT(OutcomeOf(second), Succeeds());
    EXPECT_THAT(creator, Created(1)) << "of the process that made the set";
    EXPECT_THAT(second, Created(0)) << "of the process that found it";
    EXPECT_THAT(second.call(), Returned(creator.call().value));
    EXPECT_THAT(ValuesOf(box, static_cast<int>(creator.call().value)), HasValues(init));
  }
}

HELPER(SetsValue) {
  SetHere(IdOf(args), NumberOf(args), static_cast<int>(args.Int("value")));
  return 0;
}

TEST_F(OpenOnce, LeavesTheValuesToASlowCreator) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const key_t key = RandomKey();
  const std::vector<int> init = RandomInit();
  const int id = NewUnreadySet(box, key, {0, 0, 0});

  Helper caller = Open(box, key, init, -1);
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "Somebody has made the set, and sem_otime is 0.";
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  ASSERT_TRUE(WaitsPatiently(box, caller)) << "A signal came.";
  ASSERT_THAT(box.Start("SetsValue", {{"id", id}, {"num", 2}, {"value", 5}}).Wait(), Exited(0));
  ASSERT_TRUE(WaitsPatiently(box, caller))
      << "SETVAL leaves sem_otime 0: the set is not ready yet.";
  EXPECT_THAT(ValuesOf(box, id), HasValues(std::vector<int>{0, 0, 5}))
      << "as its creator left them";
  ChangeFromOutside(box, id, 0, 3);

  ASSERT_TRUE(Notices(box, caller)) << "The creator has made its semop().";
  ASSERT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(id));
  EXPECT_THAT(caller, Created(0));
  EXPECT_THAT(ValuesOf(box, id), HasValues(std::vector<int>{3, 0, 5}))
      << "as its creator left them";
}

TEST_F(OpenOnce, GivesUpWhenTheCreatorHasDied) {
  constexpr int kLimit = 50;
  Sandbox box({.watch = {Family::kSemaphores}});
  const key_t key = RandomKey();
  const std::vector<int> init = RandomInit();
  Helper creator = Open(box, key, init);
  const int pause = HoldFirstSemop(box, creator);
  ASSERT_TRUE(StopsAt(box, creator, pause)) << "the creator fills the set by semop()";
  const SysvObject set = FindKey(box, key);
  creator.Signal(SIGKILL);
  ASSERT_THAT(creator.Wait(), KilledBy(SIGKILL));

  for (const int limit : {kLimit, 0}) {
    Helper caller = Open(box, key, init, limit);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(caller.call(), FailedWith(ETIMEDOUT))
        << "The creator died between semget() and semop(), and the timeout is " << limit << " ms.";
    EXPECT_THAT(caller.Reported("us"), IsAtLeast(limit * 1000)) << "microseconds until it gave up";
    EXPECT_THAT(caller, Created(kUntouched)) << "unchanged";
  }
  EXPECT_THAT(FindKey(box, key).id, Is(set.id))
      << "Whoever did not make the set does not remove it.";
  EXPECT_THAT(FindKey(box, key), testing::Not(IsReady())) << "Nobody has set it up.";
}

TEST_F(OpenOnce, BeginsAnewWhenTheSetDisappears) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const std::vector<int> init = RandomInit();
  // 0: while it waits for a set that is not ready. Else before its nth call, the set being ready.
  for (int nth = 0; nth <= 4; ++nth) {
    const key_t key = RandomKey();
    const int id = nth == 0 ? NewUnreadySet(box, key, {1, 1, 1}) : NewReadySet(box, key, {1, 1, 1});
    Helper caller = Open(box, key, init);
    const int pause = nth == 0 ? -1 : HoldCallOf(box, caller, nth);
    if (nth == 0) {
      ASSERT_TRUE(WaitsPatiently(box, caller)) << "The set was there, and its sem_otime was 0.";
    } else if (!StopsAt(box, caller, pause)) {
      ASSERT_THAT(OutcomeOf(caller), ComesToItsEnd());
      break;
    }
    RemoveFromOutside(box, id);
    if (nth != 0) box.Release(pause);

    const std::string when = nth == 0
                                 ? "The set was removed while it waited."
                                 : "The set was removed before its call " + std::to_string(nth) +
                                       " of semget(), semctl() or semop().";
    ASSERT_TRUE(Notices(box, caller)) << when;
    ASSERT_THAT(OutcomeOf(caller), Succeeds()) << when;
    EXPECT_THAT(caller, Created(1)) << "there was no set any more";
    EXPECT_THAT(ValuesOf(box, static_cast<int>(caller.call().value)), HasValues(init));
  }
}

// ---- Errors -------------------------------------------------------------------------------------

TEST_F(OpenOnce, RefusesWhatDoesNotFit) {
  Sandbox box;
  const key_t key = RandomKey();
  const int id = NewReadySet(box, key, {1, 2});
  const key_t closed = RandomKey();
  NewSet(box, {1}, closed, 0);
  const std::vector<int> large = {1, kLargestValue + 1};
  const struct {
    key_t key;
    std::vector<int> init;
    int n;
    int error;
    const char* why;
  } calls[] = {
      {key, {1}, 1, EINVAL, "the set of this key has 2 semaphores, n is 1"},
      {key, {1, 2, 3}, 3, EINVAL, "the set of this key has 2 semaphores, n is 3"},
      {RandomKey(), {1}, 0, EINVAL, "n is 0"},
      {RandomKey(), {1}, -1, EINVAL, "n is -1"},
      {RandomKey(), std::vector<int>(501, 1), 501, EINVAL, "n is 501"},
      {IPC_PRIVATE, {1}, 1, EEXIST, "the key is IPC_PRIVATE"},
      {RandomKey(), large, 2, ERANGE, "a value is 32768"},
      {RandomKey(), {65535}, 1, ERANGE, "a value is 65535"},
      {closed, {1}, 1, EACCES, "the mode of the set is 0"},
  };
  for (const auto& call : calls) {
    Helper caller = box.Start(
        "OpensOnce", {{"key", call.key}, {"init", Binary(Packed(call.init))}, {"n", call.n}});
    ASSERT_THAT(OutcomeOf(caller), ComesToItsEnd()) << call.why;
    EXPECT_THAT(caller.call(), FailedWith(call.error)) << call.why;
    EXPECT_THAT(caller, Created(kUntouched)) << "unchanged: " << call.why;
  }
  EXPECT_THAT(ValuesOf(box, id), HasValues(std::vector<int>{1, 2})) << "of a set that is in use";
  EXPECT_THAT(box, HoldsSets(2)) << "as many as before";
}

TEST_F(OpenOnce, RemovesWhatItCannotSetUp) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  box.AddRule({.family = Family::kSemaphores,
               .where = [](const Event& event) { return IsSemop(event); },
               .answer = -ENOMEM});

  Helper caller = Open(box, RandomKey(), RandomInit());

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(), FailedWith(ENOMEM)) << "semop() failed";
  EXPECT_THAT(caller, Created(kUntouched)) << "unchanged";
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

TEST_F(OpenOnce, LeavesNothingBehind) {
  Sandbox box(WatchesLooks({Family::kSemaphores}));
  const key_t key = RandomKey();
  const int id = NewUnreadySet(box, key, {1});

  Helper late = Open(box, key, {1}, 3);
  EXPECT_THAT(OutcomeOf(late), ComesToItsEnd());
  EXPECT_THAT(late.call(), FailedWith(ETIMEDOUT)) << "the set was not ready in 3 ms";
  Helper finder = Open(box, key, {1});
  ASSERT_TRUE(WaitsPatiently(box, finder)) << "The set is not ready.";
  ChangeFromOutside(box, id, 0, 1);
  ASSERT_TRUE(Notices(box, finder)) << "The set is ready.";
  EXPECT_THAT(OutcomeOf(finder), Succeeds());
  Helper maker = Open(box, RandomKey(), {1});
  EXPECT_THAT(OutcomeOf(maker), Succeeds());

  for (Helper* const caller : {&late, &finder, &maker}) {
    EXPECT_THAT(LeftBehind(box, caller->call()), NothingLeftBehind());
  }
  EXPECT_THAT(box, HoldsSets(2)) << "the one that was there, and the one that was made";
}

}  // namespace
}  // namespace ipclab
