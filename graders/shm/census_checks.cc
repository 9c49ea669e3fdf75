// Exercise shm.7: the census of IPC objects.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graders/shm/census.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::Ipc;
using shm::kPosix;
using shm::kQueue;
using shm::kSegment;
using shm::kSemaphores;

EXERCISE(Census);

// What is in /dev/shm and is no shared memory object.
HELPER(MakesOtherFiles) {
  close(Check(open("/dev/shm/sem.lock", O_CREAT | O_RDWR, 0600), "open"));
  Check(mkdir("/dev/shm/folder", 0700), "mkdir");
  Check(symlink("/dev/shm/sem.lock", "/dev/shm/link"), "symlink");
  return 0;
}

// Goes round in the tables of the kernel, so that an id is not the same as an index any more.
HELPER(AgesTheTables) {
  constexpr int kRound = 70;
  for (int i = 0; i < kRound; ++i) {
    msgctl(Check(msgget(IPC_PRIVATE, 0600), "msgget"), IPC_RMID, nullptr);
    semctl(Check(semget(IPC_PRIVATE, 1, 0600), "semget"), 0, IPC_RMID);
    shmctl(Check(shmget(IPC_PRIVATE, 1, 0600), "shmget"), IPC_RMID, nullptr);
  }
  return 0;
}

HELPER(Unlinks) { return Check(shm_unlink(args.Bytes("name").c_str()), "shm_unlink"); }

TEST_F(Census, FindsEveryObjectOfTheSystem) {
  Sandbox box;
  Helper nothing = StartCensus(box);
  EXPECT_THAT(nothing.Wait(), Exited(0));
  ASSERT_THAT(nothing.call(), Returned(0)) << "there is no object in the box yet";
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) New(box, {.kind = kind, .size = 100});
  Helper ages = box.Start("AgesTheTables");
  ASSERT_THAT(ages.Wait(), Exited(0));
  NewOfEachKind(box);
  Helper others = box.Start("MakesOtherFiles");
  ASSERT_THAT(others.Wait(), Exited(0));

  Helper census = StartCensus(box);

  EXPECT_THAT(census.Wait(), Exited(0));
  EXPECT_THAT(census.call(), Returned(11))
      << "three of each kind of System V, and two POSIX objects";
  EXPECT_THAT(TextsIn(census), SameItemsAs(WhatIsThere(box, census)));
}

TEST_F(Census, CountsWhoUsesThem) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int set = New(box, {.kind = kSemaphores, .size = 3});
  box.Start("WaitsInSet", {{"id", set}, {"number", 2}, {"change", -1}});
  box.Start("WaitsInSet", {{"id", set}, {"number", 0}, {"change", 0}});
  const int used = New(box, {.kind = kSegment, .size = 100});
  const int marked = New(box, {.kind = kSegment, .key = RandomKey(), .size = 5000});
  const int first = HoldAtGate(box);
  const int second = HoldAtGate(box);
  box.Start("Attaches", {{"id", used}, {"mark", 0}});
  box.Start("Attaches", {{"id", marked}, {"mark", 1}});
  New(box, {.kind = kQueue, .size = 100});
  ASSERT_TRUE(ComesToRest(box));

  Helper census = StartCensus(box);

  EXPECT_THAT(census.Wait(), Exited(0));
  EXPECT_THAT(TextsIn(census), SameItemsAs(WhatIsThere(box, census)))
      << "a queue with a message, a set in which two wait, two segments that are attached twice, "
         "one of them marked for removal";
  box.Release(first);
  box.Release(second);
}

TEST_F(Census, DescribesWhatMayNotBeRead) {
  Sandbox box;
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) {
    New(box, {.kind = kind, .key = RandomKey(), .size = RandomSize(), .mode = 0200});
  }
  New(box, {.kind = kPosix, .size = RandomSize(), .mode = 0, .name = RandomName()});

  Helper census = StartCensus(box);

  EXPECT_THAT(census.Wait(), Exited(0));
  EXPECT_THAT(census.call(), Returned(4)) << "four objects, which their owner may not read";
  EXPECT_THAT(TextsIn(census), SameItemsAs(WhatIsThere(box, census)));
}

