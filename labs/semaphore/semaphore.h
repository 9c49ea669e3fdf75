// The contract of the lab `semaphore`: what you are to write in semaphore.cc. Do not edit this
// file.
//
//   #include "semaphore.h"
//   namespace ipclab::semaphore {
//   int sems_get(int id, int num) { ... }
//   }
//
// These rules hold for every function:
//  - Success is 0 or a value or count, failure is -1 with errno. Nothing is printed, no exception
//    leaves, and errno is that of the call that failed first, whatever the clean-up did after it.
//  - Every system call may fail. Whether you succeed or fail, leave behind no descriptor that you
//    opened, no mapping, no child that nobody waited for, no changed signal action or mask. A
//    function that makes a set of semaphores and then fails has removed it again.
//  - An operation that fails has changed no value.
//  - No sleep and no busy loop: let the kernel wake you (exercises 6 and 7 have the one exception).
//    A call interrupted by a signal (EINTR) is made again, with the rest of its time, unless the
//    exercise says otherwise. The kernel restarts no semop(2), whatever SA_RESTART says.
//  - A timeout is in milliseconds for the whole call; 0 tries once, a negative one has no limit.
//  - A set that is removed while you wait in it is EIDRM. One that has gone before is EINVAL.
//  - Semaphores of a set are numbered from 0. In struct sembuf, numbers and amounts are short
//    integers: what does not fit is an error, and not cut off.
//  - "Undone at its end" means: when the process ends, however it ends, SIGKILL included, the
//    kernel gives back what the process has taken and not given back itself, and takes back what
//    it has given and not taken. "Stays" means that nothing is undone. See SEM_UNDO in semop(2).
//  - A child never returns into the caller's code: it ends with _exit(2).
//  - Right of a set's owner: 0400 to read (semctl GETVAL ..., wait for zero), 0200 to alter.
//  - Locks and waits are System V semaphores, but for two of the three locks of exercise 8:
//    sem_init, sem_open, sem_wait, pthread_barrier_wait and pthread_cond_wait are not allowed,
//    neither are popen(3) and system(3).
#ifndef IPCLAB_LABS_SEMAPHORE_SEMAPHORE_H_
#define IPCLAB_LABS_SEMAPHORE_SEMAPHORE_H_

#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/types.h>

#include <cstddef>

