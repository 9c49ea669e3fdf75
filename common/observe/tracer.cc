#include "common/observe/tracer.h"

#include <poll.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "common/observe/loop.h"
#include "common/observe/memory.h"
#include "common/observe/proc.h"

namespace ipclab {
namespace {

constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
                          PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                          PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;

// So many instructions of one task pass before the others are looked at.
constexpr int kStepsAtOnce = 20'000;

// ptrace(2) as most requests use it. A task that is being killed answers ESRCH at any moment; its
// ending is reported by waitpid, so callers may ignore a false result.
bool Ptrace(int request, pid_t tid, std::uintptr_t address, std::uintptr_t data) {
  if (ptrace(static_cast<__ptrace_request>(request), tid, address, data) != -1) return true;
  if (errno == ESRCH) return false;
  throw SystemError(errno, "ptrace request " + std::to_string(request));
}

void SetRegister([[maybe_unused]] pid_t tid, std::size_t offset, std::uint64_t value) {
  Ptrace(PTRACE_POKEUSER, tid, offset, value);
}

#if defined(__x86_64__)
constexpr std::size_t kNumberRegister = offsetof(user_regs_struct, orig_rax);
constexpr std::size_t kResultRegister = offsetof(user_regs_struct, rax);
constexpr std::size_t kThirdArgument = offsetof(user_regs_struct, rdx);

// Sends a thread that stands at the entry or at the exit of a call back to the call's instruction.
// The call that it stands in is none any more, so the kernel restarts nothing by itself.
void GoBackToCall(pid_t tid) {
  constexpr std::uint64_t kSyscallInstruction = 2;  // Bytes.
  user_regs_struct registers{};
  if (!Ptrace(PTRACE_GETREGS, tid, 0, reinterpret_cast<std::uintptr_t>(&registers))) return;
  registers.rax = registers.orig_rax;
  registers.orig_rax = static_cast<std::uint64_t>(-1);
  registers.rip -= kSyscallInstruction;
  Ptrace(PTRACE_SETREGS, tid, 0, reinterpret_cast<std::uintptr_t>(&registers));
}
#else
#error "the tracer knows the registers of x86-64 only"
#endif

// True if a thread in a signal stop has just left a call with EINTR, and nothing but signals that
// the kernel would never have sent to an untraced process broke it off: those it ignores. A tracer
// is shown them too, and the thread is woken for that. Calls that the kernel restarts by itself do
// not come here with EINTR; epoll_wait, semop, sigtimedwait and a few more do. See signal(7).
// SIGCONT is left alone: the stop before it breaks such calls off without a tracer as well.
bool WokenForNothing(pid_t tid, int signal) {
  if (signal == SIGCONT) return false;
  user_regs_struct registers{};
  if (!Ptrace(PTRACE_GETREGS, tid, 0, reinterpret_cast<std::uintptr_t>(&registers)) ||
      static_cast<long>(registers.orig_rax) < 0 || static_cast<long>(registers.rax) != -EINTR) {
    return false;
  }
  const std::optional<Status> status = ReadStatus(tid);
  if (!status) return false;
  const SignalState& signals = status->signals;
  const bool by_default = signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH;
  const bool ignored = signals.ignored.Has(signal) || (by_default && !signals.caught.Has(signal));
  const std::uint64_t others = signals.pending.bits & ~signals.blocked.bits & signals.caught.bits;
  return ignored && others == 0;
}

// True if the instruction at `address` enters the kernel, where it may wait.
bool IsSystemCall(pid_t tid, std::uint64_t address) {
  std::array<unsigned char, 2> code{};
  constexpr std::array<unsigned char, 2> kSyscall{0x0f, 0x05};
  return !ReadMemory(tid, address, code.data(), code.size()) || code == kSyscall;
}

// The call that a thread in a signal stop will go on with through restart_syscall(2).
std::optional<Blocked> ResumedCall(pid_t tid) {
  constexpr long kRestartBlock = -516;  // ERESTART_RESTARTBLOCK of the kernel.
  user_regs_struct registers{};
  if (!Ptrace(PTRACE_GETREGS, tid, 0, reinterpret_cast<std::uintptr_t>(&registers)) ||
      static_cast<long>(registers.rax) != kRestartBlock) {
    return std::nullopt;
  }
  return Blocked{
      static_cast<long>(registers.orig_rax),
      {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9}};
}

// Not one that the program asks for, by int3 or kill(2): those have other codes.
bool IsTrapOfStep(pid_t tid) {
  siginfo_t info{};
  return Ptrace(PTRACE_GETSIGINFO, tid, 0, reinterpret_cast<std::uintptr_t>(&info)) &&
         (info.si_code == TRAP_TRACE || info.si_code == TRAP_BRKPT);
}

}  // namespace

Tracer& Tracer::Get() {
  static Tracer* const tracer = new Tracer;
  return *tracer;
}

Tracer::Tracer() {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  // Blocked but not ignored, so that the kernel queues it for the signalfd.
  Check(sigprocmask(SIG_BLOCK, &mask, nullptr), "sigprocmask");
  signals_ = Fd(Check(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
  Loop::Get().OnReadable(signals_.get(), [this] { Serve(); });
}

void Tracer::Seize(pid_t pid, TaskListener* listener) {
  Check(ptrace(PTRACE_SEIZE, pid, nullptr, kOptions), "ptrace(PTRACE_SEIZE)");
  tasks_[pid].listener = listener;
}

void Tracer::Release(pid_t tid) {
  const auto task = tasks_.find(tid);
  if (task == tasks_.end() || !task->second.held) return;
  task->second.held = false;
  if (std::exchange(task->second.before_call, false)) {
    GoBackToCall(tid);
    task->second.in_call = false;
  }
  Resume(tid, task->second);
}

std::set<pid_t> Tracer::Stopped(const TaskListener* listener) const {
  std::set<pid_t> tids;
  for (const auto& [tid, task] : tasks_) {
    if (task.listener == listener && task.stopped) tids.insert(tid);
  }
  return tids;
}

void Tracer::SetStepping(pid_t tid, bool on) {
  const auto task = tasks_.find(tid);
  if (task == tasks_.end()) return;
  task->second.stepping = on;
  task->second.processor = on ? std::make_unique<SharedProcessor>(tid) : nullptr;
  task->second.before_step.reset();
}

void Tracer::TakeBackStep(pid_t tid) {
  const std::optional<user_regs_struct>& before = tasks_.at(tid).before_step;
  if (before) Ptrace(PTRACE_SETREGS, tid, 0, reinterpret_cast<std::uintptr_t>(&*before));
}

void Tracer::KillAll(TaskListener* listener) {
  const auto mine = [&] {
    std::vector<pid_t> tids;
    for (const auto& [tid, task] : tasks_) {
      if (task.listener == listener) tids.push_back(tid);
    }
    return tids;
  };
  // A newborn whose parent has not told of it, and never will: killed, the parent may leave its
  // fork event unreported. Left in its first stop, it would keep process 1 of the box from ending.
  const auto adopt = [&](pid_t tid) {
    const std::optional<Status> status = ReadStatus(tid);
    const auto parent = tasks_.find(status ? status->parent : 0);
    if (parent == tasks_.end() || parent->second.listener != listener) return false;
    tasks_[tid].listener = listener;
    return true;
  };
  std::erase_if(early_, adopt);
  constexpr int kPaceMs = 5;
  for (auto left = mine(); !left.empty(); left = mine()) {
    for (const pid_t tid : left) {
      kill(tid, SIGKILL);
      // A dying task stops once more. If that stop came while an earlier one was being answered,
      // nothing reports it again.
      Ptrace(PTRACE_CONT, tid, 0, 0);
    }
    DropNews();
    int status = 0;
    pid_t tid = 0;
    while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
      const bool newborn = WIFSTOPPED(status) && tasks_.count(tid) == 0 && adopt(tid);
      const auto task = tasks_.find(tid);
      if (!newborn && (task == tasks_.end() || task->second.listener != listener)) {
        OnStatus(tid, status);
      } else if (WIFSTOPPED(status)) {
        Ptrace(PTRACE_CONT, tid, 0, 0);
      } else {
        tasks_.erase(task);
      }
    }
    if (tid == -1 && errno != ECHILD) throw SystemError(errno, "waitpid");
    pollfd change{signals_.get(), POLLIN, 0};
    if (!mine().empty() && poll(&change, 1, kPaceMs) == -1 && errno != EINTR) {
      throw SystemError(errno, "poll");
    }
  }
}

void Tracer::DropNews() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof(info)) > 0) {
  }
}

