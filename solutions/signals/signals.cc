// The reference solution of the lab `signals`. Solve the exercises first: there is one road here,
// and there are many others.
#include "signals.h"

#include <cerrno>
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

// ---- 5. A reaper for SIGCHLD --------------------------------------------------------------------

int reaper_start(void) {
  // Not yet: signals.h, section 5.
  return NotYet();
}

int reaper_stop(void) {
  // Not yet: signals.h, section 5.
  return NotYet();
}

pid_t reaper_spawn(int (*fn)(void*), void* arg) {
  // Not yet: signals.h, section 5.
  return NotYet(fn, arg);
}

int reaper_wait(Done* out, std::size_t cap, int timeout_ms) {
  // Not yet: signals.h, section 5.
  return NotYet(out, cap, timeout_ms);
}

// ---- 6. Take turns ------------------------------------------------------------------------------

int turns_init(void) {
  // Not yet: signals.h, section 6.
  return NotYet();
}

int tell_parent(pid_t parent) {
  // Not yet: signals.h, section 6.
  return NotYet(parent);
}

int tell_child(pid_t child) {
  // Not yet: signals.h, section 6.
  return NotYet(child);
}

int wait_parent(int timeout_ms) {
  // Not yet: signals.h, section 6.
  return NotYet(timeout_ms);
}

int wait_child(int timeout_ms) {
  // Not yet: signals.h, section 6.
  return NotYet(timeout_ms);
}

int turns_end(void) {
  // Not yet: signals.h, section 6.
  return NotYet();
}

// ---- 7. my_alarm, my_sleep, every ---------------------------------------------------------------

unsigned my_alarm(unsigned seconds) {
  // Not yet: signals.h, section 7.
  return static_cast<unsigned>(NotYet(seconds));
}

unsigned my_sleep(unsigned seconds) {
  // Not yet: signals.h, section 7.
  return static_cast<unsigned>(NotYet(seconds));
}

int every(long interval_us, int ticks, void (*tick)(void*), void* arg) {
  // Not yet: signals.h, section 7.
  return NotYet(interval_us, ticks, tick, arg);
}

// ---- 8. Counting against the clock, running with a limit ----------------------------------------

int count_for(int out_fd, unsigned ms, Counted* out) {
  // Not yet: signals.h, section 8.
  return NotYet(out_fd, ms, out);
}

int run_limited(const char* const argv[], unsigned limit_ms, unsigned grace_ms, int* wstatus,
                Times* times) {
  // Not yet: signals.h, section 8.
  return NotYet(argv, limit_ms, grace_ms, wstatus, times);
}

}  // namespace ipclab::signals
