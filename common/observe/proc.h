// Facts about one process from /proc, read from outside. See proc(5).
//
//   const std::optional<Status> status = ReadStatus(pid);
//   if (!status) ...  // The process has ended and been waited for.
//   if (status->state == 'Z') ...
//
// Process ids are those of the reader ("outer"); `inner_pid` is what getpid() gives in the box. A
// process may end at any moment, so every function has a way to say that it is gone. Everything
// else that goes wrong throws GraderError.

#ifndef IPCLAB_COMMON_OBSERVE_PROC_H_
#define IPCLAB_COMMON_OBSERVE_PROC_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

// A set of signals as the kernel prints it: bit n - 1 stands for signal n.
struct SignalSet {
  std::uint64_t bits = 0;

  bool Has(int signal) const { return (bits >> (signal - 1) & 1) != 0; }
  std::vector<int> Members() const;
  // "SIGUSR1 and SIGPIPE"; empty for the empty set.
  std::string Names() const;
  bool operator==(const SignalSet&) const = default;
};

struct SignalState {
  SignalSet pending;  // For the thread or for its whole process.
  SignalSet blocked;
  SignalSet ignored;
  SignalSet caught;
};

// /proc/PID/status. Also valid for a thread id.
struct Status {
  std::string name;
  char state = 'X';  // R, S, D, T (stopped), t (stopped by its tracer), Z (zombie), X (gone).
  pid_t pid = 0;     // The process that the thread belongs to.
  pid_t inner_pid = 0;
  pid_t inner_tid = 0;
  pid_t parent = 0;
  pid_t tracer = 0;  // 0 if not traced.
  int threads = 0;
  bool has_memory = false;  // False from early in exit(2) on.
  SignalState signals;
  std::uint64_t voluntary_switches = 0;
  std::uint64_t involuntary_switches = 0;

  bool ended() const { return state == 'Z' || state == 'X'; }
};

// Text of /proc/PID/NAME; nothing if the process has ended.
std::optional<std::string> ReadProc(pid_t pid, std::string_view name);

std::optional<Status> ReadStatus(pid_t pid);
Status ParseStatus(std::string_view text);

// Processor time of a process with all its threads, ended ones included; nothing if it is gone. See
// clock_getcpuclockid(3).
std::optional<std::chrono::nanoseconds> CpuTime(pid_t pid);

// Thread ids of a process, in ascending order; empty if it is gone.
std::vector<pid_t> ThreadsOf(pid_t pid);

// Children of all threads of a process, zombies included, in the order of their birth. Exact while
// the process and its children stand still.
std::vector<pid_t> ChildrenOf(pid_t pid);

// `root` and all its living descendants, breadth first.
std::vector<pid_t> ProcessTree(pid_t root);

// Names in a directory of /proc that are numbers, ascending; nothing if the process has ended.
std::optional<std::vector<int>> NumbersIn(pid_t pid, std::string_view directory);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_PROC_H_
