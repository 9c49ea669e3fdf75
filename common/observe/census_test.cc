#include "common/observe/census.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/observe/census_names.h"
#include "common/observe/poll.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/gate.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Descriptors, ShowBothEndsOfAPipeWithTheirFlags) {
  int ends[2];
  Check(pipe2(ends, O_NONBLOCK), "pipe2");
  const Fd read_end(ends[0]), write_end(ends[1]);
  Check(fcntl(write_end.get(), F_SETFD, FD_CLOEXEC), "fcntl");

  const Census census = TakeCensus(getpid(), kDescriptors);

  const Descriptor* const reader = census.Find(ends[0]);
  const Descriptor* const writer = census.Find(ends[1]);
  ASSERT_NE(reader, nullptr);
  ASSERT_NE(writer, nullptr);
  EXPECT_TRUE(reader->SameObject(*writer));
  EXPECT_THAT(reader->target, testing::StartsWith("pipe:["));
  EXPECT_TRUE(reader->Readable() && !reader->Writable());
  EXPECT_TRUE(writer->Writable() && !writer->Readable());
  EXPECT_EQ(reader->status_flags, O_NONBLOCK);
  EXPECT_FALSE(reader->close_on_exec);
  EXPECT_TRUE(writer->close_on_exec);
  EXPECT_TRUE(reader->IsPipe());
}

TEST(Descriptors, ShowWhetherATimerIsArmed) {
  const Fd timer(Check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create"));
  EXPECT_FALSE(TakeCensus(getpid(), kDescriptors).Find(timer.get())->armed_timer);

  itimerspec hour{};
  hour.it_value.tv_sec = 3600;
  Check(timerfd_settime(timer.get(), 0, &hour, nullptr), "timerfd_settime");

  EXPECT_TRUE(TakeCensus(getpid(), kDescriptors).Find(timer.get())->armed_timer);
}

TEST(Descriptors, AreOfTheSameObjectOnlyIfKindAndInodeAgree) {
  Descriptor fifo;
  fifo.target = "/tmp/calls";
  fifo.inode = 7;
  Descriptor other = fifo;
  EXPECT_TRUE(fifo.SameObject(other));

  // Removed and made again under the same name.
  other.inode = 8;
  EXPECT_FALSE(fifo.SameObject(other));
  // All anonymous inodes have one number.
  other = fifo;
  other.target = "anon_inode:[eventfd]";
  EXPECT_FALSE(fifo.SameObject(other));
  other = fifo;
  other.device = 1;
  EXPECT_FALSE(fifo.SameObject(other));
}

TEST(Census, OfAnEndedProcessSaysThatItHasEnded) {
  const Forked child([] { return 0; });
  ASSERT_TRUE(PollUntil([&] { return TakeCensus(child.pid(), 0).ended(); }));

  const Census zombie = TakeCensus(child.pid());

  EXPECT_EQ(zombie.state, 'Z');
  EXPECT_EQ(zombie.parent, getpid());
  EXPECT_THAT(zombie.descriptors, IsEmpty());
}

TEST(Census, OfAProcessThatIsGoneIsEmpty) {
  Forked child([] { return 0; });
  child.Wait();

  const Census gone = TakeCensus(child.pid());

  EXPECT_EQ(gone.state, 'X');
  EXPECT_THAT(gone.children, IsEmpty());
}

TEST(Census, WhileProcessesEndNeverThrows) {
  for (int i = 0; i < 50; ++i) {
    const Forked child([] { return 0; });
    while (!TakeCensus(child.pid()).ended()) {
    }
  }
}

TEST(Census, FindsGrandchildrenInTheProcessTree) {
  const Gate gate;
  const Forked child([&] {
    ForkFrom([&] { return gate.Wait(), 0; });
    gate.Wait();
    return 0;
  });
  ASSERT_TRUE(gate.HasArrived(child.pid()));

  const std::vector<pid_t> tree = ProcessTree(child.pid());

  ASSERT_EQ(tree.size(), 2u);
  EXPECT_EQ(tree[0], child.pid());
  EXPECT_EQ(TakeCensus(tree[1], 0).parent, child.pid());
}

TEST(ObjectNames, KeepOneLetterForEachPipe) {
  ObjectNames names;
  EXPECT_EQ(names.Of("pipe:[11]"), "pipe A");
  EXPECT_EQ(names.Of("pipe:[12]"), "pipe B");
  EXPECT_EQ(names.Of("socket:[13]"), "socket A");
  EXPECT_EQ(names.Of("pipe:[11]"), "pipe A");
}

TEST(ObjectNames, GoOnAfterZ) {
  ObjectNames names;
  for (int i = 0; i < 26; ++i) names.Of("pipe:[" + std::to_string(i) + "]");
  EXPECT_EQ(names.Of("pipe:[26]"), "pipe AA");
  EXPECT_EQ(names.Of("pipe:[25]"), "pipe Z");
}

TEST(ObjectNames, MakePathsPrintable) {
  ObjectNames names;
  EXPECT_EQ(names.Of("/tmp/\x1b[2J"), "/tmp/\\x1b[2J");
  EXPECT_EQ(names.Of("anon_inode:[eventfd]"), "[eventfd]");
}

TEST(Status, IsParsedWithTheInnermostIds) {
  const Status status = ParseStatus(
      "Name:\tstage\nState:\tS (sleeping)\nTgid:\t4711\nPid:\t4712\nPPid:\t40\n"
      "NStgid:\t4711\t3\nNSpid:\t4712\t4\nThreads:\t2\nSigPnd:\t0000000000001000\n"
      "ShdPnd:\t0000000000000200\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n");

  EXPECT_EQ(status.name, "stage");
  EXPECT_EQ(status.state, 'S');
  EXPECT_EQ(status.pid, 4711);
  EXPECT_EQ(status.inner_pid, 3);
  EXPECT_EQ(status.inner_tid, 4);
  EXPECT_EQ(status.signals.pending.Names(), "SIGUSR1 and SIGPIPE");
  EXPECT_EQ(status.voluntary_switches, 7u);
  EXPECT_EQ(status.involuntary_switches, 2u);
}

TEST(BlockedCall, IsParsedWithItsArguments) {
  const auto blocked = ParseBlocked("0 0x3 0x7ff8 0x20000 0x1 0xffffffffffffffff 0x0 0x7f 0x7e\n");
  ASSERT_TRUE(blocked.has_value());
  EXPECT_EQ(blocked->call, 0);
  EXPECT_THAT(blocked->args, ElementsAre(3, 0x7ff8, 0x20000, 1, ~0ull, 0));
}

TEST(BlockedCall, IsNothingForARunningThread) {
  EXPECT_FALSE(ParseBlocked("running\n").has_value());
  EXPECT_FALSE(ParseBlocked("-1 0x7ffc 0x7ff8\n").has_value());
  EXPECT_FALSE(ParseBlocked("").has_value());
  const Forked spinner([] {
    const std::atomic<bool> stop = false;
    while (!stop) {
    }
    return 0;
  });
  EXPECT_FALSE(BlockedCall(spinner.pid()).has_value());
}

}  // namespace
}  // namespace ipclab
