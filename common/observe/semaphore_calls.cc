#include "common/observe/semaphore_calls.h"

#include <sys/sem.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "common/base/text.h"
#include "common/observe/memory.h"

namespace ipclab {
namespace {

using Arguments = std::array<std::uint64_t, 6>;

std::string Number(std::uint64_t argument) { return std::to_string(static_cast<int>(argument)); }

std::string Octal(std::uint64_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "0%o", static_cast<unsigned>(mode));
  return text;
}

std::string GetFlags(std::uint64_t flags) {
  std::string text;
  if ((flags & IPC_CREAT) != 0) text += "IPC_CREAT | ";
  if ((flags & IPC_EXCL) != 0) text += "IPC_EXCL | ";
  return text + Octal(flags & 0777);
}

std::string Command(int command) {
  switch (command & ~0x100) {  // IPC_64
    case IPC_RMID:
      return "IPC_RMID";
    case IPC_SET:
      return "IPC_SET";
    case IPC_STAT:
      return "IPC_STAT";
    case GETPID:
      return "GETPID";
    case GETVAL:
      return "GETVAL";
    case GETALL:
      return "GETALL";
    case GETNCNT:
      return "GETNCNT";
    case GETZCNT:
      return "GETZCNT";
    case SETVAL:
      return "SETVAL";
    case SETALL:
      return "SETALL";
    default:
      return std::to_string(command);
  }
}

std::string OperationFlags(int flags) {
  std::vector<std::string> names;
  if ((flags & IPC_NOWAIT) != 0) names.emplace_back("IPC_NOWAIT");
  if ((flags & SEM_UNDO) != 0) names.emplace_back("SEM_UNDO");
  const int others = flags & ~(IPC_NOWAIT | SEM_UNDO);
  if (others != 0 || names.empty()) names.push_back(std::to_string(others));
  return Join(names, " | ");
}

std::string Operations(pid_t tid, std::uint64_t address, std::uint64_t count) {
  constexpr std::uint64_t kShown = 5;
  std::vector<sembuf> operations(std::min(count, kShown));
  if (!ReadMemory(tid, address, operations.data(), operations.size() * sizeof(sembuf))) return "?";
  std::vector<std::string> parts;
  for (const sembuf& operation : operations) {
    parts.push_back("{" + std::to_string(operation.sem_num) + ", " +
                    std::to_string(operation.sem_op) + ", " + OperationFlags(operation.sem_flg) +
                    "}");
  }
  if (count > kShown) parts.emplace_back("...");
  return "[" + Join(parts, ", ") + "]";
}

}  // namespace

std::optional<std::chrono::nanoseconds> SemaphoreTimeLimit(pid_t tid, long number,
                                                           const Arguments& args) {
  timespec limit{};
  if (number != SYS_semtimedop || args[3] == 0) return std::nullopt;
  if (!ReadMemory(tid, args[3], &limit, sizeof limit)) return std::nullopt;
  return std::chrono::seconds(limit.tv_sec) + std::chrono::nanoseconds(limit.tv_nsec);
}

std::string DescribeSemaphoreCall(pid_t tid, long number, const Arguments& args) {
  switch (number) {
    case SYS_semget:
      return (args[0] == IPC_PRIVATE ? "IPC_PRIVATE" : "key " + Number(args[0])) + ", " +
             Number(args[1]) + ", " + GetFlags(args[2]);
    case SYS_semctl: {
      const std::string command = Command(static_cast<int>(args[2]));
      return Number(args[0]) + ", " + Number(args[1]) + ", " + command +
             (command == "SETVAL" ? ", " + Number(args[3]) : "");
    }
    default: {
      std::string text = Number(args[0]) + ", " + Operations(tid, args[1], args[2]);
      if (const auto limit = SemaphoreTimeLimit(tid, number, args)) {
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, ", at most %.4g s",
                      std::chrono::duration<double>(*limit).count());
        text += seconds;
      }
      return text;
    }
  }
}

}  // namespace ipclab