void Tracer::Serve() {
  DropNews();
  // One SIGCHLD may stand for many changes of state.
  int status = 0;
  pid_t tid = 0;
  while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) OnStatus(tid, status);
}

void Tracer::OnStatus(pid_t tid, int status) {
  const auto found = tasks_.find(tid);
  if (found == tasks_.end()) {
    if (WIFSTOPPED(status)) early_.insert(tid);
    return;
  }
  if (WIFSTOPPED(status)) {
    OnStop(tid, found->second, WSTOPSIG(status), status >> 16);
    return;
  }
  TaskListener* const listener = found->second.listener;
  tasks_.erase(found);
  listener->OnEnded(tid, status);
}

void Tracer::OnStop(pid_t tid, Task& task, int signal, int event) {
  TaskListener& listener = *task.listener;
  task.stopped = false;
  unsigned long message = 0;
  switch (event) {
    case PTRACE_EVENT_SECCOMP:
      OnSeccompStop(tid, task);
      return;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
      AdoptChild(tid, task);
      break;
    case PTRACE_EVENT_EXEC:
      if (Ptrace(PTRACE_GETEVENTMSG, tid, 0, reinterpret_cast<std::uintptr_t>(&message))) {
        const pid_t former = static_cast<pid_t>(message);
        // The thread that called exec takes over the leader's id.
        if (former != tid && tasks_.count(former) != 0) {
          task.in_call = tasks_[former].in_call;
          tasks_.erase(former);
        }
        listener.OnExec(tid, former);
      }
      break;
    case PTRACE_EVENT_EXIT:
      task.in_call = false;
      listener.OnEnding(tid);
      break;
    case PTRACE_EVENT_STOP:
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        task.stopped = true;
        Ptrace(PTRACE_LISTEN, tid, 0, 0);  // Stays stopped, yet SIGCONT gets through.
        return;
      }
      break;
    default:
      if (signal == (SIGTRAP | 0x80)) {
        __ptrace_syscall_info info{};
        task.in_call = false;
        if (Ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info),
                   reinterpret_cast<std::uintptr_t>(&info))) {
          task.held = listener.OnExit(tid, static_cast<long>(info.exit.rval));
          if (task.held) return;
        }
      } else if (signal == SIGTRAP && task.stepping) {
        // An instruction done; the next ones at once, for as long as they cannot wait.
        int status = 0;
        for (int step = 0; !OnStepStop(tid, task); ++step) {
          Resume(tid, task);
          if (!task.before_step || step == kStepsAtOnce) return;
          if (!AwaitStop(tid, &status)) return;
          if (status >> 8 != SIGTRAP) {
            OnStatus(tid, status);
            return;
          }
        }
        return;
      } else if (signal == SIGTRAP && IsTrapOfStep(tid)) {
        // Of a step that had begun when the task was to run at full speed again.
      } else {
        siginfo_t info{};
        if (Ptrace(PTRACE_GETSIGINFO, tid, 0, reinterpret_cast<std::uintptr_t>(&info))) {
          if (WokenForNothing(tid, signal)) {
            GoBackToCall(tid);
            listener.OnRepeat(tid);
          }
          listener.OnSignal(tid, info, ResumedCall(tid));
        }
        Resume(tid, task, signal);
        return;
      }
  }
  Resume(tid, task);
}

