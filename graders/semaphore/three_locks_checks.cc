// Exercise semaphore.8: three locks compared.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graders/semaphore/expectations.h"
#include "graders/semaphore/locks.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::lock3_destroy;
using semaphore::lock3_init;
using semaphore::lock3_lock;
using semaphore::lock3_recover_test;
using semaphore::lock3_unlock;

EXERCISE(ThreeLocks);

// ---- One at a time ------------------------------------------------------------------------------

// A child takes the lock and stands inside. The caller waits for it, `rounds` times in all.
HELPER(WaitsForItsChild) {
  const Action on_signal(SIGUSR1, DoNothing);
  const Folder folder(args);
  void* lock = nullptr;
  if (STUDENT(lock3_init)(KindOf(args), folder.name(), &lock) == -1) return 1;
  {
    const Beside child([&] {
      if (Do("child_locks", "lock3_lock", lock) == -1) _exit(1);
      Stop(kInside);
      Do("child_unlocks", "lock3_unlock", lock);
    });
    Stop(kAtTheDoor);
    for (int round = 0; round < 2; ++round) {
      if (STUDENT(lock3_lock)(lock) == -1) return 2;
      if (STUDENT(lock3_unlock)(lock) == -1) return 3;
    }
  }
  Beside next([&] {
    if (Do("next_locks", "lock3_lock", lock) == 0) Do("next_unlocks", "lock3_unlock", lock);
  });
  next.Join();
  return STUDENT(lock3_destroy)(lock) == -1 ? 4 : 0;
}

TEST_F(ThreeLocks, LetsOneInAtATime) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const Kind kind : kKinds) {
    const int inside = HoldPlace(box, kInside);
    const int door = HoldPlace(box, kAtTheDoor);
    Helper parent = Start(box, "WaitsForItsChild", kind);
    ASSERT_TRUE(SomebodyComesTo(box, inside)) << KindText(kind) << ". The lock was free.";
    box.Release(door);

    ASSERT_TRUE(StaysOut(box, parent, kind)) << KindText(kind) << ". Its child is inside.";
    ASSERT_TRUE(Interrupt(box, parent, SIGUSR1));
    ASSERT_TRUE(StaysOut(box, parent, kind))
        << KindText(kind) << ". Its child is inside, and a signal came.";
    box.Release(inside);

    ASSERT_THAT(OutcomeOf(parent), Succeeds()) << KindText(kind) << ". Its child has left.";
    for (const char* key : {"child_locks", "child_unlocks", "next_locks", "next_unlocks"}) {
      EXPECT_THAT(ToldOf(parent, key), Gives(0)) << KindText(kind) << ", " << key;
    }
  }
}

TEST_F(ThreeLocks, IsFreeWhenItsHolderHasDied) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const Kind kind : kKinds) {
    for (const bool waits : {true, false}) {
      const int inside = HoldPlace(box, kInside);
      const int door = HoldPlace(box, kAtTheDoor);
      Helper parent = Start(box, "WaitsForItsChild", kind);
      ASSERT_TRUE(SomebodyComesTo(box, inside)) << KindText(kind) << ". The lock was free.";
      const pid_t child = *box.observer().Held(inside).begin();
      if (waits) {
        box.Release(door);
        ASSERT_TRUE(StaysOut(box, parent, kind)) << KindText(kind) << ". Its child is inside.";
      }
      kill(child, SIGKILL);
      ASSERT_TRUE(WaitUntilEnded(box, child));
      box.Release(door);

      ASSERT_THAT(OutcomeOf(parent), Succeeds())
          << KindText(kind) << ". Its child was inside and was killed by SIGKILL "
          << (waits ? "while it waited." : "before it came.");
      EXPECT_THAT(ToldOf(parent, "next_locks"), Gives(0))
          << KindText(kind) << ". Another child came after the parent.";
    }
  }
}

// ---- Whose it is --------------------------------------------------------------------------------

