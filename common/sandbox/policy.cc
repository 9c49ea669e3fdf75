#include "common/sandbox/policy.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "common/base/fd.h"
#include "common/sandbox/protocol.h"

namespace ipclab {
namespace {

// Reported and refused whatever their arguments: reaching into other processes, namespaces and
// mounts, other filters, and doors past the filter. Judge answers EPERM.
constexpr const char* kForbidden[] = {"ptrace",
                                      "process_vm_readv",
                                      "process_vm_writev",
                                      "pidfd_getfd",
                                      "kcmp",
                                      "unshare",
                                      "setns",
                                      "mount",
                                      "umount2",
                                      "pivot_root",
                                      "chroot",
                                      "fsopen",
                                      "fsconfig",
                                      "fsmount",
                                      "fspick",
                                      "open_tree",
                                      "move_mount",
                                      "mount_setattr",
                                      "seccomp",
                                      "personality",
                                      "reboot",
                                      "kexec_load",
                                      "swapon",
                                      "swapoff",
                                      "init_module",
                                      "finit_module",
                                      "delete_module",
                                      "open_by_handle_at",
                                      "fanotify_init",
                                      "add_key",
                                      "request_key",
                                      "keyctl",
                                      "bpf",
                                      "perf_event_open",
                                      "userfaultfd",
                                      "io_uring_setup",
                                      "io_uring_enter",
                                      "io_uring_register",
                                      "io_setup",
                                      "io_submit",
                                      "setpriority",
                                      "sched_setscheduler",
                                      "sched_setattr",
                                      "sched_setparam",
                                      "ioprio_set",
                                      "move_pages",
                                      "migrate_pages",
                                      "process_madvise",
                                      "sched_setaffinity"};

// Refused without a report: the C library tries these and falls back by itself.
struct Quiet {
  const char* name;
  int error;
};
constexpr Quiet kQuiet[] = {
    {"clone3", ENOSYS}, {"quotactl", EPERM}, {"acct", EPERM}, {"syslog", EPERM}};

// Allowed or not by their arguments.
constexpr const char* kJudgedCalls[] = {"clone", "prctl", "prlimit64", "socket", "ioctl"};

constexpr std::uint64_t kForbiddenCloneFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                               CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                               CLONE_NEWNET | CLONE_UNTRACED | CLONE_PARENT;

int Number(const char* name) { return seccomp_syscall_resolve_name(name); }

// Numbers of the calls that Judge refuses whatever their arguments.
const std::set<long>& Forbidden() {
  static const std::set<long> forbidden = [] {
    std::set<long> numbers;
    for (const char* name : kForbidden) numbers.insert(Number(name));
    return numbers;
  }();
  return forbidden;
}

void AddRule(scmp_filter_ctx filter, std::uint32_t action, int number) {
  if (number < 0) return;  // Not a call of this architecture.
  const int result = seccomp_rule_add(filter, action, number, 0);
  if (result != 0) throw SystemError(-result, "seccomp_rule_add " + SyscallName(number));
}

std::uint32_t Trace(FilterData data) { return SCMP_ACT_TRACE(static_cast<std::uint16_t>(data)); }

// The compiled filter, through a memfd because libseccomp writes to a descriptor.
std::string Export(scmp_filter_ctx filter) {
  const Fd file(Check(memfd_create("filter", MFD_CLOEXEC), "memfd_create"));
  if (const int result = seccomp_export_bpf(filter, file.get()); result != 0) {
    throw SystemError(-result, "seccomp_export_bpf");
  }
  struct stat info {};
  Check(fstat(file.get(), &info), "fstat");
  std::string program(static_cast<std::size_t>(info.st_size), '\0');
  Check(pread(file.get(), program.data(), program.size(), 0), "pread");
  return program;
}

}  // namespace

std::string BuildFilter(const std::vector<int>& watched) {
  // The default for a call of another architecture (int 0x80, x32) is to kill.
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                 &seccomp_release);
  if (filter == nullptr) throw GraderError("seccomp_init failed");
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);  // A binary tree, where available.
  seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

  std::set<int> ruled;
  for (const Quiet& quiet : kQuiet) {
    AddRule(filter.get(), SCMP_ACT_ERRNO(static_cast<std::uint32_t>(quiet.error)),
            Number(quiet.name));
    ruled.insert(Number(quiet.name));
  }
  for (const long number : Forbidden()) {
    if (ruled.insert(static_cast<int>(number)).second) {
      AddRule(filter.get(), Trace(FilterData::kJudged), static_cast<int>(number));
    }
  }
  for (const int number : watched) {
    if (ruled.insert(number).second) AddRule(filter.get(), Trace(FilterData::kWatched), number);
  }
  for (const char* name : kJudgedCalls) {
    if (ruled.insert(Number(name)).second) {
      AddRule(filter.get(), Trace(FilterData::kJudged), Number(name));
    }
  }
  AddRule(filter.get(), Trace(FilterData::kMarker), static_cast<int>(kMarkerCall));
  return Export(filter.get());
}

bool InstallFilter(std::string_view filter) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) return false;
  sock_fprog program{};
  program.len = static_cast<unsigned short>(filter.size() / sizeof(sock_filter));
  program.filter = reinterpret_cast<sock_filter*>(const_cast<char*>(filter.data()));
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

std::optional<int> Judge(long number, const std::array<std::uint64_t, 6>& args) {
  if (Forbidden().count(number) != 0) return EPERM;
  switch (number) {
    case SYS_clone:
      if ((args[0] & kForbiddenCloneFlags) != 0) return EPERM;
      break;
    case SYS_prctl:
      // Hiding from /proc, further filters and being traced by someone else.
      if (args[0] == PR_SET_DUMPABLE || args[0] == PR_SET_SECCOMP || args[0] == PR_SET_PTRACER ||
          args[0] == PR_SET_CHILD_SUBREAPER) {
        return EPERM;
      }
      break;
    case SYS_prlimit64:
      if (args[0] != 0) return EPERM;
      break;
    case SYS_socket:
      if (args[0] != AF_UNIX) return EAFNOSUPPORT;
      break;
    case SYS_ioctl:
      if (args[1] == TIOCSTI || args[1] == TIOCLINUX) return EPERM;
      break;
    default:
      break;
  }
  return std::nullopt;
}

}  // namespace ipclab
