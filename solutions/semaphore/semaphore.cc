// The reference solution of the lab `semaphore`. Solve the exercises first: there is one road here,
// and there are many others.
//
// Three habits carry all of it:
//  - To look and to act are one call. semctl(GETVAL) tells what was, and nobody waits for you to
//  act
//    on it; semop(2) decides and changes at one moment, for a whole array of operations.
//  - Who must survive whom decides on SEM_UNDO. A lock is given back when its holder dies; a
//  message
//    outlives its sender.
//  - Every wait has four ends: done, interrupted (go on, with the rest of the time), too late, and
//    the set is gone.
#include "semaphore.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <utility>

namespace ipclab::semaphore {

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

// The fourth argument of semctl(2), which no header declares. It travels by value: `val` is the
// number itself, and not where it stands.
union SemctlArgument {
  int val;
  semid_ds* buf;
  unsigned short* array;
};

// Owns a set that is being made. A set has no last user whose end would remove it, so one that
// nobody comes to know of would stay until the machine is restarted.
class NewSet {
 public:
  explicit NewSet(int id) : id_(id) {}
  NewSet(const NewSet&) = delete;
  NewSet& operator=(const NewSet&) = delete;
  ~NewSet() {
    KeepErrno keep;
    if (id_ != -1) static_cast<void>(semctl(id_, 0, IPC_RMID));
  }

  int id() const { return id_; }
  int Release() { return std::exchange(id_, -1); }

 private:
  int id_;
};

int SetOne(int id, int num, int value) {
  SemctlArgument argument{};
  argument.val = value;
  return semctl(id, num, SETVAL, argument);
}

// Makes a set and gives it its values, or makes none. Returns the id.
int MakeSet(key_t key, const unsigned short* values, int n, mode_t mode) {
  // IPC_EXCL: without it we would set the values of a set that others are using.
  NewSet set(semget(key, n, IPC_CREAT | IPC_EXCL | static_cast<int>(mode)));
  if (set.id() == -1) return -1;
  SemctlArgument argument{};
  argument.array = const_cast<unsigned short*>(values);  // SETALL only reads it.
  if (semctl(set.id(), 0, SETALL, argument) == -1) return -1;
  return set.Release();
}

constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

// Says something about every member of sembuf: what is left out would be whatever the memory held
// before, IPC_NOWAIT or SEM_UNDO perhaps.
sembuf Operation(int num, int amount, int flags = 0) {
  return {static_cast<unsigned short>(num), static_cast<short>(amount), static_cast<short>(flags)};
}

// A number that does not fit into sem_num would be cut off, and hit another semaphore: 65536 is
// number 0 then.
bool IsNumber(int num) { return num >= 0 && num <= USHRT_MAX; }

int Operate(int id, int num, int amount, int flags) {
  if (!IsNumber(num)) return Fail(EFBIG);
  sembuf operation = Operation(num, amount, flags);
  return Again([&] { return semop(id, &operation, 1); });
}

using Clock = std::chrono::steady_clock;

// What is left until `end`, not below 0.
timespec LeftUntil(Clock::time_point end) {
  using std::chrono::nanoseconds;
  const auto left = std::chrono::duration_cast<nanoseconds>(end - Clock::now()).count();
  if (left <= 0) return {0, 0};
  constexpr long kSecond = 1'000'000'000;
  return {left / kSecond, left % kSecond};
}

int OperateInTime(int id, int num, int amount, int timeout_ms) {
  if (timeout_ms < 0) return Operate(id, num, amount, 0);
  if (!IsNumber(num)) return Fail(EFBIG);
  sembuf operation = Operation(num, amount);
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const int result = Again([&] {
    // Anew in each round, or every signal would prolong the wait.
    const timespec left = LeftUntil(end);
    return semtimedop(id, &operation, 1, &left);
  });
  return result == -1 && errno == EAGAIN ? Fail(ETIMEDOUT) : result;
}

}  // namespace

// ---- 1. Set up, read, remove -------------------------------------------------------------------