HELPER(HoldsItself) {
  const Folder folder(args);
  void* lock = nullptr;
  if (STUDENT(lock3_init)(KindOf(args), folder.name(), &lock) == -1) return 1;
  Do("unlocks_free", "lock3_unlock", lock);
  if (STUDENT(lock3_lock)(lock) == -1) return 2;
  Do("locks_twice", "lock3_lock", lock);
  {
    const Beside child([&] {
      Do("child_unlocks", "lock3_unlock", lock);
      if (Do("child_locks", "lock3_lock", lock) == 0) Do("child_leaves", "lock3_unlock", lock);
    });
    Stop(kInside);
    if (STUDENT(lock3_unlock)(lock) == -1) return 3;
  }
  Do("unlocks_twice", "lock3_unlock", lock);
  return STUDENT(lock3_destroy)(lock) == -1 ? 4 : 0;
}

TEST_F(ThreeLocks, KnowsWhoHoldsIt) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const Kind kind : kKinds) {
    const int inside = HoldPlace(box, kInside);
    Helper parent = Start(box, "HoldsItself", kind);
    ASSERT_TRUE(SomebodyComesTo(box, inside)) << KindText(kind) << ". The lock was free.";
    ASSERT_TRUE(ComesToRest(box));
    EXPECT_THAT(ToldOf(parent, "child_unlocks"), Gives(-EPERM))
        << KindText(kind) << ". A child gives back what its parent holds.";
    ASSERT_THAT(ToldOf(parent, "child_locks"), Gives(kNothingYet))
        << KindText(kind) << ". A child takes the lock. Its parent holds it, so it has to wait.";
    box.Release(inside);

    ASSERT_THAT(OutcomeOf(parent), Succeeds()) << KindText(kind);
    EXPECT_THAT(ToldOf(parent, "unlocks_free"), Gives(-EPERM))
        << KindText(kind) << ". Nobody held it.";
    EXPECT_THAT(ToldOf(parent, "locks_twice"), Gives(-EDEADLK))
        << KindText(kind) << ". The caller held it.";
    EXPECT_THAT(ToldOf(parent, "child_locks"), Gives(0))
        << KindText(kind) << ". Its parent has left.";
    EXPECT_THAT(ToldOf(parent, "child_leaves"), Gives(0)) << KindText(kind);
    EXPECT_THAT(ToldOf(parent, "unlocks_twice"), Gives(-EPERM))
        << KindText(kind) << ". It was given back.";
  }
}

// ---- What it is made of -------------------------------------------------------------------------

// Two locks in one folder: the caller holds one, and a child takes the other meanwhile.
HELPER(MakesTwo) {
  const Folder folder(args);
  void* one = nullptr;
  void* other = nullptr;
  if (STUDENT(lock3_init)(KindOf(args), folder.name(), &one) == -1) return 1;
  if (STUDENT(lock3_init)(KindOf(args), folder.name(), &other) == -1) return 2;
  if (STUDENT(lock3_lock)(one) == -1) return 3;
  Stop(kMade);
  Beside child([&] {
    if (Do("child_locks", "lock3_lock", other) == 0) Do("child_unlocks", "lock3_unlock", other);
  });
  child.Join();
  if (STUDENT(lock3_unlock)(one) == -1) return 4;
  if (STUDENT(lock3_destroy)(one) == -1) return 5;
  return STUDENT(lock3_destroy)(other) == -1 ? 6 : 0;
}

bool MapsAFileIn(const Census& process, const std::string& dir) {
  return std::ranges::any_of(process.mappings, [&](const Mapping& mapping) {
    return mapping.shared() && mapping.object.find("/" + dir + "/") != std::string::npos;
  });
}

bool TookARecordLock(const Sandbox& box) {
  return std::ranges::any_of(box.Calls(Family::kFcntl), [](const Event& event) {
    return (event.args[1] == F_SETLK || event.args[1] == F_SETLKW) && event.Succeeded();
  });
}

