#include "common/observe/deadlock_wait.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "common/base/text.h"
#include "common/observe/memory.h"

namespace ipclab::deadlock {
namespace {

constexpr std::size_t kPathLimit = 120;
constexpr std::size_t kShownOperations = 4;

bool IsStopped(const TaskSample& task, const World& world) {
  return task.status.state == 'T' || world.stopped.contains(task.tid);
}

// A signal that would wake the task as soon as it came. A wait for the child of vfork(2) ends by
// SIGKILL only. A stop ends by SIGCONT too, blocked or not: while that is pending, the tracer has
// not yet been told that the stop is over.
bool HasWakingSignal(const TaskSample& task, const World& world) {
  const SignalState& signals = task.status.signals;
  if (IsStopped(task, world) && signals.pending.Has(SIGCONT)) return true;
  if (IsStopped(task, world) || task.status.state == 'D') return signals.pending.Has(SIGKILL);
  return (signals.pending.bits & ~signals.blocked.bits) != 0;
}

std::string Number(std::uint64_t argument) { return std::to_string(static_cast<int>(argument)); }

// Children that a call of the wait family waits for. `wanted` is -1 for any child, a process id as
// seen inside, or 0 for those of a process group, which are not told apart here.
bool DecodeWaitFor(int wanted, const Census& process, const Members& members, const World& world,
                   WaitEdge& edge) {
  for (const Child& child : process.children) {
    if (wanted > 0 && child.inner_pid != wanted) continue;
    const auto member = members.find(child.pid);
    // A zombie ends the wait as soon as its parent gets to run.
    if (member == members.end()) return false;
    edge.needs.push_back(PartyOf(member->second, world));
  }
  edge.aim = wanted > 0   ? "for %"
             : wanted < 0 ? "for any child (%) to end"
                          : "for a child of a process group (%) to end";
  return !edge.needs.empty();
}

bool DecodeWaitId(const TaskSample& task, const Census& process, const Members& members,
                  const World& world, WaitEdge& edge) {
  const int id = static_cast<int>(task.blocked->args[1]);
  switch (static_cast<idtype_t>(task.blocked->args[0])) {
    case P_ALL:
      return DecodeWaitFor(-1, process, members, world, edge);
    case P_PID:
      return id > 0 && DecodeWaitFor(id, process, members, world, edge);
    case P_PGID:
      return DecodeWaitFor(0, process, members, world, edge);
    case P_PIDFD: {
      // "NSpid:\t4711\t3": the last is the id inside.
      const Descriptor* const pidfd = process.Find(id);
      if (pidfd == nullptr) return false;
      const int inner = ParseStatus(pidfd->info).inner_tid;
      return inner > 0 && DecodeWaitFor(inner, process, members, world, edge);
    }
    default:
      return false;
  }
}

// The other kinds of clone return at once.
bool HoldsTheParent(pid_t tid, const Blocked& blocked) {
  std::uint64_t flags = CLONE_VFORK;
  if (blocked.call == SYS_clone) flags = blocked.args[0];
  if (blocked.call == SYS_clone3 && !ReadMemory(tid, blocked.args[0], &flags, sizeof(flags))) {
    return false;
  }
  return (flags & CLONE_VFORK) != 0;
}

bool DecodeVfork(const TaskSample& task, const Census& process, const Members& members,
                 const World& world, WaitEdge& edge) {
  if (!HoldsTheParent(task.tid, *task.blocked)) return false;
  // The child that borrows the parent's memory is the youngest.
  if (process.children.empty()) return false;
  const auto member = members.find(process.children.back().pid);
  if (member == members.end()) return false;
  edge.needs.push_back(PartyOf(member->second, world));
  edge.aim = "until its child (%) calls exec or ends";
  return true;
}

// The first words of glibc's pthread_mutex_t, the same since 2003 on all 64-bit architectures.
struct MutexWords {
  std::uint32_t lock;
  std::uint32_t count;
  std::int32_t owner;
  std::uint32_t users;
  std::uint32_t kind;
};

// The thread that holds the mutex the task waits for, by its id inside the box. Nothing unless
// every word is what a locked and contended mutex has there: other futexes do not look like that.
std::optional<int> MutexOwner(const TaskSample& task) {
  constexpr std::uint32_t kContended = 2;
  constexpr std::uint32_t kKinds = 0x1ff;  // Type, robust, priority and process-shared bits.
  MutexWords mutex;
  if (!ReadMemory(task.tid, task.blocked->args[0], &mutex, sizeof(mutex))) return std::nullopt;
  const auto expected = static_cast<std::uint32_t>(task.blocked->args[2]);
  const bool plain = mutex.lock == kContended && expected == kContended;
  // A robust mutex, or one with priority inheritance, has its owner in the lock word.
  const bool owned = mutex.lock == (static_cast<std::uint32_t>(mutex.owner) | FUTEX_WAITERS);
  if (mutex.owner <= 0 || mutex.users == 0 || mutex.kind > kKinds) return std::nullopt;
  if (!plain && !owned) return std::nullopt;
  return mutex.owner;
}

void DecodeMutex(const TaskSample& task, int owner, const std::string& place,
                 const Members& members, const World& world, WaitEdge& edge) {
  if (owner == task.status.inner_tid) {
    edge.aim = "for a mutex in " + place + " that it has locked itself";
    edge.needs.push_back(PartyOf(members.at(task.pid), world));
    return;
  }
  for (const auto& [pid, process] : members) {
    for (const pid_t tid : ThreadsOf(pid)) {
      const std::optional<Status> status = ReadStatus(tid);
      if (!status || status->ended() || status->inner_tid != owner) continue;
      edge.aim = "for the mutex that % holds in " + place;
      edge.needs.push_back(PartyOf(process, world));
      edge.needs.back().inner_tid = owner;
      return;
    }
  }
  edge.aim = "for a mutex in " + place;
  edge.remark = "its owner, " + std::to_string(owner) + ", has ended without unlocking it";
}

bool DecodeFutex(const TaskSample& task, const Members& members, const World& world,
                 WaitEdge& edge) {
  const std::uint64_t operation = task.blocked->args[1];
  switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      break;
    default:
      return false;
  }
  const std::uint64_t address = task.blocked->args[0];
  const std::vector<Mapping> mappings = MappingsOf(task.tid);
  const auto mapping = std::ranges::find_if(mappings, [&](const Mapping& candidate) {
    return candidate.start <= address && address < candidate.end;
  });
  if (mapping == mappings.end()) return false;
  std::string place = "its own memory";
  if (mapping->shared()) place = "shared memory";
  if (mapping->shared() && !mapping->object.starts_with("/dev/zero")) {
    place += " (" + Printable(mapping->object, kPathLimit) + ")";
  }
  const std::optional<int> owner = MutexOwner(task);
  if (owner) {
    DecodeMutex(task, *owner, place, members, world, edge);
  } else {
    edge.aim = "for a lock, a condition or a semaphore in " + place;
  }
  if (mapping->shared() && (operation & FUTEX_PRIVATE_FLAG) && edge.remark.empty()) {
    edge.remark = "that one is not marked as shared between processes";
  }
  return true;
}

// "to take 1 from semaphore 0": what keeps semop(2) asleep cannot be told from outside, so all is
// named.
bool DecodeSemop(const TaskSample& task, WaitEdge& edge) {
  const std::uint64_t count = task.blocked->args[2];
  if (count == 0 || count > 500) return false;
  std::vector<sembuf> operations(count);
  if (!ReadMemory(task.tid, task.blocked->args[1], operations.data(), count * sizeof(sembuf))) {
    return false;
  }
  std::vector<std::string> parts;
  for (const sembuf& operation : operations) {
    const std::string semaphore = "semaphore " + std::to_string(operation.sem_num);
    const int by = operation.sem_op;
    parts.push_back(by == 0  ? "see zero in " + semaphore
                    : by < 0 ? "take " + std::to_string(-by) + " from " + semaphore
                             : "add " + std::to_string(by) + " to " + semaphore);
    if (parts.size() == kShownOperations && count > kShownOperations) {
      parts.push_back("more");
      break;
    }
  }
  edge.aim = "to " + Join(parts, " and ") + " of the set id " + Number(task.blocked->args[0]);
  return true;
}

bool DecodeReceive(const TaskSample& task, WaitEdge& edge) {
  const long type = static_cast<long>(task.blocked->args[3]);
  std::string which = "a message";
  if (type > 0) which += " of type " + std::to_string(type);
  if (type < 0) which += " of a type up to " + std::to_string(-type);
  edge.aim = "for " + which + " in the queue id " + Number(task.blocked->args[0]);
  return true;
}

bool DecodeLock(const TaskSample& task, const Census& process, WaitEdge& edge) {
  if (task.blocked->call == SYS_fcntl) {
    const auto command = static_cast<int>(task.blocked->args[1]);
    if (command != F_SETLKW && command != F_OFD_SETLKW) return false;
  }
  const Descriptor* const file = process.Find(static_cast<int>(task.blocked->args[0]));
  if (file == nullptr) return false;
  // A read-only mount is shared with the world outside, where the lock's owner may be.
  const std::string path =
      "/proc/" + std::to_string(task.pid) + "/fd/" + std::to_string(file->number);
  struct statvfs filesystem;
  if (statvfs(path.c_str(), &filesystem) != 0 || (filesystem.f_flag & ST_RDONLY)) return false;
  edge.aim = "for the lock on " + Printable(file->target, kPathLimit) + ", descriptor " +
             std::to_string(file->number);
  return true;
}

// Only the open of a FIFO lasts, and that one by other processes' doing alone. Looks the name up,
// and opens nothing.
bool DecodeOpen(const TaskSample& task, WaitEdge& edge) {
  const bool at = task.blocked->call == SYS_openat;
  const std::optional<std::string> path = ReadString(task.tid, task.blocked->args[at ? 1 : 0]);
  if (!path || path->empty()) return false;
  const auto directory = static_cast<int>(task.blocked->args[0]);
  const std::string process = "/proc/" + std::to_string(task.tid);
  std::string where = process + "/cwd/";
  if (at && directory != AT_FDCWD) where = process + "/fd/" + std::to_string(directory) + "/";
  if (path->front() == '/') where = process + "/root/";
  struct stat file;
  if (stat((where + *path).c_str(), &file) != 0 || !S_ISFIFO(file.st_mode)) return false;

  const bool reads = (task.blocked->args[at ? 2 : 1] & O_ACCMODE) == O_RDONLY;
  edge.aim = std::string("to open the FIFO ") + Printable(*path, kPathLimit) + " for " +
             (reads ? "reading" : "writing") + " until another process opens it for " +
             (reads ? "writing" : "reading");
  return true;
}

bool DecodeSignalWait(const TaskSample& task, WaitEdge& edge) {
  edge.aim = "for a signal";
  if (task.blocked->call != SYS_rt_sigtimedwait) return true;
  SignalSet set;
  if (!ReadMemory(task.tid, task.blocked->args[0], &set.bits, sizeof(set.bits))) return false;
  edge.aim = "for " + (set.bits == 0 ? "a signal of an empty set" : set.Names());
  return true;
}

bool DecodeCall(const TaskSample& task, const CallRule& rule, const Members& members,
                const World& world, WaitEdge& edge) {
  const Census& process = members.at(task.pid);
  switch (rule.shape) {
    case Shape::kRead:
    case Shape::kWrite:
    case Shape::kCopy:
    case Shape::kPoll:
    case Shape::kSelect:
    case Shape::kEpoll:
      return DecodeObjects(task, rule.shape, members, world, edge);
    case Shape::kWait: {
      const int pid = static_cast<int>(task.blocked->args[0]);
      return DecodeWaitFor(pid < -1 ? 0 : pid, process, members, world, edge);
    }
    case Shape::kWaitId:
      return DecodeWaitId(task, process, members, world, edge);
    case Shape::kVfork:
      return DecodeVfork(task, process, members, world, edge);
    case Shape::kFutex:
      return DecodeFutex(task, members, world, edge);
    case Shape::kSignal:
      return DecodeSignalWait(task, edge);
    case Shape::kReceive:
      return DecodeReceive(task, edge);
    case Shape::kSend:
      edge.aim = "for room in the queue id " + Number(task.blocked->args[0]);
      return true;
    case Shape::kSemop:
      return DecodeSemop(task, edge);
    case Shape::kLock:
      return DecodeLock(task, process, edge);
    case Shape::kOpen:
      return DecodeOpen(task, edge);
  }
  return false;
}

}  // namespace

