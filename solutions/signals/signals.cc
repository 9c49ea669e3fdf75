// The reference solution of the lab `signals`. Solve the exercises first: there is one road here,
// and there are many others.
#include "signals.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ipclab::signals {

namespace {

// ---- Tools -------------------------------------------------------------------------------------

int Fail(int error) {
  errno = error;
  return -1;
}

// Clean-up makes system calls too. The caller wants the errno of what failed before it.
class KeepErrno {
 public:
  KeepErrno() = default;
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = saved_; }

 private:
  const int saved_ = errno;
};

// Makes a call again for as long as signals interrupt it.
template <typename Call>
auto Again(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// Owns a descriptor. What close(2) returns is not looked at: nothing here has anything to flush,
// and the number is free in any case.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    const KeepErrno keep;
    if (fd_ != -1) static_cast<void>(close(fd_));
  }

  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

// ---- Tools of the exercises about sets and actions ---------------------------------------------

namespace {

// True for the signals that a program may use: sigaddset(3) refuses 0, what is above SIGRTMAX, and
// the two that the C library keeps for itself.
bool Exists(int signo) {
  sigset_t set;
  sigemptyset(&set);
  return sigaddset(&set, signo) == 0;
}

bool Catchable(int signo) { return Exists(signo) && signo != SIGKILL && signo != SIGSTOP; }

bool IsRealTime(int signo) { return SIGRTMIN <= signo && signo <= SIGRTMAX; }

sigset_t Only(int signo) {
  sigset_t set;
  sigemptyset(&set);  // A set that is only declared holds whatever was there before.
  sigaddset(&set, signo);
  return set;
}

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signo : signals) sigaddset(&set, signo);
  return set;
}

// Blocks signals for as long as this lives. The old mask comes back as a whole: to unblock what was
// blocked here would unblock what the caller had blocked before. With a good set, sigprocmask(2)
// cannot fail.
class Blocked {
 public:
  explicit Blocked(const sigset_t& set) { sigprocmask(SIG_BLOCK, &set, &old_); }
  explicit Blocked(int signo) : Blocked(Only(signo)) {}
  explicit Blocked(std::initializer_list<int> signals) : Blocked(SetOf(signals)) {}
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;
  ~Blocked() {
    const KeepErrno keep;
    sigprocmask(SIG_SETMASK, &old_, nullptr);
  }

  const sigset_t& old() const { return old_; }

 private:
  sigset_t old_;
};

// Handles signals for as long as this lives. An old action comes back with its mask and its flags,
// which is more than the handler that signal(2) returns.
class Handling {
 public:
  Handling() = default;
  Handling(const Handling&) = delete;
  Handling& operator=(const Handling&) = delete;
  ~Handling() {
    const KeepErrno keep;
    for (const Old& old : olds_) sigaction(old.signo, &old.action, nullptr);
  }

  // Blocks `blocked` while the handler runs. Does nothing for a signal that is handled already.
  int Install(int signo, SigHandler handler, const sigset_t& blocked) {
    for (const Old& old : olds_) {
      if (old.signo == signo) return 0;
    }
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_mask = blocked;
    action.sa_flags = SA_RESTART;
    Old old = {signo, {}};
    if (sigaction(signo, &action, &old.action) == -1) return -1;
    olds_.push_back(old);
    return 0;
  }

 private:
  struct Old {
    int signo;
    struct sigaction action;
  };
  std::vector<Old> olds_;
};

}  // namespace

// ---- 1. Install, catch, restore -----------------------------------------------------------------

SigHandler my_signal(int signo, SigHandler handler, int restart) {
  // All of it: a member that is forgotten would hold what the stack held.
  struct sigaction action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // Without SA_RESETHAND the handler stays. sigaction's own default is not to restart; that of
  // glibc's signal(2) is to do so.
  action.sa_flags = restart != 0 ? SA_RESTART : 0;
  struct sigaction old;
  if (sigaction(signo, &action, &old) == -1) return SIG_ERR;
  return old.sa_handler;
}

namespace {

// One counter for each signal: a lock-free atomic is all that a handler and the code which it
// interrupts may share, beside volatile sig_atomic_t. That one need not be wider than an int.
std::atomic<long> g_counts[_NSIG];
static_assert(std::atomic<long>::is_always_lock_free);

struct Counting {
  bool running;
  struct sigaction former;
};
Counting g_counting[_NSIG];  // Never looked at by the handler.

// Makes no call at all, so that errno and everything else stay as they were.
void CountSignal(int signo) { g_counts[signo].fetch_add(1, std::memory_order_relaxed); }

bool IsCounted(int signo) { return Exists(signo) && g_counting[signo].running; }

}  // namespace

