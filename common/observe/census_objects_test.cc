#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/observe/blocked.h"
#include "common/observe/census_diff.h"
#include "common/observe/census_sysv.h"
#include "common/observe/census_tree.h"
#include "common/observe/testing/directory.h"
#include "common/observe/testing/forked.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Fd Create(const std::string& path) {
  return Fd(Check(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open " + path));
}

TEST(SysvObjects, ShowAQueueWithWhatIsInIt) {
  const int id = Check(msgget(IPC_PRIVATE, IPC_CREAT | 0600), "msgget");
  const struct {
    long type;
    char text[5];
  } message = {1, "four"};
  EXPECT_EQ(msgsnd(id, &message, sizeof(message.text), 0), 0);

  const std::vector<SysvObject> objects = SysvObjects();
  EXPECT_EQ(msgctl(id, IPC_RMID, nullptr), 0);

  const auto queue = std::ranges::find_if(objects, [&](const SysvObject& object) {
    return object.kind == SysvKind::kQueue && object.id == id;
  });
  ASSERT_NE(queue, objects.end());
  EXPECT_EQ(queue->messages, 1u);
  EXPECT_EQ(queue->bytes, 5u);
  EXPECT_EQ(queue->mode & 0777, 0600u);
  EXPECT_EQ(queue->uid, geteuid());
  EXPECT_EQ(queue->Name(), "System V message queue id " + std::to_string(id) + " key 0x0");
}

TEST(SysvObjects, ShowASetWithItsWaiters) {
  const int id = Check(semget(IPC_PRIVATE, 2, IPC_CREAT | 0600), "semget");
  const Forked waiter([&] {
    sembuf take{1, -1, 0};
    return semop(id, &take, 1);
  });
  const bool waits = WaitUntilBlockedIn(waiter.pid(), {SYS_semop, SYS_semtimedop});

  const std::vector<SysvObject> objects = SysvObjects();
  EXPECT_EQ(semctl(id, 0, IPC_RMID), 0);

  ASSERT_TRUE(waits);
  const auto set = std::ranges::find_if(objects, [&](const SysvObject& object) {
    return object.kind == SysvKind::kSemaphores && object.id == id;
  });
  ASSERT_NE(set, objects.end());
  ASSERT_EQ(set->semaphores.size(), 2u);
  EXPECT_EQ(set->semaphores[0].waiting_for_increase, 0);
  EXPECT_EQ(set->semaphores[1].waiting_for_increase, 1);
  EXPECT_EQ(set->semaphores[1].value, 0);
}

TEST(SysvObjects, ShowASegmentThatNobodyMayRead) {
  const int id = Check(shmget(IPC_PRIVATE, 5000, IPC_CREAT), "shmget");

  const std::vector<SysvObject> objects = SysvObjects();
  EXPECT_EQ(shmctl(id, IPC_RMID, nullptr), 0);

  const auto segment = std::ranges::find_if(objects, [&](const SysvObject& object) {
    return object.kind == SysvKind::kSegment && object.id == id;
  });
  ASSERT_NE(segment, objects.end());
  EXPECT_EQ(segment->bytes, 5000u);
  EXPECT_EQ(segment->attached, 0u);
  EXPECT_EQ(segment->creator_pid, getpid());
}

TEST(SysvObjects, SurviveTheWayThroughJson) {
  SysvObject object;
  object.kind = SysvKind::kSemaphores;
  object.id = 7;
  object.key = -2;
  object.semaphores = {{3, 4, 5, 6}};

  const auto back = nlohmann::json::parse(nlohmann::json(std::vector{object}).dump())
                        .get<std::vector<SysvObject>>();

  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].Name(), "System V semaphore set id 7 key 0xfffffffe");
  EXPECT_EQ(back[0].semaphores.at(0).waiting_for_zero, 6);
}

TEST(SysvLeftovers, NameWhatCameAndWhatWent) {
  SysvObject queue, set;
  queue.id = 24;
  set.kind = SysvKind::kSemaphores;
  set.id = 24;

  EXPECT_THAT(Leftovers({set}, std::vector<SysvObject>{queue, set}),
              ElementsAre("System V message queue id 24 key 0x0 is still there"));
  EXPECT_THAT(Leftovers({set}, std::vector<SysvObject>{}),
              ElementsAre("System V semaphore set id 24 key 0x0 was removed although it belonged "
                          "to somebody else"));
}