int sems_create(key_t key, const unsigned short* init, int n, mode_t mode) {
  return MakeSet(key, init, n, mode);
}

int sems_open(key_t key, int n) {
  // With IPC_PRIVATE, semget makes a new set, whatever its flags.
  if (key == IPC_PRIVATE) return Fail(ENOENT);
  // The permission bits are what we ask for. Asking for nothing always succeeds, and the refusal
  // would come later, out of an operation.
  return semget(key, n, kOwnerOnly);
}

int sems_get(int id, int num) { return semctl(id, num, GETVAL); }

int sems_set(int id, int num, int value) { return SetOne(id, num, value); }

int sems_get_all(int id, unsigned short* out, int cap) {
  // GETALL writes as many values as there are and is not told how many fit.
  semid_ds about{};
  SemctlArgument argument{};
  argument.buf = &about;
  if (semctl(id, 0, IPC_STAT, argument) == -1) return -1;
  const int n = static_cast<int>(about.sem_nsems);
  if (n > cap) return Fail(ENOBUFS);
  // One call: GETVAL for each would put together values that never were at the same time.
  argument.array = out;
  if (semctl(id, 0, GETALL, argument) == -1) return -1;
  return n;
}

int sems_remove(int id) { return semctl(id, 0, IPC_RMID); }

// ---- 2. P and V that survive a crash -----------------------------------------------------------
// SEM_UNDO on all of them: the kernel adds up the opposite of what the process does and applies it
// at its end. With it on P alone, each P and V would leave 1 in these books, and the end of the
// process would open the lock once more for each.

int sem_p(int id, int num) { return Operate(id, num, -1, SEM_UNDO); }

int sem_v(int id, int num) { return Operate(id, num, 1, SEM_UNDO); }

int sem_try_p(int id, int num) { return Operate(id, num, -1, SEM_UNDO | IPC_NOWAIT); }

int with_sem(int id, int num, int (*fn)(void*), void* arg) {
  if (fn == nullptr) return Fail(EINVAL);
  if (sem_p(id, num) == -1) return -1;
  const int result = fn(arg);
  const int error = errno;
  if (sem_v(id, num) == -1) return -1;
  errno = error;
  return result;
}

// ---- 3. Event, timeout, end reasons ------------------------------------------------------------
// No SEM_UNDO here: a post is a message. It would be taken back when the poster ends, and come
// again when the waiter does.

int event_init(int id, int num) { return SetOne(id, num, 0); }

int event_post(int id, int num) { return Operate(id, num, 1, 0); }

int event_wait(int id, int num, int timeout_ms) { return OperateInTime(id, num, -1, timeout_ms); }

int event_wait_sig(int id, int num) {
  if (!IsNumber(num)) return Fail(EFBIG);
  sembuf operation = Operation(num, -1);
  return semop(id, &operation, 1);
}

// ---- 4. Latch and barrier ----------------------------------------------------------------------
// This is what waiting for zero is good for: the semaphore counts who is missing, and a wait with
// sem_op 0 takes nothing, so it lets any number of processes through.

int latch_create(int count) {
  if (count < 0 || count > SHRT_MAX) return Fail(ERANGE);
  const unsigned short missing = static_cast<unsigned short>(count);
  return MakeSet(IPC_PRIVATE, &missing, 1, kOwnerOnly);
}

int latch_done(int id) {
  // "Nothing left to count down" is told by the operation itself. A look before it could be late.
  const int result = Operate(id, 0, -1, IPC_NOWAIT);
  return result == -1 && errno == EAGAIN ? Fail(ERANGE) : result;
}

int latch_wait(int id, int timeout_ms) { return OperateInTime(id, 0, 0, timeout_ms); }