bool HasTimeout(const Blocked& blocked) {
  const CallRule* const rule = RuleOf(blocked.call);
  if (rule == nullptr || rule->timeout == Timeout::kNone) return false;
  const std::uint64_t value = blocked.args[static_cast<std::size_t>(rule->timeout_argument)];
  // A negative number of milliseconds means for ever, and so does no pointer.
  return rule->timeout == Timeout::kPointer ? value != 0 : static_cast<int>(value) >= 0;
}

bool SleepsForGood(const TaskSample& task, const World& world) {
  if (world.held.contains(task.tid) || HasWakingSignal(task, world)) return false;
  if (IsStopped(task, world)) return true;
  if (!task.blocked || HasTimeout(*task.blocked)) return false;
  const CallRule* const rule = RuleOf(task.blocked->call);
  if (rule == nullptr) return false;
  return task.status.state == (rule->shape == Shape::kVfork ? 'D' : 'S');
}

Party PartyOf(const Census& process, const World& world) {
  return {.pid = process.pid,
          .inner_pid = process.inner_pid,
          .inner_tid = process.inner_pid,
          .name = world.name ? world.name(process.pid) : std::string()};
}

std::optional<WaitEdge> DecodeWait(const TaskSample& task, const Members& members,
                                   const World& world) {
  WaitEdge edge;
  edge.waiter = PartyOf(members.at(task.pid), world);
  edge.waiter.inner_tid = task.status.inner_tid;
  if (IsStopped(task, world)) {
    edge.aim = "for SIGCONT";
    return edge;
  }
  const CallRule* const rule = task.blocked ? RuleOf(task.blocked->call) : nullptr;
  if (rule == nullptr) return std::nullopt;
  edge.call = rule->name;
  if (!DecodeCall(task, *rule, members, world, edge)) return std::nullopt;
  const SignalState& signals = task.status.signals;
  const SignalSet waiting{signals.pending.bits & signals.blocked.bits};
  if (waiting.bits != 0 && edge.remark.empty()) {
    edge.remark =
        waiting.Names() + (waiting.Members().size() == 1 ? " is" : " are") + " pending but blocked";
  }
  return edge;
}

}  // namespace ipclab::deadlock