TEST_F(ThreeLocks, IsMadeOfWhatItsKindSays) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kFcntl}, .skip_sleeps = true});
  for (const Kind kind : kKinds) {
    const std::string dir = RandomWord(8);
    const int made = HoldPlace(box, kMade);
    Helper caller = box.Start("MakesTwo", {{"kind", static_cast<int>(kind)}, {"dir", Binary(dir)}});
    ASSERT_TRUE(SomebodyComesTo(box, made)) << KindText(kind);

    for (const TreeEntry& name : box.Names()) {
      if (!S_ISREG(name.type)) continue;
      EXPECT_THAT(name.path, testing::HasSubstr("/" + dir + "/")) << "a file that is not in dir";
      EXPECT_THAT(name.permissions & 07, Is(0)) << "rights of others on " << name.path;
    }
    const std::vector<SysvObject> sets = box.SysvObjects();
    EXPECT_THAT(sets.size(), Is(kind == Kind::kSysV ? 2 : 0))
        << "sets of semaphores, for two locks of " << KindText(kind);
    for (const SysvObject& set : sets) EXPECT_THAT(set, HasKey(IPC_PRIVATE));
    if (kind == Kind::kRecordLock) {
      EXPECT_TRUE(TookARecordLock(box)) << "nobody called fcntl() with F_SETLK or F_SETLKW";
    } else if (kind == Kind::kRobustMutex) {
      EXPECT_TRUE(MapsAFileIn(caller.call(1).after, dir))
          << "the caller has no shared mapping of a file in dir";
    }
    box.Release(made);

    ASSERT_THAT(OutcomeOf(caller), Succeeds()) << KindText(kind);
    EXPECT_THAT(ToldOf(caller, "child_locks"), Gives(0))
        << KindText(kind) << ". There are two locks, and the parent held the other one.";
  }
}

// ---- Clean-up -----------------------------------------------------------------------------------

HELPER(MakesAndDestroys) {
  const Folder folder(args);
  void* lock = nullptr;
  if (STUDENT(lock3_init)(KindOf(args), folder.name(), &lock) == -1) return 1;
  if (STUDENT(lock3_lock)(lock) == -1) return 2;
  Do("destroys_held", "lock3_destroy", lock);
  Beside child([&] { Do("child_unlocks", "lock3_unlock", lock); });
  child.Join();
  if (STUDENT(lock3_unlock)(lock) == -1) return 3;
  if (STUDENT(lock3_lock)(lock) == -1) return 4;
  if (STUDENT(lock3_unlock)(lock) == -1) return 5;
  return STUDENT(lock3_destroy)(lock) == -1 ? 6 : 0;
}

TEST_F(ThreeLocks, DestroysAllOfIt) {
  Sandbox box;
  for (const Kind kind : kKinds) {
    Helper caller = Start(box, "MakesAndDestroys", kind);

    ASSERT_THAT(OutcomeOf(caller), Succeeds()) << KindText(kind);
    EXPECT_THAT(ToldOf(caller, "destroys_held"), Gives(-EBUSY))
        << KindText(kind) << ". The caller of lock3_destroy() held the lock.";
    EXPECT_THAT(ToldOf(caller, "child_unlocks"), Gives(-EPERM))
        << KindText(kind) << ". It is still there.";
    EXPECT_THAT(caller.Leftovers(), NothingLeftBehind()) << KindText(kind);
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << KindText(kind);
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << KindText(kind);
  }
}

HELPER(MakesNone) {
  const Folder folder(args);
  int untouched = 0;
  void* lock = &untouched;
  const std::string dir = folder.name();
  const auto init = [&](Kind kind, const std::string& in) {
    if (STUDENT(lock3_init)(kind, in.c_str(), &lock) == 0) STUDENT(lock3_destroy)(lock);
  };
  init(static_cast<Kind>(3), dir);
  init(static_cast<Kind>(-1), dir);
  init(Kind::kRecordLock, dir + "/missing");
  init(Kind::kRobustMutex, dir + "/missing");
  init(Kind::kSysV, dir);
  init(Kind::kRobustMutex, dir);
  STUDENT(lock3_recover_test)(static_cast<Kind>(3), dir.c_str());
  STUDENT(lock3_recover_test)(Kind::kRecordLock, (dir + "/missing").c_str());
  STUDENT(lock3_recover_test)(Kind::kSysV, dir.c_str());
  Report("untouched", lock == &untouched ? 1 : 0);
  return 0;
}