namespace {

// The members of a barrier's set. With kMissing alone, who is quick would come in again and count
// itself down a second time, or set the number anew, while who is slow still waits for zero.
enum { kMissing, kLeaving, kParties };

template <std::size_t n>
int OperateAll(int id, sembuf (&operations)[n]) {
  return Again([&] { return semop(id, operations, n); });
}

// Comes in, as soon as everybody of the last round has left.
int ComeIn(int id) {
  sembuf operations[] = {Operation(kLeaving, 0), Operation(kMissing, -1)};
  return OperateAll(id, operations);
}

// If nobody is missing: prepares the next round and lets this one leave. At one moment, so only one
// process does it, however many try. Else fails with EAGAIN.
int OpenTheDoor(int id, int parties) {
  sembuf operations[] = {Operation(kMissing, 0, IPC_NOWAIT), Operation(kMissing, parties),
                         Operation(kLeaving, parties)};
  return OperateAll(id, operations);
}

}  // namespace

int barrier_create(int parties) {
  if (parties < 1 || parties > 10000) return Fail(ERANGE);
  const auto all = static_cast<unsigned short>(parties);
  const unsigned short values[] = {all, 0, all};
  return MakeSet(IPC_PRIVATE, values, 3, kOwnerOnly);
}

int barrier_wait(int id) {
  const int parties = semctl(id, kParties, GETVAL);
  if (parties == -1) return -1;
  if (ComeIn(id) == -1) return -1;
  // Whoever comes last finds nobody missing. If it is not the one to open, somebody else has.
  const int opened = OpenTheDoor(id, parties);
  if (opened == -1 && errno != EAGAIN) return -1;
  if (Operate(id, kLeaving, -1, 0) == -1) return -1;
  return opened == 0 ? 1 : 0;
}

// ---- 5. Several at once ------------------------------------------------------------------------

namespace {

constexpr std::size_t kMostOperations = 500;  // What one semop(2) takes: SEMOPM.

// All of it in one call. One call for each would hold the first while it waits for the second.
int OperateOnAll(int id, const int* nums, const int* amounts, std::size_t n, int sign) {
  if (n == 0) return Fail(EINVAL);
  if (n > kMostOperations) return Fail(E2BIG);
  sembuf operations[kMostOperations];
  for (std::size_t i = 0; i < n; ++i) {
    // sem_op 0 would wait for zero, and a negative amount would turn the direction round.
    if (amounts[i] < 1) return Fail(EINVAL);
    if (amounts[i] > SHRT_MAX) return Fail(ERANGE);
    if (!IsNumber(nums[i])) return Fail(EFBIG);
    operations[i] = Operation(nums[i], sign * amounts[i], SEM_UNDO);
  }
  return Again([&] { return semop(id, operations, n); });
}

// Waits for this child and no other: the caller may have children of its own.
int WaitFor(pid_t pid, int* status) {
  return Again([&] { return waitpid(pid, status, 0); }) == -1 ? -1 : 0;
}

// Ends a child whose work nobody wants any more. SIGKILL, because it may be waiting for anything.
void EndChild(pid_t pid) {
  KeepErrno keep;
  static_cast<void>(kill(pid, SIGKILL));
  static_cast<void>(WaitFor(pid, nullptr));
}

}  // namespace

int take_all(int id, const int* nums, const int* amounts, std::size_t n) {
  return OperateOnAll(id, nums, amounts, n, -1);
}

int give_all(int id, const int* nums, const int* amounts, std::size_t n) {
  return OperateOnAll(id, nums, amounts, n, 1);
}

int move_units(int id, int from, int to, int amount, int wait) {
  if (amount < 1) return Fail(EINVAL);
  if (amount > SHRT_MAX) return Fail(ERANGE);
  if (!IsNumber(from) || !IsNumber(to)) return Fail(EFBIG);
  // No SEM_UNDO: what has been moved is where it is, whoever moved it.
  sembuf operations[] = {Operation(from, -amount, wait == 0 ? IPC_NOWAIT : 0),
                         Operation(to, amount)};
  return OperateAll(id, operations);
}

