// Proves that a box is deadlocked, and says who waits for whom.
//
//   World world{.processes = box.pids(), .served = {"pipe:[4711]"}, .name = ...};
//   if (const auto deadlock = FindDeadlock(world)) report(deadlock->Explain(names));
//
// Why a positive answer is sound. FindDeadlock() reads every thread of the box, then descriptors
// and arguments, then every thread again. /proc/TID/syscall shows a call only while the thread is
// off the CPU. A thread that shows the same call, state and context switch counts in both passes
// has not run in between: to show the second call it would have had to be switched out once more.
// So between the passes all threads slept at once, and what was read there held at one instant. If
// then
//   - no call has a timeout, no timer is armed and no unblocked signal is pending,
//   - nobody outside the box serves an object that a thread waits for,
//   - every call is one whose end only a process can bring (a call not known here proves nothing),
// then whoever would wake first would have to be woken by a thread that sleeps. No pause between
// the passes is needed, and no clock is read.
//
// The converse does not hold: nothing is also returned when something merely could not be read or
// decoded. Call again when the box is next at rest.

#ifndef IPCLAB_COMMON_OBSERVE_DEADLOCK_H_
#define IPCLAB_COMMON_OBSERVE_DEADLOCK_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/observe/blocked.h"
#include "common/observe/census_names.h"

namespace ipclab {

struct World {
  // All processes of the box but its trusted stage; zombies and ended ones do no harm. A child of
  // one of them that is missing here makes the answer "not proved".
  std::vector<pid_t> processes{};
  // Threads that the grader holds; a thread stopped by its tracer ('t') counts as held anyway.
  std::set<pid_t> held{};
  // Threads in a stop by SIGSTOP that the tracer lets stand (PTRACE_LISTEN), which show as 't' too.
  std::set<pid_t> stopped{};
  // Targets of descriptors ("pipe:[4711]") whose other end the grader reads or writes.
  std::set<std::string> served{};
  // Processes with an alarm or interval timer armed, which /proc does not show.
  std::set<pid_t> armed{};
  // The calls that threads in restart_syscall(2) go on with, which /proc does not tell: a signal
  // that was ignored, or a stop, turns poll() into that. Without its entry such a thread proves
  // nothing.
  std::map<pid_t, Blocked> resumed{};
  // What a process is, for messages: "Sends", "child of send_to_child"; may be empty.
  std::function<std::string(pid_t)> name{};
};

// A process as messages show it, by what getpid() gives inside.
struct Party {
  pid_t pid = 0;
  int inner_pid = 0;
  int inner_tid = 0;  // Differs from inner_pid in a thread that is not the first.
  std::string name;
};

// A descriptor that keeps a wait from ending.
struct Holder {
  Party party;
  int descriptor = -1;
};

// One thing that a call on descriptors waits for.
struct WaitObject {
  int descriptor = -1;          // Of the waiter.
  std::string target;           // For ObjectNames.
  bool pipe = false;            // A FIFO too.
  bool reads = false;           // Waits for something to read, else for room to write.
  bool full = false;            // A pipe known to be full.
  std::vector<Holder> holders;  // Of the other end of a pipe.
};

struct WaitEdge {
  Party waiter;
  std::string call;                 // "read", as the manual names it; empty if stopped by a signal.
  std::vector<WaitObject> objects;  // Of calls on descriptors.
  std::string aim;     // Of other calls: "for a signal"; a first % stands for those in `needs`.
  std::string remark;  // A fact beside it: "SIGUSR1 is pending but blocked".
  std::vector<Party> needs;  // Who alone could end the wait; empty if anybody could.
};

struct Deadlock {
  // The circle, or else a wait that anybody could end, comes first; then the others, nearest first.
  std::vector<WaitEdge> chain;
  std::size_t circle = 0;  // So many edges form a circle, each needing the next; 0 if none does.

  // A few sentences, the cause first. Shows inner process ids only.
  std::string Explain(ObjectNames& names) const;
};

// True if at one moment every thread of the box was held or slept in a call that neither the clock
// nor a signal already sent ends: nobody moves any more until something comes from outside.
bool AllRestForGood(const World& world);

// False if only another process, or a signal, ends this sleep; true also for a call not known here.
bool MayEndByTheClock(const Blocked& call);

// Never sleeps and never waits. Throws GraderError if /proc refuses to show a living process.
std::optional<Deadlock> FindDeadlock(const World& world);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_DEADLOCK_H_
