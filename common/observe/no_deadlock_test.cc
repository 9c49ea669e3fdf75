// Processes that will go on, or may: the proof must never call them deadlocked.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/observe/blocked.h"
#include "common/observe/deadlock.h"
#include "common/observe/poll.h"
#include "common/observe/testing/directory.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/gate.h"
#include "common/observe/testing/world.h"

namespace ipclab {
namespace {

constexpr char kNone[] = "no deadlock";
constexpr timespec kHour = {3600, 0};

// The answer once the process sleeps in one of `calls`.
std::string AnswerWhenBlockedIn(const Forked& process, const std::set<long>& calls) {
  if (!WaitUntilBlockedIn(process.pid(), calls)) return "it never slept in that call";
  return DeadlockNow(WorldOf(process.pid()));
}

// A process that would be deadlocked if nothing else were the case.
int ReadOwnPipe() {
  StartAfresh();
  return ReadByte(OpenPipe().read_end);
}

TEST(NoDeadlock, WithoutProcesses) { EXPECT_EQ(DeadlockNow(World{}), kNone); }

TEST(NoDeadlock, InAProcessThatHasEnded) {
  const Forked process([] { return 0; });
  ASSERT_TRUE(PollUntil([&] { return ReadStatus(process.pid())->ended(); }));

  EXPECT_EQ(DeadlockNow({.processes = {process.pid()}}), kNone);
}

TEST(NoDeadlock, WhileAProcessComputes) {
  const Forked process([] {
    const std::atomic<bool> stop = false;
    ForkFrom([] { return ReadOwnPipe(); });
    while (!stop) {
    }
    return 0;
  });
  ASSERT_TRUE(PollUntil([&] { return ProcessTree(process.pid()).size() == 2; }));

  EXPECT_EQ(DeadlockNow(WorldOf(process.pid())), kNone);
}

TEST(NoDeadlock, WhileAProcessSleepsForATime) {
  const Forked process([] {
    ForkFrom([] { return ReadOwnPipe(); });
    return nanosleep(&kHour, nullptr);
  });

  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_nanosleep, SYS_clock_nanosleep}), kNone);
}

TEST(NoDeadlock, InPollWithATimeout) {
  const Forked process([] {
    StartAfresh();
    pollfd entry = {OpenPipe().read_end, POLLIN, 0};
    return poll(&entry, 1, 3'600'000);
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_poll, SYS_ppoll}), kNone);
}

TEST(NoDeadlock, InPpollWithATimeout) {
  const Forked process([] { return ppoll(nullptr, 0, &kHour, nullptr); });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_ppoll}), kNone);
}

TEST(NoDeadlock, InSelectWithATimeout) {
  const Forked process([] {
    timeval hour = {3600, 0};
    return select(0, nullptr, nullptr, nullptr, &hour);
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_select, SYS_pselect6}), kNone);
}

TEST(NoDeadlock, InSigtimedwaitWithATimeout) {
  const Forked process([] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return sigtimedwait(&set, nullptr, &kHour);
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_rt_sigtimedwait}), kNone);
}

TEST(NoDeadlock, InSemtimedopWithATimeout) {
  const int id = Check(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600), "semget");
  const Forked process([&] {
    sembuf take = {0, -1, 0};
    return semtimedop(id, &take, 1, &kHour);
  });
  const std::string answer = AnswerWhenBlockedIn(process, {SYS_semtimedop});
  EXPECT_EQ(semctl(id, 0, IPC_RMID), 0);
  EXPECT_EQ(answer, kNone);
}

TEST(NoDeadlock, WithAnAlarmThatTheTracerSaw) {
  const Forked process([] { return ReadOwnPipe(); });
  ASSERT_TRUE(WaitUntilBlockedIn(process.pid(), {SYS_read}));
  World world = WorldOf(process.pid());
  ASSERT_NE(DeadlockNow(world), kNone);

  world.armed = {process.pid()};

  EXPECT_EQ(DeadlockNow(world), kNone);
}