int count_start(int signo) {
  if (!Exists(signo)) return Fail(EINVAL);
  if (g_counting[signo].running) return Fail(EBUSY);
  g_counts[signo] = 0;  // Before the first signal can come.
  struct sigaction action = {};
  action.sa_handler = &CountSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  if (sigaction(signo, &action, &g_counting[signo].former) == -1) return -1;
  g_counting[signo].running = true;
  return 0;
}

long count_get(int signo) {
  if (!IsCounted(signo)) return Fail(EINVAL);
  return g_counts[signo];
}

int count_stop(int signo) {
  if (!IsCounted(signo)) return Fail(EINVAL);
  if (sigaction(signo, &g_counting[signo].former, nullptr) == -1) return -1;
  g_counting[signo].running = false;
  return 0;
}

// ---- 2. Masks and the pending table -------------------------------------------------------------

int pending_row(char out[32]) {
  sigset_t pending;
  if (out == nullptr) return Fail(EINVAL);
  if (sigpending(&pending) == -1) return -1;
  return set_row(&pending, out);
}

int mask_row(char out[32]) {
  sigset_t blocked;
  if (out == nullptr) return Fail(EINVAL);
  if (sigprocmask(SIG_BLOCK, nullptr, &blocked) == -1) return -1;  // Asks, and changes nothing.
  return set_row(&blocked, out);
}

int set_row(const sigset_t* set, char out[32]) {
  constexpr int kLast = 31;
  if (set == nullptr || out == nullptr) return Fail(EINVAL);
  for (int signo = 1; signo <= kLast; ++signo) {
    out[signo - 1] = sigismember(set, signo) == 1 ? '1' : '0';
  }
  out[kLast] = '\0';
  return 0;
}

int with_blocked(const sigset_t* set, int (*fn)(void*), void* arg, sigset_t* still_pending) {
  if (set == nullptr || fn == nullptr) return Fail(EINVAL);
  // SIG_BLOCK adds to what is blocked. SIGKILL and SIGSTOP are left out by the kernel, silently.
  const Blocked blocked(*set);
  const int result = fn(arg);
  if (still_pending != nullptr) {
    const KeepErrno keep;  // The errno of fn.
    sigset_t pending;
    if (sigpending(&pending) == -1) return -1;
    sigandset(still_pending, &pending, set);
  }
  // When the old mask comes back, at least one of the signals that it lets in is delivered before
  // sigprocmask returns.
  return result;
}

// ---- 3. What happens inside a handler -----------------------------------------------------------

namespace {

// What nest_log and its handlers share.
struct Nest {
  const int outer;
  const int* const inside;
  const std::size_t n;
  Ev* const log;
  const std::size_t cap;
  std::atomic<std::size_t> records{0};
  std::atomic<bool> begun{false};
  std::atomic<int> error{0};

  void Record(int signo, int enter) {
    // Taken before it is filled: a handler that interrupts this one takes the next.
    const std::size_t place = records.fetch_add(1);
    if (place >= cap) return;
    std::atomic_ref(log[place].signo).store(signo, std::memory_order_relaxed);
    std::atomic_ref(log[place].enter).store(enter, std::memory_order_relaxed);
  }
};
std::atomic<Nest*> g_nest;

void NestHandler(int signo) {
  Nest* const nest = g_nest;
  nest->Record(signo, 1);
  if (signo == nest->outer && !nest->begun.exchange(true)) {
    const KeepErrno keep;
    for (std::size_t i = 0; i < nest->n; ++i) {
      if (kill(getpid(), nest->inside[i]) == -1) nest->error = errno;
    }
  }
  nest->Record(signo, 0);
}

}  // namespace

