// The System V objects of the calling process's own IPC namespace. See sysvipc(7).
//
//   for (const SysvObject& object : SysvObjects()) puts(object.Name().c_str());
//   // "System V message queue id 24 key 0x0"
//
// Works without /proc, hence also inside a box: it walks the kernel's tables by
// msgctl(MSG_STAT_ANY) and its siblings, which need no permission on the object.

#ifndef IPCLAB_COMMON_OBSERVE_CENSUS_SYSV_H_
#define IPCLAB_COMMON_OBSERVE_CENSUS_SYSV_H_

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ipclab {

enum class SysvKind { kQueue, kSemaphores, kSegment };
NLOHMANN_JSON_SERIALIZE_ENUM(SysvKind, {{SysvKind::kQueue, "queue"},
                                        {SysvKind::kSemaphores, "semaphores"},
                                        {SysvKind::kSegment, "segment"}})

// One semaphore of a set, as GETVAL, GETPID, GETNCNT and GETZCNT give it.
struct SysvSemaphore {
  int value = 0;
  pid_t last_pid = 0;
  int waiting_for_increase = 0;
  int waiting_for_zero = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SysvSemaphore, value, last_pid, waiting_for_increase,
                                   waiting_for_zero)

struct SysvObject {
  SysvKind kind = SysvKind::kQueue;
  int id = -1;
  std::int32_t key = 0;  // 0: IPC_PRIVATE.
  unsigned mode = 0;     // Permission bits, and SHM_DEST of a segment.
  uid_t uid = 0;
  gid_t gid = 0;
  uid_t creator_uid = 0;
  gid_t creator_gid = 0;
  std::uint64_t bytes = 0;     // In the queue, or of the segment.
  std::uint64_t capacity = 0;  // msg_qbytes of a queue.
  std::uint64_t messages = 0;
  std::uint64_t attached = 0;       // shm_nattch.
  pid_t creator_pid = 0;            // Of a segment.
  std::int64_t last_operation = 0;  // The latest of the times that operations set: sem_otime ...
  std::int64_t last_change = 0;     // ctime. Both in seconds since the epoch.
  std::uint64_t semaphore_count = 0;
  std::vector<SysvSemaphore> semaphores;  // Empty if the set may not be read.

  // "System V semaphore set id 3 key 0x1f"; ids and keys are what ipcs(1) shows.
  std::string Name() const;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(SysvObject, kind, id, key, mode, uid, gid,
                                                creator_uid, creator_gid, bytes, capacity, messages,
                                                attached, creator_pid, last_operation, last_change,
                                                semaphore_count, semaphores)

// All objects, by kind and id. An object removed meanwhile is left out.
std::vector<SysvObject> SysvObjects();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CENSUS_SYSV_H_