TEST_F(Census, StoresNoMoreThanThereIsRoomFor) {
  Sandbox box;
  NewOfEachKind(box);
  for (const int cap : {0, static_cast<int>(RandomInt(1, 6)), 8}) {
    Helper census = StartCensus(box, cap);
    EXPECT_THAT(census.Wait(), Exited(0));
    EXPECT_THAT(census.call(), Returned(8)) << "there are 8, and room for " << cap;
    EXPECT_THAT(census.Reported("intact"), Is(1)) << "what is behind the room is as it was";
    const std::vector<std::string> there = WhatIsThere(box, census);
    const std::vector<std::string> found = TextsIn(census);
    EXPECT_THAT(found.size(), Is(cap)) << "items stored";
    EXPECT_TRUE(std::ranges::includes(there, found)) << "an item is stored that is not there";
  }
}

// Runs a census that is held where `look` says, has `remove` done meanwhile, and expects that the
// object which was removed is not in it.
void ExpectLeftOut(Sandbox& box, Family family, const std::function<bool(const Event&)>& where,
                   const std::function<void()>& remove, const std::string& what) {
  const int look = box.AddRule({.family = family, .where = where, .hold = true});
  Helper census = StartCensus(box);
  const auto held = [&] { return !box.observer().Held(look).empty(); };
  ASSERT_TRUE(Comes(box, [&] { return held() || !census.process().alive; }));
  const bool came = held();
  remove();
  box.Release(look);
  EXPECT_THAT(census.Wait(), Exited(0));
  if (!came) return;  // It does not look that way.
  EXPECT_THAT(census.call(), Returned(1))
      << "one object is there; " << what << " was removed while the census looked";
  EXPECT_THAT(TextsIn(census), SameItemsAs(WhatIsThere(box, census)));
}

struct Vanishing {
  Ipc kind;
  std::vector<int> commands;  // Held at the first of these.
};

// The kernel has told that there are such objects, and then there are none any more.
TEST_F(Census, LeavesOutWhatVanishesMeanwhile) {
  std::vector<Family> families = kTables;
  families.insert(families.end(), {Family::kStat, Family::kOpen});
  Sandbox box({.watch = families});
  New(box, {.kind = kPosix, .size = 10, .name = RandomName()});
  const std::vector<Vanishing> rows = {
      {kQueue, {MSG_STAT, MSG_STAT_ANY, IPC_STAT}},
      {kSemaphores, {SEM_STAT, SEM_STAT_ANY, IPC_STAT}},
      {kSemaphores, {GETNCNT, GETZCNT}},
      {kSegment, {SHM_STAT, SHM_STAT_ANY, IPC_STAT}},
  };
  for (const auto& [kind, commands] : rows) {
    New(box, {.kind = kind, .size = 1});
    const auto remove = [&, which = static_cast<int>(kind)] {
      Helper remover = box.Start("RemovesKind", {{"kind", which}});
      ASSERT_THAT(remover.Wait(), Exited(0));
    };
    ExpectLeftOut(box, FamilyOf(kind), Commands(kind, commands), remove,
                  "another one (" + KindText(kind) + ")");
  }
  // Some look with stat(2), some with open(2).
  for (const Family family : {Family::kStat, Family::kOpen}) {
    const std::string name = RandomName();
    New(box, {.kind = kPosix, .size = 1, .name = name});
    const auto looks_at_it = [&](const Event& event) {
      return !event.function.empty() && event.detail.find(name.substr(1)) != std::string::npos;
    };
    const auto remove = [&] {
      Helper remover = box.Start("Unlinks", {{"name", name}});
      ASSERT_THAT(remover.Wait(), Exited(0));
    };
    ExpectLeftOut(box, family, looks_at_it, remove, "another one (kPosix)");
  }
}

}  // namespace
}  // namespace ipclab
