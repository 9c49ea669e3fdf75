// Processes that can never go on, by the calls they wait in, and what the proof says about them.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "common/base/error.h"
#include "common/observe/blocked.h"
#include "common/observe/deadlock.h"
#include "common/observe/testing/directory.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/world.h"

namespace ipclab {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Deadlock, OfAParentOfVforkWhoseChildNeverExecs) {
  const Forked parent([] {
    const pid_t child = vfork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    return 0;
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 2 (child 2) waits in pause() for a signal. Process 1 (parent) waits in vfork() "
      "until its child (process 2) calls exec or ends. Nobody is left who could end this.");
}

TEST(Deadlock, OfVforkSaysNothingOfSignalsThatWait) {
  const Forked parent([] {
    signal(SIGUSR1, [](int) {});
    const pid_t child = vfork();
    if (child == 0) {
      pause();
      _exit(0);
    }
    return 0;
  });
  ASSERT_TRUE(WaitUntilBlockedIn(parent.pid(), {SYS_vfork, SYS_clone}));
  Check(kill(parent.pid(), SIGUSR1), "kill");

  EXPECT_THAT(ProvedDeadlock(parent.pid()), Not(HasSubstr("SIGUSR1")));
}

TEST(Deadlock, OfASpawnedChildThatOpensAFifoAlone) {
  const Directory directory;
  const std::string path = directory / "calls";
  Check(mkfifo(path.c_str(), 0600), "mkfifo");
  const Forked parent([&] {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, path.c_str(), O_RDONLY, 0);
    char name[] = "true";
    char* const argv[] = {name, nullptr};
    return posix_spawnp(nullptr, name, &actions, nullptr, argv, nullptr);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 2 (child 2) waits in open() to open the FIFO " + path +
                " for reading until another process opens it for writing. Process 1 (parent) waits "
                "in posix_spawn() until its child (process 2) calls exec or ends. Nobody is left "
                "who could end this.");
}

TEST(Deadlock, OfAPollBeforeTheFirstWriterOfAFifo) {
  const Directory directory;
  const std::string path = directory / "polled";
  Check(mkfifo(path.c_str(), 0600), "mkfifo");
  const Forked parent([&] {
    pollfd entry = {open(path.c_str(), O_RDONLY | O_NONBLOCK), POLLIN, 0};
    return poll(&entry, 1, -1);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              EndsWith("for bytes or end of file; the write end of " + path +
                       " is open nowhere. Nobody is left who could end this."));
}

TEST(Deadlock, OfASignalThatIsPendingButBlocked) {
  const Forked parent([] {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    kill(getpid(), SIGUSR1);
    return sigsuspend(&blocked);
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 1 (parent) waits in sigsuspend() for a signal; SIGUSR1 is pending but blocked. "
      "Nobody is left who could end this.");
}

TEST(Deadlock, OfAProcessThatWaitsForASignalNobodySends) {
  const Forked parent([] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    int signal = 0;
    return sigwait(&set, &signal);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              StartsWith("Process 1 (parent) waits in sigwait() for SIGUSR1 and SIGUSR2."));
}

TEST(Deadlock, OfAStoppedChild) {
  const Forked parent([] { return WaitForChild(ForkFrom([] { return raise(SIGSTOP); })); });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 2 (child 2) is stopped by a signal and waits for SIGCONT. Process 1 (parent) "
            "waits in wait4() for process 2. Nobody is left who could end this.");
}

TEST(Deadlock, OfPollWithoutTimeout) {
  const Forked parent([] {
    StartAfresh();
    pollfd entries[] = {{OpenPipe().read_end, POLLIN, 0}, {-1, POLLIN, 0}};
    return poll(entries, 2, -1);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              StartsWith("Process 1 (parent) waits in poll() on descriptor 3, pipe A, for bytes or "
                         "end of file; the write end of pipe A is still open in process 1 itself"));
}

TEST(Deadlock, OfSelectWithoutTimeout) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe first = OpenPipe(), second = OpenPipe();
    FillPipe(second.write_end);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(first.read_end, &readable);
    FD_SET(second.write_end, &writable);
    return select(second.write_end + 1, &readable, &writable, nullptr, nullptr);
  });