int nest_log(int outer, int also, const int* inside, std::size_t n, Ev* log, std::size_t cap) {
  if (!Catchable(outer) || (also != 0 && !Catchable(also))) return Fail(EINVAL);
  if (log == nullptr || (n > 0 && inside == nullptr)) return Fail(EINVAL);
  if (!std::all_of(inside, inside + n, &Catchable)) return Fail(EINVAL);

  Nest nest{outer, inside, n, log, cap};
  g_nest = &nest;
  sigset_t none;
  sigemptyset(&none);
  Handling handling;
  // The kernel itself adds a signal to the mask while its handler runs, and takes all of that back
  // when the handler returns.
  if (handling.Install(outer, &NestHandler, also == 0 ? none : Only(also)) == -1) return -1;
  for (std::size_t i = 0; i < n; ++i) {
    if (handling.Install(inside[i], &NestHandler, none) == -1) return -1;
  }
  // A signal that one sends to oneself and does not block is delivered before kill returns. All
  // that its handler held back has followed by then.
  if (kill(getpid(), outer) == -1) return -1;
  if (nest.error != 0) return Fail(nest.error);
  if (nest.records > cap) return Fail(ENOBUFS);
  return static_cast<int>(nest.records);
}

namespace {

std::atomic<int> g_delivered;

void CountDelivery(int) { g_delivered.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

int deliveries(int signo, int times) {
  if (!Catchable(signo) || times < 0) return Fail(EINVAL);
  const sigset_t set = Only(signo);
  const Blocked blocked(set);
  g_delivered = 0;
  Handling handling;
  if (handling.Install(signo, &CountDelivery, set) == -1) return -1;

  int error = 0;
  for (int i = 0; i < times && error == 0; ++i) {
    // For a standard signal the kernel keeps one bit, for a real-time one a queue.
    const int sent =
        IsRealTime(signo) ? sigqueue(getpid(), signo, sigval{}) : kill(getpid(), signo);
    if (sent == -1) error = errno;
  }
  // After an error too: our handler takes those that were sent, so that nobody else has to.
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  return error == 0 ? g_delivered.load() : Fail(error);
}

namespace {

// Takes the next of the blocked signals that is pending, and waits for none.
int TakeNext(const sigset_t& set, siginfo_t* info) {
  const timespec now = {0, 0};
  return Again([&] { return sigtimedwait(&set, info, &now); });
}

}  // namespace

int rt_order(const int* signos, const int* values, std::size_t n, int* out_values) {
  if (n > 0 && (signos == nullptr || values == nullptr || out_values == nullptr)) {
    return Fail(EINVAL);
  }
  if (!std::all_of(signos, signos + n, &IsRealTime)) return Fail(EINVAL);
  sigset_t set;
  sigemptyset(&set);
  for (std::size_t i = 0; i < n; ++i) sigaddset(&set, signos[i]);

  const Blocked blocked(set);
  siginfo_t info;
  for (std::size_t i = 0; i < n; ++i) {
    sigval value = {};
    value.sival_int = values[i];
    if (sigqueue(getpid(), signos[i], value) == 0) continue;
    const KeepErrno keep;
    while (TakeNext(set, &info) != -1) {
    }
    return -1;
  }
  // No handler here: the kernel would start that of the next signal on top of the first one, unless
  // each blocked all the others. To take them one by one shows the order as it is.
  for (std::size_t taken = 0; taken < n; ++taken) {
    if (TakeNext(set, &info) == -1) return -1;
    out_values[taken] = info.si_value.sival_int;
  }
  return static_cast<int>(n);
}

// ---- 4. Default actions and sending -------------------------------------------------------------

namespace {

// signal(7), "Standard signals".
bool DumpsCore(int signo) {
  static constexpr int kDumping[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                                     SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};
  return std::find(std::begin(kDumping), std::end(kDumping), signo) != std::end(kDumping);
}

// The child of default_action. It inherits what the caller ignores and blocks, so that goes first.
[[noreturn]] void Suffer(int signo) {
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signo, &action, nullptr);  // Fails for SIGKILL and SIGSTOP, which need no such thing.
  const sigset_t set = Only(signo);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  kill(getpid(), signo);
  // Still there. Now the parent can look at what signo does to a process that is stopped, also when
  // somebody else has it go on meanwhile.
  do {
    kill(getpid(), SIGSTOP);
  } while (signo != SIGCONT);
  _exit(0);
}

// Whoever ignores SIGCHLD is told of no child how it ended. Does nothing for others.
class KeepStatuses {
 public:
  KeepStatuses() {
    sigaction(SIGCHLD, nullptr, &old_);
    if (!Forgetful()) return;
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, nullptr);
  }
  KeepStatuses(const KeepStatuses&) = delete;
  KeepStatuses& operator=(const KeepStatuses&) = delete;
  ~KeepStatuses() {
    const KeepErrno keep;
    if (Forgetful()) sigaction(SIGCHLD, &old_, nullptr);
  }

 private:
  bool Forgetful() const {
    return old_.sa_handler == SIG_IGN || (old_.sa_flags & SA_NOCLDWAIT) != 0;
  }
  struct sigaction old_;
};

// What happened to the child of default_action; -1 with errno.
int Watch(pid_t child, int signo, Act* out) {
  int status = 0;
  if (Again([&] { return waitpid(child, &status, WUNTRACED); }) == -1) return -1;
  if (WIFSIGNALED(status)) {
    *out = DumpsCore(signo) ? Act::kCore : Act::kTerm;
    return 0;
  }
  if (WIFEXITED(status)) {
    *out = Act::kCont;  // By somebody else's SIGCONT, before we saw it stopped.
    return 0;
  }
  int result = 0;
  if (WSTOPSIG(status) == signo) {
    *out = Act::kStop;
  } else if (kill(child, signo) == -1) {
    result = -1;
  } else {
    // kill(2) itself makes a stopped process go on, so there is nothing to wait for.
    const pid_t moved = Again([&] { return waitpid(child, &status, WNOHANG | WCONTINUED); });
    *out = moved == child ? Act::kCont : Act::kIgn;
    result = moved == -1 ? -1 : 0;
  }
  const KeepErrno keep;
  kill(child, SIGKILL);  // A stopped process ends by nothing else.
  Again([&] { return waitpid(child, nullptr, 0); });
  return result;
}

}  // namespace