namespace {

constexpr int kMostSeats = 50;

struct Table {
  int forks;  // The set: 1 for a fork that lies on the table.
  int seats;
  int meals;
  int (*eat)(int seat, void* arg);
  void* arg;
};

// Returns the exit code of the child. With SEM_UNDO, the forks of one who dies while it eats, or
// who leaves, are back on the table.
int Dine(const Table& table, int seat) {
  const int forks[] = {seat, (seat + table.seats - 1) % table.seats};
  const int one_each[] = {1, 1};
  for (int meal = 0; meal < table.meals; ++meal) {
    // Both or none. If each took the left fork first, all of them could hold one and wait for the
    // other, for ever.
    if (OperateOnAll(table.forks, forks, one_each, 2, -1) == -1) return 1;
    if (table.eat(seat, table.arg) != 0) return 1;
    if (OperateOnAll(table.forks, forks, one_each, 2, 1) == -1) return 1;
  }
  return 0;
}

// Starts all of them, or none.
int SeatAll(const Table& table, pid_t* children) {
  for (int seat = 0; seat < table.seats; ++seat) {
    children[seat] = fork();
    if (children[seat] == 0) _exit(Dine(table, seat));  // Not exit: atexit is the caller's.
    if (children[seat] != -1) continue;
    while (seat-- > 0) EndChild(children[seat]);
    return -1;
  }
  return 0;
}

}  // namespace

int philosophers(int n, int meals, int (*eat)(int seat, void* arg), void* arg) {
  if (n < 2 || n > kMostSeats || meals < 0 || eat == nullptr) return Fail(EINVAL);
  unsigned short on_the_table[kMostSeats];
  std::fill_n(on_the_table, n, static_cast<unsigned short>(1));
  // Goes at the end of this function, on every way out of it: when all children have ended.
  const NewSet forks(MakeSet(IPC_PRIVATE, on_the_table, n, kOwnerOnly));
  if (forks.id() == -1) return -1;

  pid_t children[kMostSeats];
  if (SeatAll({forks.id(), n, meals, eat, arg}, children) == -1) return -1;
  int error = 0;
  for (int seat = 0; seat < n; ++seat) {
    int status = 0;
    // One that is lost is no reason to leave the others unwaited for.
    if (WaitFor(children[seat], &status) == -1) {
      error = errno;
    } else if (error == 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
      error = ECANCELED;
    }
  }
  return error == 0 ? 0 : Fail(error);
}

// ---- 6. Creation without a race ----------------------------------------------------------------
// semget(2) makes the set, and only a later call gives it its values. Between the two, others find
// it. Two rules close the gap: IPC_EXCL chooses one who sets the values, and sem_otime tells the
// others when that is done, because the values come by the first semop(2) of all.

namespace {

constexpr int kTryAgain = -2;  // Beside -1 and ids.

// Sleeps between two looks. A signal that shortens it does no harm.
void Nap() {
  const timespec nap = {0, 2'000'000};
  static_cast<void>(nanosleep(&nap, nullptr));
}

bool HasGone(int error) { return error == EINVAL || error == EIDRM; }

// The set has just been made by us, and its values are 0. One semop for all: whoever sees sem_otime
// sees all the values. A sem_op 0 finds the 0 that it waits for. No SEM_UNDO: our end takes nothing
// back.
int FillIn(int id, const unsigned short* init, int n) {
  sembuf operations[kMostOperations];
  for (int i = 0; i < n; ++i) operations[i] = Operation(i, init[i], IPC_NOWAIT);
  return Again([&] { return semop(id, operations, static_cast<std::size_t>(n)); });
}

// Returns the id, -1, or kTryAgain if the set is not ready or has gone meanwhile.
int Join(key_t key, int n) {
  const int id = semget(key, 0, kOwnerOnly);
  if (id == -1) return errno == ENOENT ? kTryAgain : -1;
  semid_ds about{};
  SemctlArgument argument{};
  argument.buf = &about;
  if (semctl(id, 0, IPC_STAT, argument) == -1) return HasGone(errno) ? kTryAgain : -1;
  if (about.sem_nsems != static_cast<unsigned long>(n)) return Fail(EINVAL);
  return about.sem_otime != 0 ? id : kTryAgain;
}

}  // namespace

