#include "common/observe/trace.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <utility>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/observe/census_names.h"

namespace ipclab {
namespace {

std::string Descriptor(const Event& event, ObjectNames& names) {
  std::string text = std::to_string(event.descriptor);
  if (!event.target.empty()) text += " <" + names.Of(event.target) + ">";
  return text;
}

std::string Address(std::uint64_t address) {
  if (address == 0) return "NULL";
  char text[20];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

// An argument of a call that is not decoded. What is far from zero is an address.
std::string Word(std::uint64_t value) {
  const auto number = static_cast<std::int64_t>(value);
  const bool far = number > UINT32_MAX || number < INT32_MIN;
  return far ? Address(value) : std::to_string(number);
}

std::string Protection(std::uint64_t bits) {
  std::string text;
  for (const auto& [bit, name] :
       {std::pair(PROT_READ, "PROT_READ"), {PROT_WRITE, "PROT_WRITE"}, {PROT_EXEC, "PROT_EXEC"}}) {
    if ((bits & static_cast<unsigned>(bit)) != 0)
      text += (text.empty() ? "" : "|") + std::string(name);
  }
  return text.empty() ? "PROT_NONE" : text;
}

std::string MapFlags(std::uint64_t bits) {
  std::string text = (bits & MAP_TYPE) == MAP_SHARED    ? "MAP_SHARED"
                     : (bits & MAP_TYPE) == MAP_PRIVATE ? "MAP_PRIVATE"
                                                        : std::to_string(bits & MAP_TYPE);
  if ((bits & MAP_ANONYMOUS) != 0) text += "|MAP_ANONYMOUS";
  if ((bits & MAP_FIXED) != 0) text += "|MAP_FIXED";
  return text;
}

// As far as a reader needs it: "mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3 </tmp/x>, 0)".
std::string MapArguments(const Event& event, ObjectNames& names) {
  const std::string start = Address(event.args[0]) + ", " + std::to_string(event.args[1]);
  if (event.number == SYS_mprotect) return start + ", " + Protection(event.args[2]);
  if (event.number != SYS_mmap) return start;
  return start + ", " + Protection(event.args[2]) + ", " + MapFlags(event.args[3]) + ", " +
         Descriptor(event, names) + ", " + std::to_string(static_cast<std::int64_t>(event.args[5]));
}

std::string Arguments(const Event& event, ObjectNames& names) {
  const auto number = [&](std::size_t i) {
    return std::to_string(static_cast<std::int64_t>(event.args[i]));
  };
  const auto small = [&](std::size_t i) { return std::to_string(static_cast<int>(event.args[i])); };
  switch (event.family) {
    case Family::kRead:
    case Family::kWrite:
      return Descriptor(event, names) + ", " + number(2);
    case Family::kDup:
      return Descriptor(event, names) + (event.number == SYS_dup ? "" : ", " + small(1));
    case Family::kClose:
      return event.descriptor >= 0 ? Descriptor(event, names) : small(0) + ", " + small(1);
    case Family::kFcntl:
      return Descriptor(event, names) + ", " + small(1) + ", " + number(2);
    case Family::kOpen:
    case Family::kExec:
    case Family::kSemaphores:
      return event.detail;
    case Family::kMap:
      return MapArguments(event, names);
    case Family::kName:
      return event.detail;
    case Family::kStat:
      return event.descriptor >= 0 ? Descriptor(event, names) : event.detail;
    case Family::kResize:
      return event.descriptor >= 0 ? Descriptor(event, names) + ", " + number(1) + ", " + number(2)
                                   : event.detail + ", " + number(1);
    case Family::kWait:
      return event.number == SYS_wait4 ? small(0) : small(0) + ", " + small(1);
    case Family::kSignalSend:
      return small(0) + ", " +
             SignalName(static_cast<int>(event.args[event.number == SYS_tgkill ? 2 : 1]));
    case Family::kSignalAction:
      return SignalName(static_cast<int>(event.args[0]));
    case Family::kExit:
      return small(0);
    case Family::kPipe:
    case Family::kFork:
    case Family::kSignalMask:
    case Family::kSignalWait:
    case Family::kSleep:
    case Family::kPoll:
      return "";
    default:
      return Word(event.args[0]) + ", " + Word(event.args[1]) + ", " + Word(event.args[2]);
  }
}

std::string Result(const Event& event) {
  if (event.family == Family::kExit) return "";
  if (!event.result) return event.interrupted ? " = -1 EINTR" : " ...";
  const bool failed = *event.result < 0 && *event.result > -4096;
  std::string text = failed ? " = -1 " + ErrnoName(static_cast<int>(-*event.result))
                            : " = " + std::to_string(*event.result);
  if (!failed && event.number == SYS_mmap) {
    text = " = " + Address(static_cast<std::uint64_t>(*event.result));
  }
  const bool shows_detail = event.family == Family::kPipe || event.family == Family::kSocket;
  if (shows_detail && !event.detail.empty()) text += " " + event.detail;
  return text + (event.injected ? " (arranged by the check)" : "");
}

}  // namespace

std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) return "exited with code " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    return "killed by " + SignalName(WTERMSIG(status)) + " (signal " +
           std::to_string(WTERMSIG(status)) + ")";
  }
  return "status " + std::to_string(status);
}

std::string Describe(const Event& event, ObjectNames& names) {
  switch (event.kind) {
    case Event::Kind::kCall:
      return SyscallName(event.number) + "(" + Arguments(event, names) + ")" + Result(event);
    case Event::Kind::kForbidden:
      return SyscallName(event.number) + "() refused: this lab does not allow it";
    case Event::Kind::kSignal:
      return "gets " + SignalName(event.status);
    case Event::Kind::kStart:
      return "starts" + event.detail;
    case Event::Kind::kExec:
      return "now runs " + event.detail;
    case Event::Kind::kEnd:
      return DescribeStatus(event.status);
    case Event::Kind::kEnter:
      return event.detail + "() is called";
    case Event::Kind::kLeave:
      return event.detail;
  }
  return "";
}

}  // namespace ipclab