namespace ipclab::semaphore {

extern "C" {

// ---- 1. Set up, read, remove (10 points) -------------------------------------------------------
// Makes a new set of `n` semaphores with the values init[0..n) and the permission bits `mode` (0600
// at least; the umask has no part in it). IPC_PRIVATE makes a set without a key. Returns its id.
// Errors: EEXIST a set has this key already, and remains as it is
//         EINVAL n is below 1, or above the limit of the system
//         ERANGE a value is above 32767; those of semget and semctl
// semget(2), semctl(2)
int sems_create(key_t key, const unsigned short* init, int n, mode_t mode);

// Returns the id of the set with this key, which has at least `n` semaphores (0: any number) and
// which you may read and alter. Makes nothing.
// Errors: ENOENT no set has this key, which is always so with IPC_PRIVATE
//         EINVAL it has fewer semaphores, or n is negative
//         EACCES its mode gives you only one of the rights, or none
int sems_open(key_t key, int n);

// sems_get returns the value of one semaphore. sems_set changes it and returns 0.
// Errors: EINVAL the set has no such semaphore, or is gone
//         ERANGE (sems_set) `value` is not within 0 to 32767
int sems_get(int id, int num);
int sems_set(int id, int num, int value);

// Returns how many semaphores the set has, and stores their values, all as of one moment, in
// out[0..that number).
// Errors: ENOBUFS there are more than `cap`, and `out` is unchanged; EINVAL the set is gone
int sems_get_all(int id, unsigned short* out, int cap);

// Removes the set. Returns 0. Errors: EINVAL it is gone already.
int sems_remove(int id);

// ---- 2. P and V that survive a crash (14 points) -----------------------------------------------
// sem_p takes 1, and waits while there is nothing to take. sem_v gives 1 back. sem_try_p takes 1 if
// it is there and never waits. All three are undone at the end of the calling process. Return 0.
// Errors: EAGAIN (sem_try_p) there is nothing to take
//         ERANGE (sem_v) the value is 32767 already
//         EFBIG  the set has no such semaphore; EIDRM, EINVAL
// semop(2)
int sem_p(int id, int num);
int sem_v(int id, int num);
int sem_try_p(int id, int num);

// Takes 1 as sem_p, calls fn(arg), and gives 1 back as sem_v, whatever fn returned. Returns what fn
// returned, with errno as fn left it.
// Errors: EINVAL fn is null; those of sem_p, and then fn is not called; those of sem_v
int with_sem(int id, int num, int (*fn)(void*), void* arg);

// ---- 3. Event, timeout, end reasons (12 points) ------------------------------------------------
// One process waits until another has done something. Each wait uses up one post; a post before the
// wait is kept. Both stay when the process that made them ends.

// event_init: forgets all posts. event_post: one more. Return 0.
// Errors: EINVAL (event_init) the set has no such semaphore; EFBIG (event_post) the same
//         ERANGE (event_post) there are 32767 posts already; EINVAL the set is gone
int event_init(int id, int num);
int event_post(int id, int num);

// Waits for a post and uses it up. Returns 0.
// Errors: ETIMEDOUT no post in time; EFBIG the set has no such semaphore; EIDRM, EINVAL
// semtimedop(2)
int event_wait(int id, int num, int timeout_ms);

// The same without a limit, but a signal handler that runs while it waits ends the wait.
// Errors: EINTR a handler ran, even one with SA_RESTART, and no post is used up; as event_wait
int event_wait_sig(int id, int num);

// ---- 4. Latch and barrier (14 points) ----------------------------------------------------------
// Both live in a set of their own without a key (mode 0600), whose id is all that a process needs:
// any process that knows it may call these. The set is removed with sems_remove; who waits in it
// then gets EIDRM. All operations stay.

// A latch opens when latch_done has been called `count` times, and remains open for ever. With 0 it
// is open from the start. Returns its id. Errors: ERANGE count is not within 0 to 32767.
int latch_create(int count);

// Counts one down. Never waits. Returns 0.
// Errors: ERANGE the latch is open already, and remains so; EINVAL the set is gone
int latch_done(int id);

// Waits until the latch is open. Any number of processes may wait at once. Returns 0.
// Errors: ETIMEDOUT it did not open in time; EIDRM, EINVAL
// semop(2): sem_op 0
int latch_wait(int id, int timeout_ms);

// A barrier lets nobody pass before `parties` processes wait at it; then all of them pass, and it
// is ready for the next round. Returns its id. Errors: ERANGE parties is not within 1 to 10000.
int barrier_create(int parties);

// Waits for the others. Returns 1 to exactly one process of each round, 0 to all others. At most
// `parties` processes use a barrier. One that is through may call it again at once, even while
// others of its round have not yet got away: it then waits for the next round, and takes nobody's
// place in this one. A process that is killed in it spoils it; the others then wait until the set
// is removed. Errors: EIDRM, EINVAL.
int barrier_wait(int id);

// ---- 5. Several at once (14 points) ------------------------------------------------------------
// take_all takes amounts[i] from semaphore nums[i], for all i in 0..n, at one moment: it waits
// until all of it is there, and as long as it waits it has taken nothing. give_all gives it back,
// at one moment. A number may occur more than once: its amounts add up. Both are undone at the end
// of the calling process. Return 0. If there are several reasons to fail, any of them may be
// reported. Errors: EINVAL n is 0, or an amount is below 1
//         E2BIG  n is above 500; EFBIG the set has no such semaphore
//         ERANGE an amount is above 32767, or a value would be after give_all; EIDRM, EINVAL
// semop(2)
int take_all(int id, const int* nums, const int* amounts, std::size_t n);
int give_all(int id, const int* nums, const int* amounts, std::size_t n);

// Moves `amount` from one semaphore to another of the set, at one moment: nobody ever sees another
// sum. Waits until `from` has so much, or fails with EAGAIN if `wait` is 0. Stays. Returns 0.
// Errors: EAGAIN; EINVAL amount is below 1; EFBIG; ERANGE amount or the new value of `to` is above
//         32767; EIDRM, EINVAL
int move_units(int id, int from, int to, int amount, int wait);

// Seats `n` philosophers round a table, each a child of the caller. Fork i lies between seat i and
// seat i + 1, fork n - 1 between seat n - 1 and seat 0. Each eats `meals` times: takes the two
// forks next to it, calls eat(seat, arg), and puts them back. Whatever the order in which they run,
// no two neighbours eat at the same time, and nobody waits for ever. One whose `eat` does not
// return 0 leaves the table, and the others go on; so they do when one is killed, even while it
// eats. Returns 0 when all children have ended. Makes a set of its own and removes it. Errors:
// ECANCELED somebody left early or was killed
//         EINVAL    n is not within 2 to 50, meals is negative, or eat is null; those of semget,
//                   semctl and fork, and then no child and no set is left
int philosophers(int n, int meals, int (*eat)(int seat, void* arg), void* arg);

// ---- 6. Creation without a race (16 points) ----------------------------------------------------
// Any number of processes call this with the same arguments, at any moment. Exactly one of them
// makes the set, with the values init[0..n), n at most 500, and gets *created = 1; all others get
// *created = 0. Nobody returns before the values are set. Returns the id.
//
// All programs that use the set keep to this: a set is ready when its sem_otime (IPC_STAT) is not
// 0. Only semop(2) sets that time, SETVAL and SETALL do not. A set that is there and not yet ready
// is being set up by somebody else: its values are left alone. No call waits for a set to become
// ready, so here you may sleep between two looks, for 1 ms or more at a time. If the set disappears
// meanwhile, because its creator failed, begin anew.
//
// Errors: ETIMEDOUT the set was not ready in time, which is also what happens when its creator died
//         EINVAL    it has another number of semaphores; n is not within 1 to 500
//         EEXIST    key is IPC_PRIVATE: nobody else could find it
//         ERANGE    a value is above 32767; EACCES; those of semget, semctl, semop. Who made the
//                   set and cannot set it up removes it again; nobody else does.
// On failure *created is unchanged.
int sem_open_once(key_t key, int n, const unsigned short* init, mode_t mode, int timeout_ms,
                  int* created);

// ---- 7. Who waits for what (8 points) ----------------------------------------------------------
struct SemInfo {
  int value;
  pid_t last;        // The process that changed it last.
  int waiting_more;  // How many wait for the value to grow ...
  int waiting_zero;  // ... and how many for it to become zero.
};

// Describes every semaphore of the set in out[0..n), and returns n, their number.
// Errors: ENOBUFS there are more than `cap`, and `out` is unchanged
//         EACCES  you may not read the set; EINVAL it is gone
// semctl(2): GETVAL, GETPID, GETNCNT, GETZCNT
int sems_info(int id, SemInfo* out, int cap);

// Waits until at least `waiters` processes wait in semop for this semaphore, for more or for zero.
// No call waits for that, so here you may sleep between two looks, for 1 ms or more at a time.
// Returns how many wait. Errors: ETIMEDOUT; EINVAL the set has no such semaphore or is gone, or
// waiters is negative; EACCES.
int sems_wait_until_blocked(int id, int num, int waiters, int timeout_ms);

// Gives the set the permission bits `mode`, and changes nothing else: owner and group remain. The
// caller may read the set. Returns 0.
// Errors: EINVAL mode has bits outside of 0777, or the set is gone; EACCES, EPERM of semctl
int sems_set_mode(int id, mode_t mode);

// ---- 8. Three locks compared (12 points) -------------------------------------------------------
enum class Kind {
  kSysV,        // A semaphore in a set without a key.
  kRecordLock,  // A lock of fcntl(2) on a file in `dir`: F_SETLK, F_SETLKW.
  kRobustMutex  // A robust, process-shared mutex in a shared mapping of a file in `dir`.
};

// Three locks with one behaviour. lock3_init makes one; it is free, and *handle stands for it in
// the caller and in the children that the caller forks afterwards. A file gets a name in `dir` that
// is not there yet, and no rights for others. Returns 0; on failure *handle is unchanged and
// nothing is left. Each process has one thread. Errors: EINVAL no such kind; those of the calls.
// pthread_mutexattr_setrobust(3), pthread_mutexattr_setpshared(3), fcntl(2), mmap(2)
int lock3_init(Kind kind, const char* dir, void** handle);

// Takes the lock, and waits while another process holds it. If the process that held it has died,
// the lock is free, and whole: this call and all later ones take it like any other. Returns 0.
// Errors: EDEADLK the calling process holds it already. A child does not hold what its parent
// holds.
int lock3_lock(void* handle);

// Gives it back. Returns 0. Errors: EPERM the calling process does not hold it.
int lock3_unlock(void* handle);

// Removes the lock, set, file, descriptor, mapping and memory. Called once, by the process that
// made it, when nobody else uses it any more. Returns 0. Errors: EBUSY the caller holds it, and
// nothing is removed.
int lock3_destroy(void* handle);

// Makes a lock, lets a child take it and die by SIGKILL while it holds it, and takes it itself;
// then gives it back and destroys it. Returns 0 if all that worked. Errors: those of the above,
// fork and waitpid; ECANCELED the child died otherwise, or before it held the lock.
int lock3_recover_test(Kind kind, const char* dir);

}  // extern "C"

}  // namespace ipclab::semaphore

#endif  // IPCLAB_LABS_SEMAPHORE_SEMAPHORE_H_