int sem_open_once(key_t key, int n, const unsigned short* init, mode_t mode, int timeout_ms,
                  int* created) {
  if (n < 1 || n > static_cast<int>(kMostOperations)) return Fail(EINVAL);
  if (key == IPC_PRIVATE) return Fail(EEXIST);
  // Above that, the short sem_op would be negative, and the semop would take instead of give.
  for (int i = 0; i < n; ++i) {
    if (init[i] > SHRT_MAX) return Fail(ERANGE);
  }
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    NewSet made(semget(key, n, IPC_CREAT | IPC_EXCL | static_cast<int>(mode)));
    if (made.id() != -1) {
      // On failure we remove it: the others then begin anew, instead of waiting in vain.
      if (FillIn(made.id(), init, n) == -1) return -1;
      *created = 1;
      return made.Release();
    }
    if (errno != EEXIST) return -1;
    const int found = Join(key, n);
    if (found == -1) return -1;
    if (found != kTryAgain) {
      *created = 0;
      return found;
    }
    if (timeout_ms >= 0 && Clock::now() >= end) return Fail(ETIMEDOUT);
    Nap();
  }
}

// ---- 7. Who waits for what ---------------------------------------------------------------------

namespace {

int Describe(int id, int num, SemInfo* info) {
  const int value = semctl(id, num, GETVAL);
  const int last = value == -1 ? -1 : semctl(id, num, GETPID);
  const int more = last == -1 ? -1 : semctl(id, num, GETNCNT);
  const int zero = more == -1 ? -1 : semctl(id, num, GETZCNT);
  if (zero == -1) return -1;
  *info = {value, last, more, zero};
  return 0;
}

int CountWaiters(int id, int num) {
  const int more = semctl(id, num, GETNCNT);
  const int zero = more == -1 ? -1 : semctl(id, num, GETZCNT);
  return zero == -1 ? -1 : more + zero;
}

}  // namespace

int sems_info(int id, SemInfo* out, int cap) {
  semid_ds about{};
  SemctlArgument argument{};
  argument.buf = &about;
  if (semctl(id, 0, IPC_STAT, argument) == -1) return -1;
  const int n = static_cast<int>(about.sem_nsems);
  if (n > cap) return Fail(ENOBUFS);
  for (int num = 0; num < n; ++num) {
    if (Describe(id, num, &out[num]) == -1) return -1;
  }
  return n;
}

int sems_wait_until_blocked(int id, int num, int waiters, int timeout_ms) {
  if (waiters < 0) return Fail(EINVAL);
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    const int count = CountWaiters(id, num);
    if (count == -1 || count >= waiters) return count;
    if (timeout_ms >= 0 && Clock::now() >= end) return Fail(ETIMEDOUT);
    Nap();
  }
}

int sems_set_mode(int id, mode_t mode) {
  constexpr mode_t kAllBits = S_IRWXU | S_IRWXG | S_IRWXO;
  if ((mode & ~kAllBits) != 0) return Fail(EINVAL);
  // IPC_SET writes owner, group and mode. What is to remain must be read first.
  semid_ds about{};
  SemctlArgument argument{};
  argument.buf = &about;
  if (semctl(id, 0, IPC_STAT, argument) == -1) return -1;
  about.sem_perm.mode = static_cast<decltype(about.sem_perm.mode)>(mode);
  return semctl(id, 0, IPC_SET, argument) == -1 ? -1 : 0;
}

// ---- 8. Three locks compared -------------------------------------------------------------------
// What differs is who keeps the books. Semaphore: the kernel undoes what the dead process did.
// Record lock: it belongs to the process and goes with it, and with the first descriptor of the
// file that the process closes, whichever that is. Mutex: no call at all unless somebody waits, so
// only the list of robust mutexes, which the kernel reads when a thread dies, tells the next one.