int default_action(int signo, Act* out) {
  if (!Exists(signo) || out == nullptr) return Fail(EINVAL);
  const KeepStatuses keep;
  const pid_t child = fork();
  if (child == -1) return -1;
  if (child == 0) Suffer(signo);
  return Watch(child, signo, out);
}

namespace {

// "SIGTERM", "SIGRTMIN+2"; empty for what is no signal.
std::string NameOf(int signo) {
  if (signo == SIGRTMIN) return "SIGRTMIN";
  if (IsRealTime(signo)) return "SIGRTMIN+" + std::to_string(signo - SIGRTMIN);
  const char* const name = sigabbrev_np(signo);
  return name == nullptr ? "" : std::string("SIG") + name;
}

// Empty for what is no wait status.
std::string Description(int wstatus) {
  if (WIFEXITED(wstatus)) return "exit " + std::to_string(WEXITSTATUS(wstatus));
  if (WIFCONTINUED(wstatus)) return "continued";
  if (!WIFSIGNALED(wstatus) && !WIFSTOPPED(wstatus)) return "";
  const std::string name = NameOf(WIFSIGNALED(wstatus) ? WTERMSIG(wstatus) : WSTOPSIG(wstatus));
  if (name.empty()) return "";
  if (WIFSTOPPED(wstatus)) return "stopped by " + name;
  return "killed by " + name + (WCOREDUMP(wstatus) ? " (core)" : "");
}

}  // namespace

int describe_status(int wstatus, char* buf, std::size_t cap) {
  if (buf == nullptr) return Fail(EINVAL);
  const std::string text = Description(wstatus);
  if (text.empty()) return Fail(EINVAL);
  if (text.size() >= cap) return Fail(ERANGE);
  std::memcpy(buf, text.c_str(), text.size() + 1);
  return static_cast<int>(text.size());
}

int send_signal(pid_t pid, int signo) {
  // For kill(2), 0 and negative numbers are groups, and -1 is everybody. And it takes all numbers
  // up to SIGRTMAX, those of the C library too.
  if (pid < 1 || (signo != 0 && !Exists(signo))) return Fail(EINVAL);
  return kill(pid, signo);
}

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

// Takes the children of a group that have ended. True while others live.
bool WaitForEnded(pid_t pgid, int* count) {
  pid_t pid;
  while ((pid = Again([&] { return waitpid(-pgid, nullptr, WNOHANG); })) > 0) ++*count;
  return pid == 0;
}

// Waits for the children of a group to end, but not longer than `ms`; less than 0: for ever.
void AwaitGroup(pid_t pgid, int ms, int* count) {
  // SIGCHLD is blocked before the look, so that it still tells of a child that ends after it.
  // Blocked, it is kept even where its action is to ignore it by default.
  const sigset_t set = Only(SIGCHLD);
  const Blocked blocked(set);
  const std::int64_t end = NowNs() + ms * kNsPerMs;
  bool taken = false;
  while (WaitForEnded(pgid, count)) {
    const std::int64_t left = ms < 0 ? 0 : end - NowNs();
    if (ms >= 0 && left <= 0) break;
    const timespec rest = {left / kNsPerSecond, left % kNsPerSecond};
    taken |= sigtimedwait(&set, nullptr, ms < 0 ? nullptr : &rest) == SIGCHLD;
  }
  // That SIGCHLD may have told of other children as well. The caller still gets its own.
  if (taken) kill(getpid(), SIGCHLD);
}

}  // namespace

