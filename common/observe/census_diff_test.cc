// What a process leaves behind, by name.

#include "common/observe/census_diff.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/observe/census.h"
#include "common/observe/census_names.h"
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

TEST(Leftovers, NameTheSameEndOfAnotherPipe) {
  const PipeEnds first = MakePipe(), second = MakePipe();

  EXPECT_THAT(LeftBy([&] { Must(dup2(second.read.get(), first.read.get())); }),
              ElementsAre("descriptor " + std::to_string(first.read.get()) +
                          " was replaced: was read end of pipe A, is read end of pipe B"));
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

TEST(Leftovers, DoNotNameAChildThatWasThereBefore) {
  pid_t child = 0;
  EXPECT_THAT(LeftBy([&] { child = ForkFrom([] { return pause(); }); },
                     [&] {
                       siginfo_t info;
                       Must(kill(child, SIGKILL));
                       Must(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT));
                     }),
              IsEmpty());
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

TEST(Leftovers, DoNotNameWhatLibrariesMapForThemselves) {
  const Fd file(Check(open("/usr/bin/env", O_RDONLY | O_CLOEXEC), "open /usr/bin/env"));

  EXPECT_THAT(LeftBy([&] {
                void* const at = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file.get(), 0);
                if (at == MAP_FAILED) _exit(96);
              }),
              IsEmpty());
}

TEST(Leftovers, NameAMappingThatTookTheOldOnesPlace) {
  constexpr int kAccess = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_SHARED | MAP_ANONYMOUS;
  void* const memory = mmap(nullptr, 4096, kAccess, kFlags, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);

  EXPECT_THAT(LeftBy([&] {
                if (mmap(memory, 4096, kAccess, kFlags | MAP_FIXED, -1, 0) != memory) _exit(96);
              }),
              ElementsAre("mapping of shared anonymous memory, 4096 bytes, is still mapped",
                          "mapping of shared anonymous memory, 4096 bytes, was unmapped although "
                          "it belonged to the caller"));
  EXPECT_EQ(munmap(memory, 4096), 0);
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

TEST(Leftovers, NameChangedRightsOfAMapping) {
  void* const memory =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);

  EXPECT_THAT(LeftBy([&] { Must(mprotect(memory, 4096, PROT_READ)); }),
              ElementsAre("mapping of shared anonymous memory, 4096 bytes, has other rights now: "
                          "r--s"));
  EXPECT_EQ(munmap(memory, 4096), 0);
}

TEST(Leftovers, NameAnotherPartOfTheFileInTheOldOnesPlace) {
  const Directory directory;
  const Fd file = Create(directory / "data");
  Check(ftruncate(file.get(), 8192), "ftruncate");
  void* const memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);

  const std::string name = "mapping of " + (directory / "data");
  EXPECT_THAT(LeftBy([&] {
                void* const now =
                    mmap(memory, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, file.get(), 4096);
                if (now != memory) _exit(96);
              }),
              ElementsAre(name + " from offset 4096, 4096 bytes, r--s, is still mapped",
                          name + ", 4096 bytes, r--s, was unmapped although it belonged to the "
                                 "caller"));
  EXPECT_EQ(munmap(memory, 4096), 0);
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
  const auto make_timer = [] {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR2;
    timer_t timer;
    Must(timer_create(CLOCK_MONOTONIC, &event, &timer));
  };

  EXPECT_THAT(LeftBy(make_timer), ElementsAre("POSIX timer 0 (SIGUSR2) was not deleted"));
  EXPECT_THAT(LeftBy(make_timer, [] {}), IsEmpty());
}

TEST(Leftovers, AreNoneBetweenACensusAndItself) {
  const Census census = TakeCensus(getpid());
  ObjectNames names;
  EXPECT_THAT(Leftovers(census, census, names), IsEmpty());
}

}  // namespace
}  // namespace ipclab
