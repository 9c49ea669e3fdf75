#include "common/observe/busy_wait.h"

#include <cstdio>

#include "common/base/text.h"
#include "common/observe/proc.h"

namespace ipclab {

std::string Spinner::Explain(const std::string& name) const {
  char seconds[32];
  std::snprintf(seconds, sizeof(seconds), "%.1f", std::chrono::duration<double>(used).count());
  return "Process " + std::to_string(inner_pid) +
         (name.empty() ? "" : " (" + Printable(name, 80) + ")") + " has used " + seconds +
         " s of processor time and still computes. It tries again and again instead of sleeping in "
         "a "
         "call until something happens.";
}

std::optional<Spinner> BusyWait::Sample(
    const std::vector<pid_t>& pids, const std::map<pid_t, std::chrono::nanoseconds>& others) const {
  std::optional<Spinner> most;
  for (const pid_t pid : pids) {
    std::optional<std::chrono::nanoseconds> used = CpuTime(pid);
    if (const auto other = others.find(pid); used && other != others.end()) *used -= other->second;
    if (!used || *used < limit_ || (most && *used <= most->used)) continue;
    const std::optional<Status> status = ReadStatus(pid);
    if (!status || status->ended()) continue;
    most = {.pid = pid, .inner_pid = status->inner_pid, .used = *used};
  }
  return most;
}

}  // namespace ipclab
