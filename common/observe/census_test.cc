#include "common/observe/census.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/observe/census_diff.h"
#include "common/observe/census_names.h"
#include "common/observe/poll.h"
#include "common/observe/testing/directory.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/gate.h"

namespace ipclab {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// What `action`, run in a child that has run `preparation`, leaves behind there.
std::vector<std::string> LeftBy(const std::function<void()>& preparation,
                                const std::function<void()>& action) {
  const Gate before_it, after_it;
  const Forked child([&] {
    preparation();
    before_it.Wait();
    action();
    after_it.Wait();
    return 0;
  });
  if (!before_it.HasArrived(child.pid())) return {"the child did not reach the first gate"};
  const Census before = TakeCensus(child.pid());
  before_it.Open();
  if (!after_it.HasArrived(child.pid())) return {"the child did not reach the second gate"};
  ObjectNames names;
  return Leftovers(before, TakeCensus(child.pid()), names);
}

std::vector<std::string> LeftBy(const std::function<void()>& action) {
  return LeftBy([] {}, action);
}

// In a child of a test: a step that fails shows as a missing gate.
void Must(long result) {
  if (result == -1) _exit(97);
}

Fd Create(const std::string& path) {
  return Fd(Check(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open " + path));
}

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

TEST(Leftovers, AreNoneAfterATidyCall) {
  EXPECT_THAT(LeftBy([] {
                const PipeEnds pipe = MakePipe();
                const pid_t child = ForkFrom([] { return 0; });
                Must(waitpid(child, nullptr, 0));
                free(malloc(1 << 22));
              }),
              IsEmpty());
}

TEST(Leftovers, DoNotCountMemoryOfMalloc) {
  EXPECT_THAT(LeftBy([] {
                volatile char* const block = static_cast<char*>(malloc(1 << 24));
                block[0] = 1;
              }),
              IsEmpty());
}

TEST(Leftovers, NameAnOpenPipe) {
  const std::vector<std::string> left = LeftBy([] {
    int ends[2];
    Must(pipe(ends));
  });

  ASSERT_EQ(left.size(), 2u);
  EXPECT_THAT(left[0],
              testing::MatchesRegex("descriptor [0-9]+, read end of pipe A, is still open"));
  EXPECT_THAT(left[1],
              testing::MatchesRegex("descriptor [0-9]+, write end of pipe A, is still open"));
}

TEST(Leftovers, NameAnOpenFileByItsPath) {
  const Directory directory;
  const std::string path = directory / "notes";

  EXPECT_THAT(LeftBy([&] { Must(Create(path).Release()); }),
              ElementsAre(testing::EndsWith(", " + path +
                                            " (open for reading and writing), is still open")));
}

TEST(Leftovers, NameADescriptorOfTheCallerThatWasClosed) {
  const PipeEnds pipe = MakePipe();

  EXPECT_THAT(LeftBy([&] { Must(close(pipe.write.get())); }),
              ElementsAre("descriptor " + std::to_string(pipe.write.get()) +
                          ", write end of pipe A, was closed although it belonged to the caller"));
}

TEST(Leftovers, NameADescriptorThatWasReplaced) {
  const PipeEnds pipe = MakePipe();

  EXPECT_THAT(LeftBy([&] { Must(dup2(pipe.write.get(), pipe.read.get())); }),
              ElementsAre("descriptor " + std::to_string(pipe.read.get()) +
                          " was replaced: was read end of pipe A, is write end of pipe A"));
}

TEST(Leftovers, NameFlagsThatWereChanged) {
  const PipeEnds pipe = MakePipe();
  const std::string number = std::to_string(pipe.read.get());

  EXPECT_THAT(LeftBy([&] {
                Must(fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK));
                Must(fcntl(pipe.read.get(), F_SETFD, 0));
              }),
              ElementsAre("descriptor " + number + "'s O_NONBLOCK was changed: was clear, is set",
                          "descriptor " + number + "'s FD_CLOEXEC was changed: was set, is clear"));
}

TEST(Leftovers, NameAZombie) {
  EXPECT_THAT(LeftBy([] {
                const pid_t child = ForkFrom([] { return 0; });
                siginfo_t info;
                Must(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT));
              }),
              ElementsAre(testing::MatchesRegex("zombie child [0-9]+ .not waited for.")));
}

TEST(Leftovers, NameAChildThatRunsAndWhatItIsBlockedIn) {
  EXPECT_THAT(LeftBy([] {
                const PipeEnds pipe = MakePipe();
                const pid_t child = ForkFrom([&] {
                  char byte;
                  return static_cast<int>(read(pipe.read.get(), &byte, 1));
                });
                if (!WaitUntilBlockedIn(child, {SYS_read})) _exit(96);
              }),
              ElementsAre(testing::MatchesRegex("child [0-9]+ still running .blocked in read.")));
}

TEST(Leftovers, NameAStoppedChild) {
  EXPECT_THAT(LeftBy([] {
                const pid_t child = ForkFrom([] { return raise(SIGSTOP); });
                siginfo_t info;
                Must(waitid(P_PID, static_cast<id_t>(child), &info, WSTOPPED | WNOWAIT));
              }),
              ElementsAre(testing::MatchesRegex("child [0-9]+ still there .stopped.")));
}

TEST(Leftovers, NameAThread) {
  const Gate gate;
  EXPECT_THAT(LeftBy([&] { std::thread([&] { gate.Wait(); }).detach(); }),
              Contains("1 thread still running"));
}

TEST(Leftovers, NameSharedMappings) {
  const Directory directory;
  const Fd file = Create(directory / "data");
  Check(ftruncate(file.get(), 8192), "ftruncate");
  const auto map = [](std::size_t size, int flags, int fd) {
    if (mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED) _exit(96);
  };

  EXPECT_THAT(LeftBy([&] { map(8192, MAP_SHARED | MAP_ANONYMOUS, -1); }),
              ElementsAre("mapping of shared anonymous memory, 8192 bytes, is still mapped"));
  EXPECT_THAT(
      LeftBy([&] { map(4096, MAP_SHARED, file.get()); }),
      ElementsAre("mapping of " + (directory / "data") + ", 4096 bytes, rw-s, is still mapped"));
  EXPECT_THAT(
      LeftBy([&] { map(4096, MAP_PRIVATE, file.get()); }),
      ElementsAre("mapping of " + (directory / "data") + ", 4096 bytes, rw-p, is still mapped"));
}

TEST(Leftovers, NameThePartOfAMappingThatWasTakenAway) {
  void* const memory =
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);

