// The census and the deadlock proof of a process in namespaces of its own, as a box gives it.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/fd.h"
#include "common/observe/census.h"
#include "common/observe/census_diff.h"
#include "common/observe/census_tree.h"
#include "common/observe/deadlock.h"
#include "common/observe/testing/directory.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/gate.h"
#include "common/observe/testing/world.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kRefused = 77;

bool WriteText(const char* path, const std::string& text) {
  const Fd file(open(path, O_WRONLY | O_CLOEXEC));
  return write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Runs `body` as process 2 of new user, process id, mount and IPC namespaces; process 1 waits for
// it.
int InNamespaces(const std::function<int()>& body) {
  const std::string user = "0 " + std::to_string(geteuid()) + " 1";
  const std::string group = "0 " + std::to_string(getegid()) + " 1";
  if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC) != 0 ||
      !WriteText("/proc/self/setgroups", "deny") || !WriteText("/proc/self/uid_map", user) ||
      !WriteText("/proc/self/gid_map", group)) {
    return kRefused;
  }
  return WaitForChild(ForkFrom([&] { return WaitForChild(ForkFrom(body)); }));
}

bool NamespacesWork() {
  Forked probe([] { return unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC); });
  return probe.Wait() == 0;
}

// The process that runs the body, as this side knows it; 0 if it did not get that far.
pid_t BodyOf(const Forked& launcher) {
  pid_t body = 0;
  const bool found = PollUntil([&] {
    const std::vector<pid_t> tree = ProcessTree(launcher.pid());
    if (tree.size() == 3) body = tree[2];
    return body != 0 || tree.empty();
  });
  return found ? body : 0;
}

class InsideABox : public testing::Test {
 protected:
  void SetUp() override {
    if (!NamespacesWork()) GTEST_SKIP() << "no user namespaces here";
  }
};

TEST_F(InsideABox, ProcessesShowTheirInnerIds) {
  const Gate gate;
  const Forked launcher([&] {
    return InNamespaces([&] {
      ForkFrom([] { return 0; });
      gate.Wait();
      return 0;
    });
  });
  const pid_t body = BodyOf(launcher);
  ASSERT_TRUE(gate.HasArrived(body));
  ASSERT_TRUE(PollUntil([&] { return TakeCensus(body, kChildren).children.at(0).zombie(); }));

  const Census census = TakeCensus(body);
  Census before = census;
  before.children.clear();
  ObjectNames names;

  EXPECT_EQ(census.inner_pid, 2);
  EXPECT_NE(census.pid, 2);
  EXPECT_THAT(Leftovers(before, census, names), ElementsAre("zombie child 3 (not waited for)"));
}

TEST_F(InsideABox, DeadlocksAreExplainedWithInnerIds) {
  const Forked launcher([] {
    return InNamespaces([] {
      StartAfresh();
      const RawPipe pipe = OpenPipe();
      const pid_t child = ForkFrom([&] { return ReadByte(pipe.read_end); });
      return WaitForChild(child);
    });
  });

  std::string text;
  ASSERT_TRUE(PollUntil([&] {
    // Without the launcher and process 1, which is the stage of a box.
    std::vector<pid_t> tree = ProcessTree(launcher.pid());
    if (tree.size() < 4) return false;
    const auto deadlock = FindDeadlock({.processes = {tree.begin() + 2, tree.end()}});
    ObjectNames names;
    if (deadlock) text = deadlock->Explain(names);
    return deadlock.has_value();
  }));

  EXPECT_EQ(
      text,
      "Process 3 waits in read() on descriptor 3, pipe A, for bytes or end of file; the write "
      "end of pipe A is still open in process 3 itself (descriptor 4) and also in process 2 "
      "(descriptor 4), so end of file can never come. Process 2 waits in wait4() for process "
      "3.");
}

// Somebody outside may hold the lock on a file that is mounted from there.
TEST_F(InsideABox, LocksOnReadOnlyFilesProveNothing) {
  const Directory directory;
  const std::string& path = directory.path();
  const Forked launcher([&] {
    return InNamespaces([&] {
      if (mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
          mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) != 0) {
        return kRefused;
      }
      const int first = open(path.c_str(), O_RDONLY), second = open(path.c_str(), O_RDONLY);
      if (flock(first, LOCK_EX) != 0) return kRefused;
      return flock(second, LOCK_EX);
    });
  });
  const pid_t body = BodyOf(launcher);
  if (body == 0 || !WaitUntilBlockedIn(body, {SYS_flock})) GTEST_SKIP() << "no mounts here";

  EXPECT_EQ(DeadlockNow({.processes = {body}}), "no deadlock");
}

TEST_F(InsideABox, QueuesOfPosixShowWithTheirBytes) {
  const Directory directory;
  const Gate gate;
  const Forked launcher([&] {
    return InNamespaces([&] {
      if (mount("none", directory.path().c_str(), "mqueue", 0, nullptr) != 0) return kRefused;
      const mqd_t queue = mq_open("/jobs", O_CREAT | O_RDWR, 0600, nullptr);
      if (queue == -1 || mq_send(queue, "12345", 5, 0) != 0) return kRefused;
      gate.Wait();
      return 0;
    });
  });
  const pid_t body = BodyOf(launcher);
  if (body == 0 || !gate.HasArrived(body)) GTEST_SKIP() << "no POSIX queues here";

  const std::vector<TreeEntry> tree = ListTree(body, directory.path());

  ASSERT_EQ(tree.size(), 1u);
  EXPECT_EQ(tree[0].Name(), "POSIX message queue /jobs");
  EXPECT_EQ(tree[0].queued_bytes, 5);
  EXPECT_THAT(ListTree(getpid(), directory.path()), IsEmpty());
}

}  // namespace
}  // namespace ipclab
