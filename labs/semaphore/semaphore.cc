// Your work for the lab `semaphore`. What each function must do stands in semaphore.h; README.md
// tells the story. Take the exercises in any order: one that is not started costs no other one
// points.
//
// Look at your progress with: ./lab grade semaphore
#include "semaphore.h"

#include <cerrno>

namespace ipclab::semaphore {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Set up, read, remove -------------------------------------------------------------------

int sems_create(key_t key, const unsigned short* init, int n, mode_t mode) {
  // TODO(you): semaphore.h, section 1. What is the fourth argument of semctl(2), and who declares
  // its type?
  return NotYet(key, init, n, mode);
}

int sems_open(key_t key, int n) {
  // TODO(you): semaphore.h, section 1. Which rights does semget(2) look at when its flags are 0?
  return NotYet(key, n);
}

int sems_get(int id, int num) {
  // TODO(you): semaphore.h, section 1. A value and an error come back through the same int.
  return NotYet(id, num);
}

int sems_set(int id, int num, int value) {
  // TODO(you): semaphore.h, section 1. Is the value passed, or its address?
  return NotYet(id, num, value);
}

int sems_get_all(int id, unsigned short* out, int cap) {
  // TODO(you): semaphore.h, section 1. How many numbers does GETALL write, and who tells it how
  // many fit?
  return NotYet(id, out, cap);
}

int sems_remove(int id) {
  // TODO(you): semaphore.h, section 1. Whose is a set when its last user has ended?
  return NotYet(id);
}

// ---- 2. P and V that survive a crash -----------------------------------------------------------

int sem_p(int id, int num) {
  // TODO(you): semaphore.h, section 2. Who gives back what a dead process had taken?
  return NotYet(id, num);
}

int sem_v(int id, int num) {
  // TODO(you): semaphore.h, section 2. What does the kernel keep in its books for each operation of
  // yours?
  return NotYet(id, num);
}

int sem_try_p(int id, int num) {
  // TODO(you): semaphore.h, section 2. To look first and take then: who came between?
  return NotYet(id, num);
}

int with_sem(int id, int num, int (*fn)(void*), void* arg) {
  // TODO(you): semaphore.h, section 2. How many ways lead out of fn, and what is errno worth at the
  // end?
  return NotYet(id, num, fn, arg);
}

// ---- 3. Event, timeout, end reasons ------------------------------------------------------------

int event_init(int id, int num) {
  // TODO(you): semaphore.h, section 3. Which value says that nothing has happened yet?
  return NotYet(id, num);
}

int event_post(int id, int num) {
  // TODO(you): semaphore.h, section 3. The poster may have ended before anybody waits. What is left
  // of its post?
  return NotYet(id, num);
}

int event_wait(int id, int num, int timeout_ms) {
  // TODO(you): semaphore.h, section 3. How much time is left after an interruption?
  return NotYet(id, num, timeout_ms);
}

int event_wait_sig(int id, int num) {
  // TODO(you): semaphore.h, section 3. Which of the reasons to come back does the caller want to
  // hear of?
  return NotYet(id, num);
}

// ---- 4. Latch and barrier ----------------------------------------------------------------------

int latch_create(int count) {
  // TODO(you): semaphore.h, section 4. What does the number in the semaphore stand for?
  return NotYet(count);
}

int latch_done(int id) {
  // TODO(you): semaphore.h, section 4. What if there is nothing left to count down?
  return NotYet(id);
}

int latch_wait(int id, int timeout_ms) {
  // TODO(you): semaphore.h, section 4. What does sem_op 0 wait for, and what does it take?
  return NotYet(id, timeout_ms);
}

int barrier_create(int parties) {
  // TODO(you): semaphore.h, section 4. What must the next round find, and who puts it back?
  return NotYet(parties);
}

int barrier_wait(int id) {
  // TODO(you): semaphore.h, section 4. The fastest is at the door again while the slowest has not
  // yet left. Draw that.
  return NotYet(id);
}

// ---- 5. Several at once ------------------------------------------------------------------------

int take_all(int id, const int* nums, const int* amounts, std::size_t n) {
  // TODO(you): semaphore.h, section 5. What do you hold while you wait?
  return NotYet(id, nums, amounts, n);
}

int give_all(int id, const int* nums, const int* amounts, std::size_t n) {
  // TODO(you): semaphore.h, section 5. Which amounts mean something else than to give?
  return NotYet(id, nums, amounts, n);
}

int move_units(int id, int from, int to, int amount, int wait) {
  // TODO(you): semaphore.h, section 5. How many units are there between two calls?
  return NotYet(id, from, to, amount, wait);
}

int philosophers(int n, int meals, int (*eat)(int seat, void* arg), void* arg) {
  // TODO(you): semaphore.h, section 5. All have their left fork. Who moves?
  return NotYet(n, meals, eat, arg);
}

// ---- 6. Creation without a race ----------------------------------------------------------------

int sem_open_once(key_t key, int n, const unsigned short* init, mode_t mode, int timeout_ms,
                  int* created) {
  // TODO(you): semaphore.h, section 6. What fits between semget(2) and the first values?
  return NotYet(key, n, init, mode, timeout_ms, created);
}

// ---- 7. Who waits for what ---------------------------------------------------------------------

int sems_info(int id, SemInfo* out, int cap) {
  // TODO(you): semaphore.h, section 7. One command of semctl(2) for each question.
  return NotYet(id, out, cap);
}

int sems_wait_until_blocked(int id, int num, int waiters, int timeout_ms) {
  // TODO(you): semaphore.h, section 7. For what can one wait in semop(2)?
  return NotYet(id, num, waiters, timeout_ms);
}

int sems_set_mode(int id, mode_t mode) {
  // TODO(you): semaphore.h, section 7. IPC_SET writes owner and group, too. Where do you have them
  // from?
  return NotYet(id, mode);
}

// ---- 8. Three locks compared -------------------------------------------------------------------

int lock3_init(Kind kind, const char* dir, void** handle) {
  // TODO(you): semaphore.h, section 8. What of it does a child inherit, and what not?
  return NotYet(kind, dir, handle);
}

int lock3_lock(void* handle) {
  // TODO(you): semaphore.h, section 8. How does each of the three tell you that its owner died?
  return NotYet(handle);
}

int lock3_unlock(void* handle) {
  // TODO(you): semaphore.h, section 8. Who holds it: the caller, or only its parent?
  return NotYet(handle);
}

int lock3_destroy(void* handle) {
  // TODO(you): semaphore.h, section 8. List what you made. In which order does it go?
  return NotYet(handle);
}

int lock3_recover_test(Kind kind, const char* dir) {
  // TODO(you): semaphore.h, section 8. How do you know that the child held it?
  return NotYet(kind, dir);
}

}  // namespace ipclab::semaphore
