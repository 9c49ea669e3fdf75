#include "common/observe/call_details.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/text.h"
#include "common/observe/memory.h"

namespace ipclab {
namespace {

// A path is the student's text.
std::string Shown(pid_t tid, std::uint64_t address) {
  constexpr std::size_t kShown = 200;
  return Printable(ReadString(tid, address).value_or(""), kShown);
}

}  // namespace

std::string TargetOf(pid_t tid, int descriptor) {
  const std::string path = "/proc/" + std::to_string(tid) + "/fd/" + std::to_string(descriptor);
  std::array<char, PATH_MAX> target{};
  const ssize_t size = readlink(path.c_str(), target.data(), target.size());
  return size <= 0 ? "" : std::string(target.data(), static_cast<std::size_t>(size));
}

std::string PathOf(pid_t tid, const CallInfo& call) {
  switch (call.number) {
    case SYS_openat:
    case SYS_openat2:
    case SYS_mknodat:
    case SYS_unlinkat:
    case SYS_execveat:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_newfstatat:
    case SYS_statx:
      return Shown(tid, call.args[1]);
    default:
      return Shown(tid, call.args[0]);
  }
}

std::string NewDescriptors(pid_t tid, const Event& event) {
  const std::size_t argument = event.family == Family::kPipe ? 0 : 3;
  if (event.number == SYS_socket) return "";
  const std::string bytes = ReadMemory(tid, event.args[argument], 2 * sizeof(int));
  if (bytes.size() != 2 * sizeof(int)) return "";
  int ends[2];
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(ends));
  return "[" + std::to_string(ends[0]) + ", " + std::to_string(ends[1]) + "]";
}

}  // namespace ipclab