namespace {

class Lock {
 public:
  Lock() = default;
  virtual ~Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // Three steps of one lock. The caller has seen to it that nobody takes it twice.
  virtual int Make(const char* dir) = 0;
  virtual int Take() = 0;
  virtual int Give() = 0;
  // What fails does not keep the rest from being removed. Returns 0, or -1 with the first errno.
  virtual int Remove() = 0;

  // A child gets a copy of this object, with the number of its parent in it. So it holds nothing.
  bool IsMine() const { return holder_ == getpid(); }
  void SetMine(bool mine) { holder_ = mine ? getpid() : 0; }

 private:
  pid_t holder_ = 0;
};

// Adds up what happens on the way, and keeps the first error.
class FirstError {
 public:
  void Note(int result) {
    if (result == -1 && error_ == 0) error_ = errno;
  }
  int Result() const { return error_ == 0 ? 0 : Fail(error_); }

 private:
  int error_ = 0;
};

class SysVLock : public Lock {
 public:
  int Make(const char*) override {
    const unsigned short free = 1;
    id_ = MakeSet(IPC_PRIVATE, &free, 1, kOwnerOnly);
    return id_ == -1 ? -1 : 0;
  }
  int Take() override { return sem_p(id_, 0); }
  int Give() override { return sem_v(id_, 0); }
  int Remove() override { return id_ == -1 ? 0 : semctl(std::exchange(id_, -1), 0, IPC_RMID); }

 private:
  int id_ = -1;
};

// A new file of our own in `dir`, and its name.
class LockFile {
 public:
  int Make(const char* dir) {
    const int length = std::snprintf(path_, sizeof path_, "%s/lock3.XXXXXX", dir);
    if (length < 0 || static_cast<std::size_t>(length) >= sizeof path_) return Fail(ENAMETOOLONG);
    fd_ = mkostemp(path_, O_CLOEXEC);  // With O_EXCL, and mode 0600.
    return fd_ == -1 ? -1 : 0;
  }
  int Remove() {
    if (fd_ == -1) return 0;
    FirstError first;
    first.Note(unlink(path_));
    first.Note(close(std::exchange(fd_, -1)));
    return first.Result();
  }
  int fd() const { return fd_; }

 private:
  char path_[PATH_MAX];
  int fd_ = -1;
};

class RecordLock : public Lock {
 public:
  int Make(const char* dir) override { return file_.Make(dir); }
  // This descriptor is the only one of the file that any of the processes opens, and it is closed
  // only at the end. To close another one would give back the lock.
  int Take() override { return Set(F_SETLKW, F_WRLCK); }
  int Give() override { return Set(F_SETLK, F_UNLCK); }
  int Remove() override { return file_.Remove(); }

 private:
  int Set(int command, short type) {
    struct flock all {};
    all.l_type = type;
    all.l_whence = SEEK_SET;
    return Again([&] { return fcntl(file_.fd(), command, &all); });
  }

  LockFile file_;
};

// pthread functions return their error.
int FromPthread(int error) { return error == 0 ? 0 : Fail(error); }

class RobustMutex : public Lock {
 public:
  int Make(const char* dir) override {
    if (file_.Make(dir) == -1) return -1;
    if (Again([&] { return ftruncate(file_.fd(), sizeof(pthread_mutex_t)); }) == -1) return -1;
    void* const memory =
        mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE, MAP_SHARED, file_.fd(), 0);
    if (memory == MAP_FAILED) return -1;
    mutex_ = static_cast<pthread_mutex_t*>(memory);
    return Initialise();
  }
  int Take() override {
    const int error = pthread_mutex_lock(mutex_);
    // The lock is ours, with the news that its last owner died. If we do not say that all is well
    // again, nobody will get it after us.
    if (error == EOWNERDEAD) return FromPthread(pthread_mutex_consistent(mutex_));
    return FromPthread(error);
  }
  int Give() override { return FromPthread(pthread_mutex_unlock(mutex_)); }
  int Remove() override {
    FirstError first;
    if (made_) first.Note(FromPthread(pthread_mutex_destroy(mutex_)));
    if (mutex_ != nullptr) first.Note(munmap(mutex_, sizeof *mutex_));
    first.Note(file_.Remove());
    return first.Result();
  }