TEST_F(ThreeLocks, LeavesNothingThatItCouldNotMake) {
  Sandbox box({.watch = {Family::kSemaphores, Family::kMap}});
  box.Fail(Family::kSemaphores, ENOSPC);
  box.Fail(Family::kFork, EAGAIN);
  Helper caller = Start(box, "MakesNone", Kind::kSysV);
  const auto maps_the_mutex = [&caller](const Event& event) {
    return event.number == SYS_mmap && (event.args[3] & MAP_SHARED) != 0 &&
           caller.process().calls.size() == 6;
  };
  box.AddRule({.family = Family::kMap, .where = maps_the_mutex, .answer = -ENOMEM});

  ASSERT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "there is no such kind";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "there is no such kind";
  EXPECT_THAT(caller.call(2), FailedWith(ENOENT)) << "kRecordLock, and dir does not exist";
  EXPECT_THAT(caller.call(3), FailedWith(ENOENT)) << "kRobustMutex, and dir does not exist";
  EXPECT_THAT(caller.call(4), FailedWith(ENOSPC)) << "kSysV, and semget() failed";
  EXPECT_THAT(caller.call(5), FailedWith(ENOMEM)) << "kRobustMutex, and mmap() failed";
  EXPECT_THAT(caller.call(6), FailedWith(EINVAL)) << "there is no such kind";
  EXPECT_THAT(caller.call(7), FailedWith(ENOENT)) << "kRecordLock, and dir does not exist";
  EXPECT_THAT(caller.call(8), FailedWith(EAGAIN)) << "kSysV, and fork() failed";
  EXPECT_THAT(caller.Reported("untouched"), Is(1)) << "*handle is unchanged";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

// ---- lock3_recover_test -------------------------------------------------------------------------

HELPER(Recovers) {
  const Folder folder(args);
  return STUDENT(lock3_recover_test)(KindOf(args), folder.name()) == 0 ? 0 : 1;
}

// Calls by which a child of lock3_recover_test takes its lock; a mutex takes none.
Family LockingCalls(Kind kind) {
  return kind == Kind::kSysV ? Family::kSemaphores : Family::kFcntl;
}

bool AChildMadeCalls(const Sandbox& box, Family family) {
  return std::ranges::any_of(box.Calls(family), [&](const Event& event) {
    return !box.observer().process(event.pid).helper && event.Succeeded();
  });
}

MATCHER(OneIsKilled, "a child of lock3_recover_test() dies by SIGKILL") {
  for (const Process& child : arg) {
    if (child.status == SIGKILL) return true;
    *result_listener << "a child " << (child.status ? DescribeStatus(*child.status) : "lives")
                     << "; ";
  }
  return false;
}

TEST_F(ThreeLocks, ShowsThatALockRecovers) {
  for (const Kind kind : kKinds) {
    Sandbox box({.watch = {Family::kSemaphores, Family::kFcntl}, .skip_sleeps = true});

    Helper caller = Start(box, "Recovers", kind);

    ASSERT_THAT(OutcomeOf(caller), Succeeds()) << KindText(kind);
    EXPECT_THAT(box.Children(), OneIsKilled());
    if (kind != Kind::kRobustMutex) {
      EXPECT_TRUE(AChildMadeCalls(box, LockingCalls(kind)))
          << KindText(kind) << ". No child took the lock before it died.";
    }
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << KindText(kind);
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << KindText(kind);
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << KindText(kind);
  }
}

TEST_F(ThreeLocks, NoticesAChildThatDiedTooEarly) {
  for (const Kind kind : {Kind::kSysV, Kind::kRecordLock}) {
    Sandbox box({.watch = {Family::kSemaphores, Family::kFcntl}, .skip_sleeps = true});
    const int locking =
        box.AddRule({.family = LockingCalls(kind), .where = InChildren(box), .hold = true});

    Helper caller = Start(box, "Recovers", kind);
    ASSERT_TRUE(SomebodyComesTo(box, locking)) << KindText(kind) << ". A child takes the lock.";
    kill(*box.observer().Held(locking).begin(), SIGKILL);
    box.Release(locking);

    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << KindText(kind);
    EXPECT_THAT(caller.call(), FailedWith(ECANCELED))
        << KindText(kind) << ". The child was killed by SIGKILL before it held the lock.";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << KindText(kind);
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << KindText(kind);
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << KindText(kind);
  }
}

}  // namespace
}  // namespace ipclab