  const std::string text = ProvedDeadlock(parent.pid());
  EXPECT_THAT(text, StartsWith("Process 1 (parent) waits in select() on descriptor 3, pipe A, for "
                               "bytes"));
  EXPECT_THAT(text, HasSubstr(", or on descriptor 6, pipe B, for room"));
}

TEST(Deadlock, OfEpollWithoutTimeout) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    const int epoll = epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, pipe.read_end, &event) != 0) return 1;
    return epoll_wait(epoll, &event, 1, -1);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              StartsWith("Process 1 (parent) waits in epoll_wait() on descriptor 3, pipe A, for"));
}

TEST(Deadlock, OfSpliceNamesBothSides) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe from = OpenPipe(), to = OpenPipe();
    return static_cast<int>(splice(from.read_end, nullptr, to.write_end, nullptr, 1, 0));
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 1 (parent) waits in splice() on descriptor 3, pipe A, for bytes or end of file; "
      "the write end of pipe A is still open in process 1 itself (descriptor 4), so end of "
      "file can never come, or on descriptor 6, pipe B, for room; the read end of pipe B is "
      "still open in process 1 itself (descriptor 5), so nobody else will make room.");
}

TEST(Deadlock, OfSendfileIntoAFullPipe) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    const int file = open("/proc/self/exe", O_RDONLY);
    FillPipe(pipe.write_end);
    return static_cast<int>(sendfile(pipe.write_end, file, nullptr, 1));
  });

  EXPECT_THAT(
      ProvedDeadlock(parent.pid()),
      StartsWith("Process 1 (parent) waits in sendfile() on descriptor 4, pipe A, for room"));
}

TEST(Deadlock, OfSpliceWhoseInputHasEnded) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe from = OpenPipe(), to = OpenPipe();
    if (WriteByte(from.write_end) != 0) return 1;
    close(from.write_end);
    FillPipe(to.write_end);
    return static_cast<int>(splice(from.read_end, nullptr, to.write_end, nullptr, 1, 0));
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              StartsWith("Process 1 (parent) waits in splice() on descriptor 6, pipe A, for room"));
}

TEST(Deadlock, OfPollOnNothing) {
  const Forked parent([] { return poll(nullptr, 0, -1); });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              StartsWith("Process 1 (parent) waits in poll() for a signal."));
}

TEST(Deadlock, OfPollThatWasInterruptedByAStop) {
  const Forked parent([] {
    StartAfresh();
    pollfd entry = {OpenPipe().read_end, POLLIN, 0};
    return poll(&entry, 1, -1);
  });
  ASSERT_TRUE(WaitUntilBlockedIn(parent.pid(), {SYS_poll, SYS_ppoll}));
  World world = WorldOf(parent.pid());
  world.resumed[parent.pid()] = *BlockedCall(parent.pid());
  Check(kill(parent.pid(), SIGSTOP), "kill(SIGSTOP)");
  Check(waitpid(parent.pid(), nullptr, WUNTRACED), "waitpid");
  Check(kill(parent.pid(), SIGCONT), "kill(SIGCONT)");
  ASSERT_TRUE(WaitUntilBlockedIn(parent.pid(), {SYS_restart_syscall}));

  EXPECT_THAT(DeadlockNow(world), StartsWith("Process 1 (parent) waits in poll() on descriptor 3"));
  world.resumed.clear();
  EXPECT_EQ(DeadlockNow(world), "no deadlock");
}

TEST(Deadlock, OfATracedProcess) {
  const Forked parent([] {
    StartAfresh();
    return ReadByte(OpenPipe().read_end);
  });
  Check(ptrace(PTRACE_SEIZE, parent.pid(), nullptr, nullptr), "ptrace(PTRACE_SEIZE)");

  EXPECT_THAT(ProvedDeadlock(parent.pid()), StartsWith("Process 1 (parent) waits in read()"));
}

