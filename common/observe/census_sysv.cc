#include "common/observe/census_sysv.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "common/base/error.h"

namespace ipclab {
namespace {

// semctl(2) leaves it to the caller to define this.
union SemctlArgument {
  int val;
  semid_ds* buf;
  unsigned short* array;
  seminfo* info;
};

// An unused slot, or an object removed between two calls.
bool IsGone(int error) { return error == EINVAL || error == EIDRM; }

SysvObject FromPermissions(SysvKind kind, int id, const ipc_perm& permissions) {
  SysvObject object;
  object.kind = kind;
  object.id = id;
  object.key = permissions.__key;
  object.mode = permissions.mode;
  object.uid = permissions.uid;
  object.gid = permissions.gid;
  object.creator_uid = permissions.cuid;
  object.creator_gid = permissions.cgid;
  return object;
}

void AddQueues(std::vector<SysvObject>& objects) {
  msginfo info{};
  const int last =
      Check(msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&info)), "msgctl(MSG_INFO)");
  for (int slot = 0; slot <= last; ++slot) {
    msqid_ds queue{};
    const int id = msgctl(slot, MSG_STAT_ANY, &queue);
    if (id == -1 && IsGone(errno)) continue;
    Check(id, "msgctl(MSG_STAT_ANY)");
    SysvObject object = FromPermissions(SysvKind::kQueue, id, queue.msg_perm);
    object.bytes = queue.__msg_cbytes;
    object.capacity = queue.msg_qbytes;
    object.messages = queue.msg_qnum;
    object.last_operation = std::max(queue.msg_stime, queue.msg_rtime);
    object.last_change = queue.msg_ctime;
    objects.push_back(std::move(object));
  }
}

// Empty if the caller may not read the set, or it has just been removed.
std::vector<SysvSemaphore> Semaphores(int id, unsigned count) {
  std::vector<unsigned short> values(count);
  if (semctl(id, 0, GETALL, SemctlArgument{.array = values.data()}) == -1) {
    if (errno == EACCES || IsGone(errno)) return {};
    throw SystemError(errno, "semctl(GETALL)");
  }
  std::vector<SysvSemaphore> semaphores;
  for (unsigned i = 0; i < count; ++i) {
    const int number = static_cast<int>(i);
    const int last_pid = semctl(id, number, GETPID);
    const int increase = semctl(id, number, GETNCNT);
    const int zero = semctl(id, number, GETZCNT);
    if (last_pid == -1 || increase == -1 || zero == -1) return {};
    semaphores.push_back({.value = values[i],
                          .last_pid = last_pid,
                          .waiting_for_increase = increase,
                          .waiting_for_zero = zero});
  }
  return semaphores;
}

void AddSemaphoreSets(std::vector<SysvObject>& objects) {
  seminfo info{};
  const int last = Check(semctl(0, 0, SEM_INFO, SemctlArgument{.info = &info}), "semctl(SEM_INFO)");
  for (int slot = 0; slot <= last; ++slot) {
    semid_ds set{};
    const int id = semctl(slot, 0, SEM_STAT_ANY, SemctlArgument{.buf = &set});
    if (id == -1 && IsGone(errno)) continue;
    Check(id, "semctl(SEM_STAT_ANY)");
    SysvObject object = FromPermissions(SysvKind::kSemaphores, id, set.sem_perm);
    object.last_operation = set.sem_otime;
    object.last_change = set.sem_ctime;
    object.semaphore_count = set.sem_nsems;
    object.semaphores = Semaphores(id, static_cast<unsigned>(set.sem_nsems));
    objects.push_back(std::move(object));
  }
}

void AddSegments(std::vector<SysvObject>& objects) {
  shm_info info{};
  const int last =
      Check(shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info)), "shmctl(SHM_INFO)");
  for (int slot = 0; slot <= last; ++slot) {
    shmid_ds segment{};
    const int id = shmctl(slot, SHM_STAT_ANY, &segment);
    if (id == -1 && IsGone(errno)) continue;
    Check(id, "shmctl(SHM_STAT_ANY)");
    SysvObject object = FromPermissions(SysvKind::kSegment, id, segment.shm_perm);
    object.bytes = segment.shm_segsz;
    object.attached = segment.shm_nattch;
    object.creator_pid = segment.shm_cpid;
    object.last_operation = std::max(segment.shm_atime, segment.shm_dtime);
    object.last_change = segment.shm_ctime;
    objects.push_back(std::move(object));
  }
}

}  // namespace

std::string SysvObject::Name() const {
  const char* const what = kind == SysvKind::kQueue        ? "message queue"
                           : kind == SysvKind::kSemaphores ? "semaphore set"
                                                           : "shared memory segment";
  char numbers[64];
  std::snprintf(numbers, sizeof(numbers), " id %d key 0x%x", id, static_cast<unsigned>(key));
  return std::string("System V ") + what + numbers;
}

std::vector<SysvObject> SysvObjects() {
  std::vector<SysvObject> objects;
  AddQueues(objects);
  AddSemaphoreSets(objects);
  AddSegments(objects);
  std::ranges::sort(objects, [](const SysvObject& a, const SysvObject& b) {
    return a.kind != b.kind ? a.kind < b.kind : a.id < b.id;
  });
  return objects;
}

}  // namespace ipclab
