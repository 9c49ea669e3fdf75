// Your work for the lab `signals`. What each function must do stands in signals.h; README.md tells
// the story. Take the exercises in any order: one that is not started costs no other one points.
//
// Look at your progress with: ./lab grade signals
#include "signals.h"

#include <cerrno>

namespace ipclab::signals {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Install, catch, restore -----------------------------------------------------------------

SigHandler my_signal(int signo, SigHandler handler, int restart) {
  // TODO(you): signals.h, section 1. struct sigaction has several members: who sets those that you
  // do not?
  NotYet(signo, handler, restart);
  return SIG_ERR;
}

int count_start(int signo) {
  // TODO(you): signals.h, section 1. What may a handler share with the code that it interrupts?
  return NotYet(signo);
}

long count_get(int signo) {
  // TODO(you): signals.h, section 1. How do you know whether this signal is being counted?
  return NotYet(signo);
}

int count_stop(int signo) {
  // TODO(you): signals.h, section 1. An action is more than its handler: where did you keep the
  // rest?
  return NotYet(signo);
}

// ---- 2. Masks and the pending table -------------------------------------------------------------

int pending_row(char out[32]) {
  // TODO(you): signals.h, section 2. Sent, blocked, pending: which of these does sigpending(2)
  // tell?
  return NotYet(out);
}

int mask_row(char out[32]) {
  // TODO(you): signals.h, section 2. How do you ask for the mask without changing it?
  return NotYet(out);
}

int set_row(const sigset_t* set, char out[32]) {
  // TODO(you): signals.h, section 2. Signals begin at 1: where does the row begin, and where does
  // it end?
  return NotYet(set, out);
}

int with_blocked(const sigset_t* set, int (*fn)(void*), void* arg, sigset_t* still_pending) {
  // TODO(you): signals.h, section 2. Do you put back what you found, or what you expected?
  return NotYet(set, fn, arg, still_pending);
}

// ---- 3. What happens inside a handler -----------------------------------------------------------

int nest_log(int outer, int also, const int* inside, std::size_t n, Ev* log, std::size_t cap) {
  // TODO(you): signals.h, section 3. Who may interrupt your handler, and what is then in the middle
  // of being written?
  return NotYet(outer, also, inside, n, log, cap);
}

int deliveries(int signo, int times) {
  // TODO(you): signals.h, section 3. What does the kernel keep of a signal that comes again while
  // it is blocked?
  return NotYet(signo, times);
}

int rt_order(const int* signos, const int* values, std::size_t n, int* out_values) {
  // TODO(you): signals.h, section 3. Several signals are pending: which is handed over first, and
  // who interrupts whom?
  return NotYet(signos, values, n, out_values);
}

// ---- 4. Default actions and sending -------------------------------------------------------------

int default_action(int signo, Act* out) {
  // TODO(you): signals.h, section 4. What does a child inherit that changes the answer?
  return NotYet(signo, out);
}

int describe_status(int wstatus, char* buf, std::size_t cap) {
  // TODO(you): signals.h, section 4. waitpid(2) lists the macros that open a wait status: which
  // cases are there?
  return NotYet(wstatus, buf, cap);
}

int send_signal(pid_t pid, int signo) {
  // TODO(you): signals.h, section 4. Whom does kill(2) mean by 0, by -1, by other negative numbers?
  return NotYet(pid, signo);
}

int stop_group(pid_t pgid, int grace_ms) {
  // TODO(you): signals.h, section 4. Who wakes you when a child ends, and who when the time is
  // over?
  return NotYet(pgid, grace_ms);
}

// ---- 5. A reaper for SIGCHLD --------------------------------------------------------------------

int reaper_start(void) {
  // TODO(you): signals.h, section 5. SIGCHLD is ignored by default, and yet children become
  // zombies. What does a handler change, and who wants the former action back?
  return NotYet();
}

int reaper_stop(void) {
  // TODO(you): signals.h, section 5. Which children has nobody asked about, and what did
  // reaper_start find?
  return NotYet();
}

pid_t reaper_spawn(int (*fn)(void*), void* arg) {
  // TODO(you): signals.h, section 5. The child may end before fork returns here. What does your
  // handler find in its table then?
  return NotYet(fn, arg);
}

int reaper_wait(Done* out, std::size_t cap, int timeout_ms) {
  // TODO(you): signals.h, section 5. You look, find nothing and lie down to sleep. What if a child
  // ends in between?
  return NotYet(out, cap, timeout_ms);
}

// ---- 6. Take turns ------------------------------------------------------------------------------

int turns_init(void) {
  // TODO(you): signals.h, section 6. What will a child have at its very first instruction?
  return NotYet();
}

int tell_parent(pid_t parent) {
  // TODO(you): signals.h, section 6. Which signal is for whom, and whom would kill(0, ...) reach?
  return NotYet(parent);
}

int tell_child(pid_t child) {
  // TODO(you): signals.h, section 6. As above.
  return NotYet(child);
}

int wait_parent(int timeout_ms) {
  // TODO(you): signals.h, section 6. How do you let a signal in and fall asleep in one step?
  return NotYet(timeout_ms);
}

int wait_child(int timeout_ms) {
  // TODO(you): signals.h, section 6. As above. Which of the two turns is used up here?
  return NotYet(timeout_ms);
}

int turns_end(void) {
  // TODO(you): signals.h, section 6. A turn is still pending. Who handles it once you unblock its
  // signal?
  return NotYet();
}

// ---- 7. my_alarm, my_sleep, every ---------------------------------------------------------------

unsigned my_alarm(unsigned seconds) {
  // TODO(you): signals.h, section 7. Which field starts the clock, and which one would repeat it?
  return static_cast<unsigned>(NotYet(seconds));
}

unsigned my_sleep(unsigned seconds) {
  // TODO(you): signals.h, section 7. There is one alarm clock in the process, and the caller may be
  // using it. Which waits have a time limit of their own?
  return static_cast<unsigned>(NotYet(seconds));
}

int every(long interval_us, int ticks, void (*tick)(void*), void* arg) {
  // TODO(you): signals.h, section 7. When is the k-th tick due, if the one before it took long?
  return NotYet(interval_us, ticks, tick, arg);
}

// ---- 8. Counting against the clock, running with a limit ----------------------------------------

int count_for(int out_fd, unsigned ms, Counted* out) {
  // TODO(you): signals.h, section 8. What wakes a write that waits for room, and what if the alarm
  // rings just before it?
  return NotYet(out_fd, ms, out);
}

int run_limited(const char* const argv[], unsigned limit_ms, unsigned grace_ms, int* wstatus,
                Times* times) {
  // TODO(you): signals.h, section 8. How do you wait for two things at once, the end of a child and
  // the end of the time?
  return NotYet(argv, limit_ms, grace_ms, wstatus, times);
}

}  // namespace ipclab::signals