int stop_group(pid_t pgid, int grace_ms) {
  // As a process id for kill, -1 would be everybody and 0 one's own group.
  if (pgid < 2 || pgid == getpgrp()) return Fail(EINVAL);
  if (kill(-pgid, SIGTERM) == -1) return -1;
  int count = 0;
  AwaitGroup(pgid, grace_ms, &count);
  // Nothing withstands SIGKILL, and stopped processes end by it too. Members that are not our
  // children get it as well, so it is sent even if all of ours have ended; then the group may be
  // gone.
  if (kill(-pgid, SIGKILL) == -1 && errno != ESRCH) return -1;
  while (Again([&] { return waitpid(-pgid, nullptr, 0); }) > 0) ++count;
  return count;
}

// ---- Tools of the exercises that wait ----------------------------------------------------------

namespace {

using Clock = std::chrono::steady_clock;

timespec ToTimespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {seconds.count(), (time - seconds).count()};
}

// When a wait is over. Kept as a point in time: a wait that goes on after a signal must not start
// its whole time anew.
class Deadline {
 public:
  // In milliseconds from now; negative: never.
  explicit Deadline(int timeout_ms)
      : endless_(timeout_ms < 0), end_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}
  explicit Deadline(Clock::time_point end) : endless_(false), end_(end) {}

  bool endless() const { return endless_; }
  std::chrono::nanoseconds Left() const {
    return std::max<std::chrono::nanoseconds>(end_ - Clock::now(), std::chrono::nanoseconds(0));
  }

 private:
  const bool endless_;
  const Clock::time_point end_;
};

// sigsuspend(2) with a time limit: sleeps with `mask` as the signal mask (null: the present one).
// Returns 0 when the time is over, or -1, with EINTR when a handler has run. Mask and sleep are one
// step. Were they two, a signal that came between them would be handled before the sleep begins,
// and the sleep would wait for one that has already been.
int Suspend(const Deadline& deadline, const sigset_t* mask) {
  const timespec left = ToTimespec(deadline.Left());
  return ppoll(nullptr, 0, deadline.endless() ? nullptr : &left, mask);
}

}  // namespace

// ---- 5. A reaper for SIGCHLD --------------------------------------------------------------------

namespace {

constexpr int kRunning = -1;  // No wait status is negative.

struct Slot {
  std::atomic<pid_t> pid{0};  // 0: free.
  std::atomic<int> status{kRunning};
};

// The handler changes what it finds here, so everybody else looks at it with SIGCHLD blocked only.
Slot slots[256];
bool collecting = false;
struct sigaction sigchld_before;

// The handler. Many children may have ended for the one SIGCHLD that comes: a signal that is
// pending already is not noted a second time. And waitpid asks for each child by name; -1 would
// take those that the caller started by itself.
void CollectEnded(int) {
  const KeepErrno keep;
  for (Slot& slot : slots) {
    if (slot.pid == 0 || slot.status != kRunning) continue;
    int status = 0;
    const pid_t pid = Again([&] { return waitpid(slot.pid, &status, WNOHANG); });
    if (pid > 0) slot.status = status;
    if (pid == -1) slot.pid = 0;  // Somebody else has waited for it: nothing is left to tell.
  }
}

std::size_t TakeEnded(Done* out, std::size_t cap) {
  std::size_t stored = 0;
  for (Slot& slot : slots) {
    if (stored == cap) break;
    if (slot.pid == 0 || slot.status == kRunning) continue;
    out[stored++] = {slot.pid, slot.status};
    slot.pid = 0;
  }
  return stored;
}

// noexcept: an exception must not climb out of the child into the caller's code.
[[noreturn]] void RunChild(int (*fn)(void*), void* arg, const sigset_t& mask) noexcept {
  // First the action, then the mask: the handler is not for this process.
  static_cast<void>(signal(SIGCHLD, SIG_DFL));
  static_cast<void>(sigprocmask(SIG_SETMASK, &mask, nullptr));
  _exit(fn(arg));
}

}  // namespace