TEST(NoDeadlock, WithATimerOfPosix) {
  const Forked process([] {
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, nullptr, &timer) != 0) return 1;
    return ReadOwnPipe();
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

TEST(NoDeadlock, WithAnArmedTimerDescriptor) {
  const Forked process([] {
    StartAfresh();
    const itimerspec hour = {{0, 0}, {3600, 0}};
    const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    if (timerfd_settime(timer, 0, &hour, nullptr) != 0) return 1;
    std::uint64_t expirations;
    return static_cast<int>(read(timer, &expirations, sizeof(expirations)));
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

TEST(NoDeadlock, WhenTheGraderHoldsAThread) {
  const Forked process([] { return ReadOwnPipe(); });
  ASSERT_TRUE(WaitUntilBlockedIn(process.pid(), {SYS_read}));
  World world = WorldOf(process.pid());

  world.held = {process.pid()};

  EXPECT_EQ(DeadlockNow(world), kNone);
}

TEST(NoDeadlock, WhenASignalIsOnItsWayThroughTheTracer) {
  const Forked process([] { return ReadOwnPipe(); });
  ASSERT_TRUE(WaitUntilBlockedIn(process.pid(), {SYS_read}));
  Check(ptrace(PTRACE_SEIZE, process.pid(), nullptr, nullptr), "ptrace(PTRACE_SEIZE)");
  Check(kill(process.pid(), SIGUSR1), "kill");
  ASSERT_TRUE(PollUntil([&] { return ReadStatus(process.pid())->state == 't'; }));

  EXPECT_EQ(DeadlockNow(WorldOf(process.pid())), kNone);
}

TEST(NoDeadlock, WhenTheTracerHasNotYetLetAnEndedChildGo) {
  const Gate gate;
  const Forked parent([&] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    ForkFrom([&] { return gate.Wait(), 0; });
    return sigwaitinfo(&set, nullptr);
  });
  ASSERT_TRUE(WaitUntilBlockedIn(parent.pid(), {SYS_rt_sigtimedwait}));
  const pid_t child = ChildrenOf(parent.pid()).at(0);
  Check(ptrace(PTRACE_SEIZE, child, nullptr, nullptr), "ptrace(PTRACE_SEIZE)");
  gate.Open();
  ASSERT_TRUE(PollUntil([&] { return ReadStatus(child)->ended(); }));

  EXPECT_EQ(DeadlockNow({.processes = {parent.pid(), child}}), kNone);
  EXPECT_EQ(DeadlockNow({.processes = {parent.pid()}}), kNone);
}

TEST(NoDeadlock, InAWriterWhoseReaderIsTheGrader) {
  const Forked process([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    while (WriteByte(pipe.write_end) == 0) {
    }
    return 0;
  });
  ASSERT_TRUE(WaitUntilBlockedIn(process.pid(), {SYS_write}));
  World world = WorldOf(process.pid());
  const std::vector<Descriptor> open = DescriptorsOf(process.pid());
  ASSERT_NE(DeadlockNow(world), kNone);

  world.served = {open.back().target};

  EXPECT_EQ(DeadlockNow(world), kNone);
}

TEST(NoDeadlock, WhenTheOtherEndIsHeldOutsideTheBox) {
  const PipeEnds pipe = MakePipe();
  const Forked process([&] {
    close(pipe.write.get());
    return ReadByte(pipe.read.get());
  });

  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

TEST(NoDeadlock, WhenAChildIsNotListed) {
  const Forked parent([] {
    ForkFrom([] { return ReadOwnPipe(); });
    return ReadOwnPipe();
  });
  ASSERT_TRUE(PollUntil([&] { return DeadlockNow(WorldOf(parent.pid())) != kNone; }));

  EXPECT_EQ(DeadlockNow({.processes = {parent.pid()}}), kNone);
}

TEST(NoDeadlock, OnASocketWithAReceiveTimeout) {
  const Forked process([] {
    StartAfresh();
    int ends[2];
    const timeval hour = {3600, 0};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof(hour)) != 0) {
      return 1;
    }
    return ReadByte(ends[0]);
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

TEST(NoDeadlock, OnASocketWhosePeerIsOutsideTheBox) {
  int ends[2];
  Check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
  const Fd ours(ends[0]), theirs(ends[1]);
  const Forked process([&] {
    close(ours.get());
    return ReadByte(theirs.get());
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

TEST(NoDeadlock, OnASocketOfTheNetwork) {
  const Forked process([] {
    StartAfresh();
    if (socket(AF_INET, SOCK_DGRAM, 0) != 3 || socket(AF_INET, SOCK_DGRAM, 0) != 4) return 1;
    return ReadByte(3);
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

TEST(NoDeadlock, WhenEpollWatchesADescriptorThatNowIsAnother) {
  const Forked process([] {
    StartAfresh();
    const RawPipe first = OpenPipe(), second = OpenPipe();
    const int epoll = epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, first.read_end, &event) != 0 || dup(first.read_end) < 0 ||
        dup2(second.read_end, first.read_end) < 0) {
      return 1;
    }
    return epoll_wait(epoll, &event, 1, -1);
  });
  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_epoll_wait, SYS_epoll_pwait}), kNone);
}

// The kernel takes a lease away after a time.
TEST(NoDeadlock, WhenAFileIsLeasedToSomebodyElse) {
  const Directory directory;
  const std::string path = directory / "leased";
  const Forked process([&] {
    signal(SIGIO, SIG_IGN);
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file == -1 || fcntl(file, F_SETLEASE, F_WRLCK) != 0) return 1;
    ForkFrom([&] {
      close(file);
      return open(path.c_str(), O_RDONLY);
    });
    return pause();
  });
  std::vector<pid_t> tree;
  ASSERT_TRUE(PollUntil([&] { return (tree = ProcessTree(process.pid())).size() != 1; }));
  if (tree.empty()) GTEST_SKIP() << "this file system grants no leases";
  ASSERT_TRUE(WaitUntilBlockedIn(tree.at(0), {SYS_pause, SYS_ppoll}));
  ASSERT_TRUE(WaitUntilBlockedIn(tree.at(1), {SYS_openat}));

  EXPECT_EQ(DeadlockNow(WorldOf(process.pid())), kNone);
}

TEST(NoDeadlock, OnATerminal) {
  const Fd terminal(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal) GTEST_SKIP() << "no pseudo-terminal here: " << DescribeErrno(errno);
  const Forked process([&] { return ReadByte(terminal.get()); });

  EXPECT_EQ(AnswerWhenBlockedIn(process, {SYS_read}), kNone);
}

}  // namespace
}  // namespace ipclab
