// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. In a storm of signals it comes to the same end as without.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sandbox/helper.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using namespace semaphore;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kSemaphores, Family::kFork, Family::kWait,
                                      Family::kPipe,       Family::kRead, Family::kOpen,
                                      Family::kFcntl,      Family::kMap};

void ExpectSound(const std::string& helper) { ipclab::ExpectSound(helper, {.watch = kWatched}); }

// A set of the scenario's own, which none of the failing calls is to touch.
class Semaphores {
 public:
  explicit Semaphores(int value) : id_(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600)) {
    sembuf operation = {0, static_cast<short>(value), 0};
    if (value > 0) semop(id_, &operation, 1);
  }
  ~Semaphores() { semctl(id_, 0, IPC_RMID); }
  Semaphores(const Semaphores&) = delete;
  Semaphores& operator=(const Semaphores&) = delete;

  int id() const { return id_; }

 private:
  const int id_;
};

HELPER(SweepsSets) {
  const unsigned short init[] = {1, 2};
  const key_t key = 0x5e3;
  const int id = STUDENT(sems_create)(key, init, 2, 0600);
  if (id == -1) return 1;
  unsigned short out[2];
  bool good = STUDENT(sems_open)(key, 2) == id;
  good &= STUDENT(sems_set)(id, 0, 7) == 0;
  good &= STUDENT(sems_get)(id, 0) == 7;
  good &= STUDENT(sems_get_all)(id, out, 2) == 2;
  good &= STUDENT(sems_remove)(id) == 0;
  return good ? 0 : 1;
}

TEST(ErrorSweep, Sets) { ExpectSound("SweepsSets"); }

int Nothing(void*) { return 0; }

HELPER(SweepsPAndV) {
  const Semaphores lock(9);  // Some of it may not come back.
  bool good = true;
  for (const bool tries : {false, true}) {
    const int taken = tries ? STUDENT(sem_try_p)(lock.id(), 0) : STUDENT(sem_p)(lock.id(), 0);
    good &= taken == 0 && STUDENT(sem_v)(lock.id(), 0) == 0;
  }
  good &= STUDENT(with_sem)(lock.id(), 0, Nothing, nullptr) == 0;
  return good ? 0 : 1;
}

TEST(ErrorSweep, PAndV) { ExpectSound("SweepsPAndV"); }

// Whether a post that fails is there or not, no wait without it is without a limit.
HELPER(SweepsEvents) {
  const Semaphores event(0);
  bool good = STUDENT(event_init)(event.id(), 0) == 0;
  for (const int limit : {-1, 600'000}) {
    const bool posted = STUDENT(event_post)(event.id(), 0) == 0;
    good &= posted && STUDENT(event_wait)(event.id(), 0, limit) == 0;
  }
  return good ? 0 : 1;
}

TEST(ErrorSweep, Events) { ExpectSound("SweepsEvents"); }

HELPER(SweepsLatch) {
  const int id = STUDENT(latch_create)(1);
  if (id == -1) return 1;
  const bool done = STUDENT(latch_done)(id) == 0;
  const bool passed = done && STUDENT(latch_wait)(id, -1) == 0;
  semctl(id, 0, IPC_RMID);
  return passed ? 0 : 1;
}

TEST(ErrorSweep, Latch) { ExpectSound("SweepsLatch"); }

HELPER(SweepsBarrier) {
  const int id = STUDENT(barrier_create)(1);
  if (id == -1) return 1;
  const bool passed = STUDENT(barrier_wait)(id) == 1;
  semctl(id, 0, IPC_RMID);
  return passed ? 0 : 1;
}

TEST(ErrorSweep, Barrier) { ExpectSound("SweepsBarrier"); }

// ---- Exercises 5 to 8 ---------------------------------------------------------------------------

HELPER(SweepsSeveral) {
  const int id = semget(IPC_PRIVATE, 2, 0600);
  if (id == -1) return 2;
  const int nums[] = {0, 1};
  const int amounts[] = {2, 1};
  bool good = STUDENT(give_all)(id, nums, amounts, 2) == 0;
  good = good && STUDENT(move_units)(id, 0, 1, 1, 1) == 0;
  good = good && STUDENT(move_units)(id, 1, 0, 1, 0) == 0;
  good = good && STUDENT(take_all)(id, nums, amounts, 2) == 0;
  semctl(id, 0, IPC_RMID);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Several) { ExpectSound("SweepsSeveral"); }

HELPER(SweepsPhilosophers) {
  const auto eat = [](int, void*) { return 0; };
  return STUDENT(philosophers)(3, 2, eat, nullptr) == 0 ? 0 : 1;
}

TEST(ErrorSweep, Philosophers) { ExpectSound("SweepsPhilosophers"); }

HELPER(SweepsOpenOnce) {
  constexpr key_t kKey = 0x5e3a;
  const unsigned short init[] = {1, 0};
  int created = 0;
  bool good = STUDENT(sem_open_once)(kKey, 2, init, 0600, 100, &created) != -1;
  good &= STUDENT(sem_open_once)(kKey, 2, init, 0600, 100, &created) != -1;
  const int id = semget(kKey, 0, 0);
  if (id != -1) semctl(id, 0, IPC_RMID);
  return good ? 0 : 1;
}

TEST(ErrorSweep, OpenOnce) { ExpectSound("SweepsOpenOnce"); }

HELPER(SweepsThreeLocks) {
  const char* const dir = "locks";
  if (mkdir(dir, 0700) == -1) return 2;
  bool good = true;
  for (const Kind kind : {Kind::kSysV, Kind::kRecordLock, Kind::kRobustMutex}) {
    void* lock = nullptr;
    if (STUDENT(lock3_init)(kind, dir, &lock) == -1) {
      good = false;
      continue;
    }
    if (STUDENT(lock3_lock)(lock) == -1) {
      good = false;
    } else {
      good &= STUDENT(lock3_unlock)(lock) == 0;
    }
    good &= STUDENT(lock3_destroy)(lock) == 0;
  }
  rmdir(dir);
  return good ? 0 : 1;
}

TEST(ErrorSweep, ThreeLocks) { ExpectSound("SweepsThreeLocks"); }

HELPER(SweepsRecovery) {
  const char* const dir = "locks";
  if (mkdir(dir, 0700) == -1) return 2;
  bool good = true;
  for (const Kind kind : {Kind::kSysV, Kind::kRecordLock, Kind::kRobustMutex}) {
    good &= STUDENT(lock3_recover_test)(kind, dir) == 0;
  }
  rmdir(dir);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Recovery) { ExpectSound("SweepsRecovery"); }

}  // namespace
}  // namespace ipclab
