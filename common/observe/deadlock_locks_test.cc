// Processes that can never go on because of locks in memory, and what the proof says about them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <thread>

#include "common/observe/deadlock.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/world.h"

namespace ipclab {
namespace {

TEST(Deadlock, OfAProcessThatLocksAMutexAgain) {
  const Forked parent([] {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    return pthread_mutex_lock(&mutex);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 1 (parent) waits in futex() for a mutex in its own memory that it has locked "
            "itself.");
}

// For the body of a child: mutexes that its children share.
pthread_mutex_t* SharedMutexes(std::size_t count, int robustness) {
  void* const memory = mmap(nullptr, count * sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) _exit(95);
  auto* const mutexes = static_cast<pthread_mutex_t*>(memory);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, robustness);
  for (std::size_t i = 0; i < count; ++i) pthread_mutex_init(&mutexes[i], &attributes);
  return mutexes;
}

TEST(Deadlock, OfAChildThatWaitsForAMutexOfItsWaitingParent) {
  for (const int robustness : {PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_ROBUST}) {
    const Forked parent([&] {
      pthread_mutex_t* const mutex = SharedMutexes(1, robustness);
      pthread_mutex_lock(mutex);
      return WaitForChild(ForkFrom([&] { return pthread_mutex_lock(mutex); }));
    });

    EXPECT_EQ(ProvedDeadlock(parent.pid()),
              "Process 2 (child 2) waits in futex() for the mutex that process 1 (parent) holds in "
              "shared memory. Process 1 waits in wait4() for process 2. They wait for each other, "
              "so neither can go on.");
  }
}

TEST(Deadlock, OfTwoProcessesThatLockInOppositeOrders) {
  const Forked parent([] {
    pthread_mutex_t* const mutexes = SharedMutexes(2, PTHREAD_MUTEX_STALLED);
    StartAfresh();
    const RawPipe locked = OpenPipe();
    pthread_mutex_lock(&mutexes[0]);
    ForkFrom([&] {
      pthread_mutex_lock(&mutexes[1]);
      WriteByte(locked.write_end);
      return pthread_mutex_lock(&mutexes[0]);
    });
    ReadByte(locked.read_end);
    return pthread_mutex_lock(&mutexes[1]);
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 1 (parent) waits in futex() for the mutex that process 2 (child 2) holds in "
      "shared memory. Process 2 waits in futex() for the mutex that process 1 holds in shared "
      "memory. They wait for each other, so neither can go on.");
}

TEST(Deadlock, OfAMutexWhoseOwnerHasEnded) {
  const Forked parent([] {
    pthread_mutex_t* const mutex = SharedMutexes(1, PTHREAD_MUTEX_STALLED);
    WaitForChild(ForkFrom([&] { return pthread_mutex_lock(mutex); }));
    return pthread_mutex_lock(mutex);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              testing::MatchesRegex("Process 1 .parent. waits in futex.. for a mutex in shared "
                                    "memory; its owner, [0-9]+, has ended without unlocking it. "
                                    "Nobody is left who could end this."));
}

TEST(Deadlock, OfASemaphoreInSharedMemoryThatIsMarkedAsPrivate) {
  const Forked parent([] {
    void* const memory =
        mmap(nullptr, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    auto* const semaphore = static_cast<sem_t*>(memory);
    if (sem_init(semaphore, /*pshared=*/0, 0) != 0) return 1;
    return sem_wait(semaphore);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 1 (parent) waits in futex() for a lock, a condition or a semaphore in shared "
            "memory; that one is not marked as shared between processes. Nobody is left who could "
            "end this.");
}

TEST(Deadlock, OfAConditionThatNobodySignals) {
  const Forked parent([] {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    return pthread_cond_wait(&condition, &mutex);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 1 (parent) waits in futex() for a lock, a condition or a semaphore in its own "
            "memory. Nobody is left who could end this.");
}

TEST(Deadlock, OfAThreadThatWaitsForAMutexOfAnother) {
  const Forked parent([] {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    std::thread other([&] { pthread_mutex_lock(&mutex); });
    other.join();
    return 0;
  });

  EXPECT_THAT(
      ProvedDeadlock(parent.pid()),
      testing::ContainsRegex("Process 1, thread [0-9]+, waits in futex.. for the mutex that "
                             "thread 1 of its own holds in its own memory."));
}

}  // namespace
}  // namespace ipclab
