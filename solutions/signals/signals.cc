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
#include <ctime>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

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

template <typename... Arguments>
int NotYet(const Arguments&...) {
  return Fail(ENOSYS);
}

}  // namespace

// ---- 1. Install, catch, restore -----------------------------------------------------------------

SigHandler my_signal(int signo, SigHandler handler, int restart) {
  // Not yet: signals.h, section 1.
  NotYet(signo, handler, restart);
  return SIG_ERR;
}

int count_start(int signo) {
  // Not yet: signals.h, section 1.
  return NotYet(signo);
}

long count_get(int signo) {
  // Not yet: signals.h, section 1.
  return NotYet(signo);
}

int count_stop(int signo) {
  // Not yet: signals.h, section 1.
  return NotYet(signo);
}

// ---- 2. Masks and the pending table -------------------------------------------------------------

int pending_row(char out[32]) {
  // Not yet: signals.h, section 2.
  return NotYet(out);
}

int mask_row(char out[32]) {
  // Not yet: signals.h, section 2.
  return NotYet(out);
}

int set_row(const sigset_t* set, char out[32]) {
  // Not yet: signals.h, section 2.
  return NotYet(set, out);
}

int with_blocked(const sigset_t* set, int (*fn)(void*), void* arg, sigset_t* still_pending) {
  // Not yet: signals.h, section 2.
  return NotYet(set, fn, arg, still_pending);
}

// ---- 3. What happens inside a handler -----------------------------------------------------------

int nest_log(int outer, int also, const int* inside, std::size_t n, Ev* log, std::size_t cap) {
  // Not yet: signals.h, section 3.
  return NotYet(outer, also, inside, n, log, cap);
}

int deliveries(int signo, int times) {
  // Not yet: signals.h, section 3.
  return NotYet(signo, times);
}

int rt_order(const int* signos, const int* values, std::size_t n, int* out_values) {
  // Not yet: signals.h, section 3.
  return NotYet(signos, values, n, out_values);
}

// ---- 4. Default actions and sending -------------------------------------------------------------

int default_action(int signo, Act* out) {
  // Not yet: signals.h, section 4.
  return NotYet(signo, out);
}

int describe_status(int wstatus, char* buf, std::size_t cap) {
  // Not yet: signals.h, section 4.
  return NotYet(wstatus, buf, cap);
}

int send_signal(pid_t pid, int signo) {
  // Not yet: signals.h, section 4.
  return NotYet(pid, signo);
}

int stop_group(pid_t pgid, int grace_ms) {
  // Not yet: signals.h, section 4.
  return NotYet(pgid, grace_ms);
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

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signo : signals) sigaddset(&set, signo);
  return set;
}

// Blocks signals for as long as this lives. What it puts back is what it found: the caller may have
// blocked them before. sigprocmask fails only for a wrong first argument.
class Blocking {
 public:
  explicit Blocking(std::initializer_list<int> signals) {
    const sigset_t set = SetOf(signals);
    static_cast<void>(sigprocmask(SIG_BLOCK, &set, &old_));
  }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
  ~Blocking() {
    const KeepErrno keep;
    static_cast<void>(sigprocmask(SIG_SETMASK, &old_, nullptr));
  }

  const sigset_t& old() const { return old_; }

 private:
  sigset_t old_;
};

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
  const Blocking blocking({SIGCHLD});
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
  const Blocking blocking({SIGCHLD});
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
  const Blocking blocking({SIGCHLD});
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