TEST(ListTree, ShowsKindSizeAndPermissions) {
  const Directory directory;
  Check(mkfifo((directory / "calls").c_str(), 0640), "mkfifo");
  Check(mkdir((directory / "box").c_str(), 0700), "mkdir");
  Check(write(Create(directory / "box/bytes").get(), "12345", 5), "write");

  const std::vector<TreeEntry> tree = ListTree(getpid(), directory.path());

  ASSERT_EQ(tree.size(), 3u);
  EXPECT_EQ(tree[0].Name(), "directory " + (directory / "box"));
  EXPECT_EQ(tree[1].Name(), "file " + (directory / "box/bytes"));
  EXPECT_EQ(tree[1].size, 5);
  EXPECT_EQ(tree[2].Name(), "FIFO " + (directory / "calls"));
}

TEST(ListTree, FollowsNoLink) {
  const Directory directory;
  Check(mkdir((directory / "inside").c_str(), 0700), "mkdir");
  Check(symlink("/", (directory / "inside/away").c_str()), "symlink");
  Check(symlink("inside", (directory / "link").c_str()), "symlink");

  const std::vector<TreeEntry> tree = ListTree(getpid(), directory / "inside");

  ASSERT_EQ(tree.size(), 1u);
  EXPECT_EQ(tree[0].Name(), "symbolic link " + (directory / "inside/away"));
  EXPECT_THAT(ListTree(getpid(), directory / "link"), IsEmpty());
}

TEST(ListTree, IsBoundedInNumberAndDepth) {
  const Directory directory;
  std::string path = directory.path();
  for (int i = 0; i < 40; ++i) Check(mkdir((path += "/d").c_str(), 0700), "mkdir");

  EXPECT_EQ(ListTree(getpid(), directory.path(), 5).size(), 5u);
  EXPECT_LT(ListTree(getpid(), directory.path()).size(), 40u);
}

TEST(ListTree, IsEmptyForWhatDoesNotExist) {
  EXPECT_THAT(ListTree(getpid(), "/no/such/place"), IsEmpty());
  Forked child([] { return 0; });
  child.Wait();
  EXPECT_THAT(ListTree(child.pid(), "/dev/shm"), IsEmpty());
}

TEST(ListTree, NamesObjectsOfPosixByTheirOwnNames) {
  TreeEntry memory;
  memory.type = S_IFREG;
  memory.path = "/dev/shm/ring";
  EXPECT_EQ(memory.Name(), "POSIX shared memory /ring");
  memory.path = "/dev/shm/sem.lock";
  EXPECT_EQ(memory.Name(), "POSIX semaphore /lock");
  memory.path = "/dev/mqueue/jobs";
  memory.queue = true;
  EXPECT_EQ(memory.Name(), "POSIX message queue /jobs");
}

TEST(TreeLeftovers, NameWhatCameWhatWentAndWhatWasReplaced) {
  const Directory directory;
  const auto list = [&] { return ListTree(getpid(), directory.path()); };
  const std::vector<TreeEntry> nothing = list();
  Check(mkfifo((directory / "calls").c_str(), 0600), "mkfifo");
  const std::vector<TreeEntry> fifo = list();
  const std::string there = "FIFO " + (directory / "calls") + " is still there";
  const std::string gone =
      "FIFO " + (directory / "calls") + " was removed although it belonged to somebody else";

  EXPECT_THAT(Leftovers(nothing, fifo), ElementsAre(there));
  EXPECT_THAT(Leftovers(fifo, nothing), ElementsAre(gone));
  EXPECT_THAT(Leftovers(fifo, fifo), IsEmpty());

  std::vector<TreeEntry> another = fifo;
  another[0].inode += 1;
  EXPECT_THAT(Leftovers(fifo, another), ElementsAre(there, gone));
}

}  // namespace
}  // namespace ipclab
