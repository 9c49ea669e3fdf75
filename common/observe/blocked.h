// What a thread waits for in the kernel, and what all threads of some processes were doing at a
// moment.
//
//   if (const auto blocked = BlockedCall(tid); blocked && blocked->call == SYS_read) ...
//
// Rests on /proc/TID/syscall, which needs the right to trace (see ptrace(2)); descendants always
// grant it unless they made themselves undumpable.

#ifndef IPCLAB_COMMON_OBSERVE_BLOCKED_H_
#define IPCLAB_COMMON_OBSERVE_BLOCKED_H_

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/observe/poll.h"
#include "common/observe/proc.h"

namespace ipclab {

// A system call that has begun and sleeps. Numbers are those of this machine's architecture;
// glibc's semop() may show as semtimedop, pipe() as pipe2.
struct Blocked {
  long call = -1;
  std::array<std::uint64_t, 6> args{};

  bool operator==(const Blocked&) const = default;
};

// The call in which thread `tid` sleeps; nothing if it runs, has ended or sleeps outside a call.
std::optional<Blocked> BlockedCall(pid_t tid);
std::optional<Blocked> ParseBlocked(std::string_view text);

// True once `tid` sleeps in one of `calls`; false as soon as it has ended, or after `limit`.
[[nodiscard]] bool WaitUntilBlockedIn(pid_t tid, const std::set<long>& calls,
                                      std::chrono::milliseconds limit = kPatience);

// One thread at one moment. `status` is read after `blocked`: see deadlock.h for why that matters.
struct TaskSample {
  pid_t tid = 0;
  pid_t pid = 0;
  bool off_cpu = false;            // Was seen asleep or stopped, inside a call or not.
  std::optional<Blocked> blocked;  // The call, if inside one.
  Status status;

  // True if the thread slept from this sample to `later` without a break.
  bool SleptUntil(const TaskSample& later) const;
};

// All threads of the given processes, by thread id; those that are gone are left out.
std::vector<TaskSample> SampleTasks(const std::vector<pid_t>& pids);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_BLOCKED_H_