TEST(Deadlock, OfATracedProcessThatASignalStopped) {
  const Forked parent([] {
    StartAfresh();
    return ReadByte(OpenPipe().read_end);
  });
  ASSERT_TRUE(WaitUntilBlockedIn(parent.pid(), {SYS_read}));
  Check(ptrace(PTRACE_SEIZE, parent.pid(), nullptr, nullptr), "ptrace(PTRACE_SEIZE)");
  Check(kill(parent.pid(), SIGSTOP), "kill(SIGSTOP)");
  int status = 0;
  Check(waitpid(parent.pid(), &status, __WALL), "waitpid");
  Check(ptrace(PTRACE_CONT, parent.pid(), nullptr, SIGSTOP), "ptrace(PTRACE_CONT)");
  Check(waitpid(parent.pid(), &status, __WALL), "waitpid");
  ASSERT_EQ(status >> 16, PTRACE_EVENT_STOP);
  Check(ptrace(PTRACE_LISTEN, parent.pid(), nullptr, nullptr), "ptrace(PTRACE_LISTEN)");
  World world = WorldOf(parent.pid());
  EXPECT_EQ(DeadlockNow(world), "no deadlock");

  world.stopped = {parent.pid()};

  EXPECT_THAT(DeadlockNow(world),
              StartsWith("Process 1 (parent) is stopped by a signal and waits for SIGCONT."));
}

TEST(Deadlock, OfBothEndsOfASocketPair) {
  const Forked parent([] {
    StartAfresh();
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    ForkFrom([&] { return ReadByte(ends[0]); });
    return ReadByte(ends[1]);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 1 (parent) waits in read() on descriptor 4, socket A, for something to read. "
            "Process 2 (child 2) waits in read() on descriptor 3, socket B, for something to read. "
            "Nobody is left who could end this.");
}

TEST(Deadlock, OfAQueueThatNobodyFills) {
  const int id = Check(msgget(IPC_PRIVATE, IPC_CREAT | 0600), "msgget");
  const Forked parent([&] {
    struct {
      long type;
      char text[8];
    } message;
    return static_cast<int>(msgrcv(id, &message, sizeof(message.text), 5, 0));
  });

  const std::string text = ProvedDeadlock(parent.pid());
  EXPECT_EQ(msgctl(id, IPC_RMID, nullptr), 0);
  EXPECT_EQ(text, "Process 1 (parent) waits in msgrcv() for a message of type 5 in the queue id " +
                      std::to_string(id) + ". Nobody is left who could end this.");
}

TEST(Deadlock, OfSemaphoresThatNobodyPosts) {
  const int id = Check(semget(IPC_PRIVATE, 2, IPC_CREAT | 0600), "semget");
  const Forked parent([&] {
    sembuf operations[] = {{0, 0, 0}, {1, -2, 0}};
    return semop(id, operations, 2);
  });

  const std::string text = ProvedDeadlock(parent.pid());
  EXPECT_EQ(semctl(id, 0, IPC_RMID), 0);
  EXPECT_EQ(text,
            "Process 1 (parent) waits in semop() to see zero in semaphore 0 and take 2 from "
            "semaphore 1 of the set id " +
                std::to_string(id) + ". Nobody is left who could end this.");
}

TEST(Deadlock, OfAFileLockThatTheParentKeeps) {
  const Directory directory;
  const std::string path = directory / "lock";
  const Forked parent([&] {
    StartAfresh();
    const int file = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (file == -1 || flock(file, LOCK_EX) != 0) return 1;
    return WaitForChild(ForkFrom([&] {
      const int again = open(path.c_str(), O_RDWR);
      return flock(again, LOCK_EX);
    }));
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              StartsWith("Process 2 (child 2) waits in flock() for the lock on " + path +
                         ", descriptor 4."));
}

}  // namespace
}  // namespace ipclab
