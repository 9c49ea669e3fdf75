// Objects of all kinds, and how they look; see census.h.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "graders/shm/census.h"

namespace ipclab {

using shm::Ipc;
using shm::ipc_census;
using shm::Item;
using shm::kPosix;
using shm::kQueue;
using shm::kSegment;
using shm::kSemaphores;

namespace {

int Make(Ipc kind, key_t key, std::size_t size) {
  constexpr int kFlags = IPC_CREAT | IPC_EXCL | 0600;
  if (kind == kQueue) return Check(msgget(key, kFlags), "msgget");
  if (kind == kSegment) return Check(shmget(key, size, kFlags), "shmget");
  return Check(semget(key, static_cast<int>(size), kFlags), "semget");
}

void SetMode(Ipc kind, int id, unsigned mode) {
  if (kind == kQueue) {
    msqid_ds about{};
    Check(msgctl(id, IPC_STAT, &about), "msgctl(IPC_STAT)");
    about.msg_perm.mode = static_cast<unsigned short>(mode);
    Check(msgctl(id, IPC_SET, &about), "msgctl(IPC_SET)");
  } else if (kind == kSegment) {
    shmid_ds about{};
    Check(shmctl(id, IPC_STAT, &about), "shmctl(IPC_STAT)");
    about.shm_perm.mode = static_cast<unsigned short>(mode);
    Check(shmctl(id, IPC_SET, &about), "shmctl(IPC_SET)");
  } else {
    semid_ds about{};
    Check(semctl(id, 0, IPC_STAT, &about), "semctl(IPC_STAT)");
    about.sem_perm.mode = static_cast<unsigned short>(mode);
    Check(semctl(id, 0, IPC_SET, &about), "semctl(IPC_SET)");
  }
}

// An object of this kind; in a queue are as many bytes as `size` says, in one message.
HELPER(MakesOne) {
  const auto kind = static_cast<Ipc>(args.Int("kind"));
  const auto size = static_cast<std::size_t>(args.Int("size"));
  const auto mode = static_cast<unsigned>(args.Int("mode"));
  if (kind == kPosix) {
    const std::string name = args.Bytes("name");
    const int fd = Check(shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600), "shm_open");
    Check(ftruncate(fd, static_cast<off_t>(size)), "ftruncate");
    Check(fchmod(fd, mode), "fchmod");
    close(fd);
    return 0;
  }
  const int id = Make(kind, KeyOf(args), size);
  if (kind == kQueue && size > 0) {
    std::string message(sizeof(long) + size, '\1');
    Check(msgsnd(id, message.data(), size, 0), "msgsnd");
  }
  SetMode(kind, id, mode);
  Report("id", id);
  return 0;
}

HELPER(Attaches) {
  void* const first = AttachHere(IdOf(args));
  void* const second = AttachHere(IdOf(args));
  if (args.Int("mark") == 1) Check(shmctl(IdOf(args), IPC_RMID, nullptr), "shmctl(IPC_RMID)");
  Gate();
  Check(shmdt(first), "shmdt");
  Check(shmdt(second), "shmdt");
  return 0;
}

// Waits in the set until it is removed.
HELPER(WaitsInSet) {
  sembuf operation = {static_cast<unsigned short>(args.Int("number")),
                      static_cast<short>(args.Int("change")), 0};
  if (args.Int("change") == 0) Check(semctl(IdOf(args), operation.sem_num, SETVAL, 1), "semctl");
  while (semop(IdOf(args), &operation, 1) == -1 && errno == EINTR) {
  }
  return 0;
}

// Removes all objects of a kind; the box has no others.
HELPER(RemovesKind) {
  for (const SysvObject& object : SysvObjects()) {
    const auto kind = static_cast<Ipc>(args.Int("kind"));
    if (kind == kQueue && object.kind == SysvKind::kQueue) msgctl(object.id, IPC_RMID, nullptr);
    if (kind == kSemaphores && object.kind == SysvKind::kSemaphores) semctl(object.id, 0, IPC_RMID);
    if (kind == kSegment && object.kind == SysvKind::kSegment) shmctl(object.id, IPC_RMID, nullptr);
  }
  return 0;
}

HELPER(TakesCensus) {
  Items items(args);
  items.ReportThem(STUDENT(ipc_census)(items.data(), items.cap()));
  return 0;
}

std::string Text(const Item& item) {
  std::string text = KindText(item.kind) + ": id " + std::to_string(item.id) + ", key " +
                     std::to_string(item.key) + ", uid " + std::to_string(item.uid) + ", mode " +
                     Octal(item.mode) + ((item.mode & ~0777u) == 0 ? "" : " and more bits") +
                     ", size " + std::to_string(item.size) + ", users " +
                     std::to_string(item.users) + ", marked " + std::to_string(item.marked);
  const std::string name(item.name, strnlen(item.name, sizeof(item.name)));
  return text + (name.empty() ? ", no name" : ", name " + testing::PrintToString(name));
}

Item ItemOf(const SysvObject& object) {
  Item item{};
  item.id = object.id;
  item.key = object.key;
  item.uid = object.uid;
  item.mode = object.mode & 0777;
  if (object.kind == SysvKind::kQueue) {
    item.kind = kQueue;
    item.size = object.bytes;
    item.users = static_cast<long>(object.messages);
  } else if (object.kind == SysvKind::kSegment) {
    item.kind = kSegment;
    item.size = object.bytes;
    item.users = static_cast<long>(object.attached);
    item.marked = Marked(object) ? 1 : 0;
  } else {
    item.kind = kSemaphores;
    item.size = object.semaphore_count;
    item.users = object.semaphores.empty() ? -1 : 0;
    for (const SysvSemaphore& one : object.semaphores) {
      item.users += one.waiting_for_increase + one.waiting_for_zero;
    }
  }
  return item;
}

}  // namespace