 private:
  int Initialise() {
    pthread_mutexattr_t kind;
    if (FromPthread(pthread_mutexattr_init(&kind)) == -1) return -1;
    int error = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    if (error == 0) error = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    if (error == 0) error = pthread_mutex_init(mutex_, &kind);
    pthread_mutexattr_destroy(&kind);
    made_ = error == 0;
    return FromPthread(error);
  }

  LockFile file_;
  pthread_mutex_t* mutex_ = nullptr;
  bool made_ = false;
};

// nullptr with EINVAL or ENOMEM.
Lock* NewLock(Kind kind) {
  Lock* lock = nullptr;
  switch (kind) {
    case Kind::kSysV:
      lock = new (std::nothrow) SysVLock;
      break;
    case Kind::kRecordLock:
      lock = new (std::nothrow) RecordLock;
      break;
    case Kind::kRobustMutex:
      lock = new (std::nothrow) RobustMutex;
      break;
    default:
      errno = EINVAL;
      return nullptr;
  }
  if (lock == nullptr) errno = ENOMEM;
  return lock;
}

}  // namespace

int lock3_init(Kind kind, const char* dir, void** handle) {
  Lock* const lock = NewLock(kind);
  if (lock == nullptr) return -1;
  if (lock->Make(dir) == -1) {
    KeepErrno keep;
    static_cast<void>(lock->Remove());
    delete lock;
    return -1;
  }
  *handle = lock;
  return 0;
}

int lock3_lock(void* handle) {
  Lock* const lock = static_cast<Lock*>(handle);
  if (lock->IsMine()) return Fail(EDEADLK);
  if (lock->Take() == -1) return -1;
  lock->SetMine(true);
  return 0;
}

int lock3_unlock(void* handle) {
  Lock* const lock = static_cast<Lock*>(handle);
  // A semaphore takes a V from anybody, and a record lock that is not there is given back gladly.
  if (!lock->IsMine()) return Fail(EPERM);
  if (lock->Give() == -1) return -1;
  lock->SetMine(false);
  return 0;
}

int lock3_destroy(void* handle) {
  Lock* const lock = static_cast<Lock*>(handle);
  if (lock->IsMine()) return Fail(EBUSY);
  const int result = lock->Remove();
  KeepErrno keep;
  delete lock;
  return result;
}

namespace {

// A child that takes the lock and dies. Returns its wait status and whether it held the lock, as
// one byte in a pipe says: that it was killed does not tell when.
int LetOneDie(void* handle, int* status, bool* held) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) == -1) return -1;
  const pid_t child = fork();
  if (child == 0) {
    if (lock3_lock(handle) == -1) _exit(1);
    if (write(ends[1], "", 1) == 1) static_cast<void>(kill(getpid(), SIGKILL));
    _exit(1);
  }
  FirstError first;
  first.Note(child);
  close(ends[1]);  // While we hold it, a child that dies early brings no end of file.
  char byte;
  if (child != -1) {
    const ssize_t got = Again([&] { return read(ends[0], &byte, 1); });
    *held = got == 1;
    first.Note(static_cast<int>(got));
    first.Note(WaitFor(child, status));
  }
  close(ends[0]);
  return first.Result();
}

int Recover(void* handle) {
  int status = 0;
  bool held = false;
  if (LetOneDie(handle, &status, &held) == -1) return -1;
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (!killed || !held) return Fail(ECANCELED);
  if (lock3_lock(handle) == -1) return -1;
  return lock3_unlock(handle);
}

}  // namespace

int lock3_recover_test(Kind kind, const char* dir) {
  void* handle = nullptr;
  if (lock3_init(kind, dir, &handle) == -1) return -1;
  FirstError first;
  first.Note(Recover(handle));
  first.Note(lock3_destroy(handle));
  return first.Result();
}

}  // namespace ipclab::semaphore
