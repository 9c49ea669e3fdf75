// What happened in a box, in order.
//
//   for (const Event& event : trace.events) {
//     if (event.kind == Event::Kind::kCall && event.family == Family::kPipe) ...
//   }
//   Describe(event)   "pipe2(O_CLOEXEC) = 0 [3, 4]"

#ifndef IPCLAB_COMMON_OBSERVE_TRACE_H_
#define IPCLAB_COMMON_OBSERVE_TRACE_H_

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/observe/calls.h"
#include "common/observe/loop.h"

namespace ipclab {

class ObjectNames;

struct Event {
  enum class Kind {
    kCall,       // A watched system call.
    kForbidden,  // A call that was refused.
    kSignal,     // A signal was delivered.
    kStart,      // A process began.
    kExec,       // It runs another program now.
    kEnd,        // It ended.
    kEnter,      // A student's function was called ...
    kLeave,      // ... and returned.
  };

  Kind kind = Kind::kCall;
  Clock::time_point at;
  std::optional<Clock::time_point> until;  // When a call came back.
  pid_t tid = 0;
  pid_t pid = 0;
  int inner_pid = 0;
  std::string process;   // What the process was then: "child of send_to_child".
  std::string function;  // The student's function the process was in; empty outside of one.

  // Of calls:
  long number = -1;
  Family family = Family::kNone;
  std::array<std::uint64_t, 6> args{};
  std::optional<long> result;  // -errno for an error; nothing while the call has not returned.
  bool injected = false;       // The grader made it fail, or cut it short.
  bool interrupted = false;    // A signal broke it off: it goes on, or its caller sees EINTR.
  int descriptor = -1;         // The one it acts on.
  std::string target;          // Of that descriptor: "pipe:[4711]".

  // Of semtimedop: how long it may wait; nothing for a wait without end.
  std::optional<std::chrono::nanoseconds> time_limit;

  // Of calls: a path, the new descriptors, or the arguments in words. Of others: the signal, the
  // ending, the function.
  std::string detail;
  int status = 0;  // Of kEnd: as from waitpid(2). Of kSignal: the signal's number.
  int from = 0;    // Inner pid: of kStart the parent, of kSignal the sender; 0 if none is known.

  bool Succeeded() const { return result && *result >= 0; }
  bool FailedWith(int error) const { return result && *result == -error; }
};

// One line, as a reader of strace(1) would expect it.
std::string Describe(const Event& event, ObjectNames& names);

// "exited with code 3", "killed by SIGPIPE (signal 13)". `status` as from waitpid(2).
std::string DescribeStatus(int status);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_TRACE_H_
