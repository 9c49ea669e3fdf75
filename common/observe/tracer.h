// ptrace(2) behind SECCOMP_RET_TRACE, reduced to callbacks. One tracer serves all boxes of the
// process; a task started by a traced task belongs to the same listener.
//
//   class Listener : public TaskListener { ... };
//   Tracer::Get().Seize(stage, &listener);
//   Tracer::Get().Release(tid);   // lets a held task go on
//
// What is seen: every call that the task's seccomp filter answers with SECCOMP_RET_TRACE, signals,
// new tasks, exec and endings. See isolation of interrupted calls in OnExit.

#ifndef IPCLAB_COMMON_OBSERVE_TRACER_H_
#define IPCLAB_COMMON_OBSERVE_TRACER_H_

#include <signal.h>
#include <sys/types.h>
#include <sys/user.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "common/base/fd.h"
#include "common/observe/blocked.h"
#include "common/observe/shared_processor.h"

namespace ipclab {

struct CallInfo {
  long number = -1;
  std::array<std::uint64_t, 6> args{};
  std::uint64_t instruction = 0;  // Just behind the system call instruction.
  unsigned filter_data = 0;       // SECCOMP_RET_DATA of the filter's answer.
};

// What becomes of a call at its entry.
struct Entry {
  // kHoldBefore holds like kHold, but as if the call had not begun: once released, signals that
  // came meanwhile are handled first, and then the call is entered again.
  enum class What { kProceed, kProceedUnseen, kAnswer, kHold, kHoldBefore };
  What what = What::kProceed;
  long answer = 0;                              // For kAnswer: the result, -errno for an error.
  std::optional<std::uint64_t> third_argument;  // Replaces the length of a read or write.
};

class TaskListener {
 public:
  virtual ~TaskListener() = default;
  virtual Entry OnEntry(pid_t tid, const CallInfo& call) = 0;
  // `result` is -errno for an error. -ERESTARTSYS and its kin (512 to 516) mean that a signal
  // interrupted the call: it is either entered again or its caller gets EINTR. True holds the task.
  virtual bool OnExit(pid_t tid, long result) = 0;
  // The call that the thread has just left, with EINTR if its exit was reported, is entered again:
  // the signal that broke it off is one that an untraced process would not have noticed.
  virtual void OnRepeat(pid_t tid) = 0;
  virtual void OnNewTask(pid_t parent_tid, pid_t child_tid) = 0;
  virtual void OnExec(pid_t tid, pid_t former_tid) = 0;
  // `resumed` is the timed call that the thread will go on with as restart_syscall(2), if the
  // signal broke one off and no handler ends it.
  virtual void OnSignal(pid_t tid, const siginfo_t& info,
                        const std::optional<Blocked>& resumed) = 0;
  // A task that is single-stepped is about to run its next instruction: `whole` if it has run just
  // one, of its own, since the last time. True holds the task.
  virtual bool OnStep(pid_t tid, bool whole) = 0;
  // About to end, with all its resources still in place.
  virtual void OnEnding(pid_t tid) = 0;
  // `status` as from waitpid(2).
  virtual void OnEnded(pid_t tid, int status) = 0;
};

class Tracer {
 public:
  static Tracer& Get();

  // Starts tracing `pid`, which must be stopped nowhere. Throws GraderError with ptrace's errno.
  void Seize(pid_t pid, TaskListener* listener);
  // Lets a task go on that OnEntry held.
  void Release(pid_t tid);
  // From its next stop on the task runs one instruction at a time, on the tracer's processor, or at
  // full speed again.
  void SetStepping(pid_t tid, bool on);
  // For OnStep with a whole step: the instruction has not been run after all. What it has done to
  // memory is the caller's to undo.
  void TakeBackStep(pid_t tid);
  // Tasks of `listener` in a stop by SIGSTOP or its kin, which stands until SIGCONT.
  std::set<pid_t> Stopped(const TaskListener* listener) const;
  // Kills all tasks of `listener` and waits for their end; no callback comes any more.
  void KillAll(TaskListener* listener);

 private:
  struct Task {
    TaskListener* listener = nullptr;
    bool in_call = false;  // Its exit is to be reported.
    bool held = false;
    bool before_call = false;  // Held by kHoldBefore.
    bool stopped = false;
    bool stepping = false;
    std::unique_ptr<SharedProcessor> processor{};  // While it steps.
    // Of a task that is stepping: its registers before the instruction that it runs now; nothing if
    // that is not just one, or a system call.
    std::optional<user_regs_struct> before_step;
  };

  Tracer();
  void Serve();
  void DropNews();  // waitpid(2) tells more than SIGCHLD does.
  void OnStatus(pid_t tid, int status);
  void OnStop(pid_t tid, Task& task, int signal, int event);
  void OnSeccompStop(pid_t tid, Task& task);
  void AdoptChild(pid_t parent, Task& task);
  bool AwaitStop(pid_t tid, int* status);
  bool OnStepStop(pid_t tid, Task& task);
  void Resume(pid_t tid, Task& task, int signal = 0);

  std::map<pid_t, Task> tasks_;
  std::set<pid_t> early_;  // Children whose first stop came before their parent's fork event.
  Fd signals_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_TRACER_H_
