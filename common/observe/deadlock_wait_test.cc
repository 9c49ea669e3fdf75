// Rules of the proof for states that cannot be brought about at will.

#include "common/observe/deadlock_wait.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "common/observe/blocked.h"
#include "common/observe/census.h"

namespace ipclab::deadlock {
namespace {

TaskSample Asleep(char state, long call) {
  TaskSample task;
  task.tid = 7;
  task.off_cpu = true;
  task.blocked = Blocked{.call = call};
  task.status.state = state;
  return task;
}

SignalSet Set(int signal) { return {1ull << (signal - 1)}; }

TEST(SleepsForGood, UnlessASignalIsPending) {
  TaskSample task = Asleep('S', SYS_read);
  EXPECT_TRUE(SleepsForGood(task, World{}));

  task.status.signals.pending = Set(SIGUSR1);
  EXPECT_FALSE(SleepsForGood(task, World{}));

  task.status.signals.blocked = Set(SIGUSR1);
  EXPECT_TRUE(SleepsForGood(task, World{}));
}

TEST(SleepsForGood, InVforkUnlessItIsKilled) {
  TaskSample task = Asleep('D', SYS_clone);
  task.status.signals.pending = Set(SIGTERM);
  EXPECT_TRUE(SleepsForGood(task, World{}));

  task.status.signals.pending = Set(SIGKILL);
  EXPECT_FALSE(SleepsForGood(task, World{}));
}

TEST(SleepsForGood, NotWhileItWaitsForADevice) {
  EXPECT_FALSE(SleepsForGood(Asleep('D', SYS_read), World{}));
}

TEST(SleepsForGood, NotInCallsThatProveNothing) {
  EXPECT_FALSE(SleepsForGood(Asleep('S', SYS_exit_group), World{}));
  EXPECT_FALSE(SleepsForGood(Asleep('S', SYS_restart_syscall), World{}));
  EXPECT_FALSE(SleepsForGood(Asleep('S', SYS_clock_nanosleep), World{}));
}

TEST(SleepsForGood, WhenStoppedUnlessItIsKilled) {
  TaskSample task = Asleep('T', SYS_exit_group);
  task.blocked.reset();
  task.status.signals.pending = Set(SIGUSR1);
  EXPECT_TRUE(SleepsForGood(task, World{}));

  task.status.signals.pending = Set(SIGKILL);
  EXPECT_FALSE(SleepsForGood(task, World{}));
}

TEST(SleepsForGood, NotInAStopByTheTracer) {
  const TaskSample task = Asleep('t', SYS_read);
  EXPECT_FALSE(SleepsForGood(task, World{}));
  EXPECT_TRUE(SleepsForGood(task, World{.stopped = {task.tid}}));
}

TEST(SleptUntil, NeedsTheSameCallStateAndSwitches) {
  const TaskSample first = Asleep('S', SYS_read);
  EXPECT_TRUE(first.SleptUntil(first));

  TaskSample later = first;
  later.status.voluntary_switches = 1;
  EXPECT_FALSE(first.SleptUntil(later));
  later = first;
  later.status.involuntary_switches = 1;
  EXPECT_FALSE(first.SleptUntil(later));
  later = first;
  later.blocked->args[0] = 3;
  EXPECT_FALSE(first.SleptUntil(later));
  later = first;
  later.status.state = 'T';
  EXPECT_FALSE(first.SleptUntil(later));
  later = first;
  later.off_cpu = false;
  EXPECT_FALSE(first.SleptUntil(later));
  EXPECT_FALSE(later.SleptUntil(first));
}

TEST(DecodeWait, TakesFcntlForALockOnlyIfItIsOne) {
  Descriptor file;
  file.number = 0;
  file.target = "/dev/null";
  Census process;
  process.pid = getpid();
  process.descriptors = {file};
  const Members members = {{getpid(), process}};
  TaskSample task = Asleep('S', SYS_fcntl);
  task.pid = getpid();

  task.blocked->args[1] = F_SETLKW;
  EXPECT_TRUE(DecodeWait(task, members, World{}).has_value());
  task.blocked->args[1] = F_GETFL;
  EXPECT_FALSE(DecodeWait(task, members, World{}).has_value());
}

TEST(DecodeWait, TakesCloneForVforkOnlyByItsFlags) {
  Child child;
  child.pid = 8;
  child.inner_pid = 3;
  Census parent;
  parent.pid = 7;
  parent.inner_pid = 2;
  parent.children = {child};
  Census young;
  young.pid = 8;
  young.inner_pid = 3;
  const Members members = {{7, parent}, {8, young}};
  TaskSample task = Asleep('D', SYS_clone);
  task.pid = 7;

  EXPECT_FALSE(DecodeWait(task, members, World{}).has_value());
  task.blocked->args[0] = CLONE_VM | CLONE_VFORK;
  const std::optional<WaitEdge> edge = DecodeWait(task, members, World{});
  ASSERT_TRUE(edge.has_value());
  EXPECT_EQ(edge->needs.at(0).inner_pid, 3);
}

}  // namespace
}  // namespace ipclab::deadlock
