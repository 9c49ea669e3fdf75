// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox/helper.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using namespace signals;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kPipe,       Family::kOpen,  Family::kRead,
                                      Family::kWrite,      Family::kPoll,  Family::kWait,
                                      Family::kSignalWait, Family::kFutex, Family::kMap};

void ExpectSound(const std::string& helper) {
  for (const std::string& fault : SweepErrors(helper, {.watch = kWatched})) ADD_FAILURE() << fault;
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
TEST(Storm, InsideHandlers) { EXPECT_EQ(RideOutStorm("SweepsInsideHandlers", {}), ""); }

HELPER(SweepsDefaultAction) {
  Act act;
  bool good = STUDENT(default_action)(SIGTERM, &act) == 0;
  good &= STUDENT(default_action)(SIGTSTP, &act) == 0;
  good &= STUDENT(default_action)(SIGCONT, &act) == 0;
  return good ? 0 : 1;
}

TEST(ErrorSweep, DefaultAction) { ExpectSound("SweepsDefaultAction"); }

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
TEST(Storm, StopGroup) { EXPECT_EQ(RideOutStorm("SweepsStopGroup", {}), ""); }

}  // namespace
}  // namespace ipclab
