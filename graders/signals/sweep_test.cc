// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. In a storm of signals it comes to the same end as without.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/grading/around.h"
#include "common/sandbox/helper.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using namespace signals;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kPipe,       Family::kOpen,  Family::kRead,
                                      Family::kWrite,      Family::kPoll,  Family::kWait,
                                      Family::kSignalWait, Family::kFutex, Family::kMap};

void ExpectSound(const std::string& helper, const std::vector<Family>& watched = kWatched) {
  ipclab::ExpectSound(helper, {.watch = watched});
}

// Exercises 1 and 2 make no call that fails without a fault of its caller.

HELPER(SweepsInsideHandlers) {
  const int inside[] = {SIGUSR2, SIGUSR1};
  const int queued[] = {SIGRTMIN + 1, SIGRTMIN};
  const int values[] = {1, 2};
  Ev log[20];
  int out[2];
  bool good = STUDENT(nest_log)(SIGUSR1, SIGUSR2, inside, 2, log, 20) == 6;
  good &= STUDENT(deliveries)(SIGRTMIN, 3) == 3;
  good &= STUDENT(rt_order)(queued, values, 2, out) == 2;
  return good ? 0 : 1;
}

TEST(ErrorSweep, InsideHandlers) { ExpectSound("SweepsInsideHandlers"); }

HELPER(SweepsDefaultAction) {
  Act act;
  bool good = STUDENT(default_action)(SIGTERM, &act) == 0;
  good &= STUDENT(default_action)(SIGTSTP, &act) == 0;
  good &= STUDENT(default_action)(SIGCONT, &act) == 0;
  return good ? 0 : 1;
}

TEST(ErrorSweep, DefaultAction) { ExpectSound("SweepsDefaultAction"); }

// Who ignores SIGCHLD is told of no child how it ended. Afterwards it is ignored as before.
HELPER(SweepsDefaultActionWhereStatusesAreLost) {
  if (signal(SIGCHLD, SIG_IGN) == SIG_ERR) return 1;
  Act act;
  const bool good = STUDENT(default_action)(SIGTERM, &act) == 0 && act == Act::kTerm;
  return signal(SIGCHLD, SIG_DFL) == SIG_IGN && good ? 0 : 1;
}

TEST(ErrorSweep, DefaultActionWhereStatusesAreLost) {
  ExpectSound("SweepsDefaultActionWhereStatusesAreLost");
}

void SleepForEver() {
  for (;;) pause();
}

pid_t StartMember(pid_t group, bool deaf) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (deaf) signal(SIGTERM, SIG_IGN);
    SleepForEver();
  }
  setpgid(pid, group);
  return pid;
}

HELPER(SweepsStopGroup) {
  const pid_t group = StartMember(0, false);
  StartMember(group, true);
  const bool good = STUDENT(stop_group)(group, 20) == 2;
  kill(-group, SIGKILL);
  while (waitpid(-group, nullptr, 0) > 0) {
  }
  return good ? 0 : 1;
}

TEST(ErrorSweep, StopGroup) { ExpectSound("SweepsStopGroup"); }

// ---- Exercises 5 to 8 ---------------------------------------------------------------------------

// What a program does while it is loaded is not of interest.
const std::vector<Family> kWaitsOnly = {Family::kPoll, Family::kWait, Family::kSignalWait};

int ExitsWithTwo(void*) { return 2; }

HELPER(SweepsReaper) {
  if (STUDENT(reaper_start)() != 0) return 1;
  const pid_t child = STUDENT(reaper_spawn)(ExitsWithTwo, nullptr);
  Done done = {-1, -1};
  const bool stored = child > 0 && STUDENT(reaper_wait)(&done, 1, -1) == 1;
  const bool stopped = STUDENT(reaper_stop)() == 0;
  // A child that was not stored is the caller's own by now.
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  return stored && stopped && done.status == 2 << 8 ? 0 : 2;
}

TEST(ErrorSweep, Reaper) { ExpectSound("SweepsReaper"); }

HELPER(SweepsTurns) {
  if (STUDENT(turns_init)() != 0) return 1;
  bool good = STUDENT(tell_parent)(getpid()) == 0;
  good &= STUDENT(wait_child)(-1) == 0;
  good &= STUDENT(tell_child)(getpid()) == 0;
  good &= STUDENT(wait_parent)(10'000) == 0;
  return STUDENT(turns_end)() == 0 && good ? 0 : 2;
}

TEST(ErrorSweep, Turns) { ExpectSound("SweepsTurns"); }

void CountTick(void* count) { ++*static_cast<int*>(count); }

// my_alarm and my_sleep have no way to report an error.
HELPER(SweepsEvery) {
  int count = 0;
  return STUDENT(every)(1000, 3, CountTick, &count) == 0 && count == 3 ? 0 : 1;
}

TEST(ErrorSweep, Every) { ExpectSound("SweepsEvery"); }

// Into a pipe with room for three numbers, so that there are few calls to fail.
HELPER(SweepsCountFor) {
  PipeEnds line = MakeSmallPipe();
  const int room = CapacityOf(line.write.get()) - 6;
  WriteHere(line.write.get(), std::string(static_cast<std::size_t>(room), 'f'));
  Counted counted{};
  return STUDENT(count_for)(line.write.get(), 40, &counted) == 0 && counted.with_output == 3 ? 0
                                                                                             : 1;
}

TEST(ErrorSweep, CountFor) { ExpectSound("SweepsCountFor"); }

HELPER(SweepsRunLimited) {
  const char* const leads[] = {"leads", "7", nullptr};
  int status = 0;
  Times times{};
  return STUDENT(run_limited)(leads, 60'000, 1, &status, &times) == 0 && status == 7 << 8 ? 0 : 1;
}

TEST(ErrorSweep, RunLimited) { ExpectSound("SweepsRunLimited", kWaitsOnly); }

HELPER(SweepsRunLimitedToTheEnd) {
  const char* const waits[] = {"waits", nullptr};
  int status = 0;
  Times times{};
  return STUDENT(run_limited)(waits, 5, 60'000, &status, &times) == -1 ? 0 : 1;
}

TEST(ErrorSweep, RunLimitedToTheEnd) { ExpectSound("SweepsRunLimitedToTheEnd", kWaitsOnly); }

}  // namespace
}  // namespace ipclab
