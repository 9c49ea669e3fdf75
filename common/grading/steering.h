// How a check brings its box into a state: it waits for it, never for a time.
//
//   const int exit = HoldExit(box, 0);
//   Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}});
//   EXPECT_TRUE(SomebodyComesTo(box, exit));
//   EXPECT_TRUE(Waits(box, sender, "for its child"));
//   EXPECT_TRUE(Interrupt(box, sender, SIGUSR1));
//   box.Release(exit);
//
// What cannot come any more fails with the reason.

#ifndef IPCLAB_COMMON_GRADING_STEERING_H_
#define IPCLAB_COMMON_GRADING_STEERING_H_

#include <functional>
#include <string>
#include <vector>

#include "common/grading/exercise.h"

namespace ipclab {

// Where a process may sleep while it waits for another. A poll that a signal touched shows as
// restart_syscall.
inline const std::vector<Family> kWaits = {Family::kWait, Family::kPoll,  Family::kSignalWait,
                                           Family::kRead, Family::kFutex, Family::kRestart};

// True if all threads of the box that no rule holds slept in a call at one moment: see deadlock.h.
// Also while somebody sleeps for a time, be it ever so short.
bool AtRest(const Sandbox& box);

// True if they slept in calls that no time ends: nobody moves until the check does something.
bool RestsForGood(const Sandbox& box);

// Serves the box until `done` holds; if that cannot come any more, says why.
testing::AssertionResult Comes(Sandbox& box, const std::function<bool()>& done);

// Serves the box until nothing moves any more.
[[nodiscard]] testing::AssertionResult ComesToRest(Sandbox& box);

// Serves the box until the rule holds somebody, or nothing moves any more.
[[nodiscard]] testing::AssertionResult SomebodyComesTo(Sandbox& box, int rule);

// Serves the box until the rule of HoldAtStores holds its process before a store; false once that
// has left the function, or sleeps for good.
[[nodiscard]] bool ReachesStore(Sandbox& box, int rule);

// True if the helper sleeps in futex(2) where any process that shares the memory can wake it.
// Without PTHREAD_PROCESS_SHARED, and in std::atomic, only threads of its own process can.
[[nodiscard]] testing::AssertionResult OthersCanWake(const Helper& helper);

// Serves the box until the helper sleeps.
[[nodiscard]] testing::AssertionResult Waits(Sandbox& box, Helper& helper,
                                             const std::string& for_what);

// Sends a signal to the helper, and serves the box until it has broken off the call that the helper
// sleeps in.
[[nodiscard]] testing::AssertionResult Interrupt(Sandbox& box, Helper& helper, int signal);

// Serves the box until the process has ended.
[[nodiscard]] testing::AssertionResult WaitUntilEnded(Sandbox& box, pid_t pid);

// Read better in some sentences.
inline constexpr auto& Ends = WaitUntilEnded;
inline constexpr auto& IsInterrupted = Interrupt;

// Holds whoever comes to the n-th Gate() of around.h outside of the student's functions. The box
// must watch Family::kSignalSend.
int HoldAtGate(Sandbox& box, int nth = 1);

// The same, in a student's function or outside of one.
int HoldAtAnyGate(Sandbox& box, int nth = 1);

// Serves the box until the rule holds the helper; fails if it never comes so far.
[[nodiscard]] testing::AssertionResult ComesTo(Sandbox& box, const Helper& helper, int rule);

// Holds whoever runs `program`, as it exits.
int HoldExitOf(Sandbox& box, const std::string& program);

// Holds whoever exits with `code`, as it exits.
int HoldExit(Sandbox& box, int code);

// The calls of these families that `caller` itself makes in a student's function fail from the
// `nth` on, whichever family each of them is of.
void FailFrom(Sandbox& box, const Helper& caller, const std::vector<Family>& families, int nth,
              int error);

// For rules: calls that the helper itself makes in a student's function, or that processes make
// which were born in one.
std::function<bool(const Event&)> InCaller(const Sandbox& box);
std::function<bool(const Event&)> InChildren(const Sandbox& box);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_STEERING_H_
