#include "common/observe/observer.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/observe/proc.h"
#include "common/sandbox/protocol.h"

namespace ipclab {
namespace {

constexpr std::size_t kMaxMarkerData = 1 << 20;
// Results that a signal's arrival leaves behind for the kernel itself: ERESTARTSYS and its kin.
constexpr long kFirstRestart = 512;
constexpr long kLastRestart = 516;

constexpr Entry kUnseen{Entry::What::kProceedUnseen, 0, {}};
constexpr Entry kHeld{Entry::What::kHold, 0, {}};
constexpr Entry kHeldBefore{Entry::What::kHoldBefore, 0, {}};

constexpr Entry Answered(long result) { return {Entry::What::kAnswer, result, {}}; }

// Bytes of a stopped task's memory; shorter where they end. process_vm_readv(2).
std::string ReadMemory(pid_t tid, std::uint64_t address, std::size_t size) {
  std::string bytes(size, '\0');
  iovec local{bytes.data(), size};
  iovec remote{reinterpret_cast<void*>(address), size};
  const ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
  bytes.resize(got == -1 ? 0 : static_cast<std::size_t>(got));
  return bytes;
}

// A C string, a page at a time, so that one that ends just before unmapped memory is read whole.
std::string ReadString(pid_t tid, std::uint64_t address) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kShown = 200;
  std::string text;
  while (text.size() < kShown) {
    const std::string part = ReadMemory(tid, address, kPage - address % kPage);
    if (part.empty()) break;
    const std::size_t end = part.find('\0');
    text += part.substr(0, end);
    if (end != std::string::npos) break;
    address += part.size();
  }
  return Printable(text, kShown);
}

std::string TargetOf(pid_t tid, int descriptor) {
  const std::string path = "/proc/" + std::to_string(tid) + "/fd/" + std::to_string(descriptor);
  std::array<char, PATH_MAX> target{};
  const ssize_t size = readlink(path.c_str(), target.data(), target.size());
  return size <= 0 ? "" : std::string(target.data(), static_cast<std::size_t>(size));
}

std::string PathArgument(pid_t tid, const CallInfo& call) {
  switch (call.number) {
    case SYS_openat:
    case SYS_openat2:
    case SYS_mknodat:
    case SYS_unlinkat:
    case SYS_execveat:
      return ReadString(tid, call.args[1]);
    default:
      return ReadString(tid, call.args[0]);
  }
}

// What a call made: "[3, 4]".
std::string NewDescriptors(pid_t tid, const Event& event) {
  const std::size_t argument = event.family == Family::kPipe ? 0 : 3;
  if (event.number == SYS_socket) return "";
  const std::string bytes = ReadMemory(tid, event.args[argument], 2 * sizeof(int));
  if (bytes.size() != 2 * sizeof(int)) return "";
  int ends[2];
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(ends));
  return "[" + std::to_string(ends[0]) + ", " + std::to_string(ends[1]) + "]";
}

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
  if (event.family == Family::kOpen || event.family == Family::kExec) {
    event.detail = PathArgument(tid, call);
  }
  if (event.family == Family::kTimer) NoteTimer(event);
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
    if (rule.hold) {
      standing.held.insert(event.tid);
      return rule.before ? kHeldBefore : kHeld;
    }
    if (rule.answer) {
      events_[index].result = *rule.answer;
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

void Observer::NoteTimer(const Event& event) {
  // A timer that was set once may be set again by its own interval, so it counts until the end.
  if (event.number != SYS_timer_create) armed_.insert(event.pid);
}

void Observer::OnExit(pid_t tid, long result) {
  const auto open = open_.find(tid);
  if (open == open_.end()) return;
  Event& event = events_[open->second];
  if (result <= -kFirstRestart && result >= -kLastRestart) {
    event.interrupted = true;
    broken_off_[tid] = open->second;
  } else {
    event.result = result;
    if (result == -EINTR) left_[tid] = open->second;
    const bool makes_two = event.family == Family::kPipe || event.family == Family::kSocket;
    if (makes_two && result == 0) event.detail = NewDescriptors(tid, event);
  }
  open_.erase(open);
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
  Append(NewEvent(Event::Kind::kStart, child_tid));
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
  resumed_.erase(tid);
  waiting_.erase(tid);
  for (Standing& standing : rules_) standing.held.erase(tid);
  Process* const process = Owner(tid);
  if (process != nullptr && process->pid == tid) {
    Event event = NewEvent(Event::Kind::kEnd, tid);
    event.status = status;
    Append(std::move(event));
    process->alive = false;
    process->status = status;
    armed_.erase(tid);
  }
  process_of_.erase(tid);
}

Entry Observer::OnMarker(pid_t tid, const CallInfo& call) {
  const Entry done = Answered(0);
  Process* const process = Owner(tid);
  // Anyone may make this call; only our own instruction makes a marker of it.
  if (call.instruction != options_.marker_address || process == nullptr) {
    return Answered(-ENOSYS);
  }
  const std::string data = ReadMemory(tid, call.args[1], std::min(call.args[2], kMaxMarkerData));
  const Marker kind = static_cast<Marker>(call.args[0]);
  if (kind == Marker::kReport) {
    if (Process* const helper = HelperOf(*process)) OnReport(*helper, data);
    return done;
  }
  if (!process->helper) {
    process->strayed |= kind == Marker::kLeave || kind == Marker::kDone;
    return done;
  }
  switch (kind) {
    case Marker::kReady:
      process->ready = true;
      process->begin = TakeCensus(tid);
      waiting_.insert(tid);
      return kHeld;
    case Marker::kLoadError:
      process->load_error = Printable(data, 400);
      break;
    case Marker::kEnter: {
      StudentCall student_call;
      student_call.function = Printable(data, 80);
      student_call.before = TakeCensus(tid);
      process->function = student_call.function;
      process->calls.push_back(std::move(student_call));
      Event event = NewEvent(Event::Kind::kEnter, tid);
      event.detail = process->function;
      Append(std::move(event));
      break;
    }
    case Marker::kLeave:
      OnLeave(*process, data);
      break;
    case Marker::kDone:
      process->done = true;
      process->end = TakeCensus(tid);
      break;
    default:
      break;
  }
  return done;
}

void Observer::OnLeave(Process& process, const std::string& data) {
  const nlohmann::json fields = nlohmann::json::from_cbor(data, true, false);
  StudentCall* const open = OpenCall(process.calls);
  if (open == nullptr || !fields.is_array() || fields.size() != 3 ||
      !fields[1].is_number_integer() || !fields[2].is_number_integer()) {
    return;
  }
  StudentCall& call = *open;
  call.returned = true;
  call.value = fields[1].get<std::int64_t>();
  call.error = fields[2].get<int>();
  call.after = TakeCensus(process.pid);
  Event event = NewEvent(Event::Kind::kLeave, process.pid);
  event.detail = call.function + "() returns " + std::to_string(call.value) +
                 (call.value == -1 ? " with " + ErrnoName(call.error) : "");
  Append(std::move(event));
  const StudentCall* const around = OpenCall(process.calls);
  process.function = around == nullptr ? "" : around->function;
}

void Observer::OnReport(Process& process, const std::string& data) {
  const nlohmann::json fields = nlohmann::json::from_cbor(data, true, false);
  if (!fields.is_array() || fields.size() != 2 || !fields[0].is_string()) return;
  constexpr std::size_t kMaxReports = 10'000;
  if (process.reports.size() < kMaxReports) {
    process.reports[fields[0].get<std::string>()] = fields[1];
  }
}

}  // namespace ipclab
