#include "common/cli/doctor.h"

#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/cli/files.h"

namespace ipclab {
namespace {

constexpr std::size_t kShownBytes = 160;

// What a fixed command printed on both outputs, its first line, and whether it succeeded.
struct Said {
  bool success = false;
  std::string line;
};

Said Ask(const char* command) {
  FILE* const pipe = popen(command, "r");
  if (pipe == nullptr) throw SystemError(errno, "popen");
  std::array<char, 4096> buffer;
  std::string text;
  for (std::size_t size; (size = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    if (text.size() < (1 << 16)) text.append(buffer.data(), size);
  }
  const int status = Check(pclose(pipe), "pclose");
  return {status == 0, Printable(text.substr(0, text.find('\n')), kShownBytes)};
}

// The first number in a file of /proc, or nothing if there is no such file.
std::optional<unsigned long long> NumberIn(const char* path) {
  std::ifstream file(path);
  unsigned long long number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// Runs `body` in a child and gives back its exit status; a negative one is the signal.
int InChild(int (*body)()) {
  const pid_t child = Check(fork(), "fork");
  if (child == 0) _exit(body());
  int status = 0;
  Check(waitpid(child, &status, 0), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

ProbeFinding Kernel() {
  utsname name;
  Check(uname(&name), "uname");
  int major = 0;
  int minor = 0;
  if (std::sscanf(name.release, "%d.%d", &major, &minor) != 2) return {false, name.release, ""};
  const bool works = major > 5 || (major == 5 && minor >= 10);
  return {works, std::string("Linux ") + name.release + (works ? "" : " is older than 5.10"), ""};
}

std::string NamespaceFix() {
  if (NumberIn("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1) {
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (NumberIn("/proc/sys/kernel/unprivileged_userns_clone") == 0) {
    return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (NumberIn("/proc/sys/user/max_user_namespaces") == 0) {
    return "sudo sysctl -w user.max_user_namespaces=15000";
  }
  return "in a container: start it with --security-opt seccomp=unconfined "
         "--security-opt apparmor=unconfined";
}

ProbeFinding UserNamespaces() {
  const int error = InChild([] { return unshare(CLONE_NEWUSER) == 0 ? 0 : errno; });
  if (error == 0) return {true, "can be made", ""};
  return {false, "unshare(CLONE_NEWUSER): " + DescribeErrno(error), NamespaceFix()};
}

ProbeFinding Box() {
  const Said said =
      Ask("bwrap --unshare-all --die-with-parent --new-session --cap-drop ALL --clearenv "
          "--ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 --dev /dev "
          "--mqueue /dev/mqueue --tmpfs /tmp --remount-ro / /usr/bin/true 2>&1");
  if (said.success) return {true, "a whole box can be made: " + Ask("bwrap --version").line, ""};
  if (!Ask("command -v bwrap").success) return {false, "is not installed", "./lab setup"};
  return {false, said.line, NamespaceFix()};
}

ProbeFinding Seccomp() {
  for (const std::uint32_t action : {SECCOMP_RET_TRACE, SECCOMP_RET_ERRNO}) {
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == -1) {
      return {false, "seccomp(SECCOMP_GET_ACTION_AVAIL): " + DescribeErrno(errno),
              "in a container: start it with --security-opt seccomp=unconfined"};
    }
  }
  return {true, "filters can trace and refuse calls", ""};
}

// Traces a child of its own up to its first stop.
int TraceOnce() {
  const pid_t child = fork();
  if (child == -1) return errno;
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == -1) _exit(errno);
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, WUNTRACED) == -1) return errno;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const bool traced = ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD) == 0;
  const int error = traced ? 0 : errno;
  kill(child, SIGKILL);
  if (waitpid(child, &status, 0) == -1) return errno;
  return error;
}

ProbeFinding Ptrace() {
  const int error = InChild(&TraceOnce);
  if (error == 0) return {true, "a child can be traced", ""};
  const bool yama = NumberIn("/proc/sys/kernel/yama/ptrace_scope") == 3;
  return {false, "ptrace: " + DescribeErrno(error),
          yama ? "sudo sysctl -w kernel.yama.ptrace_scope=1 (after a restart)"
               : "in a container: start it with --cap-add SYS_PTRACE"};
}

ProbeFinding IpcLimits() {
  struct Limit {
    const char* path;
    const char* name;
    unsigned long long least;
  };
  static constexpr Limit kLimits[] = {
      {"/proc/sys/kernel/shmmni", "kernel.shmmni", 64},
      {"/proc/sys/kernel/shmmax", "kernel.shmmax", 1 << 24},
      {"/proc/sys/kernel/msgmni", "kernel.msgmni", 32},
      {"/proc/sys/kernel/msgmnb", "kernel.msgmnb", 16384},
      {"/proc/sys/fs/mqueue/queues_max", "fs.mqueue.queues_max", 16},
      {"/proc/sys/fs/mqueue/msg_max", "fs.mqueue.msg_max", 10},
  };
  for (const Limit& limit : kLimits) {
    const auto value = NumberIn(limit.path);
    if (!value) return {false, std::string("the kernel has no ") + limit.name, ""};
    if (*value < limit.least) {
      return {false,
              fmt::format("{} is {}, at least {} is needed", limit.name, *value, limit.least),
              fmt::format("sudo sysctl -w {}={}", limit.name, limit.least)};
    }
  }
  return {true, "System V and POSIX objects can be made", ""};
}

ProbeFinding Bazel() {
  if (!Ask("command -v bazel || command -v bazelisk").success) {
    return {false, "is not installed", "./lab setup"};
  }
  const Said said = Ask("bazel --version 2>&1 || bazelisk --version 2>&1");
  const Said package = Ask("dpkg-query -W -f '${Version}' bazel-bootstrap 2>/dev/null");
  if (package.success) return {said.success, "Debian's " + package.line, ""};
  return {said.success, said.line, ""};
}

ProbeFinding Compiler() {
  if (!Ask("command -v g++").success) return {false, "g++ is not installed", "./lab setup"};
  const Said compiled =
      Ask("printf '#include <concepts>\\nint main() {}\\n' | g++ -std=c++20 -fsyntax-only -x c++ - "
          "2>&1");
  const Said version = Ask("g++ --version");
  if (compiled.success) return {true, version.line, ""};
  return {false, version.line + " does not compile C++20: " + compiled.line, "./lab setup"};
}

}  // namespace

const std::vector<Probe>& AllProbes() {
  static const std::vector<Probe> kProbes = {
      {"kernel", &Kernel},  {"user namespaces", &UserNamespaces},
      {"bubblewrap", &Box}, {"seccomp", &Seccomp},
      {"ptrace", &Ptrace},  {"IPC limits", &IpcLimits},
      {"Bazel", &Bazel},    {"C++ compiler", &Compiler},
  };
  return kProbes;
}

std::string ProbeText(const std::string& name, const ProbeFinding& finding) {
  std::string text =
      fmt::format("{}  {:<16} {}\n", finding.works ? "works" : "FAILS", name, finding.detail);
  if (!finding.works && !finding.fix.empty()) {
    text += fmt::format("       {:<16} to fix it: {}\n", "", finding.fix);
  }
  return text;
}

int RunDoctor() {
  bool all_work = true;
  for (const Probe& probe : AllProbes()) {
    ProbeFinding finding;
    try {
      finding = probe.run();
    } catch (const GraderError& error) {
      finding = {false, error.what(), ""};
    }
    all_work = all_work && finding.works;
    WriteAllTo(STDOUT_FILENO, ProbeText(probe.name, finding), "standard output");
  }
  return all_work ? 0 : 1;
}

}  // namespace ipclab