int reaper_start(void) {
  if (collecting) return Fail(EBUSY);
  struct sigaction action = {};
  action.sa_handler = CollectEnded;
  sigemptyset(&action.sa_mask);
  // Children that stop are no news; and the caller's own calls need not know that we are here.
  action.sa_flags = SA_NOCLDSTOP | SA_RESTART;
  if (sigaction(SIGCHLD, &action, &sigchld_before) == -1) return -1;
  collecting = true;
  return 0;
}

int reaper_stop(void) {
  if (!collecting) return Fail(EINVAL);
  const Blocked blocking({SIGCHLD});
  CollectEnded(SIGCHLD);
  for (Slot& slot : slots) slot.pid = 0;
  if (sigaction(SIGCHLD, &sigchld_before, nullptr) == -1) return -1;
  collecting = false;
  return 0;
}

pid_t reaper_spawn(int (*fn)(void*), void* arg) {
  if (fn == nullptr || !collecting) return Fail(EINVAL);
  // The child may end before fork has returned here. Without the block the handler would run, find
  // no such child in the table, and not be called for it again.
  const Blocked blocking({SIGCHLD});
  Slot* const slot = std::ranges::find_if(slots, [](const Slot& s) { return s.pid == 0; });
  if (slot == std::end(slots)) return Fail(EAGAIN);
  const pid_t pid = fork();
  if (pid == 0) RunChild(fn, arg, blocking.old());
  if (pid > 0) {
    slot->status = kRunning;
    slot->pid = pid;
  }
  return pid;
}

int reaper_wait(Done* out, std::size_t cap, int timeout_ms) {
  if (out == nullptr || cap == 0 || !collecting) return Fail(EINVAL);
  const Deadline deadline(timeout_ms);
  const Blocked blocking({SIGCHLD});
  sigset_t waiting = blocking.old();
  sigdelset(&waiting, SIGCHLD);
  for (;;) {
    const std::size_t stored = TakeEnded(out, cap);
    if (stored > 0) return static_cast<int>(stored);
    if (std::ranges::all_of(slots, [](const Slot& s) { return s.pid == 0; })) return Fail(ECHILD);
    if (Suspend(deadline, &waiting) == 0) return Fail(ETIMEDOUT);
    if (errno != EINTR) return -1;
  }
}

// ---- 6. Take turns ------------------------------------------------------------------------------
// The signals are blocked all the time, except inside of Suspend. A turn that is told early stays
// pending until somebody waits for it. And because mask and handlers are inherited over fork, a
// child is ready before its first instruction.

namespace {

bool taking_turns = false;
sigset_t mask_before;
struct sigaction usr1_before;
struct sigaction usr2_before;
std::atomic<bool> parent_told{false};
std::atomic<bool> child_told{false};

void NoteTurn(int signo) { (signo == SIGUSR1 ? parent_told : child_told) = true; }

int Tell(pid_t pid, int signo) { return pid < 1 ? Fail(EINVAL) : kill(pid, signo); }

int WaitForTurn(std::atomic<bool>* told, int signo, int timeout_ms) {
  if (!taking_turns) return Fail(EINVAL);
  const Deadline deadline(timeout_ms);
  sigset_t waiting;
  if (sigprocmask(SIG_BLOCK, nullptr, &waiting) == -1) return -1;
  sigdelset(&waiting, signo);
  while (!told->exchange(false)) {
    if (Suspend(deadline, &waiting) == 0) return Fail(ETIMEDOUT);
    if (errno != EINTR) return -1;
  }
  return 0;
}

}  // namespace

int turns_init(void) {
  if (taking_turns) return Fail(EBUSY);
  const sigset_t both = SetOf({SIGUSR1, SIGUSR2});
  if (sigprocmask(SIG_BLOCK, &both, &mask_before) == -1) return -1;
  struct sigaction action = {};
  action.sa_handler = NoteTurn;
  sigemptyset(&action.sa_mask);
  // Neither can fail: the signals exist and can be caught.
  static_cast<void>(sigaction(SIGUSR1, &action, &usr1_before));
  static_cast<void>(sigaction(SIGUSR2, &action, &usr2_before));
  taking_turns = true;
  return 0;
}

int tell_parent(pid_t parent) { return Tell(parent, SIGUSR1); }

int tell_child(pid_t child) { return Tell(child, SIGUSR2); }

int wait_parent(int timeout_ms) { return WaitForTurn(&child_told, SIGUSR2, timeout_ms); }

int wait_child(int timeout_ms) { return WaitForTurn(&parent_told, SIGUSR1, timeout_ms); }