  EXPECT_THAT(LeftBy([&] { Must(munmap(memory, 4096)); }),
              ElementsAre("mapping of shared anonymous memory, 4096 bytes, was unmapped although "
                          "it belonged to the caller"));
  EXPECT_EQ(munmap(memory, 8192), 0);
}

TEST(Leftovers, NameAnAttachedSegment) {
  const int id = Check(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), "shmget");
  const std::vector<std::string> left = LeftBy([&] {
    if (shmat(id, nullptr, 0) == reinterpret_cast<void*>(-1)) _exit(96);
  });
  EXPECT_EQ(shmctl(id, IPC_RMID, nullptr), 0);

  EXPECT_THAT(left, ElementsAre("System V segment id " + std::to_string(id) +
                                ", 4096 bytes, is still attached"));
}

TEST(Leftovers, NameSignalsThatAreIgnoredOrCaught) {
  EXPECT_THAT(LeftBy([] { signal(SIGPIPE, SIG_IGN); }),
              ElementsAre("signal action of SIGPIPE changed: was default, is ignored"));
  EXPECT_THAT(LeftBy([] { signal(SIGUSR1, SIG_IGN); }, [] { signal(SIGUSR1, [](int) {}); }),
              ElementsAre("signal action of SIGUSR1 changed: was ignored, is caught"));
}

TEST(Leftovers, NameBlockedAndPendingSignals) {
  const auto block_and_raise = [] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    Must(sigprocmask(SIG_BLOCK, &set, nullptr));
    Must(kill(getpid(), SIGPIPE));
  };

  EXPECT_THAT(LeftBy(block_and_raise),
              ElementsAre("signal mask: SIGPIPE is still blocked", "SIGPIPE is still pending"));
}

TEST(Leftovers, NameATimer) {
  EXPECT_THAT(LeftBy([] {
                sigevent event{};
                event.sigev_notify = SIGEV_SIGNAL;
                event.sigev_signo = SIGUSR2;
                timer_t timer;
                Must(timer_create(CLOCK_MONOTONIC, &event, &timer));
              }),
              ElementsAre("POSIX timer 0 (SIGUSR2) was not deleted"));
}

TEST(Leftovers, AreNoneBetweenACensusAndItself) {
  const Census census = TakeCensus(getpid());
  ObjectNames names;
  EXPECT_THAT(Leftovers(census, census, names), IsEmpty());
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
