#include "common/grading/probe.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "common/base/text.h"
#include "common/grading/sandbox.h"
#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

enum Breach : int {
  kReadsHost = 1,
  kSeesProc = 2,
  kConnects = 4,
  kTraces = 8,
  kIsFirst = 16,
  kSeesStage = 32,
  kKillsStage = 64,
};

}  // namespace

// Its value is the sum of what it could do.
HELPER(IsolationCanary) {
  int breaches = 0;
  if (access("/etc/passwd", F_OK) == 0) breaches |= kReadsHost;
  if (access("/proc/self", F_OK) == 0) breaches |= kSeesProc;
  if (const int fd = socket(AF_INET, SOCK_STREAM, 0); fd != -1) {
    breaches |= kConnects;
    close(fd);
  }
  if (ptrace(PTRACE_ATTACH, getppid(), nullptr, nullptr) == 0) breaches |= kTraces;
  if (getpid() == 1) breaches |= kIsFirst;
  if (getppid() != 1) breaches |= kSeesStage;
  if (kill(1, SIGTERM) == 0 && kill(1, 0) != 0) breaches |= kKillsStage;
  const int own = pipe(std::array<int, 2>{}.data());
  Report("pipe", own);
  return breaches;
}

namespace {

// Empty if the canary's box keeps what it promises.
std::string TryBox(bool confine) {
  Session::Get().confine = confine;
  try {
    Sandbox box({.watch = {Family::kPipe}});
    Helper canary = box.Start("IsolationCanary");
    const Ending ending = canary.Wait();
    int breaches = ending.code;
    // Without namespaces the host is in view; the filter and the tracer must work all the same.
    if (!confine) breaches &= kConnects | kTraces;
    if (ending.kind != Ending::Kind::kExited) return "a helper in the box " + ending.text;
    if (breaches != 0) return "the box leaks (canary " + std::to_string(breaches) + ")";
    for (const Event& event : box.events()) {
      if (event.family == Family::kPipe && event.Succeeded()) return "";
    }
    return "the tracer missed a call";
  } catch (const GraderError& error) {
    return error.what();
  }
}

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Fix() {
  if (!std::filesystem::exists("/usr/bin/bwrap")) return "sudo apt-get install bubblewrap";
  if (FirstLine("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (FirstLine("/proc/sys/user/max_user_namespaces") == "0") {
    return "sudo sysctl -w user.max_user_namespaces=10000";
  }
  if (FirstLine("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (FirstLine("/proc/sys/kernel/yama/ptrace_scope") == "3") {
    return "boot with kernel.yama.ptrace_scope=1";
  }
  return "in a container: docker run --security-opt seccomp=unconfined --security-opt "
         "apparmor=unconfined ...";
}

}  // namespace

Isolation ProbeIsolation() {
  const std::string full = TryBox(true);
  if (full.empty()) return {"full", "", ""};
  const std::string bare = TryBox(false);
  if (bare.empty()) return {"practice", full, Fix()};
  return {"none", full + "; without namespaces: " + bare, Fix()};
}

}  // namespace ipclab
