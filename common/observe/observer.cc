#include "common/observe/observer.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

#include "common/observe/call_details.h"
#include "common/observe/proc.h"
#include "common/observe/semaphore_calls.h"
#include "common/sandbox/protocol.h"

namespace ipclab {
namespace {

// Results that a signal's arrival leaves behind for the kernel itself: ERESTARTSYS and its kin.
constexpr long kFirstRestart = 512;
constexpr long kLastRestart = 516;

constexpr Entry kUnseen{Entry::What::kProceedUnseen, 0, {}};
constexpr Entry kHeld{Entry::What::kHold, 0, {}};
constexpr Entry kHeldBefore{Entry::What::kHoldBefore, 0, {}};

constexpr Entry Answered(long result) { return {Entry::What::kAnswer, result, {}}; }

}  // namespace

Observer::Observer(pid_t stage, Options options) : stage_(stage), options_(std::move(options)) {
  Tracer::Get().Seize(stage, this);
}

Observer::~Observer() { Tracer::Get().KillAll(this); }

int Observer::AddRule(Rule rule) {
  rules_.push_back({std::move(rule), 0, {}});
  return static_cast<int>(rules_.size()) - 1;
}

std::set<pid_t> Observer::Held(int rule) const {
  return rules_.at(static_cast<std::size_t>(rule)).held;
}

std::set<pid_t> Observer::AllHeld() const {
  std::set<pid_t> all;
  for (const Standing& standing : rules_) all.insert(standing.held.begin(), standing.held.end());
  return all;
}

void Observer::Release(int rule) {
  Standing& standing = rules_.at(static_cast<std::size_t>(rule));
  standing.rule.hold = false;
  for (const pid_t tid : std::exchange(standing.held, {})) {
    if (standing.rule.before) {
      broken_off_[tid] = open_[tid];
      open_.erase(tid);
    }
    if (const auto stepped = stepped_.find(tid); stepped != stepped_.end()) {
      stepped->second.released = true;
    }
    Tracer::Get().Release(tid);
  }
}

void Observer::LetHelpersGo() {
  for (const pid_t tid : std::exchange(waiting_, {})) Tracer::Get().Release(tid);
}

std::vector<pid_t> Observer::LivingProcesses() const {
  std::vector<pid_t> pids;
  for (const auto& [pid, process] : processes_) {
    if (process.alive) pids.push_back(pid);
  }
  return pids;
}

std::string Observer::NameOf(pid_t pid) const {
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return "";
  const Process& process = found->second;
  if (process.helper) {
    if (!process.function.empty()) return "in " + process.function;
    return process.calls.empty() ? "the caller" : "called " + process.calls.back().function;
  }
  const std::string origin = process.function.empty() ? "the caller" : process.function;
  return (process.program.empty() ? "" : process.program + ", ") + "child of " + origin;
}

Process* Observer::Owner(pid_t tid) {
  const auto pid = process_of_.find(tid);
  const auto process = processes_.find(pid == process_of_.end() ? tid : pid->second);
  return process == processes_.end() ? nullptr : &process->second;
}

Process* Observer::HelperOf(Process& process) {
  Process* candidate = &process;
  while (candidate != nullptr && !candidate->helper) {
    const auto parent = processes_.find(candidate->parent);
    candidate = parent == processes_.end() ? nullptr : &parent->second;
  }
  return candidate;
}

Event Observer::NewEvent(Event::Kind kind, pid_t tid) {
  Event event;
  event.kind = kind;
  event.at = Clock::now();
  event.tid = tid;
  if (const Process* const process = Owner(tid); process != nullptr) {
    event.pid = process->pid;
    event.inner_pid = process->inner_pid;
    event.process = NameOf(process->pid);
    event.function = process->function;
  }
  return event;
}

void Observer::Append(Event event) {
  if (events_.size() == options_.max_events) {
    limit_ = "more than " + std::to_string(options_.max_events) + " watched events";
    return;
  }
  events_.push_back(std::move(event));
}

Entry Observer::OnEntry(pid_t tid, const CallInfo& call) {
  if (call.filter_data == static_cast<unsigned>(FilterData::kMarker)) return OnMarker(tid, call);

  if (const std::optional<int> refusal = options_.judge(call.number, call.args)) {
    Event event = NewEvent(Event::Kind::kForbidden, tid);
    event.number = call.number;
    Append(std::move(event));
    return Answered(-*refusal);
  }
  if (call.filter_data != static_cast<unsigned>(FilterData::kWatched)) {
    return kUnseen;
  }
  if (const auto continued = Continued(tid, call)) {
    open_[tid] = *continued;
    return {};
  }

  Event event = NewEvent(Event::Kind::kCall, tid);
  event.number = call.number;
  event.family = FamilyOf(call.number);
  event.args = call.args;
  if (const int argument = DescriptorArgument(call.number); argument >= 0) {
    event.descriptor = static_cast<int>(call.args[static_cast<std::size_t>(argument)]);
    event.target = TargetOf(tid, event.descriptor);
  }
  const bool by_path = event.family == Family::kName || event.number == SYS_truncate ||
                       (event.family == Family::kStat && event.descriptor < 0);
  if (event.family == Family::kOpen || event.family == Family::kExec || by_path) {
    event.detail = PathOf(tid, call);
  }
  if (event.family == Family::kSemaphores) {
    event.detail = DescribeSemaphoreCall(tid, call.number, call.args);
    event.time_limit = SemaphoreTimeLimit(tid, call.number, call.args);
  }
  if (Process* const process = Owner(tid); process != nullptr) {
    if (StudentCall* const current = OpenCall(process->calls)) current->made_calls = true;
  }
  const std::size_t index = events_.size();
  Append(event);
  if (index == events_.size()) return kUnseen;
  open_[tid] = index;
  return Apply(event, index);
}

// The event of the call that a signal broke off, if this entry is that call going on.
std::optional<std::size_t> Observer::Continued(pid_t tid, const CallInfo& call) {
  const auto broken = broken_off_.find(tid);
  if (broken == broken_off_.end()) return std::nullopt;
  const Event& event = events_[broken->second];
  const bool same = call.number == SYS_restart_syscall ||
                    (event.number == call.number && event.args == call.args);
  if (!same) return std::nullopt;
  const std::size_t index = broken->second;
  broken_off_.erase(broken);
  return index;
}

Entry Observer::Apply(const Event& event, std::size_t index) {
  for (Standing& standing : rules_) {
    const Rule& rule = standing.rule;
    if (rule.family != event.family) continue;
    if (rule.where ? !rule.where(event) : event.function.empty()) continue;
    ++standing.matches;
    if (rule.nth != 0 && rule.nth != standing.matches) continue;
    if (rule.hold && rule.after) {
      leaving_[event.tid] = static_cast<std::size_t>(&standing - rules_.data());
      return {};
    }
    if (rule.hold) {
      standing.held.insert(event.tid);
      return rule.before ? kHeldBefore : kHeld;
    }
    if (rule.answer) {
      events_[index].result = *rule.answer;
      events_[index].until = events_[index].at;
      events_[index].injected = true;
      open_.erase(event.tid);
      return Answered(*rule.answer);
    }
    if (rule.at_most && event.args[2] > *rule.at_most) {
      events_[index].injected = true;
      return {Entry::What::kProceed, 0, rule.at_most};
    }
  }
  return {};
}

void Observer::NoteArmed(pid_t pid) {
  if (clocks_[pid].Armed()) {
    armed_.insert(pid);
  } else {
    armed_.erase(pid);
  }
}

bool Observer::OnExit(pid_t tid, long result) {
  const auto open = open_.find(tid);
  if (open == open_.end()) return false;
  Event& event = events_[open->second];
  event.until = Clock::now();
  if (result <= -kFirstRestart && result >= -kLastRestart) {
    event.interrupted = true;
    broken_off_[tid] = open->second;
  } else {
    event.result = result;
    if (event.family == Family::kTimer && result >= 0) {
      clocks_[event.pid].OnCall(event);
      NoteArmed(event.pid);
    }
    if (result == -EINTR) left_[tid] = open->second;
    const bool makes_two = event.family == Family::kPipe || event.family == Family::kSocket;
    if (makes_two && result == 0) event.detail = NewDescriptors(tid, event);
  }
  const bool over = event.result.has_value();
  open_.erase(open);
  const auto leaving = over ? leaving_.find(tid) : leaving_.end();
  if (leaving == leaving_.end()) return false;
  Standing& standing = rules_[leaving->second];
  leaving_.erase(leaving);
  if (standing.rule.hold) standing.held.insert(tid);
  return standing.rule.hold;
}

void Observer::OnRepeat(pid_t tid) {
  const auto left = left_.find(tid);
  if (left == left_.end()) return;
  events_[left->second].result.reset();
  events_[left->second].interrupted = true;
  broken_off_[tid] = left->second;
  left_.erase(left);
}

void Observer::OnNewTask(pid_t parent_tid, pid_t child_tid) {
  const std::optional<Status> status = ReadStatus(child_tid);
  const pid_t pid = status ? status->pid : child_tid;
  process_of_[child_tid] = pid;
  if (pid != child_tid) return;  // A thread.

  Process process;
  process.pid = pid;
  process.inner_pid = status ? status->inner_pid : 0;
  if (parent_tid == stage_) {
    process.helper = true;
    process.role = std::exchange(expected_role_, "");
    process.parent = stage_;
  } else if (const Process* const parent = Owner(parent_tid); parent != nullptr) {
    process.parent = parent->pid;
    process.function = parent->function;
    process.program = parent->program;
  }
  processes_[pid] = process;
  Event event = NewEvent(Event::Kind::kStart, child_tid);
  if (const Process* const parent = Owner(parent_tid); parent != nullptr) {
    event.from = parent->inner_pid;
  }
  Append(std::move(event));
  if (LivingProcesses().size() > options_.max_processes) {
    limit_ = "more than " + std::to_string(options_.max_processes) + " processes";
  }
}

void Observer::OnExec(pid_t tid, pid_t former_tid) {
  if (former_tid != tid) {
    if (const auto open = open_.find(former_tid); open != open_.end()) {
      open_[tid] = open->second;
      open_.erase(former_tid);
    }
    process_of_.erase(former_tid);
  }
  Process* const process = Owner(tid);
  if (process == nullptr) return;
  process->at_exec = TakeCensus(tid, kDescriptors);
  if (const auto open = open_.find(tid); open != open_.end()) {
    const std::string& path = events_[open->second].detail;
    process->program = path.substr(path.rfind('/') + 1);
  }
  Event event = NewEvent(Event::Kind::kExec, tid);
  event.detail = process->program;
  Append(std::move(event));
}

void Observer::OnSignal(pid_t tid, const siginfo_t& info, const std::optional<Blocked>& resumed) {
  if (tid == stage_) return;
  // A second signal finds the thread in restart_syscall: what it goes on with stays the same.
  if (resumed && resumed->call != SYS_restart_syscall) resumed_[tid] = *resumed;
  Event event = NewEvent(Event::Kind::kSignal, tid);
  event.status = info.si_signo;
  // Others, such as that of a timer, have no sender.
  const bool sent = info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_code == SI_TKILL;
  if (sent || info.si_signo == SIGCHLD) event.from = info.si_pid;
  const auto clock = clocks_.find(event.pid);
  if (info.si_signo == SIGALRM && info.si_code == SI_KERNEL && clock != clocks_.end()) {
    clock->second.OnAlarm();
    NoteArmed(event.pid);
  }
  Append(std::move(event));
}

void Observer::OnEnding(pid_t tid) {
  Process* const process = Owner(tid);
  if (process == nullptr || process->pid != tid) return;
  process->at_ending = TakeCensus(tid, kDescriptors | kChildren);
}

void Observer::OnEnded(pid_t tid, int status) {
  open_.erase(tid);
  broken_off_.erase(tid);
  left_.erase(tid);
  leaving_.erase(tid);
  resumed_.erase(tid);
  waiting_.erase(tid);
  stepped_.erase(tid);
  for (Standing& standing : rules_) standing.held.erase(tid);
  Process* const process = Owner(tid);
  if (process != nullptr && process->pid == tid) {
    Event event = NewEvent(Event::Kind::kEnd, tid);
    event.status = status;
    Append(std::move(event));
    process->alive = false;
    process->status = status;
    armed_.erase(tid);
    clocks_.erase(tid);
  }
  process_of_.erase(tid);
}

}  // namespace ipclab