int New(Sandbox& box, const One& one) {
  Helper maker = box.Start("MakesOne", {{"kind", static_cast<int>(one.kind)},
                                        {"key", one.key},
                                        {"size", one.size},
                                        {"mode", one.mode},
                                        {"name", one.name}});
  const Ending ending = maker.Wait();
  if (ending.kind != Ending::Kind::kExited || ending.code != 0) throw GraderError(ending.text);
  return static_cast<int>(maker.Reported("id", -1));
}

std::string KindText(int kind) {
  switch (kind) {
    case kQueue:
      return "kQueue";
    case kSemaphores:
      return "kSemaphores";
    case kSegment:
      return "kSegment";
    case kPosix:
      return "kPosix";
    default:
      return "kind " + std::to_string(kind);
  }
}

std::vector<std::string> TextsIn(const Helper& helper) {
  const std::string bytes = helper.ReportedBytes("items");
  std::vector<std::string> texts;
  for (std::size_t at = 0; at + sizeof(Item) <= bytes.size(); at += sizeof(Item)) {
    Item item;
    std::memcpy(&item, bytes.data() + at, sizeof(item));
    texts.push_back(Text(item));
  }
  std::ranges::sort(texts);
  return texts;
}

std::vector<std::string> WhatIsThere(const Sandbox& box, const Helper& helper) {
  std::vector<std::string> texts;
  for (const SysvObject& object : box.SysvObjects()) texts.push_back(Text(ItemOf(object)));
  const std::string folder = "/dev/shm";
  for (const TreeEntry& entry : box.Names()) {
    const bool object = entry.path.starts_with(folder + "/") && S_ISREG(entry.type);
    if (!object || entry.path.starts_with(folder + "/sem.")) continue;
    Item item{};
    item.kind = kPosix;
    item.id = -1;
    item.uid = static_cast<uid_t>(helper.Reported("uid", 0));
    item.mode = entry.permissions & 0777;
    item.size = static_cast<unsigned long>(entry.size);
    item.users = -1;
    const std::string name = entry.path.substr(folder.size());
    std::memcpy(item.name, name.c_str(), std::min(name.size(), sizeof(item.name) - 1));
    texts.push_back(Text(item));
  }
  std::ranges::sort(texts);
  return texts;
}

Helper StartCensus(Sandbox& box, int cap) { return box.Start("TakesCensus", {{"cap", cap}}); }

void NewOfEachKind(Sandbox& box) {
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) {
    New(box, {.kind = kind, .key = RandomKey(), .size = RandomSize(), .mode = 0640});
    New(box, {.kind = kind, .size = RandomSize()});
  }
  New(box, {.kind = kPosix, .size = 0, .name = RandomName()});
  New(box, {.kind = kPosix, .size = RandomSize(), .mode = 0644, .name = RandomName()});
}

std::function<bool(const Event&)> Commands(Ipc kind, std::vector<int> commands) {
  const long number = kind == kQueue ? SYS_msgctl : kind == kSegment ? SYS_shmctl : SYS_semctl;
  const std::size_t at = kind == kSemaphores ? 2 : 1;
  return [=](const Event& event) {
    return !event.function.empty() && event.number == number &&
           std::ranges::count(commands, static_cast<int>(event.args[at])) != 0;
  };
}

Family FamilyOf(Ipc kind) {
  return kind == kQueue     ? Family::kMessages
         : kind == kSegment ? Family::kSharedMemory
                            : Family::kSemaphores;
}

}  // namespace ipclab