int turns_end(void) {
  if (!taking_turns) return Fail(EINVAL);
  // A turn that nobody waited for is still pending. It goes before the former action comes back,
  // which may well be to end the process.
  const sigset_t both = SetOf({SIGUSR1, SIGUSR2});
  const timespec now = {0, 0};
  while (Again([&] { return sigtimedwait(&both, nullptr, &now); }) > 0) {
  }
  static_cast<void>(sigaction(SIGUSR1, &usr1_before, nullptr));
  static_cast<void>(sigaction(SIGUSR2, &usr2_before, nullptr));
  static_cast<void>(sigprocmask(SIG_SETMASK, &mask_before, nullptr));
  parent_told = false;
  child_told = false;
  taking_turns = false;
  return 0;
}

// ---- 7. my_alarm, my_sleep, every ---------------------------------------------------------------

namespace {

// As the kernel does it for alarm(2): to the nearest second, but never to 0.
unsigned WholeSeconds(std::chrono::nanoseconds rest) {
  if (rest.count() <= 0) return 0;
  const std::int64_t micros = std::chrono::duration_cast<std::chrono::microseconds>(rest).count();
  return static_cast<unsigned>(std::max<std::int64_t>((micros + 500000) / 1000000, 1));
}

}  // namespace

unsigned my_alarm(unsigned seconds) {
  // it_value starts the clock, it_interval would make it ring again and again. There is one such
  // clock in the process, so setting it returns what was left on it.
  itimerval once = {};
  once.it_value.tv_sec = seconds;
  itimerval former = {};
  if (setitimer(ITIMER_REAL, &once, &former) == -1) return 0;
  return WholeSeconds(std::chrono::seconds(former.it_value.tv_sec) +
                      std::chrono::microseconds(former.it_value.tv_usec));
}

unsigned my_sleep(unsigned seconds) {
  // The one clock belongs to the caller. A wait with a time limit needs none, and touches neither
  // the action nor the mask of any signal: so an alarm of the caller comes when it should, and
  // nothing can come too early to be seen.
  const Clock::time_point end = Clock::now() + std::chrono::seconds(seconds);
  if (Suspend(Deadline(end), nullptr) == 0) return 0;
  return WholeSeconds(end - Clock::now());
}

int every(long interval_us, int ticks, void (*tick)(void*), void* arg) {
  if (interval_us < 1 || ticks < 0 || tick == nullptr) return Fail(EINVAL);
  const Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  if (timer.get() == -1) return -1;
  const timespec interval = ToTimespec(std::chrono::microseconds(interval_us));
  const itimerspec periodic = {interval, interval};
  if (timerfd_settime(timer.get(), 0, &periodic, nullptr) == -1) return -1;
  // The kernel counts the expirations from the one start, so nothing adds up: neither the run time
  // of tick nor our own delays. While one tick takes long, several of the next become due.
  std::uint64_t due = 0;
  for (std::uint64_t done = 0; done < static_cast<std::uint64_t>(ticks); ++done) {
    while (due <= done) {
      std::uint64_t more = 0;
      if (Again([&] { return read(timer.get(), &more, sizeof more); }) == -1) return -1;
      due += more;
    }
    tick(arg);
  }
  return 0;
}

// ---- 8. Counting against the clock, running with a limit ----------------------------------------

namespace {

std::atomic<bool> time_is_up{false};

void NoteTime(int) { time_is_up = true; }

itimerval Timer(std::chrono::microseconds first, std::chrono::microseconds again) {
  const auto split = [](std::chrono::microseconds time) -> timeval {
    return {time.count() / 1000000, time.count() % 1000000};
  };
  return {split(again), split(first)};
}

// Sets time_is_up in `ms` milliseconds. Then SIGALRM comes again and again for as long as this
// lives: the first one may come when the flag has just been looked at and a write is about to begin
// that waits for room. A later one breaks that off, as the handler has no SA_RESTART.
class TimeLimit {
 public:
  explicit TimeLimit(unsigned ms) {
    struct sigaction action = {};
    action.sa_handler = NoteTime;
    sigemptyset(&action.sa_mask);
    time_is_up = false;
    const sigset_t sigalrm = SetOf({SIGALRM});
    const itimerval timer = Timer(std::chrono::milliseconds(ms), std::chrono::milliseconds(5));
    // None of these can fail: all arguments are good.
    static_cast<void>(sigaction(SIGALRM, &action, &action_before_));
    static_cast<void>(sigprocmask(SIG_UNBLOCK, &sigalrm, &mask_before_));
    static_cast<void>(setitimer(ITIMER_REAL, &timer, nullptr));
  }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit() {
    const KeepErrno keep;
    const itimerval off = {};
    // The timer first: a last SIGALRM still finds our handler, and not the caller's action.
    static_cast<void>(setitimer(ITIMER_REAL, &off, nullptr));
    static_cast<void>(sigaction(SIGALRM, &action_before_, nullptr));
    static_cast<void>(sigprocmask(SIG_SETMASK, &mask_before_, nullptr));
  }

