// The part of the observer that holds a process between two stores to shared memory.
//
// The process runs one instruction at a time. When one of them has changed the memory, it is taken
// back, memory and registers, and the process is held: as if it had not come to it yet. Taken back
// is only what nobody else can have stored, since all others slept before and after.

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/observe/observer.h"

namespace ipclab {
namespace {

using std::chrono_literals::operator""ns;

// Enough for any function of a lab. Who runs more of them may be computing for ever, which shows
// sooner at full speed.
constexpr int kMostSteps = 200'000;

bool SleptOn(const std::vector<TaskSample>& before, const std::vector<TaskSample>& after) {
  return std::ranges::equal(before, after, [](const TaskSample& was, const TaskSample& is) {
    return was.status.state != 'R' && was.SleptUntil(is);
  });
}

}  // namespace

int Observer::HoldAtStores(pid_t pid, const std::string& function) {
  const int rule = AddRule({.hold = true});
  to_step_.push_back({pid, function, rule});
  return rule;
}

void Observer::LetRun(int rule) {
  std::erase_if(to_step_, [&](const ToStep& wanted) { return wanted.rule == rule; });
  for (auto stepped = stepped_.begin(); stepped != stepped_.end();) {
    const auto next = std::next(stepped);
    if (stepped->second.rule == rule) EndStepping(stepped->first);
    stepped = next;
  }
  Release(rule);
}

std::vector<TaskSample> Observer::Others(pid_t tid) const {
  std::vector<pid_t> pids = LivingProcesses();
  std::erase(pids, process_of_.at(tid));
  return SampleTasks(pids);
}

void Observer::BeginStepping(pid_t tid, const std::string& function) {
  const pid_t pid = process_of_.at(tid);
  const auto wanted = std::ranges::find_if(to_step_, [&](const ToStep& candidate) {
    return candidate.pid == pid && candidate.function == function;
  });
  if (wanted == to_step_.end()) return;
  stepped_.insert_or_assign(tid, Stepped{wanted->rule, SharedMemory(pid, options_.counters_inode),
                                         Others(tid), CpuTime(pid).value_or(0ns)});
  to_step_.erase(wanted);
  Tracer::Get().SetStepping(tid, true);
}

void Observer::EndStepping(pid_t tid) {
  const auto stepped = stepped_.find(tid);
  if (stepped == stepped_.end()) return;
  time_in_steps_[process_of_.at(tid)] += TimeInSteps(tid, stepped->second);
  stepped_.erase(stepped);
  Tracer::Get().SetStepping(tid, false);
}

std::chrono::nanoseconds Observer::TimeInSteps(pid_t tid, const Stepped& stepped) const {
  return std::max(0ns, CpuTime(process_of_.at(tid)).value_or(0ns) - stepped.begun);
}

std::map<pid_t, std::chrono::nanoseconds> Observer::TimeInSteps() const {
  std::map<pid_t, std::chrono::nanoseconds> times = time_in_steps_;
  for (const auto& [tid, stepped] : stepped_) {
    times[process_of_.at(tid)] += TimeInSteps(tid, stepped);
  }
  return times;
}

bool Observer::OnStep(pid_t tid, bool whole) {
  const auto found = stepped_.find(tid);
  if (found == stepped_.end()) return false;
  Stepped& stepped = found->second;
  if (++stepped.steps == kMostSteps) {
    EndStepping(tid);
    return false;
  }
  // After a system call much may be different, and other processes have had their turn.
  if (!whole) {
    stepped.memory.Remap();
    stepped.others = Others(tid);
    return false;
  }
  if (std::exchange(stepped.released, false)) {
    stepped.memory.Reread();
    stepped.others = Others(tid);
    return false;
  }
  if (!stepped.memory.Changed()) return false;
  std::vector<TaskSample> others = Others(tid);
  const bool alone = SleptOn(stepped.others, others);
  stepped.others = std::move(others);
  if (!alone) {
    stepped.memory.Reread();
    return false;
  }
  stepped.memory.Restore();
  Tracer::Get().TakeBackStep(tid);
  rules_.at(static_cast<std::size_t>(stepped.rule)).held.insert(tid);
  return true;
}

}  // namespace ipclab