void Tracer::OnSeccompStop(pid_t tid, Task& task) {
  __ptrace_syscall_info info{};
  if (!Ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info),
              reinterpret_cast<std::uintptr_t>(&info))) {
    return;
  }
  CallInfo call;
  call.number = static_cast<long>(info.seccomp.nr);
  for (std::size_t i = 0; i < call.args.size(); ++i) call.args[i] = info.seccomp.args[i];
  call.instruction = info.instruction_pointer;
  call.filter_data = info.seccomp.ret_data;

  const Entry entry = task.listener->OnEntry(tid, call);
  task.before_call = entry.what == Entry::What::kHoldBefore;
  task.held = entry.what == Entry::What::kHold || task.before_call;
  task.in_call = entry.what == Entry::What::kProceed || task.held;
  if (entry.third_argument) SetRegister(tid, kThirdArgument, *entry.third_argument);
  if (entry.what == Entry::What::kAnswer) {
    // A number of -1 makes the kernel skip the call and leave the result register alone.
    SetRegister(tid, kNumberRegister, static_cast<std::uint64_t>(-1));
    SetRegister(tid, kResultRegister, static_cast<std::uint64_t>(entry.answer));
  }
  if (!task.held) Resume(tid, task);
}

void Tracer::AdoptChild(pid_t parent, Task& task) {
  unsigned long message = 0;
  if (!Ptrace(PTRACE_GETEVENTMSG, parent, 0, reinterpret_cast<std::uintptr_t>(&message))) return;
  const pid_t child = static_cast<pid_t>(message);
  TaskListener* const listener = task.listener;
  tasks_[child].listener = listener;
  listener->OnNewTask(parent, child);
  if (early_.erase(child) != 0) Resume(child, tasks_[child]);
}

// The stop behind one instruction. False if it does not come soon: what looks like one may sleep in
// the kernel (a system call with a prefix, code that another thread changes). Serve() sees it then.
bool Tracer::AwaitStop(pid_t tid, int* status) {
  constexpr int kPatienceMs = 50;
  for (;;) {
    const pid_t stopped = waitpid(tid, status, __WALL | WNOHANG);
    if (stopped != 0) return stopped == tid;
    pollfd change{signals_.get(), POLLIN, 0};
    if (poll(&change, 1, kPatienceMs) == 0) return false;
    DropNews();
  }
}

// True if the task is held.
bool Tracer::OnStepStop(pid_t tid, Task& task) {
  task.held = task.listener->OnStep(tid, task.before_step.has_value());
  return task.held;
}

void Tracer::Resume(pid_t tid, Task& task, int signal) {
  auto request = task.in_call ? PTRACE_SYSCALL : PTRACE_CONT;
  task.before_step.reset();
  if (task.stepping && !task.in_call) {
    request = PTRACE_SINGLESTEP;
    user_regs_struct registers{};
    if (signal == 0 &&
        Ptrace(PTRACE_GETREGS, tid, 0, reinterpret_cast<std::uintptr_t>(&registers)) &&
        !IsSystemCall(tid, registers.rip)) {
      task.before_step = registers;
    }
  }
  Ptrace(request, tid, 0, static_cast<std::uintptr_t>(signal));
}

}  // namespace ipclab