 private:
  struct sigaction action_before_;
  sigset_t mask_before_;
};

// Writes all of `text`, or as much as can be written before the time is up. Returns 1 for all, 0
// for less, or -1.
int WriteInTime(int fd, std::string_view text) {
  while (!text.empty()) {
    if (time_is_up) return 0;
    const ssize_t put = write(fd, text.data(), text.size());
    if (put == -1 && errno != EINTR) return -1;
    if (put > 0) text.remove_prefix(static_cast<std::size_t>(put));
  }
  return 1;
}

int CountWriting(int fd, unsigned ms, std::uint64_t* count) {
  const TimeLimit limit(ms);
  for (*count = 0;; ++*count) {
    char line[24];
    const int size = std::snprintf(line, sizeof line, "%" PRIu64 "\n", *count + 1);
    const int written = WriteInTime(fd, {line, static_cast<std::size_t>(size)});
    if (written != 1) return written;
  }
}

std::uint64_t CountOnly(unsigned ms) {
  const TimeLimit limit(ms);
  std::uint64_t count = 0;
  while (!time_is_up) ++count;
  return count;
}

}  // namespace

int count_for(int out_fd, unsigned ms, Counted* out) {
  if (ms == 0 || out == nullptr) return Fail(EINVAL);
  std::uint64_t with_output = 0;
  if (CountWriting(out_fd, ms, &with_output) == -1) return -1;
  *out = {with_output, CountOnly(ms)};
  return 0;
}

namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Waits until the process of the pidfd has ended (1) or the time is over (0), or returns -1.
int AwaitEnd(const Fd& pidfd, const Deadline& deadline) {
  pollfd ending = {pidfd.get(), POLLIN, 0};
  return Again([&] {
    const timespec left = ToTimespec(deadline.Left());
    return ppoll(&ending, 1, &left, nullptr);
  });
}

Deadline InMilliseconds(unsigned ms) {
  return Deadline(Clock::now() + std::chrono::milliseconds(ms));
}

}  // namespace

int run_limited(const char* const argv[], unsigned limit_ms, unsigned grace_ms, int* wstatus,
                Times* times) {
  if (argv == nullptr || argv[0] == nullptr || wstatus == nullptr || times == nullptr ||
      limit_ms == 0) {
    return Fail(EINVAL);
  }
  const Clock::time_point start = Clock::now();
  const Deadline limit = InMilliseconds(limit_ms);
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    if (setpgid(0, 0) == 0) execvp(argv[0], const_cast<char* const*>(argv));
    _exit(127);
  }
  // Both sides do it, so that neither needs to be the first. Once the child has called exec this
  // fails, but then it has a group already.
  static_cast<void>(setpgid(pid, pid));

  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  int ended = pidfd.get() == -1 ? -1 : AwaitEnd(pidfd, limit);
  const bool cut = ended == 0;
  const Deadline grace = InMilliseconds(grace_ms);
  if (cut) {
    static_cast<void>(kill(-pid, SIGTERM));
    ended = AwaitEnd(pidfd, grace);
  }
  const int error = errno;
  if (ended != 1) static_cast<void>(kill(-pid, SIGKILL));
  rusage usage = {};
  if (Again([&] { return wait4(pid, wstatus, 0, &usage); }) == -1) return -1;
  const std::chrono::duration<double> real = Clock::now() - start;
  if (ended == -1) return Fail(error);
  *times = {real.count(), Seconds(usage.ru_utime), Seconds(usage.ru_stime)};
  if (!cut) return 0;

  // The program has gone, but others of its group may still be there, and have their grace too. As
  // long as one of them lives, nobody else gets the number of the group.
  while (kill(-pid, 0) == 0 && Suspend(grace, nullptr) == -1 && errno == EINTR) {
  }
  static_cast<void>(kill(-pid, SIGKILL));
  return Fail(ETIMEDOUT);
}

}  // namespace ipclab::signals
