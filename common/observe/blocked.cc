#include "common/observe/blocked.h"

#include <algorithm>
#include <charconv>

namespace ipclab {
namespace {

// "running" while the thread has a CPU or waits for one; else "-1 SP PC" outside a call, or
// "NUMBER ARG1 ... ARG6 SP PC".
std::string ReadCallLine(pid_t tid) { return ReadProc(tid, "syscall").value_or("running\n"); }

}  // namespace

std::optional<Blocked> ParseBlocked(std::string_view text) {
  Blocked blocked;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(at, end, blocked.call);
  if (number.ec != std::errc() || blocked.call < 0) return std::nullopt;
  at = number.ptr;
  for (std::uint64_t& argument : blocked.args) {
    if (end - at < 4 || at[0] != ' ' || at[1] != '0' || at[2] != 'x') return std::nullopt;
    const auto parsed = std::from_chars(at + 3, end, argument, 16);
    if (parsed.ec != std::errc()) return std::nullopt;
    at = parsed.ptr;
  }
  return blocked;
}

std::optional<Blocked> BlockedCall(pid_t tid) { return ParseBlocked(ReadCallLine(tid)); }

bool WaitUntilBlockedIn(pid_t tid, const std::set<long>& calls, std::chrono::milliseconds limit) {
  bool blocked = false;
  const auto settled = [&] {
    const std::optional<Blocked> now = BlockedCall(tid);
    blocked = now && calls.contains(now->call);
    if (blocked) return true;
    const std::optional<Status> status = ReadStatus(tid);
    return !status || status->ended();
  };
  return PollUntil(settled, limit) && blocked;
}

bool TaskSample::SleptUntil(const TaskSample& later) const {
  return tid == later.tid && off_cpu && later.off_cpu && blocked == later.blocked &&
         status.state == later.status.state &&
         status.voluntary_switches == later.status.voluntary_switches &&
         status.involuntary_switches == later.status.involuntary_switches;
}

std::vector<TaskSample> SampleTasks(const std::vector<pid_t>& pids) {
  std::vector<TaskSample> samples;
  for (const pid_t pid : pids) {
    for (const pid_t tid : ThreadsOf(pid)) {
      TaskSample sample;
      sample.tid = tid;
      sample.pid = pid;
      const std::string line = ReadCallLine(tid);
      sample.off_cpu = !line.starts_with("running");
      sample.blocked = ParseBlocked(line);
      const std::optional<Status> status = ReadStatus(tid);
      if (!status) continue;
      sample.status = *status;
      samples.push_back(sample);
    }
  }
  std::ranges::sort(samples, {}, &TaskSample::tid);
  return samples;
}

}  // namespace ipclab
